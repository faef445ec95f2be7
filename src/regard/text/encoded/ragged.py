"""Rows of ids of different lengths, end to end in one array."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.unsignedinteger[Any]]
Indices = NDArray[np.int64]
Lengths = NDArray[np.int64]


class Rows(Protocol):
    """Rows of ids that are accessed by number."""

    def __len__(self) -> int: ...

    def lengths(self, rows: Indices) -> Indices:
        """Return the length of each of the given rows."""
        ...

    def take(self, rows: Indices) -> list[list[int]]:
        """Return the given rows."""
        ...


class Tape(Protocol):
    """Documents as ids, end to end. ends: where each of them ends."""

    ends: NDArray[np.int64]

    def read(self, start: int, end: int) -> list[int]:
        """Return the ids between two places."""
        ...


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
        """Return the rows of all parts, which must have the same type, one after the other."""
        before = np.cumsum([0, *(len(part.tokens) for part in parts[:-1])])
        ends = [part.ends + n for part, n in zip(parts, before, strict=True)]
        return cls(np.concatenate([part.tokens for part in parts]), np.concatenate(ends))

    def __len__(self) -> int:
        return len(self.ends)

    def lengths(self, rows: Indices) -> Indices:
        return np.asarray(self.ends[rows] - self.starts(rows))

    def take(self, rows: Indices) -> list[list[int]]:
        tokens = self.tokens  # looked up once: in a shard, each access maps the file again
        bounds = zip(self.starts(rows).tolist(), self.ends[rows].tolist(), strict=True)
        return [tokens[start:end].tolist() for start, end in bounds]

    def read(self, start: int, end: int) -> list[int]:
        """Return the ids between two places, whatever rows they belong to."""
        ids: list[int] = self.tokens[start:end].tolist()
        return ids

    def starts(self, rows: Indices) -> Indices:
        """Return where each of the given rows begins in the tokens."""
        return np.where(rows > 0, self.ends[rows - 1], 0)  # for row 0 the last end is looked up, and not used


class Joined:
    """The rows of several parts, one after the other."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.parts = parts
        self.first = np.cumsum([0, *map(len, parts)])  # first row of each part, then their number

    def __len__(self) -> int:
        return int(self.first[-1])

    def lengths(self, rows: Indices) -> Indices:
        found = np.empty(len(rows), dtype=np.int64)
        for part, places, inside in self._by_part(rows):
            found[places] = part.lengths(inside)
        return found

    def take(self, rows: Indices) -> list[list[int]]:
        found: list[list[int]] = [[]] * len(rows)
        for part, places, inside in self._by_part(rows):
            for place, ids in zip(places.tolist(), part.take(inside), strict=True):
                found[place] = ids
        return found

    def _by_part(self, rows: Indices) -> Iterator[tuple[Rows, Indices, Indices]]:
        """Yield each part that has some of the rows, their places among `rows`, and their numbers in the part."""
        # From the right: a part without rows begins where the next one does, and must not be found.
        part_of = np.searchsorted(self.first, rows, side="right") - 1
        # By part and not by row, so that a shard's file is mapped once for all its rows of a batch.
        for i in np.unique(part_of).tolist():
            places = np.flatnonzero(part_of == i)
            yield self.parts[i], places, rows[places] - self.first[i]


class JoinedTape:
    """The documents of several parts, one after the other. One that continues in the next part ends there."""

    def __init__(self, parts: Sequence[Ragged]) -> None:
        self.parts = parts
        self.first = np.cumsum([0, *(len(part.tokens) for part in parts)])  # first id of each part, then their number
        self.ends = np.concatenate([part.ends + first for part, first in zip(parts, self.first, strict=False)])

    def read(self, start: int, end: int) -> list[int]:
        """Return the ids between two places."""
        found: list[int] = []
        # Windows are independent of shards, so one may extend over several.
        while start < end:
            i = int(np.searchsorted(self.first, start, side="right")) - 1
            first, behind = self.first[i : i + 2].tolist()
            found += self.parts[i].read(start - first, min(end, behind) - first)
            start = behind
        return found


def dtype_for(vocabulary: int) -> type[np.uint16] | type[np.uint32]:
    """Return the narrowest type of integers for ids below `vocabulary`."""
    return np.uint16 if vocabulary <= 2**16 else np.uint32
