"""Running text in windows: to train on, and to score."""

from collections.abc import Iterator

import numpy as np

from regard.batch import Batch, collate_text
from regard.errors import DataError
from regard.text.batching.stream import BatchStream
from regard.text.encoded.ragged import Indices, Lengths, Tape
from regard.text.permutation import draws


class TextWindows:
    """The windows of one epoch: every token of every document except its first is predicted once.

    A window lies within one document. The first cut of each document is drawn anew for every epoch.
    """

    def __init__(self, documents: Tape, context: int, seed: int, epoch: int) -> None:
        self.documents, self.context = documents, context
        self.starts = starts_of(documents)
        self.n_tokens = documents.ends - self.starts - 1
        # The cuts move; otherwise the same tokens would have no context in every epoch. No pool has the number -1, so
        # these draws are not those that order any batches.
        phases = (draws(len(self.n_tokens), seed, epoch, -1) % np.uint64(context)).astype(np.int64)
        # 1 to context tokens, all equally likely. A document that fits into one window is not cut.
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
        document, start, n_tokens = self.spans(indices)
        starts = self.starts[document] + start
        spans = zip(starts.tolist(), (starts + n_tokens + 1).tolist(), strict=True)
        return collate_text([self.documents.read(start, end) for start, end in spans])


def text_stream(documents: Tape, *, context: int, batch_tokens: int, seed: int) -> BatchStream:
    """Return the batches of running text. context: tokens of a full window.

    Raises DataError if all the text is shorter than one window.
    """
    n_tokens = n_written(documents)
    if n_tokens < context:
        raise DataError(
            f"The text has {n_tokens:,} tokens to train on, fewer than one window of {context:,}. "
            f"Give more text, or set model.context to at most {max(2, n_tokens)}."
        )
    return BatchStream(lambda epoch: TextWindows(documents, context, seed, epoch), batch_tokens=batch_tokens, seed=seed)


def scoring_windows(documents: Tape, context: int, stride: int) -> Iterator[tuple[list[int], int]]:
    """Yield windows that together score every token of every document except its first exactly once, in order.

    Each is given as its ids, one more than the tokens that it predicts, and how many of its last tokens are scored. All
    tokens of a document's first window are scored. Each further window ends `stride` tokens later, so the tokens that
    it scores have at least context - stride tokens before them.
    """
    assert 1 <= stride <= context, "windows that advance by more than they hold would leave tokens out"
    for first, behind in zip(starts_of(documents).tolist(), documents.ends.tolist(), strict=True):
        scored, n_tokens = 0, behind - first - 1
        while scored < n_tokens:
            end = min(scored + stride if scored else context, n_tokens)
            yield documents.read(first + max(0, end - context), first + end + 1), end - scored
            scored = end


def starts_of(documents: Tape) -> Indices:
    """Return where each document begins."""
    return np.concatenate([[0], documents.ends])[:-1]


def n_written(documents: Tape) -> int:
    """Return how many tokens a model predicts: all except the first of each document."""
    return int(documents.ends[-1]) - len(documents.ends)
