import numpy as np
import pytest

from regard.errors import DataError
from regard.text import corpus
from regard.text.corpus import encode_pairs, fingerprint, hold_out
from regard.text.tokenizer import Tokenizer, TokenizerConfig

PAIRS = [(f"a{i}", f"b{i}") for i in range(50)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)


def test_held_out_pairs_and_the_rest_are_all_pairs_in_order():
    kept, held = hold_out(PAIRS, 4, seed=1)
    assert len(held) == 4
    assert sorted([*kept, *held]) == sorted(PAIRS)
    assert list(kept) == [pair for pair in PAIRS if pair not in held]
    assert held == hold_out(PAIRS, 4, seed=1)[1] != hold_out(PAIRS, 4, seed=2)[1]


def test_at_most_a_tenth_is_held_out_but_at_least_one():
    assert len(hold_out(PAIRS, 1000, seed=1)[1]) == 5
    assert len(hold_out(PAIRS[:2], 1000, seed=1)[1]) == 1


def test_one_pair_is_too_few():
    with pytest.raises(DataError, match="at least 2 are needed"):
        hold_out(PAIRS[:1], 1, seed=1)


def test_overlong_pairs_are_left_out_and_counted(tokenizer):
    encoded = encode_pairs([("ab", "ab"), ("abababab", "a"), ("a", "babababa")], tokenizer, tokenizer, max_tokens=5)
    assert encoded.n_dropped == 2
    assert [tokenizer.decode(side.take(np.array([0]))[0]) for side in (encoded.sources, encoded.targets)] == [
        "ab",
        "ab",
    ]
    assert len(encoded.sources) == len(encoded.targets) == 1


def test_when_every_pair_is_overlong_the_limit_is_named(tokenizer):
    with pytest.raises(DataError, match=r"All 1 pairs have more than 2 tokens.*data\.max_tokens"):
        encode_pairs([("abab", "a")], tokenizer, tokenizer, max_tokens=2).stream(16, seed=1)


def test_a_fingerprint_is_of_exactly_these_pairs_in_this_order():
    assert fingerprint(PAIRS) == fingerprint(list(PAIRS))
    assert len({fingerprint(PAIRS), fingerprint(PAIRS[::-1]), fingerprint(PAIRS[1:]), fingerprint([])}) == 4


def test_what_is_encoded_in_chunks_is_what_is_encoded_at_once(tokenizer, monkeypatch):
    pairs = [("ab" * (i % 4 + 1), "ba" * (i % 3 + 1)) for i in range(11)]
    whole = encode_pairs(pairs, tokenizer, tokenizer, max_tokens=6)
    monkeypatch.setattr(corpus, "CHUNK", 3)
    chunked = encode_pairs(pairs, tokenizer, tokenizer, max_tokens=6)
    assert whole.n_dropped == chunked.n_dropped == 2
    for a, b in ((whole.sources, chunked.sources), (whole.targets, chunked.targets)):
        assert a.take(np.arange(len(a))) == b.take(np.arange(len(b)))
    assert whole.n_cells == chunked.n_cells == sum(max(len(s), len(t)) + 1 for s, t in pairs if len(s) <= 6)
