"""Rows of ids of many lengths, end to end in one array."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.unsignedinteger[Any]]


class Ragged:
    """Rows of ids. tokens: all of them; ends: where each row ends in it."""

    def __init__(self, tokens: Ids, ends: NDArray[np.int64]) -> None:
        self.tokens, self.ends = tokens, ends

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], vocabulary: int) -> "Ragged":
        """Return the rows in the narrowest integers that hold a vocabulary of that size."""
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        n_tokens = int(ends[-1]) if len(ends) else 0
        return cls(np.fromiter(chain.from_iterable(rows), dtype_for(vocabulary), n_tokens), ends)

    @classmethod
    def joined(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """Return the rows of all parts, which have one type, one after the other."""
        before = np.cumsum([0, *(len(part.tokens) for part in parts[:-1])])
        ends = [part.ends + n for part, n in zip(parts, before, strict=True)]
        return cls(np.concatenate([part.tokens for part in parts]), np.concatenate(ends))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> Ids:
        return self.tokens[self.ends[i - 1] if i else 0 : self.ends[i]]

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the length of each of the given rows."""
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        return np.asarray(self.ends[rows] - starts)


def dtype_for(vocabulary: int) -> type[np.uint16] | type[np.uint32]:
    """Return the narrowest type of integers for ids below `vocabulary`."""
    return np.uint16 if vocabulary <= 2**16 else np.uint32
