import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.documents import encode_documents, fingerprint_text, read_text, split_by_order
from regard.text.tokenizer import Tokenizer


def written(tmp_path, content: bytes):
    (tmp_path / "x.txt").write_bytes(content)
    return tmp_path / "x.txt"


def test_a_file_is_one_document_with_all_its_lines(tmp_path):
    assert read_text(written(tmp_path, b"a\r\n\n  b\n"), "file") == ["a\n\n  b\n"]


def test_the_usual_mark_ends_a_document(tmp_path):
    content = b"<|endoftext|>\none\n<|endoftext|>\ntwo <|endoftext|> still\n\n<|endoftext|>\n<|endoftext|>\n"
    assert read_text(written(tmp_path, content), "file") == ["one\n", "two <|endoftext|> still\n\n"]


def test_a_line_can_be_a_document(tmp_path):
    assert read_text(written(tmp_path, b"emma\n\n  \nolivia"), "line") == ["emma", "olivia"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "only blank lines"),
        (b"a\xff", "is not UTF-8"),
        (b"a\0", "NUL"),
        (b"\xff\xfea", "UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_text(written(tmp_path, content), "file")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt does not exist; expected a text file"):
        read_text(tmp_path / "none.txt", "file")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert read_text(written(tmp_path, b"\xef\xbb\xbfa\rb"), "file") == ["a\nb"]


@given(documents=st.lists(st.text(min_size=1), min_size=1), share=st.floats(0.01, 0.99))
def test_the_split_keeps_order_and_every_character(documents, share):
    n = sum(map(len, documents))
    border = int(n * (1 - share))
    if not 0 < border < n:
        with pytest.raises(DataError, match="leaves one side empty"):
            split_by_order(documents, share)
        return
    before, after = split_by_order(documents, share)
    assert "".join(before) + "".join(after) == "".join(documents)
    assert sum(map(len, before)) == border and all(before + after)


def test_tiny_shakespeare_is_split_as_everybody_does():
    before, after = split_by_order(["x" * 1_115_394], 0.1)
    assert (len(before[0]), len(after[0])) == (1_003_854, 111_540)


def test_a_document_stands_between_marks():
    tokenizer = Tokenizer.train_running(["abab"], "characters", 1000)
    (ids,) = encode_documents(["ab"], tokenizer)
    assert ids.dtype == np.int32 and ids.tolist() == [1, *tokenizer.encode("ab"), 2]


def test_documents_longer_than_a_part_are_encoded_as_one():
    tokenizer = Tokenizer.train_running(["abab"], "characters", 1000)
    long = "ab\n" * 100_000
    encoded = encode_documents(["a", long, *["b"] * 100], tokenizer)
    assert [ids.tolist() for ids in encoded] == [[1, *tokenizer.encode(text), 2] for text in ["a", long, *["b"] * 100]]
    assert all(ids.dtype == np.int32 for ids in encoded)


def test_the_fingerprint_sees_where_a_document_ends():
    assert fingerprint_text(["ab", "c"]) != fingerprint_text(["a", "bc"])
    assert fingerprint_text(["ab"]) == fingerprint_text(["ab"])
