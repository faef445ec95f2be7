"""Running text in windows: to train on, and to score."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from regard.batch import Batch, collate_text
from regard.errors import DataError
from regard.text.batching import BatchStream, Indices, Lengths
from regard.text.permutation import draws

Documents = Sequence[NDArray[np.int32]]


class TextWindows:
    """The windows of one epoch: every token of every document but its first is written once.

    A window lies within one document. Where a document is cut first is drawn anew for every epoch.
    """

    def __init__(self, documents: Documents, context: int, seed: int, epoch: int) -> None:
        self.documents, self.context = documents, context
        self.n_tokens = np.array([len(ids) - 1 for ids in documents], dtype=np.int64)
        phases = (draws(len(documents), seed, epoch, -1) % np.uint64(context)).astype(np.int64)
        self.first = np.where((self.n_tokens > context) & (phases > 0), phases, context)
        after_first = np.maximum(self.n_tokens - self.first, 0)
        self.ends = np.cumsum(np.minimum(self.n_tokens, 1) + -(-after_first // context))  # in windows
        self.n_cells = int(self.n_tokens.sum())

    def __len__(self) -> int:
        return int(self.ends[-1])

    def spans(self, indices: Indices) -> tuple[Indices, Indices, Lengths]:
        """Return the document of each window, the first token it reads, and how many it reads."""
        document = np.searchsorted(self.ends, indices, side="right")
        nth = indices - np.where(document > 0, self.ends[document - 1], 0)
        end = np.minimum(self.first[document] + nth * self.context, self.n_tokens[document])
        start = np.where(nth > 0, self.first[document] + (nth - 1) * self.context, 0)
        return document, start, end - start

    def lengths(self, indices: Indices) -> tuple[Lengths, Lengths]:
        _, _, n_tokens = self.spans(indices)
        return np.zeros_like(n_tokens), n_tokens

    def collate(self, indices: Indices) -> Batch:
        spans = zip(*(x.tolist() for x in self.spans(indices)), strict=True)
        return collate_text([self.documents[d][start : start + n + 1].tolist() for d, start, n in spans])


def text_stream(documents: Documents, *, context: int, batch_tokens: int, seed: int) -> BatchStream:
    """Return the batches of running text. context: tokens of a whole window.

    Raises DataError if all the text is shorter than one window.
    """
    n_tokens = sum(len(ids) - 1 for ids in documents)
    if n_tokens < context:
        raise DataError(
            f"The text has {n_tokens:,} tokens to train on, fewer than one window of {context:,}. "
            f"Give more text, or set model.context to {max(2, n_tokens)} at most."
        )
    return BatchStream(lambda epoch: TextWindows(documents, context, seed, epoch), batch_tokens=batch_tokens, seed=seed)


def scoring_windows(documents: Documents, context: int, stride: int) -> Iterator[tuple[list[int], int]]:
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
