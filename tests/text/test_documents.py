import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text import documents as module
from regard.text.documents import encode_passages, fingerprint_text, split_by_order
from regard.text.passages import Passages
from regard.text.tokenizer import Tokenizer

TEXT = st.text(st.sampled_from("ab <ä\n\r\u3000"), min_size=1).filter(str.strip)


@given(documents=st.lists(TEXT, min_size=1), share=st.floats(0.01, 0.99))
def test_the_split_keeps_order_and_every_character(documents, share):
    text = Passages.of(documents)
    n = text.n_characters
    border = int(n * (1 - share))
    if not 0 < border < n:
        with pytest.raises(DataError, match="leaves one side empty"):
            split_by_order(text, share)
        return
    before, after = split_by_order(text, share)
    assert "".join(before) + "".join(after) == "".join(text)
    assert before.n_characters == border == len("".join(before))
    assert all([*before, *after]) and before.closes[-1] and after.begins[0]


@pytest.mark.parametrize("share", [0.9, 0.6, 0.5, 0.4, 0.1])
def test_a_file_is_split_in_characters_whatever_its_line_ends_and_bytes_are(tmp_path, share):
    (tmp_path / "x.txt").write_bytes("\ufeffä\r\nb\rc\n\r\n\r\nöd\r\n".encode())
    text = Passages.read(tmp_path / "x.txt", "file")
    before, after = split_by_order(text, share)
    n = int(11 * (1 - share))
    assert ("".join(before), "".join(after)) == ("ä\nb\nc\n\n\nöd\n"[:n], "ä\nb\nc\n\n\nöd\n"[n:])


def test_tiny_shakespeare_is_split_as_everybody_does():
    before, after = split_by_order(Passages.of(["x" * 1_115_394]), 0.1)
    assert (before.n_characters, after.n_characters) == (1_003_854, 111_540)


def test_no_more_is_held_out_than_is_of_use(monkeypatch):
    monkeypatch.setattr(module, "MOST_HELD_OUT", 30)
    before, after = split_by_order(Passages.of(["x" * 1000]), 0.1)
    assert (before.n_characters, after.n_characters) == (970, 30)


def test_a_document_stands_between_marks():
    tokenizer = Tokenizer.train_running(["abab"], "characters", 1000)
    ids = encode_passages(Passages.of(["ab", "b"]), tokenizer)
    assert ids.tokens.dtype == np.uint16 and ids.ends.tolist() == [4, 7]
    assert ids.read(0, 7) == [1, *tokenizer.encode("ab"), 2, 1, *tokenizer.encode("b"), 2]


@pytest.mark.parametrize("group", [1, 400_000, 2_000_000])
def test_documents_longer_than_a_passage_are_encoded_as_one(monkeypatch, group):
    monkeypatch.setattr(module, "GROUP", group)
    tokenizer = Tokenizer.train_running(["abab"], "characters", 1000)
    documents = ["a", "ab\n" * 200_000, *["b"] * 100]
    text = Passages.of(documents)
    assert len(text) == 104 and text.n_documents == 102
    encoded = encode_passages(text, tokenizer)
    found = np.split(encoded.tokens, encoded.ends[:-1])
    assert [ids.tolist() for ids in found] == [[1, *tokenizer.encode(text), 2] for text in documents]


def test_of_a_document_of_which_some_is_chosen_some_is_encoded():
    tokenizer = Tokenizer.train_running(["abab"], "characters", 1000)
    text = Passages.of(["ab\n" * 200_000, "b"])
    parts = [encode_passages(text, tokenizer, range(i, i + 1)) for i in range(len(text))]
    whole = encode_passages(text, tokenizer)
    assert np.concatenate([part.tokens for part in parts]).tolist() == whole.tokens.tolist()
    assert [len(part.ends) for part in parts] == [0, 0, 1, 1]


def test_the_fingerprint_sees_where_a_document_ends():
    assert fingerprint_text(Passages.of(["ab", "c"])) != fingerprint_text(Passages.of(["a", "bc"]))
    assert fingerprint_text(Passages.of(["ab"])) == fingerprint_text(Passages.of(["ab"])) == "d1ab1a7fbf5a9552"
