import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading.files import text_of
from regard.text.reading.lines import LONGEST, read_lines, split_lines
from regard.text.reading.pairs import READERS, ReadReport, pairs_of, read_pairs


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: bytes | str):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def message_of(action, *arguments) -> str:
    with pytest.raises(DataError) as caught:
        action(*arguments)
    return str(caught.value)


def test_two_files_are_read_line_by_line(write):
    pairs = read_pairs([write("a.en", "one\ntwo\n"), write("a.de", "eins\nzwei\n")])
    assert list(pairs) == [("one", "eins"), ("two", "zwei")]
    assert pairs.report == ReadReport(2, 2, {})


def test_one_tsv_is_read_by_columns(write):
    pairs = read_pairs([write("pairs.TSV", "one\teins\ntwo\tzwei")])
    assert list(pairs) == [("one", "eins"), ("two", "zwei")]


def test_both_readers_read_the_same_pairs_alike(write):
    aligned = read_pairs([write("a.en", "one\n\ntwo\n"), write("a.de", "eins\n\nzwei\n")])
    columns = read_pairs([write("a.tsv", "one\teins\n\ntwo\tzwei\n")])
    assert list(columns) == list(aligned) == [("one", "eins"), ("two", "zwei")]
    assert columns.report == aligned.report == ReadReport(3, 2, {"empty": 1})
    assert set(READERS) == {"lines", "tsv"}


def test_both_sides_of_a_pair_are_dropped_together_and_counted(write):
    source = write("a.en", "one\n\nthree\nfour\n \u200b five\n" + "x" * 11 + "\n")
    target = write("a.de", "eins\nzwei\n \x07 \nvier\nfuenf\nsechs\n")
    pairs = read_pairs([source, target], 10)
    assert list(pairs) == [("one", "eins"), ("four", "vier"), (" \u200b five", "fuenf")]
    assert pairs.report == ReadReport(6, 3, {"empty": 2, "too long": 1})
    assert pairs.report.summary() == "6 pairs read, 3 kept, 3 dropped (2 empty, 1 too long)."


@given(
    st.lists(
        st.tuples(st.sampled_from(["", " ", "word", "x" * 30]), st.sampled_from(["", "Wort", "y" * 30])), min_size=1
    )
)
def test_read_is_kept_plus_dropped(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in [*rows, ("kept", "kept")]), encoding="utf-8")
    report = read_pairs([path], 20).report
    assert report.read == len(rows) + 1 == report.kept + sum(report.dropped.values())


def test_a_report_of_nothing_dropped_says_so():
    assert ReadReport(29_000, 29_000, {}).summary() == "29,000 pairs read, 29,000 kept, none dropped."


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0\ufeff", codec="utf-8")), min_size=1))
def test_lines_end_at_newlines_and_nowhere_else(lines):
    content = "".join(f"{line}\n" for line in lines)
    for encoded in (content, content.replace("\n", "\r\n"), f"\ufeff{content}"):
        assert split_lines(text_of(encoded.encode(), "file")) == lines


def test_line_separators_of_unicode_do_not_break_lines():
    content = "a\u2028b\x85c\x0bd\x0ce\x1ef\n"
    assert split_lines(content) == ["a\u2028b\x85c\x0bd\x0ce\x1ef"]


def test_empty_lines_stay_and_a_last_newline_begins_no_line(write):
    assert read_lines(write("a.txt", "\none\n\ntwo\n\n")) == ["", "one", "", "two", ""]
    assert read_lines(write("b.txt", "one")) == ["one"]


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "none.txt"
    assert message_of(read_lines, path) == f"{path} does not exist; expected a text file. Check the spelling."


def test_a_directory_is_refused(tmp_path):
    assert message_of(read_lines, tmp_path) == f"{tmp_path} is a directory; expected a text file. Name a file in it."


def test_a_file_that_the_system_refuses_is_refused(tmp_path):
    assert message_of(read_lines, tmp_path / ("x" * 300)).endswith("cannot be read: File name too long.")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(write, content):
    path = write("a.txt", content)
    assert message_of(read_lines, path) == f"{path} is empty; expected text."
    assert message_of(read_pairs, [write("b.txt", "text"), path]) == f"{path} is empty; expected text."


def test_invalid_utf_8_is_refused_with_file_line_and_byte(write):
    path = write("a.de", b"gut\nStra\xdfe\n")
    found = "line 2, byte 5: byte 0xDF is not UTF-8 (invalid continuation byte)"
    convert = f"iconv -f LATIN1 -t UTF-8 {path} > {path.with_name('a-2.de')}"
    assert message_of(read_lines, path) == f"{path}, {found}. If it is Latin-1, convert it: {convert}"


def test_bytes_are_counted_as_they_stand_in_the_file(write):
    assert ", line 1, byte 5: byte 0xFF" in message_of(read_lines, write("a.txt", b"\xef\xbb\xbfa\xff"))
    assert ", line 1, byte 3: byte 0xFF" in message_of(read_lines, write("a.txt", b"\xc3\xa4\xff"))


@pytest.mark.parametrize("content", ["\ud7ff\n".encode("utf-16"), b"\xfe\xff\0a"])
def test_utf_16_is_refused_by_name(write, content):
    path = write("a.txt", content)
    convert = f"iconv -f UTF-16 -t UTF-8 {path} > {path.with_name('a-2.txt')}"
    assert message_of(read_lines, path) == f"{path} is UTF-16; expected UTF-8. Convert it: {convert}"


def test_nul_bytes_are_refused_with_file_line_and_byte(write):
    path = write("a.txt", "one\ntw\0o\n")
    assert (
        message_of(read_lines, path)
        == f"{path}, line 2, byte 3: a NUL byte; expected text. {path} may be binary or UTF-16."
    )


def test_a_line_of_100_000_characters_is_refused(write):
    path = write("a.txt", "short\n" + "x" * 100_000 + "\n")
    assert message_of(read_lines, path) == f"{path}, line 2: 100,000 characters; at most {LONGEST:,} are allowed."


def test_all_overlong_lines_are_counted_in_one_message(write):
    message = message_of(read_lines, write("a.txt", "xxxx\nxx\nxxxxx\n"), 3)
    assert message.endswith("line 1: 4 characters; at most 3 are allowed (and 1 more).")


def test_a_pair_of_100_000_characters_is_dropped_and_counted(write):
    pairs = read_pairs([write("a.tsv", "a\tb\n" + "x" * 100_000 + "\ty\n")])
    assert pairs.report == ReadReport(2, 1, {"too long": 1})


def test_different_line_counts_are_refused_with_both_counts_and_a_place(write):
    source, target = write("a.en", "one\ntwo words\nthree\n"), write("a.de", "eins\ndrei\n")
    message = message_of(read_pairs, [source, target])
    assert message.startswith(f"Line counts differ: {source} has 3 and {target} has 2 lines. Look near line 2: ")


@pytest.mark.parametrize(("row", "found"), [("alone", "1 column;"), ("a\tb\tc", "3 columns;")])
def test_a_wrong_number_of_columns_is_refused_with_the_line(write, row, found):
    path = write("a.tsv", f"a\tb\n{row}\n")
    assert message_of(read_pairs, [path]) == f"{path}, line 2: {found} expected 2 (source, tab, target)."


def test_all_rows_with_wrong_columns_are_counted_in_one_message(write):
    message = message_of(read_pairs, [write("a.tsv", "a\nb\tb\nc\nd\n")])
    assert message.endswith("line 1: 1 column; expected 2 (source, tab, target) (and 2 more).")


def test_files_of_which_no_pair_is_left_are_refused(write):
    source, target = write("a.en", "\n\n"), write("a.de", "eins\nzwei\n")
    summary = "2 pairs read, 0 kept, 2 dropped (2 empty)."
    assert (
        message_of(read_pairs, [source, target])
        == f"{source} and {target}: no pair is left. {summary} Expected text on both sides."
    )


@pytest.mark.parametrize("names", [[], ["a.txt"], ["a", "b", "c"]])
def test_other_numbers_of_files_are_refused(write, names):
    message = message_of(read_pairs, [write(name, "text") for name in names])
    assert "expected two files (source and target, line by line) or one .tsv (source, tab, target)" in message
    assert message.startswith("Found no file;") == (not names)


def test_pairs_from_memory_are_kept_and_dropped_as_those_of_files(write):
    rows = [("one", "eins"), ("", "zwei"), ("three", " \x07 "), ("four", "vier"), ("x" * 11, "y")]
    here = pairs_of(rows, longest=10)
    there = read_pairs([write("a.tsv", "".join(f"{source}\t{target}\n" for source, target in rows))], 10)
    assert list(here) == list(there) == [("one", "eins"), ("four", "vier")]
    assert here.report == there.report == ReadReport(5, 2, {"empty": 2, "too long": 1})


def test_pairs_from_memory_of_which_none_is_left_are_refused():
    with pytest.raises(
        DataError, match=r"^the data: no pair is left\. 1 pair read, 0 kept, 1 dropped \(1 empty\)\. Expec"
    ):
        pairs_of([("", "a")])
    with pytest.raises(DataError, match=r"^valid: no pair is left\. 0 pairs read"):
        pairs_of([], "valid")
