"""A corpus on its way to the trainer: held out, encoded, and known by its fingerprint."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regard.errors import DataError
from regard.text.batching import BatchStream
from regard.text.tokenizer import Tokenizer

SentencePairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """The ids of both sides, without EOS, and how many pairs were left out as too long."""

    sources: list[list[int]]
    targets: list[list[int]]
    n_dropped: int

    def stream(self, batch_tokens: int, seed: int) -> BatchStream:
        """Return the endless stream of batches of these pairs."""
        return BatchStream(self.sources, self.targets, batch_tokens=batch_tokens, seed=seed)


def encode_pairs(pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int) -> EncodedPairs:
    """Return the pairs as ids, without those that have more than max_tokens on a side.

    Raises DataError if none is left.
    """
    encoded = list(
        zip(source.encode_many([s for s, _ in pairs]), target.encode_many([t for _, t in pairs]), strict=True)
    )
    kept = [(s, t) for s, t in encoded if max(len(s), len(t)) <= max_tokens]
    if not kept:
        raise DataError(
            f"All {len(encoded):,} pairs have more than {max_tokens} tokens on a side, so none is left. "
            "Raise data.max_tokens, or put one sentence on a line."
        )
    return EncodedPairs([s for s, _ in kept], [t for _, t in kept], len(encoded) - len(kept))


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
