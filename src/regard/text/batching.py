"""Batches counted in tokens, in an order that is a pure function of (seed, epoch).

Knows ids and lengths, never text. A position in an epoch is the number of batches already taken from it, so a run that
stopped goes on at (epoch, position) without replaying anything.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from regard.batch import Batch, collate
from regard.errors import ConfigError

Ids = Sequence[int]
Lengths = NDArray[np.int64]


class BatchStream:
    """Every pair once an epoch, pairs of like length together, batches in random order."""

    def __init__(
        self, sources: Sequence[Ids], targets: Sequence[Ids], *, batch_tokens: int, seed: int, window: int = 128
    ) -> None:
        """batch_tokens: the most cells of a batch on either side. window: about how many batches to sort together.

        The wider the window, the less padding, and the more often the same pairs meet in a batch: on 29,000 pairs of
        captions in batches of 4,096, one window of all 131 batches leaves 3.4 % padding, two leave 5.0 %, three 6.5 %.
        """
        assert len(sources) == len(targets), "a stream needs as many targets as sources"
        if batch_tokens < 1:
            raise ConfigError(f"batch_tokens is {batch_tokens}; it must be at least 1. Usual values: 1024 to 32768.")
        self.sources, self.targets = sources, targets
        self.batch_tokens, self.seed, self.window = batch_tokens, seed, window
        # Each side is one longer than its text: EOS behind the source; BOS before, or EOS behind, the target.
        self._source_lengths = np.array([len(ids) + 1 for ids in sources], dtype=np.int64)
        self._target_lengths = np.array([len(ids) + 1 for ids in targets], dtype=np.int64)
        self._longer = np.maximum(self._source_lengths, self._target_lengths)

    def order(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch as lists of indices into the corpus.

        Philox is counter-based and its raw stream never changes between versions of NumPy, as `permutation` may.
        """
        random = np.random.Philox(key=np.array([self.seed % 2**64, epoch], dtype=np.uint64))
        shuffled = np.argsort(random.random_raw(len(self.sources)), kind="stable")
        n_windows = max(1, round(self._longer.sum() / (self.window * self.batch_tokens)))
        windows = np.array_split(shuffled, n_windows)
        batches = [batch for window in windows for batch in self._cut(self._sorted(window))]
        return [batches[i] for i in np.argsort(random.random_raw(len(batches)), kind="stable")]

    def batches_from(self, epoch: int, position: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, without the first `position` of them."""
        for indices in self.order(epoch)[position:]:
            yield collate([self.sources[i] for i in indices], [self.targets[i] for i in indices])

    def batches_in(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        return len(self.order(epoch))

    def padding(self, epoch: int) -> float:
        """Return the share of an epoch's cells that are padding, both sides counted."""
        n_cells = 0
        for indices in self.order(epoch):
            n_cells += len(indices) * int(self._source_lengths[indices].max() + self._target_lengths[indices].max())
        n_real = int(self._source_lengths.sum() + self._target_lengths.sum())
        return 1 - n_real / n_cells if n_cells else 0.0

    def _sorted(self, window: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the window by the longer side, which fills a batch, then by how far the source is longer.

        The second key rises where the first is even and falls where it is odd: turning round at each new length keeps
        neighbours alike on both sides. Sorting by target and then source leaves half as much padding again.
        """
        longer = self._longer[window]
        difference = self._source_lengths[window] - self._target_lengths[window]
        return window[np.lexsort((np.where(longer % 2 == 0, difference, -difference), longer))]

    def _cut(self, window: NDArray[np.intp]) -> Iterator[list[int]]:
        """Yield runs of the window, each as long as batch_tokens lets it be."""
        batch: list[int] = []
        longest = 0
        for index, length in zip(window.tolist(), self._longer[window].tolist(), strict=True):
            if batch and (len(batch) + 1) * max(longest, length) > self.batch_tokens:
                yield batch
                batch, longest = [], 0
            batch.append(index)
            longest = max(longest, length)
        if batch:
            yield batch
