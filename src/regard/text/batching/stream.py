"""Batches counted in tokens, in an order that is a pure function of (seed, place).

Knows ids and lengths, never text. The order is never stored: an epoch is a keyed permutation of the items, cut into
pools; the items of a pool are sorted by length and cut into batches, and these are shuffled. So a run that was stopped
continues at its place without replaying anything, and a corpus of any size needs the memory of one pool.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from regard.batch import Batch, Place
from regard.errors import ConfigError
from regard.text.encoded.ragged import Indices, Lengths
from regard.text.permutation import Permutation


class Items(Protocol):
    """The items of an epoch: pairs, or windows of text. A missing side has length 0."""

    @property
    def n_cells(self) -> int:
        """The sum of the items' lengths, each that of the longer side."""
        ...

    def __len__(self) -> int: ...

    def lengths(self, indices: Indices) -> tuple[Lengths, Lengths]:
        """Return how many cells each of the items has on the source and on the target side of a batch."""
        ...

    def collate(self, indices: Indices) -> Batch:
        """Return the items as one batch."""
        ...


class BatchStream:
    """Every item once per epoch, items of similar length together, batches in random order."""

    def __init__(self, items_of: Callable[[int], Items], *, batch_tokens: int, seed: int, pool: int = 128) -> None:
        """items_of: the items of an epoch. batch_tokens: the most cells of a batch on either side, or one item.

        pool: about how many batches are sorted together. A larger pool means less padding, but the same items are in a
        batch together more often. Raises ConfigError if batch_tokens is below 1.
        """
        if batch_tokens < 1:
            raise ConfigError(f"batch_tokens is {batch_tokens}; it must be at least 1. Usual values: 1024 to 32768.")
        assert len(items_of(0)), "a stream needs at least one item"
        self.items_of, self.batch_tokens, self.seed, self.pool = items_of, batch_tokens, seed, pool

    def batches_from(self, place: Place) -> Iterator[tuple[Batch, Place]]:
        """Yield the batch at a place and, endlessly, all that follow, each with the place after it."""
        while True:
            items = self.items_of(place.epoch)
            n_pools = self.pools_in(items)
            order = self.order(items, place.epoch, place.pool)
            for i, indices in enumerate(order[place.batch :], start=place.batch + 1):
                # Only places that have a batch are yielded: after the last of a pool comes the first of the next.
                behind = Place(place.epoch, place.pool, i)
                if i == len(order):
                    is_last = place.pool + 1 == n_pools
                    behind = Place(place.epoch + 1) if is_last else Place(place.epoch, place.pool + 1)
                yield items.collate(indices), behind
            place = behind

    def holds(self, place: Place) -> bool:
        """Return whether there is a batch at a place."""
        items = self.items_of(place.epoch)
        return place.pool < self.pools_in(items) and place.batch < len(self.order(items, place.epoch, place.pool))

    def items_at(self, place: Place) -> list[int]:
        """Return the items of the batch at a place, as indices into its epoch."""
        items: list[int] = self.order(self.items_of(place.epoch), place.epoch, place.pool)[place.batch].tolist()
        return items

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        items = self.items_of(epoch)
        yield from (items.collate(indices) for indices in self.whole_order(epoch))

    def whole_order(self, epoch: int) -> Iterator[Indices]:
        """Yield the items of each batch of an epoch."""
        items = self.items_of(epoch)
        for pool in range(self.pools_in(items)):
            yield from self.order(items, epoch, pool)

    def pools_in(self, items: Items) -> int:
        """Return how many pools an epoch has."""
        # No pool is empty. BPE dropout changes lengths, so that epochs may differ in their number of pools.
        return min(len(items), max(1, round(items.n_cells / (self.pool * self.batch_tokens))))

    def order(self, items: Items, epoch: int, pool: int) -> list[Indices]:
        """Return the items of each batch of one pool."""
        cut = self.cut(items, epoch, pool)
        batches = np.split(cut.indices, cut.starts[1:])
        places = Permutation(len(batches), self.seed, epoch, pool)(np.arange(len(batches)))
        return [batches[i] for i in places]

    def cut(self, items: Items, epoch: int, pool: int) -> "Pool":
        """Return a pool cut into batches, before these are shuffled."""
        n_pools = self.pools_in(items)
        # In integers, which are exact for any size, so that every item is in one pool.
        first, end = (len(items) * (pool + i) // n_pools for i in (0, 1))
        chosen = Permutation(len(items), self.seed, epoch)(np.arange(first, end))
        source, target = items.lengths(chosen)
        by_length = order_by_length(source, target)
        source, target = source[by_length], target[by_length]
        return Pool(chosen[by_length], source, target, [0, *cuts(np.maximum(source, target), self.batch_tokens)])

    @cached_property
    def survey(self) -> "Survey":
        """A survey of the first epoch, from one pass over it."""
        # Other epochs combine other items, so one of their batches may have a few cells more than any here.
        items = self.items_of(0)
        n_batches = n_all = n_real = most = longest_length = 0
        largest = longest = np.zeros(0, dtype=np.int64)
        for cut in (self.cut(items, 0, pool) for pool in range(self.pools_in(items))):
            cells = cut.n_cells
            n_batches, n_all = n_batches + len(cells), n_all + int(cells.sum())
            n_real += int(cut.source.sum() + cut.target.sum())
            if cells.max() > most:
                most, largest = cells.max(), np.split(cut.indices, cut.starts[1:])[int(cells.argmax())]
            if (lengths := cut.source + cut.target).max() > longest_length:
                longest_length, longest = lengths.max(), cut.indices[[int(lengths.argmax())]]
        # The longest item alone reveals a model with too few positions. Under torch.compile another shape may need
        # another compilation, so it is left out if the largest batch has an item as long.
        has_longest = np.add(*items.lengths(largest)).max() == longest_length
        extremes = [items.collate(indices) for indices in ([largest] if has_longest else [longest, largest])]
        return Survey(n_batches, 1 - n_real / n_all, extremes)


@dataclass(frozen=True, slots=True)
class Pool:
    """Items of a pool by length, their lengths on both sides, and where among them each batch starts."""

    indices: Indices
    source: Lengths
    target: Lengths
    starts: list[int]

    @property
    def n_cells(self) -> Lengths:
        """How many cells each batch has, both sides counted."""
        sizes = np.diff([*self.starts, len(self.indices)])
        longest = (np.maximum.reduceat(side, self.starts) for side in (self.source, self.target))
        return np.asarray(sizes * sum(longest))


@dataclass(frozen=True, slots=True)
class Survey:
    """An epoch: its number of batches, the share of cells that are padding, and its extreme batches.

    These are the batch with the most cells, preceded by the longest item alone if that batch has none as long. Both
    sides are counted.
    """

    n_batches: int
    padding: float
    extremes: list[Batch]


def order_by_length(source_lengths: Lengths, target_lengths: Lengths) -> NDArray[np.intp]:
    """Return the order by the longer side, which fills a batch, then by how much longer the source is.

    The second key ascends where the first is even and descends where it is odd: alternating at each new length keeps
    neighbours similar on both sides. Sorting by target and then source leaves half as much padding again.
    """
    longer, difference = np.maximum(source_lengths, target_lengths), source_lengths - target_lengths
    # lexsort sorts by its last key first. It is stable, so that equal items stay in the order of the permutation.
    return np.lexsort((np.where(longer % 2 == 0, difference, -difference), longer))


def cuts(lengths: Lengths, batch_tokens: int) -> list[int]:
    """Return where to cut items of ascending length so that every batch is as large as batch_tokens allows."""
    found, start = [], 0
    for i, length in enumerate(lengths.tolist()):
        # Lengths ascend, so all rows of the batch would be as long as this one. One item is a batch, however long.
        if i > start and (i + 1 - start) * length > batch_tokens:
            found.append(i)
            start = i
    return found
