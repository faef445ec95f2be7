import numpy as np
import pytest

from regard.text.encoded import documents as module
from regard.text.encoded.documents import encode_passages
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer


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
