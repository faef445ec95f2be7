"""A corpus on its way to the trainer: held out, encoded, and known by its fingerprint."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regard.batch import Batch, collate
from regard.errors import DataError
from regard.text.batching import BatchStream, Indices, Lengths
from regard.text.ragged import Ragged
from regard.text.tokenizer import Tokenizer

SentencePairs = Sequence[tuple[str, str]]
CHUNK = 50_000
"""Pairs that are worked on at once."""


@dataclass(frozen=True)
class EncodedPairs:
    """The ids of both sides, without EOS, and how many pairs were left out as too long. Items of a stream."""

    sources: Ragged
    targets: Ragged
    n_dropped: int

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
        return collate(*([side[i].tolist() for i in indices.tolist()] for side in (self.sources, self.targets)))

    def stream(self, batch_tokens: int, seed: int) -> BatchStream:
        """Return the batches of these pairs."""
        return BatchStream(lambda _epoch: self, batch_tokens=batch_tokens, seed=seed)


def encode_pairs(pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int) -> EncodedPairs:
    """Return the pairs as ids, without those that have more than max_tokens on a side.

    Raises DataError if none is left.
    """
    sides: tuple[list[Ragged], list[Ragged]] = [], []
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs[start : start + CHUNK]
        encoded = zip(source.encode_many([s for s, _ in chunk]), target.encode_many([t for _, t in chunk]), strict=True)
        kept = [(s, t) for s, t in encoded if max(len(s), len(t)) <= max_tokens]
        sides[0].append(Ragged.of([s for s, _ in kept], source.vocabulary))
        sides[1].append(Ragged.of([t for _, t in kept], target.vocabulary))
    sources, targets = (Ragged.joined(side) for side in sides)
    if not len(sources):
        raise DataError(
            f"All {len(pairs):,} pairs have more than {max_tokens} tokens on a side, so none is left. "
            "Raise data.max_tokens, or put one sentence on a line."
        )
    return EncodedPairs(sources, targets, len(pairs) - len(sources))


def hold_out(pairs: SentencePairs, n: int, seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the pairs for training and n random ones for validation, at most a tenth; the order stays.

    Raises DataError if there are fewer than two pairs.
    """
    if len(pairs) < 2:
        raise DataError(f"Found {len(pairs)} pair; at least 2 are needed, one to train on and one to validate on.")
    chosen = set(random.Random(seed).sample(range(len(pairs)), max(1, min(n, len(pairs) // 10))))
    kept = [pair for i, pair in enumerate(pairs) if i not in chosen]
    return kept, [pairs[i] for i in sorted(chosen)]


def fingerprint(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a short name for exactly these pairs in this order."""
    digest = hashlib.sha256()
    for source, target in pairs:
        digest.update(f"{source}\t{target}\n".encode())
    return digest.hexdigest()[:16]
