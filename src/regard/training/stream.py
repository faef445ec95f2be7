"""What a training asks of its batches. Knows no text: pairs and running text stand behind the same two protocols."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from regard.batch import Batch, Place


class Survey(Protocol):
    """A survey of an epoch."""

    @property
    def n_batches(self) -> int: ...

    @property
    def extremes(self) -> Sequence[Batch]:
        """Batches that fail if any batch does: the longest item, and last the batch that needs the most memory."""
        ...


class Stream(Protocol):
    """Batches in an order that is a pure function of their place."""

    @property
    def survey(self) -> Survey: ...

    def batches_from(self, place: Place) -> Iterator[tuple[Batch, Place]]:
        """Yield the batch at a place and, endlessly, all that follow, each with the place after it."""
        ...

    def holds(self, place: Place) -> bool:
        """Return whether there is a batch at a place."""
        ...

    def items_at(self, place: Place) -> list[int]:
        """Return the items of the batch at a place, as indices into its epoch."""
        ...
