"""Running text on its way to the trainer: held out by order, encoded, and known by its fingerprint."""

import hashlib
from collections.abc import Iterator

import numpy as np

from regard.batch import BOS, EOS
from regard.errors import DataError
from regard.text.passages import Passages
from regard.text.ragged import Ids, Ragged, dtype_for
from regard.text.tokenizer import Tokenizer

MOST_HELD_OUT = 10_000_000
"""The most characters that are held out of a text for validation."""

GROUP = 2_000_000
"""Characters that are encoded at once; the library takes many times their memory."""


def split_by_order(text: Passages, share: float) -> tuple[Passages, Passages]:
    """Return the beginning of a text for training and its last `share` for validation, counted in characters.

    A document in which the border lies is cut there. Raises DataError if a side would be empty.
    """
    n = text.n_characters
    border = max(int(n * (1 - share)), n - MOST_HELD_OUT)
    if not 0 < border < n:
        raise DataError(
            f"The text has {n:,} characters; a share of {share:g} for validation leaves one side empty. "
            "Give more text, another data.validation_share, or a text of its own with --valid."
        )
    return text.split_at(border)


def encode_passages(text: Passages, tokenizer: Tokenizer, chosen: range | None = None) -> Ragged:
    """Return the ids of each document between BOS and EOS. chosen: only these passages.

    Of a document with passages that are not chosen, only the ids of those that are; it ends where its last one is.
    """
    dtype = dtype_for(tokenizer.vocabulary)
    parts: list[Ids] = [np.empty(0, dtype)]
    ends, n_tokens = [], 0
    for group in groups(text, range(len(text)) if chosen is None else chosen):
        encoded = tokenizer.encode_many(text[group.start : group.stop])
        edges = (of_each[group.start : group.stop].tolist() for of_each in (text.begins, text.closes))
        for ids, begins, closes in zip(encoded, *edges, strict=True):
            marked: Ids = np.array([BOS] * begins + ids + [EOS] * closes, dtype)
            parts.append(marked)
            n_tokens += len(marked)
            if closes:
                ends.append(n_tokens)
    return Ragged(np.concatenate(parts), np.array(ends, dtype=np.int64))


def groups(text: Passages, chosen: range) -> Iterator[range]:
    """Yield passages in groups that are small enough to be encoded at once."""
    ends = np.cumsum(text.sizes[chosen.start : chosen.stop])
    start = 0
    while start < len(chosen):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + GROUP, side="right")), start + 1)
        yield chosen[start:stop]
        start = stop


def fingerprint_text(text: Passages) -> str:
    """Return a short name for exactly these documents in this order."""
    digest = hashlib.sha256()
    lengths = iter(np.add.reduceat(text.sizes, np.flatnonzero(text.begins)).tolist())
    for passage, begins in zip(text, text.begins.tolist(), strict=True):
        if begins:
            digest.update(f"{next(lengths)}:".encode())
        digest.update(passage.encode())
    return digest.hexdigest()[:16]
