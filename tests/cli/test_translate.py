from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from regard.cli import translate
from regard.errors import RunError
from regard.pipeline import Translation
from regard.text.reading.incoming import Line


class Upper:
    """Translates into capitals, and remembers what it was given and what had been written by then."""

    def __init__(self, capsysbinary) -> None:
        self.capsysbinary, self.seen, self.beams = capsysbinary, [], []

    def n_best(self, lines: list[str], n: int, *, beam: int | None) -> list[list[Translation]]:
        self.seen.append((len(lines), self.capsysbinary.readouterr().out))
        self.beams.append(beam)
        return [
            [Translation("", [], 0.0, 0.0, "has 9 characters; the limit is 8")]
            if len(line) > 8
            else [Translation(f"{line.upper()}{i}", [], -9.0, -float(i)) for i in range(1, n + 1)]
            for line in lines
        ]


@pytest.fixture
def upper(monkeypatch, capsysbinary) -> Upper:
    translator = Upper(capsysbinary)
    monkeypatch.setattr(translate, "Translator", SimpleNamespace(load=lambda run, device: translator))
    monkeypatch.setattr(translate, "prepare_process", lambda: None)
    return translator


@pytest.mark.parametrize("n_best", [1, 2])
def test_what_is_translated_is_written_before_more_is(monkeypatch, tmp_path, capsysbinary, upper, n_best):
    monkeypatch.setattr(translate, "LINES_AT_ONCE", 2)
    (tmp_path / "lines").write_text("a\nb\nc\n")
    translate.run_translate(tmp_path, tmp_path / "lines", None, 7, n_best, "cpu", False)
    upper.seen.append((0, capsysbinary.readouterr().out))
    both = {1: [b"A1\nB1\n", b"C1\n"], 2: [b"1\t-1.0000\tA1\n1\t-2.0000\tA2\n2\t-1.0000\tB1\n2\t-2.0000\tB2\n"]}
    both[2].append(b"3\t-1.0000\tC1\n3\t-2.0000\tC2\n")
    assert upper.seen == [(2, b""), (1, both[n_best][0]), (0, both[n_best][1])]
    assert upper.beams == [7, 7]


def test_a_line_that_cannot_be_translated_is_empty_and_said_and_the_others_are_written(tmp_path, capsysbinary, upper):
    (tmp_path / "lines").write_text("a\n" + "b" * 9 + "\nc\n")
    with pytest.raises(SystemExit) as ended:
        translate.run_translate(tmp_path, tmp_path / "lines", None, None, 1, "cpu", False)
    shown = capsysbinary.readouterr()
    assert ended.value.code == 2 and shown.out == b"A1\n\nC1\n"
    assert shown.err.decode().splitlines() == [
        "warning: line 2 has 9 characters; the limit is 8. Its translation is empty.",
        "regard: 1 of 3 lines could not be translated; each is an empty line.",
    ]


def test_standard_input_is_read_for_nothing_and_for_a_dash(monkeypatch):
    for file in (None, Path("-")):
        monkeypatch.setattr(translate.sys, "stdin", SimpleNamespace(buffer=BytesIO(b"a\nb\n")))
        assert list(translate.read_input(file)) == [[Line("a"), Line("b")]]
        monkeypatch.setattr(translate.sys, "stdin", None)
        with pytest.raises(RunError, match=r"Standard input is closed, so there is nothing to read\. Name a file\."):
            translate.read_input(file)


def test_translations_go_to_a_file_whole_or_not_at_all(tmp_path, capsysbinary, upper):
    (tmp_path / "lines").write_text("a\nb\n")
    translate.run_translate(tmp_path, tmp_path / "lines", tmp_path / "out", None, 1, "cpu", False)
    assert (tmp_path / "out").read_bytes() == b"A1\nB1\n" and capsysbinary.readouterr().out == b""
    with pytest.raises(RunError, match="out exists"):
        translate.run_translate(tmp_path, tmp_path / "lines", tmp_path / "out", None, 1, "cpu", False)
    (tmp_path / "lines").write_text("c\n")
    translate.run_translate(tmp_path, tmp_path / "lines", tmp_path / "out", None, 1, "cpu", True)
    assert (tmp_path / "out").read_bytes() == b"C1\n"


def test_notes_name_the_line_and_are_counted_where_they_are_many(tmp_path, capsysbinary, monkeypatch, upper):
    monkeypatch.setattr(translate, "MOST_NOTES", 2)
    noted = replace(Translation("X", [], -1.0, -1.0), notes=("has numbers that its translation lacks: 7", "is long"))
    monkeypatch.setattr(upper, "n_best", lambda lines, n, *, beam: [[noted] for _ in lines])
    (tmp_path / "lines").write_bytes(b"a\nb\nc\ncaf\xe9\n")
    with pytest.raises(SystemExit):
        translate.run_translate(tmp_path, tmp_path / "lines", None, None, 1, "cpu", False)
    *notes, more, problem = capsysbinary.readouterr().err.decode().splitlines()
    assert notes[0] == "note: line 1 has numbers that its translation lacks: 7; is long." and len(notes) == 3
    assert notes[2].startswith("warning: line 4 has byte 0xE9")
    assert more == "note: 1 more lines have notes like these." and "iconv -f LATIN1" in problem


def test_a_table_is_noticed(tmp_path, capsysbinary, upper):
    (tmp_path / "lines").write_text("a\tb\n" * 3)
    translate.run_translate(tmp_path, tmp_path / "lines", None, None, 1, "cpu", False)
    assert b"every line has a tab" in capsysbinary.readouterr().err
