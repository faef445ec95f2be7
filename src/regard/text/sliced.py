"""Sequences whose items are made on demand: a corpus larger than memory, handled like a list."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

ITEMS_AT_ONCE = 10_000
"""How many items an iteration makes at once: one read of the file serves many, and few are in memory."""

Item = TypeVar("Item")


class Sliced(Sequence[Item]):
    """A sequence whose items are made on demand, and which is iterated over in slices."""

    @abstractmethod
    def part(self, start: int, stop: int) -> list[Item]:
        """Return the items from start to stop, which are both within the sequence."""

    @overload
    def __getitem__(self, i: int) -> Item: ...
    @overload
    def __getitem__(self, i: slice) -> list[Item]: ...
    def __getitem__(self, i: int | slice) -> Item | list[Item]:
        if isinstance(i, slice):
            start, stop, step = i.indices(len(self))
            assert step == 1, "slices of neighbours only"
            return self.part(start, max(start, stop))
        at = range(len(self))[i]  # accepts negative numbers, and raises the IndexError that `Sequence` relies on
        return self.part(at, at + 1)[0]

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), ITEMS_AT_ONCE):
            yield from self[start : start + ITEMS_AT_ONCE]


class Chosen(Sliced[Item]):
    """Some items of a sequence, which are not copied. indices: of the items, in ascending order."""

    def __init__(self, items: Sequence[Item], indices: NDArray[np.int64]) -> None:
        self.items, self.indices = items, indices

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, start: int, stop: int) -> list[Item]:
        if start == stop:
            return []
        indices = self.indices[start:stop].tolist()
        # One read of everything in between: cheap if most items are chosen, far too much if only a few are.
        around = self.items[indices[0] : indices[-1] + 1]
        return [around[i - indices[0]] for i in indices]
