"""Batches counted in tokens, in an order that is a pure function of (seed, epoch).

Knows ids and lengths, never text. A position in an epoch is the number of batches already taken from it, so a run that
stopped goes on at (epoch, position) without replaying anything.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regard.batch import Batch, collate, collate_text
from regard.errors import ConfigError, DataError

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
        check_batch_tokens(batch_tokens)
        self.sources, self.targets = sources, targets
        self.batch_tokens, self.seed, self.window = batch_tokens, seed, window
        # Each side is one longer than its text: EOS behind the source; BOS before, or EOS behind, the target.
        self._source_lengths = np.array([len(ids) + 1 for ids in sources], dtype=np.int64)
        self._target_lengths = np.array([len(ids) + 1 for ids in targets], dtype=np.int64)

    def order(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch as lists of indices into the corpus."""
        lengths = self._source_lengths, self._target_lengths
        return order_of(*lengths, self.batch_tokens, random_of(self.seed, epoch), self.window)

    def batches_from(self, epoch: int, position: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, without the first `position` of them."""
        for indices in self.order(epoch)[position:]:
            yield collate([self.sources[i] for i in indices], [self.targets[i] for i in indices])

    def batches_in(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        return len(self.order(epoch))

    def padding(self, epoch: int) -> float:
        """Return the share of an epoch's cells that are padding, both sides counted."""
        return share_of_padding(self.order(epoch), self._source_lengths, self._target_lengths)


class TextStream:
    """Windows of running text: every token of every document but its first is written once an epoch.

    A window lies within one document. Where a document is cut moves from epoch to epoch.
    """

    def __init__(
        self, documents: Sequence[NDArray[np.int32]], *, context: int, batch_tokens: int, seed: int, window: int = 128
    ) -> None:
        """context: tokens of a whole window. batch_tokens: the most cells of a batch, or one window.

        Raises DataError if all the text is shorter than one window.
        """
        check_batch_tokens(batch_tokens)
        self.documents, self.context = documents, context
        self.batch_tokens, self.seed, self.window = batch_tokens, seed, window
        n_tokens = sum(len(ids) - 1 for ids in documents)
        if n_tokens < context:
            raise DataError(
                f"The text has {n_tokens:,} tokens to train on, fewer than one window of {context:,}. "
                f"Give more text, or set model.context to {max(2, n_tokens)} at most."
            )

    def windows(self, epoch: int) -> list[tuple[int, int, int]]:
        """Return document, first token read and number of tokens of every window, in the order of the text."""
        phases = random_of(self.seed, epoch, stream=1).random_raw(len(self.documents)) % np.uint64(self.context)
        found = []
        for document, (ids, phase) in enumerate(zip(self.documents, phases.tolist(), strict=True)):
            n_tokens = len(ids) - 1
            first = phase if n_tokens > self.context else 0
            borders = [0, *range(first or self.context, n_tokens, self.context), n_tokens]
            found += [(document, start, end - start) for start, end in pairwise(borders)]
        return found

    def batches_from(self, epoch: int, position: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, without the first `position` of them."""
        windows = self.windows(epoch)
        for indices in self.order(windows, epoch)[position:]:
            chosen = (windows[i] for i in indices)
            yield collate_text([self.documents[d][start : start + n + 1].tolist() for d, start, n in chosen])

    def order(self, windows: Sequence[tuple[int, int, int]], epoch: int) -> list[list[int]]:
        """Return the batches of an epoch as lists of indices into its windows."""
        lengths = lengths_of(windows)
        return order_of(lengths * 0, lengths, self.batch_tokens, random_of(self.seed, epoch), self.window)

    def batches_in(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        return len(self.order(self.windows(epoch), epoch))

    def padding(self, epoch: int) -> float:
        """Return the share of an epoch's cells that are padding."""
        windows = self.windows(epoch)
        lengths = lengths_of(windows)
        return share_of_padding(self.order(windows, epoch), lengths * 0, lengths)


def scoring_windows(
    documents: Sequence[NDArray[np.int32]], context: int, stride: int
) -> Iterator[tuple[list[int], int]]:
    """Yield windows that together score every token of every document but its first exactly once, in order.

    Each is its ids, one more than it has tokens, and how many of its last tokens are scored. The first window of a
    document is scored whole; the next ones end `stride` further, so what they score has at least context - stride
    tokens before it.
    """
    assert 1 <= stride <= context, "windows that advance by more than they hold would leave tokens out"
    for ids in documents:
        scored, n_tokens = 0, len(ids) - 1
        while scored < n_tokens:
            end = min(scored + stride if scored else context, n_tokens)
            yield ids[max(0, end - context) : end + 1].tolist(), end - scored
            scored = end


def random_of(seed: int, epoch: int, stream: int = 0) -> np.random.Philox:
    """Return the random numbers of an epoch.

    Philox is counter-based and its raw stream never changes between versions of NumPy, as `permutation` may.
    """
    return np.random.Philox(key=np.array([seed % 2**64, epoch], dtype=np.uint64), counter=[0, 0, 0, stream])


def order_of(
    source_lengths: Lengths, target_lengths: Lengths, batch_tokens: int, random: np.random.Philox, window: int
) -> list[list[int]]:
    """Return batches as lists of indices: items of like length together, the batches in random order."""
    longer = np.maximum(source_lengths, target_lengths)
    shuffled = np.argsort(random.random_raw(len(longer)), kind="stable")
    n_windows = max(1, round(longer.sum() / (window * batch_tokens)))
    batches = []
    for part in np.array_split(shuffled, n_windows):
        by_length = part[_order_by_length(source_lengths[part], target_lengths[part])]
        batches += list(_cut(by_length, longer[by_length], batch_tokens))
    return [batches[i] for i in np.argsort(random.random_raw(len(batches)), kind="stable")]


def share_of_padding(order: Sequence[Sequence[int]], source_lengths: Lengths, target_lengths: Lengths) -> float:
    """Return the share of cells that are padding, both sides counted."""
    n_cells = sum(len(batch) * int(source_lengths[batch].max() + target_lengths[batch].max()) for batch in order)
    n_real = int(source_lengths.sum() + target_lengths.sum())
    return 1 - n_real / n_cells if n_cells else 0.0


def lengths_of(windows: Sequence[tuple[int, int, int]]) -> Lengths:
    """Return the number of tokens of each window."""
    return np.array([n for _, _, n in windows], dtype=np.int64)


def check_batch_tokens(batch_tokens: int) -> None:
    """Raise ConfigError if a batch could hold nothing."""
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens is {batch_tokens}; it must be at least 1. Usual values: 1024 to 32768.")


def _order_by_length(source_lengths: Lengths, target_lengths: Lengths) -> NDArray[np.intp]:
    """Return the order by the longer side, which fills a batch, then by how far the source is longer.

    The second key rises where the first is even and falls where it is odd: turning round at each new length keeps
    neighbours alike on both sides. Sorting by target and then source leaves half as much padding again.
    """
    longer, difference = np.maximum(source_lengths, target_lengths), source_lengths - target_lengths
    return np.lexsort((np.where(longer % 2 == 0, difference, -difference), longer))


def _cut(indices: NDArray[np.intp], lengths: Lengths, batch_tokens: int) -> Iterator[list[int]]:
    """Yield runs of the indices, each as long as batch_tokens lets it be."""
    batch: list[int] = []
    longest = 0
    for index, length in zip(indices.tolist(), lengths.tolist(), strict=True):
        if batch and (len(batch) + 1) * max(longest, length) > batch_tokens:
            yield batch
            batch, longest = [], 0
        batch.append(index)
        longest = max(longest, length)
    if batch:
        yield batch
