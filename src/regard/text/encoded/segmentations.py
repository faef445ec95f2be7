"""Words segmented in several ways: BPE dropout, drawn anew for every epoch.

Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization". The paper segments a word anew
whenever it is seen. Here every word of the corpus gets VARIANTS segmentations, drawn once from the seed; the epoch and
the place in the corpus choose one of them. So the ids of an epoch are a pure function of seed and epoch, and cost only
a look-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from regard.text.encoded.pairs import EncodedPairs
from regard.text.encoded.ragged import Indices, Ragged
from regard.text.permutation import draws, mixed
from regard.text.reading.pairs import SentencePairs
from regard.text.tokens.bpe_dropout import Cutter
from regard.text.tokens.tokenizer import Tokenizer

VARIANTS = 16
"""The number of segmentations per word."""


class Segmentations:
    """Rows of words that have VARIANTS segmentations each."""

    def __init__(self, words: Ragged, pieces: Ragged, *key: int) -> None:
        """words: rows of numbers of words. pieces: all segmentations of word 0, then those of word 1, and so on."""
        self.words, self.pieces, self.key = words, pieces, key
        self.n_pieces = pieces.lengths(np.arange(len(pieces)))

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, rate: float, *key: int) -> "Segmentations":
        """Return the words of the texts. key: chooses the segmentations. Raises ConfigError as Cutter does."""
        # First, because it refuses a tokenizer without merges, which may have no words either.
        cutter = Cutter(tokenizer, rate, int(draws(1, *key)[0]))
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(word, len(numbers)) for word in tokenizer.words(text)] for text in texts]
        # Words in the order of their first appearance, so that the same corpus draws the same segmentations.
        pieces = [cutter.cut(word) for word in numbers for _ in range(VARIANTS)]
        return cls(Ragged.of(rows, len(numbers)), Ragged.of(pieces, tokenizer.vocabulary), *key)

    def most(self) -> Indices:
        """Return the maximum number of ids of each row."""
        longest = self.n_pieces.reshape(-1, VARIANTS).max(1)
        bounds = np.concatenate([[0], self.words.ends])
        # Differences of cumulative sums, since `reduceat` gives a row without words the value after it.
        return np.diff(bounds_of(longest[self.words.tokens])[bounds])

    def chosen(self, rows: Indices) -> "Segmentations":
        """Return some of the rows."""
        return Segmentations(Ragged.of(self.words.take(rows), len(self.n_pieces)), self.pieces, *self.key)

    def in_epoch(self, epoch: int) -> "Segmented":
        """Return the rows as they are in an epoch."""
        return Segmented(self, epoch)


class Segmented:
    """Rows of ids: the words of each row, each in one of its segmentations."""

    def __init__(self, of: Segmentations, epoch: int) -> None:
        self.words, self.pieces, self.n_pieces = of.words, of.pieces, of.n_pieces
        self.key = draws(1, *of.key, epoch)

    def __len__(self) -> int:
        return len(self.words)

    def lengths(self, rows: Indices) -> Indices:
        variants, bounds = self._variants(rows)
        return np.diff(bounds_of(self.n_pieces[variants])[bounds])

    def take(self, rows: Indices) -> list[list[int]]:
        variants, bounds = self._variants(rows)
        cut = self.pieces.take(variants)
        return [list(chain.from_iterable(cut[a:b])) for a, b in pairwise(bounds.tolist())]

    def _variants(self, rows: Indices) -> tuple[Indices, Indices]:
        """Return the segmentation of every word of the rows, and the bounds of the rows among them."""
        starts, n_words = self.words.starts(rows), self.words.lengths(rows)
        bounds = bounds_of(n_words)
        # Places in the whole corpus, so that a row does not depend on the other rows that are requested.
        places = np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], n_words)
        drawn = mixed(places.astype(np.uint64) + self.key) % np.uint64(VARIANTS)
        # Widened before it is multiplied: the numbers of words may be stored in 16 bits.
        return self.words.tokens[places].astype(np.int64) * VARIANTS + drawn.astype(np.int64), bounds


def bounds_of(lengths: Indices) -> Indices:
    """Return where each stretch of these lengths begins, end to end, and last where all of them end."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


@dataclass(frozen=True)
class SegmentedPairs(EncodedPairs):
    """Pairs whose words are segmented anew for every epoch. As items, they are those of the first epoch."""

    all_sources: Segmentations
    all_targets: Segmentations

    def in_epoch(self, epoch: int) -> EncodedPairs:
        sides = self.all_sources.in_epoch(epoch), self.all_targets.in_epoch(epoch)
        return EncodedPairs(*sides, self.n_dropped, self.max_tokens)


def segment_pairs(
    pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int, rate: float, seed: int
) -> SegmentedPairs:
    """Return the pairs with BPE dropout, without those that could have more than max_tokens on a side.

    rate: share of the merges that are left out. Raises ConfigError if a tokenizer is not BPE.
    """
    sides = [
        Segmentations.of([pair[i] for pair in pairs], tokenizer, rate, seed, i)  # i: both sides draw differently
        for i, tokenizer in enumerate((source, target))
    ]
    # By the longest segmentation of each word, so that every epoch has the same pairs.
    kept = np.flatnonzero(np.maximum(*(side.most() for side in sides)) <= max_tokens)
    sources, targets = (side.chosen(kept) for side in sides)
    n_dropped = len(pairs) - len(kept)
    return SegmentedPairs(sources.in_epoch(0), targets.in_epoch(0), n_dropped, max_tokens, sources, targets)
