"""Held-out validation data, repeated pairs, and the fingerprint of a corpus. Knows text, and no ids."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regard.errors import DataError
from regard.text.reading.pairs import Pair, SentencePairs
from regard.text.reading.passages import Passages
from regard.text.sliced import Chosen
from regard.text.tokens.normalise import normalise

MOST_HELD_OUT = 10_000_000
"""The maximum number of characters that are held out of a text for validation."""


def hold_out(pairs: SentencePairs, n: int, seed: int) -> tuple[SentencePairs, SentencePairs]:
    """Return the pairs for training and n random ones for validation, at most a tenth, in their order.

    Raises DataError if there are fewer than two pairs.
    """
    if len(pairs) < 2:
        raise DataError(f"Found {len(pairs)} pair; at least 2 are needed, one to train on and one to validate on.")
    # A generator of its own: a resumed run must hold out the same pairs, whatever else draws random numbers.
    chosen = sorted(random.Random(seed).sample(range(len(pairs)), max(1, min(n, len(pairs) // 10))))
    kept = np.delete(np.arange(len(pairs)), chosen)
    return Chosen(pairs, kept), [pairs[i] for i in chosen]


@dataclass(frozen=True, slots=True)
class Keys:
    """A 64-bit hash of every pair, and of its source."""

    pairs: NDArray[np.uint64]
    sources: NDArray[np.uint64]

    @classmethod
    def of(cls, pairs: SentencePairs) -> "Keys":
        """Return the keys of pairs after normalisation."""
        found = np.empty((2, len(pairs)), dtype=np.uint64)
        for i, pair in enumerate(pairs):
            source, target = map(normalise, pair)
            found[:, i] = _key(f"{source}\t{target}"), _key(source)
        return cls(*found)

    @property
    def n_repeated(self) -> int:
        """How many pairs repeat an earlier one."""
        return len(self.pairs) - len(np.unique(self.pairs))

    def n_known(self, others: "Keys") -> int:
        """Return how many of the others have a source that occurs here, too."""
        return int(np.isin(others.sources, self.sources).sum())


def _key(text: str) -> int:
    # Not Python's own hash, which differs from run to run, and with it the texts that happen to share a key.
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hold_out_distinct(pairs: SentencePairs, keys: Keys, n: int, seed: int) -> tuple[SentencePairs, SentencePairs]:
    """Return the pairs for training and n random ones for validation, at most a tenth of the different sources.

    The validation pairs have different sources. Other pairs with one of these sources are in neither part. Raises
    DataError if there are fewer than two sources.
    """
    _, first = np.unique(keys.sources, return_index=True)
    if len(first) < 2:
        raise DataError(
            f"Found {len(first)} distinct source in {len(pairs):,} pair{'s' * (len(pairs) != 1)}; at least 2 are "
            "needed, one to train on and one to validate on."
        )
    chosen = sorted(random.Random(seed).sample(np.sort(first).tolist(), max(1, min(n, len(first) // 10))))
    kept = np.flatnonzero(~np.isin(keys.sources, keys.sources[chosen]))
    return Chosen(pairs, kept), [pairs[i] for i in chosen]


def fingerprint(pairs: Iterable[Pair]) -> str:
    """Return a short hash of these pairs in this order."""
    digest = hashlib.sha256()
    for source, target in pairs:
        # This detects mistakes, not attacks: 64 bits are kept, and a tab within a side looks like the separator.
        digest.update(f"{source}\t{target}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def split_by_order(text: Passages, share: float) -> tuple[Passages, Passages]:
    """Return the beginning of a text for training and its last `share` for validation, measured in characters.

    A document that contains the border is cut there. Raises DataError if a side would be empty.
    """
    n = text.n_characters
    # Rounded down, as nanoGPT does it: of tiny shakespeare, 1,003,854 characters are trained on.
    border = max(int(n * (1 - share)), n - MOST_HELD_OUT)
    if not 0 < border < n:
        raise DataError(
            f"The text has {n:,} characters; a share of {share:g} for validation leaves one side empty. "
            "Give more text, set another data.validation_share, or give another text to validate on."
        )
    return text.split_at(border)


def fingerprint_text(text: Passages) -> str:
    """Return a short hash of these documents in this order."""
    digest = hashlib.sha256()
    # The length precedes each document, since any separator could be text. Where passages end makes no difference.
    lengths = iter(np.add.reduceat(text.sizes, np.flatnonzero(text.begins)).tolist())
    for passage, begins in zip(text, text.begins.tolist(), strict=True):
        if begins:
            digest.update(f"{next(lengths)}:".encode())
        digest.update(passage.encode())
    return digest.hexdigest()[:16]
