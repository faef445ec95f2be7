"""What is held out for validation, and what a corpus is known by. Knows text, and no ids."""

import hashlib
import random
from collections.abc import Iterable

import numpy as np

from regard.errors import DataError
from regard.text.reading.pairs import Pair, SentencePairs
from regard.text.reading.passages import Passages
from regard.text.sliced import Chosen

MOST_HELD_OUT = 10_000_000
"""The most characters that are held out of a text for validation."""


def hold_out(pairs: SentencePairs, n: int, seed: int) -> tuple[SentencePairs, SentencePairs]:
    """Return the pairs for training and n random ones for validation, at most a tenth; the order stays.

    Raises DataError if there are fewer than two pairs.
    """
    if len(pairs) < 2:
        raise DataError(f"Found {len(pairs)} pair; at least 2 are needed, one to train on and one to validate on.")
    # A generator of its own: a run that continues has to hold out the same pairs, whatever else draws numbers.
    chosen = sorted(random.Random(seed).sample(range(len(pairs)), max(1, min(n, len(pairs) // 10))))
    kept = np.delete(np.arange(len(pairs)), chosen)
    return Chosen(pairs, kept), [pairs[i] for i in chosen]


def fingerprint(pairs: Iterable[Pair]) -> str:
    """Return a short name for exactly these pairs in this order."""
    digest = hashlib.sha256()
    for source, target in pairs:
        # This finds mistakes and stops no attacker: 64 bits are kept, and a tab within a side looks like the separator.
        digest.update(f"{source}\t{target}\n".encode())
    return digest.hexdigest()[:16]


def split_by_order(text: Passages, share: float) -> tuple[Passages, Passages]:
    """Return the beginning of a text for training and its last `share` for validation, counted in characters.

    A document in which the border lies is cut there. Raises DataError if a side would be empty.
    """
    n = text.n_characters
    # Rounded down, as nanoGPT does it: of tiny shakespeare, 1,003,854 characters are trained on.
    border = max(int(n * (1 - share)), n - MOST_HELD_OUT)
    if not 0 < border < n:
        raise DataError(
            f"The text has {n:,} characters; a share of {share:g} for validation leaves one side empty. "
            "Give more text, another data.validation_share, or another text to validate on."
        )
    return text.split_at(border)


def fingerprint_text(text: Passages) -> str:
    """Return a short name for exactly these documents in this order."""
    digest = hashlib.sha256()
    # The length stands before each document, since any separator could be text. Where passages end leaves no trace.
    lengths = iter(np.add.reduceat(text.sizes, np.flatnonzero(text.begins)).tolist())
    for passage, begins in zip(text, text.begins.tolist(), strict=True):
        if begins:
            digest.update(f"{next(lengths)}:".encode())
        digest.update(passage.encode())
    return digest.hexdigest()[:16]
