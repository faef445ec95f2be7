"""Words split into pieces with some of BPE's merges left out at random.

Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization".
"""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from regard.errors import ConfigError
from regard.text.tokens.tokenizer import Tokenizer


class Cutter:
    """Splits words into pieces, with merges left out at random. Provilkov et al. 2020, algorithm 1."""

    def __init__(self, tokenizer: Tokenizer, rate: float, seed: int) -> None:
        """rate: share of the merges that are left out. Raises ConfigError if the tokenizer has no merges."""
        # Of `Random`, only `random()` is used: its sequence is the only one that Python promises to keep.
        self.tokenizer, self.rate, self.random = tokenizer, rate, Random(seed)
        self.ranks = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
        if not self.ranks:
            raise ConfigError(
                f"data.bpe_dropout is {rate:g}, but the tokenizer has no merges to leave out. Set tokenizer.kind=bpe, "
                "or remove data.bpe_dropout."
            )

    def cut(self, word: str) -> list[int]:
        """Return the ids of a word's pieces."""
        symbols = list(word)
        while (at := self._next_merge(symbols)) is not None:
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        return self.tokenizer.ids_of(symbols)

    def _next_merge(self, symbols: Sequence[str]) -> int | None:
        """Return the place of the first possible merge that is not left out this time, or None."""
        ranked = ((self.ranks.get(pair), i) for i, pair in enumerate(pairwise(symbols)))
        # Drawn anew for every merge of the word, as in algorithm 1, and only where one is possible.
        kept = ((rank, i) for rank, i in ranked if rank is not None and self.random.random() >= self.rate)
        # Of one merge in several places, the leftmost, as in the library.
        return min(kept, default=(0, None))[1]
