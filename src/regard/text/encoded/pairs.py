"""Pairs of sentences as ids: the items that batches are made of. Knows lengths and ids, and no order."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regard.batch import Batch, collate
from regard.text.encoded.ragged import Indices, Lengths, Ragged, Rows
from regard.text.reading.pairs import SentencePairs
from regard.text.tokens.tokenizer import Tokenizer

PAIRS_AT_ONCE = 25_000
"""How many pairs are processed at once."""

RARE, ROOM, EXTRA = 0.999, 1.25, 10
"""The quantile of the length ratios, the factor on it, and the tokens of each target that are not counted."""


@dataclass(frozen=True)
class EncodedPairs:
    """The ids of both sides, without EOS, and how many pairs were left out as too long. Items of a stream."""

    sources: Rows
    targets: Rows
    n_dropped: int
    max_tokens: int

    def __len__(self) -> int:
        return len(self.sources)

    @cached_property
    def n_cells(self) -> int:
        """The sum of the pairs' lengths in a batch, each that of the longer side."""
        # In chunks, because the lengths of a corpus that is stored in files may not fit into memory.
        starts = range(0, len(self), PAIRS_AT_ONCE)
        parts = (np.arange(start, min(start + PAIRS_AT_ONCE, len(self))) for start in starts)
        return sum(int(np.maximum(*self.lengths(part)).sum()) for part in parts)

    @property
    def extent(self) -> tuple[int, float]:
        """The longest source's length, and a ratio of target to source length well above nearly all pairs'."""
        longest, ratios = 0, []
        for start in range(0, len(self), PAIRS_AT_ONCE):
            sources, targets = self.lengths(np.arange(start, min(start + PAIRS_AT_ONCE, len(self))))
            longest = max(longest, int(sources.max()) - 1)
            # For a source of only a few tokens, the ratio says little: `max_extra` is for these.
            ratios.append(np.quantile((targets - EXTRA) / sources, RARE))
        return longest, round(ROOM * float(max(ratios)), 1)

    def lengths(self, indices: Indices) -> tuple[Lengths, Lengths]:
        """Return the lengths in a batch: EOS follows the source, and BOS precedes, or EOS follows, the target."""
        return self.sources.lengths(indices) + 1, self.targets.lengths(indices) + 1

    def collate(self, indices: Indices) -> Batch:
        return collate(self.sources.take(indices), self.targets.take(indices))

    def in_epoch(self, epoch: int) -> "EncodedPairs":  # noqa: ARG002
        """Return the pairs as they are in an epoch: always the same."""
        return self


def encode_pairs(pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int) -> EncodedPairs:
    """Return the pairs as ids, without those that have more than max_tokens on a side."""

    def encode(start: int) -> tuple[Ragged, Ragged]:
        chunk = pairs[start : start + PAIRS_AT_ONCE]
        encoded = zip(source.encode_many([s for s, _ in chunk]), target.encode_many([t for _, t in chunk]), strict=True)
        # BOS and EOS are not counted, as in `SegmentedPairs`: max_tokens is for the text alone.
        kept = [(s, t) for s, t in encoded if max(len(s), len(t)) <= max_tokens]
        return Ragged.of([s for s, _ in kept], source.vocabulary), Ragged.of([t for _, t in kept], target.vocabulary)

    with ThreadPoolExecutor(2) as pool:  # the tokenizer computes on all cores while Python prepares the next pairs
        parts = list(pool.map(encode, range(0, len(pairs), PAIRS_AT_ONCE)))
    sources, targets = (Ragged.joined(side) for side in zip(*parts, strict=True))
    return EncodedPairs(sources, targets, len(pairs) - len(sources), max_tokens)
