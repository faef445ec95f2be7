from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from tests.fakes import names_in

from regard.errors import DataError, RunError
from regard.jobs.given import Given, given, keep_spooled, spooled_in
from regard.text.tokens.normalise import normalise, normalise_running

PAIRS = [("one", "eins"), ("two", "zwei")]


@pytest.mark.parametrize(
    ("data", "files", "job"),
    [
        *(("a.tsv", ["a.tsv"], "pairs"), (Path("a.TXT"), ["a.TXT"], "text"), (["a.txt"], ["a.txt"], "text")),
        *((("a.en", "a.de"), ["a.en", "a.de"], "pairs"), ([Path("a.txt"), "b.txt"], ["a.txt", "b.txt"], "pairs")),
    ],
    ids=str,
)
def test_strings_and_paths_are_files(data, files, job):
    found = given(data, None)
    assert found == Given(files=tuple(map(Path, files))) and found.job == job


def test_files_may_come_one_by_one():
    assert given(iter(["a.en", "a.de"]), None) == given(("a.en", "a.de"), None)


def test_tuples_of_two_strings_are_pairs():
    for data in (PAIRS, iter(PAIRS), [list(pair) for pair in PAIRS], (pair for pair in PAIRS)):
        found = given(data, None)
        assert found.job == "pairs" and found.files == ()
        assert list(found.read_pairs()) == PAIRS


def test_texts_have_a_name_of_their_own_since_a_string_cannot_say_what_it_is():
    for texts in ("the sea", ["the sea"], iter(["the sea"])):
        found = given(None, texts)
        assert found.job == "text"
        assert found.read_text("file").documents() == ["the sea"]


def test_nothing_is_none():
    assert given(None, None) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^valid is empty; expected files or pairs of sentences\.$"),
        ((), r"^valid is empty; expected files"),
        (
            ["a.en", ("one", "eins")],
            r"^valid mixes files with something else; expected one or two files, or pairs of str",
        ),
        (["a.en", None], r"^valid mixes files with something else"),
    ],
    ids=str,
)
def test_what_is_neither_files_nor_pairs_is_refused_at_once(data, message):
    with pytest.raises(DataError, match=message):
        given(data, None, "valid")


@pytest.mark.parametrize("data", [5, 2.5, object()], ids=["int", "float", "object"])
def test_what_cannot_be_walked_through_is_refused_at_once(data):
    with pytest.raises(DataError, match="valid"):
        given(data, None, "valid")
    with pytest.raises(DataError, match="texts"):
        given(None, data)


@pytest.mark.parametrize(
    ("items", "place"),
    [
        *(
            ([("a", "b"), "c"], "2: found str"),
            ([("a", "b", "c")], "1: found tuple of str, str, str"),
            ([(1, 2)], "1: found tuple of int, int"),
        ),
        *(
            ([("a", "b"), None], "2: found NoneType"),
            ([{"a": "b"}], "1: found dict"),
            ([("a", None)], "1: found tuple of str, NoneType"),
        ),
    ],
    ids=str,
)
def test_a_pair_of_another_form_is_refused_with_its_place(items, place):
    found = given(items, None, "guard")
    with pytest.raises(DataError, match=rf"^guard, item {place}; expected a tuple of two strings\.$"):
        found.read_pairs()


def test_a_document_that_is_no_string_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"^texts, item 2: found int; expected a string, one document\.$"):
        given(None, ["a", 3]).read_text("file")


def test_data_and_texts_at_once_are_refused():
    message = r"^guard and texts were both given; a corpus is pairs of sentences or running text\.$"
    with pytest.raises(DataError, match=message):
        given("a.tsv", "text", "guard")


def test_a_corpus_of_any_size_is_read_item_by_item():
    def endless():
        for i in range(10**9):
            assert i < 3, "only what is asked for is read"
            yield (str(i), str(i))

    found = given(endless(), None)
    assert [pair for pair, _ in zip(found.pairs, range(2), strict=False)] == [("0", "0"), ("1", "1")]


def test_pairs_are_spooled_into_two_files_that_give_the_same_pairs(tmp_path):
    rows = [("one", "eins"), ("a\nb\r\nc", "x\0y\ud800z"), ("", "empty"), ("\u2028 é", "\x0b"), ("three", "drei")]
    spooled = given(iter(rows), None).spool(tmp_path / "spool")
    assert spooled.job == "pairs"
    keep_spooled(tmp_path / "spool", tmp_path / "data")
    spooled = spooled_in(tmp_path / "data")
    assert spooled.job == "pairs" and names_in(tmp_path / "data") == ["source.txt", "target.txt", "whole"]
    here, there = given(rows, None).read_pairs(), spooled.read_pairs()
    assert [tuple(map(normalise, pair)) for pair in there] == [tuple(map(normalise, pair)) for pair in here]
    assert there.report == here.report


@examples(
    rows=st.lists(st.tuples(st.text(st.characters(), max_size=9), st.text(st.characters(), max_size=9)), min_size=1)
)
def test_spooled_pairs_mean_what_was_handed_in(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("spool") / "data"
    kept = [pair for pair in (tuple(map(normalise, row)) for row in rows) if all(pair)]
    spooled = given(rows, None).spool(folder)
    if not kept:
        with pytest.raises(DataError):
            spooled.read_pairs()
    else:
        assert [tuple(map(normalise, pair)) for pair in spooled.read_pairs()] == kept


@examples(texts=st.lists(st.text(st.characters(), max_size=9), min_size=1, max_size=5))
def test_spooled_texts_are_what_was_handed_in(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("spool") / "data"
    kept = [text for text in map(normalise_running, texts) if text.strip()]
    if not kept or "".join(map(normalise_running, texts)) == "\ufeff":  # a byte order mark alone is no text
        with pytest.raises(DataError):
            given(None, texts).spool(folder).read_text("file")
    else:
        assert given(None, iter(texts)).spool(folder).job == "text"
        keep_spooled(folder, folder.with_name("kept"))
        spooled = spooled_in(folder.with_name("kept"))
        assert spooled.job == "text"
        assert spooled.read_text("file").documents() == given(None, texts).read_text("file").documents() == kept


def test_files_are_left_where_they_are(tmp_path):
    files = Given(files=(Path("a.en"), Path("a.de")))
    assert files.spool(tmp_path / "data") is files and names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "texts", "message"),
    [
        (None, [], r"^texts is empty; expected running text\.$"),
        (None, ["", ""], r"^texts is empty; expected running text\.$"),
        (None, "", r"^texts is empty; expected running text\.$"),
    ],
)
def test_what_holds_nothing_is_not_spooled(tmp_path, data, texts, message):
    with pytest.raises(DataError, match=message):
        given(data, texts).spool(tmp_path / "data")


def test_pairs_of_which_none_comes_are_not_spooled(tmp_path):
    with pytest.raises(DataError, match=r"^data is empty; expected files or pairs of sentences\.$"):
        Given(pairs=iter(())).spool(tmp_path / "data")


def test_texts_of_blanks_only_are_refused_when_they_are_read(tmp_path):
    spooled = given(None, [" ", "\n"]).spool(tmp_path / "data")
    with pytest.raises(DataError, match=r"texts holds no text, only blank lines and document marks; expected"):
        spooled.read_text("file")


def test_a_mistake_in_the_middle_of_what_is_spooled_is_said_with_its_place(tmp_path):
    with pytest.raises(DataError, match=r"^data, item 3: found int"):
        given([*PAIRS, 3], None).spool(tmp_path / "data")
    with pytest.raises(DataError, match=r"^texts, item 2: found NoneType"):
        given(None, ["a", None]).spool(tmp_path / "texts")


def test_a_place_that_cannot_be_written_is_an_error_of_the_user(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"data cannot be written: Not a directory\. Free space, then try again\.$"):
        given(PAIRS, None).spool(tmp_path / "file" / "data")


def test_what_was_spooled_takes_the_place_of_what_the_run_held(tmp_path):
    (tmp_path / "run").mkdir()
    for i, rows in enumerate((PAIRS, [("three", "drei")])):
        read = given(rows, None).spool(tmp_path / f"spool-{i}").read_pairs()
        keep_spooled(tmp_path / f"spool-{i}", tmp_path / "run" / "data")
        assert list(read) == rows, "files that are open stay readable"
        assert list(spooled_in(tmp_path / "run" / "data").read_pairs()) == rows
    assert names_in(tmp_path) == ["run"]


def test_a_folder_without_a_corpus_has_none(tmp_path):
    assert spooled_in(tmp_path / "none") is None
    (tmp_path / "source.txt").write_text("half a spool")
    (tmp_path / "texts").write_text("half a spool")
    assert spooled_in(tmp_path) is None


def test_a_file_of_text_is_cut_into_documents_as_asked_for(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n<|endoftext|>\nthree\n")
    file = given(tmp_path / "a.txt", None)
    assert file.read_text("file").documents() == ["one\ntwo\n", "three\n"]
    assert file.read_text("line").documents() == ["one", "two", "<|endoftext|>", "three"]


def test_texts_from_memory_are_documents_whatever_their_lines_are():
    texts = given(None, ["one\n<|endoftext|>\ntwo", "three"])
    assert texts.read_text("line").documents() == ["one\n<|endoftext|>\ntwo", "three"]


def test_what_the_makers_of_the_items_raise_is_theirs(tmp_path):
    def pairs():
        yield "a", "b"
        raise TimeoutError("the server is slow")

    with pytest.raises(TimeoutError, match="the server is slow"):
        given(pairs(), None).spool(tmp_path / "pairs")
    with pytest.raises(TimeoutError, match="the server is slow"):
        given(None, (a for a, _ in pairs())).spool(tmp_path / "texts")


@pytest.mark.parametrize("ends", [[], [0], [0, -4, 4], [0, 4, 2, 4], [1, 4], [0, 3], [0, 9]])
def test_damaged_ends_of_texts_are_named(tmp_path, ends):
    given(None, ["ab", "cd"]).spool(tmp_path / "spool")
    keep_spooled(tmp_path / "spool", tmp_path / "data")
    np.array(ends, dtype=np.int64).tofile(tmp_path / "data" / "texts.ends")
    with pytest.raises(DataError, match=r"texts is damaged, or texts\.ends beside it\. Give the texts again"):
        spooled_in(tmp_path / "data").read_text("file")


def test_texts_that_are_no_utf8_any_more_are_named(tmp_path):
    given(None, ["ab", "cd"]).spool(tmp_path / "spool")
    keep_spooled(tmp_path / "spool", tmp_path / "data")
    (tmp_path / "data" / "texts").write_bytes(b"\xff\xfe\xfd\xfc")
    with pytest.raises(DataError, match="texts is damaged"):
        spooled_in(tmp_path / "data").read_text("file")


@pytest.mark.parametrize("damage", ["gone", "link"])
def test_a_corpus_of_which_a_part_is_missing_is_named(tmp_path, damage):
    given([("a", "b")], None).spool(tmp_path / "spool")
    keep_spooled(tmp_path / "spool", tmp_path / "data")
    (tmp_path / "data" / "source.txt").unlink()
    if damage == "link":
        (tmp_path / "data" / "source.txt").symlink_to(tmp_path / "data" / "target.txt")
    with pytest.raises(DataError, match=r"is damaged: its corpus is incomplete\. Give the data again"):
        spooled_in(tmp_path / "data")


def test_a_corpus_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    for n in range(2):
        given([("a" * (n + 1), "b")], None).spool(tmp_path / "spool")
        if n:
            monkeypatch.setattr(Path, "touch", lambda self: (_ for _ in ()).throw(OSError(28, "No space")))
            with pytest.raises(RunError, match="cannot be written"):
                keep_spooled(tmp_path / "spool", tmp_path / "data")
        else:
            keep_spooled(tmp_path / "spool", tmp_path / "data")
    assert list(spooled_in(tmp_path / "data").read_pairs()) == [("a", "b")]


def test_messages_name_the_argument(tmp_path):
    with pytest.raises(DataError, match="valid_texts is int"):
        given(None, 3, "valid", "valid_texts")
    with pytest.raises(DataError, match=r"valid_texts, item 1: found int"):
        given(None, [3], "valid", "valid_texts").read_text("file")


@pytest.mark.parametrize("text", ["東京は大きい。" * 20, "a" * 5_000, "a\0b", "/", "\ud800"])
def test_a_text_that_no_file_can_be_called_is_a_text(text):
    assert given(None, text).job == "text"


def test_sentences_that_are_no_files_are_said_and_paths_are_taken_for_such():
    with pytest.raises(DataError, match=r"there is no file .*Strings are names of files; pairs are tuples"):
        given(["東京は大きい。" * 20, "Tokyo ist groß."], None)
    assert given([Path("corpus_en"), Path("corpus_de")], None).job == "pairs"  # as a command line names them
