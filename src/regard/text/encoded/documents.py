"""Running text as ids: each document between BOS and EOS."""

from collections.abc import Iterator

import numpy as np

from regard.batch import BOS, EOS
from regard.text.encoded.ragged import Ids, Ragged, dtype_for
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer

GROUP = 2_000_000
"""How many characters are encoded at once; the library takes many times their memory."""


def encode_passages(text: Passages, tokenizer: Tokenizer, chosen: range | None = None) -> Ragged:
    """Return the ids of each document between BOS and EOS. chosen: only these passages.

    If only some passages of a document are chosen, only their ids are returned, and EOS only with its last passage.
    """
    dtype = dtype_for(tokenizer.vocabulary)
    parts: list[Ids] = [np.empty(0, dtype)]
    ends, n_tokens = [], 0
    for group in groups(text, range(len(text)) if chosen is None else chosen):
        encoded = tokenizer.encode_many(text[group.start : group.stop])
        edges = (of_each[group.start : group.stop].tolist() for of_each in (text.begins, text.closes))
        for ids, begins, closes in zip(encoded, *edges, strict=True):
            # Converted to an array at once: Python's integers would take many times its memory.
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
        # At least one, however long: a text without places to cut at is a single passage.
        stop = max(int(np.searchsorted(ends, before + GROUP, side="right")), start + 1)
        yield chosen[start:stop]
        start = stop
