"""A corpus on its way to the trainer: held out, encoded, and known by its fingerprint."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regard.batch import Batch, collate
from regard.errors import DataError
from regard.text.batching import BatchStream, Indices, Lengths
from regard.text.ragged import Ragged, Rows
from regard.text.readers import Chosen, Pair
from regard.text.tokenizer import Tokenizer

SentencePairs = Sequence[Pair]
CHUNK = 25_000
"""Pairs that are worked on at once."""


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
        starts = range(0, len(self), CHUNK)
        parts = (np.arange(start, min(start + CHUNK, len(self))) for start in starts)
        return sum(int(np.maximum(*self.lengths(part)).sum()) for part in parts)

    def lengths(self, indices: Indices) -> tuple[Lengths, Lengths]:
        """Return the lengths in a batch: EOS stands behind the source, and BOS before, or EOS behind, the target."""
        return self.sources.lengths(indices) + 1, self.targets.lengths(indices) + 1

    def collate(self, indices: Indices) -> Batch:
        return collate(self.sources.take(indices), self.targets.take(indices))

    def stream(self, batch_tokens: int, seed: int) -> BatchStream:
        """Return the batches of these pairs. Raises DataError if all were left out."""
        if not len(self):
            raise DataError(
                f"All {self.n_dropped:,} pairs have more than {self.max_tokens} tokens on a side, so none is left. "
                "Raise data.max_tokens, or put one sentence on a line."
            )
        return BatchStream(self.in_epoch, batch_tokens=batch_tokens, seed=seed)

    def in_epoch(self, epoch: int) -> "EncodedPairs":  # noqa: ARG002
        """Return the pairs as they are in an epoch: always the same."""
        return self


def encode_pairs(pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int) -> EncodedPairs:
    """Return the pairs as ids, without those that have more than max_tokens on a side."""

    def encode(start: int) -> tuple[Ragged, Ragged]:
        chunk = pairs[start : start + CHUNK]
        encoded = zip(source.encode_many([s for s, _ in chunk]), target.encode_many([t for _, t in chunk]), strict=True)
        kept = [(s, t) for s, t in encoded if max(len(s), len(t)) <= max_tokens]
        return Ragged.of([s for s, _ in kept], source.vocabulary), Ragged.of([t for _, t in kept], target.vocabulary)

    with ThreadPoolExecutor(2) as pool:  # the tokenizer computes on all cores while Python prepares what is next
        parts = list(pool.map(encode, range(0, len(pairs), CHUNK)))
    sources, targets = (Ragged.joined(side) for side in zip(*parts, strict=True))
    return EncodedPairs(sources, targets, len(pairs) - len(sources), max_tokens)


def hold_out(pairs: SentencePairs, n: int, seed: int) -> tuple[SentencePairs, SentencePairs]:
    """Return the pairs for training and n random ones for validation, at most a tenth; the order stays.

    Raises DataError if there are fewer than two pairs.
    """
    if len(pairs) < 2:
        raise DataError(f"Found {len(pairs)} pair; at least 2 are needed, one to train on and one to validate on.")
    chosen = sorted(random.Random(seed).sample(range(len(pairs)), max(1, min(n, len(pairs) // 10))))
    kept = np.delete(np.arange(len(pairs)), chosen)
    return Chosen(pairs, kept), [pairs[i] for i in chosen]


def fingerprint(pairs: Iterable[Pair]) -> str:
    """Return a short name for exactly these pairs in this order."""
    digest = hashlib.sha256()
    for source, target in pairs:
        digest.update(f"{source}\t{target}\n".encode())
    return digest.hexdigest()[:16]
