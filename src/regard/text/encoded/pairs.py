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
"""Pairs that are worked on at once."""

RARE, ROOM, EXTRA = 0.999, 1.25, 10
"""The share of targets for which the room is meant, how much more they get, and tokens that any target may have."""


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
        """The sum of the lengths in a batch, of the longer side each."""
        # In pieces, because the lengths of a corpus that is kept in files need not fit into memory.
        starts = range(0, len(self), PAIRS_AT_ONCE)
        parts = (np.arange(start, min(start + PAIRS_AT_ONCE, len(self))) for start in starts)
        return sum(int(np.maximum(*self.lengths(part)).sum()) for part in parts)

    @property
    def extent(self) -> tuple[int, float]:
        """The length of the longest source, and how many times its source a target has: of nearly all, with room."""
        longest, ratios = 0, []
        for start in range(0, len(self), PAIRS_AT_ONCE):
            sources, targets = self.lengths(np.arange(start, min(start + PAIRS_AT_ONCE, len(self))))
            longest = max(longest, int(sources.max()) - 1)
            # Beside a source of some tokens only, a target is long without any ratio: `max_extra` is for these.
            ratios.append(np.quantile((targets - EXTRA) / sources, RARE))
        return longest, round(ROOM * float(max(ratios)), 1)

    def lengths(self, indices: Indices) -> tuple[Lengths, Lengths]:
        """Return the lengths in a batch: EOS stands behind the source, and BOS before, or EOS behind, the target."""
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
        # BOS and EOS are not counted, as in `SegmentedPairs`: max_tokens is what the text has.
        kept = [(s, t) for s, t in encoded if max(len(s), len(t)) <= max_tokens]
        return Ragged.of([s for s, _ in kept], source.vocabulary), Ragged.of([t for _, t in kept], target.vocabulary)

    with ThreadPoolExecutor(2) as pool:  # the tokenizer computes on all cores while Python prepares what is next
        parts = list(pool.map(encode, range(0, len(pairs), PAIRS_AT_ONCE)))
    sources, targets = (Ragged.joined(side) for side in zip(*parts, strict=True))
    return EncodedPairs(sources, targets, len(pairs) - len(sources), max_tokens)
