import gzip

import pytest

from regard.errors import DataError
from regard.text.reading.passages import Passages


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbfthird\nlast")
    (tmp_path / "a.txt").write_bytes(b"first\r\n")
    (tmp_path / "b" / "b.TXT.gz").write_bytes(gzip.compress(b"second\n"))
    for name in (".git/x.txt", ".hidden.txt", "notes.md"):
        (tmp_path / name).write_text("no text of the corpus")
    return tmp_path


def test_a_folder_is_its_text_files_each_a_document(folder):
    text = Passages.read(folder, "file")
    assert text.documents() == ["first\n", "second\n", "third\nlast\n"] and text.n_documents == 3


def test_in_a_folder_every_line_can_be_a_document(folder):
    assert Passages.read(folder, "line").documents() == ["first", "second", "third", "last"]


def test_a_file_of_a_folder_that_is_no_text_is_named(folder):
    (folder / "b" / "z.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"b/z\.txt, line 1, byte 4: byte 0xE9 is not UTF-8"):
        Passages.read(folder, "file")


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"is a directory without a \.txt file; expected running text, one document"):
        Passages.read(tmp_path, "file")


def test_an_empty_file_of_a_folder_is_left_out(folder):
    (folder / "aa.txt").write_bytes(b"")
    assert Passages.read(folder, "file").n_documents == 3
