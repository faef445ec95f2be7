import numpy as np
import pytest

from regard.text.encoded import pairs as module
from regard.text.encoded.pairs import encode_pairs
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)


def test_overlong_pairs_are_left_out_and_counted(tokenizer):
    encoded = encode_pairs([("ab", "ab"), ("abababab", "a"), ("a", "babababa")], tokenizer, tokenizer, max_tokens=5)
    assert encoded.n_dropped == 2
    assert [tokenizer.decode(side.take(np.array([0]))[0]) for side in (encoded.sources, encoded.targets)] == [
        "ab",
        "ab",
    ]
    assert len(encoded.sources) == len(encoded.targets) == 1


def test_what_is_encoded_in_chunks_is_what_is_encoded_at_once(tokenizer, monkeypatch):
    pairs = [("ab" * (i % 4 + 1), "ba" * (i % 3 + 1)) for i in range(11)]
    whole = encode_pairs(pairs, tokenizer, tokenizer, max_tokens=6)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 3)
    chunked = encode_pairs(pairs, tokenizer, tokenizer, max_tokens=6)
    assert whole.n_dropped == chunked.n_dropped == 2
    for a, b in ((whole.sources, chunked.sources), (whole.targets, chunked.targets)):
        assert a.take(np.arange(len(a))) == b.take(np.arange(len(b)))
    assert whole.n_cells == chunked.n_cells == sum(max(len(s), len(t)) + 1 for s, t in pairs if len(s) <= 6)
