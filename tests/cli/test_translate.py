from types import SimpleNamespace

import pytest

from regard.cli import translate


@pytest.mark.parametrize("n_best", [1, 2])
def test_what_is_translated_is_written_before_more_is(monkeypatch, tmp_path, capsysbinary, n_best):
    seen = []

    def upper(lines: list[str]) -> list[list[SimpleNamespace]]:
        seen.append((len(lines), capsysbinary.readouterr().out))
        return [[SimpleNamespace(text=f"{line.upper()}{i}", log_probability=-i) for i in (1, 2, 3)] for line in lines]

    translator = SimpleNamespace(n_best=upper, decoding=SimpleNamespace(beam=3))
    monkeypatch.setattr(translate, "load_translator", lambda *_: translator)
    monkeypatch.setattr(translate, "LINES_AT_ONCE", 2)
    (tmp_path / "lines").write_text("a\nb\nc\n")
    translate.run_translate(tmp_path, tmp_path / "lines", None, n_best, "cpu")
    seen.append((0, capsysbinary.readouterr().out))
    both = {1: [b"A1\nB1\n", b"C1\n"], 2: [b"1\t-1.0000\tA1\n1\t-2.0000\tA2\n2\t-1.0000\tB1\n2\t-2.0000\tB2\n"]}
    both[2].append(b"3\t-1.0000\tC1\n3\t-2.0000\tC2\n")
    assert seen == [(2, b""), (1, both[n_best][0]), (0, both[n_best][1])]
