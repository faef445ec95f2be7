import pytest

from regard.errors import DataError
from regard.text.batching.pairs import pair_stream
from regard.text.encoded.pairs import encode_pairs
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)


def test_when_every_pair_is_overlong_the_limit_is_named(tokenizer):
    with pytest.raises(DataError, match=r"All 1 pairs have more than 2 tokens.*data\.max_tokens"):
        pair_stream(encode_pairs([("abab", "a")], tokenizer, tokenizer, max_tokens=2), batch_tokens=16, seed=1)
