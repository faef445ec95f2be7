"""A batch: padded ids and keep masks, the input of every model; and the place of a batch in the order of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
import torch
from torch import Tensor

PAD, BOS, EOS = 0, 1, 2
"""Ids that mean the same in every vocabulary: padding, beginning of sequence, end of sequence."""


def control_ids(n: int) -> slice:
    """Return the control ids of a vocabulary that has n of them: after EOS. No text and no output contains them."""
    return slice(EOS + 1, EOS + 1 + n)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences side by side. B sentences, S source positions, T target positions; padding is at the end.

    source (B, S) ends with EOS. target (B, T) is what the decoder reads: BOS y1 .. yn. gold (B, T) is what it should
    predict, one position ahead: y1 .. yn EOS. The masks are True where a position is real. A batch that is only to be
    translated has no target. Running text has an empty source (S = 0), and a prompt to continue is a source.
    """

    source: Tensor
    source_keep: Tensor
    target: Tensor | None = None
    target_keep: Tensor | None = None
    gold: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a batch in the order of all: its epoch, its pool in the epoch, and its number in the pool."""

    epoch: int = 0
    pool: int = 0
    batch: int = 0


def collate(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]] | None = None) -> Batch:
    """Return the sentences as one padded batch, with EOS after each source and BOS and EOS around each target."""
    source, source_keep = _padded([[*ids, EOS] for ids in sources])
    if targets is None:
        return Batch(source, source_keep)
    assert len(sources) == len(targets), "a batch needs as many targets as sources"
    target, target_keep = _padded([[BOS, *ids] for ids in targets])
    gold, _ = _padded([[*ids, EOS] for ids in targets])
    return Batch(source, source_keep, target, target_keep, gold)


def collate_text(rows: Sequence[Sequence[int]]) -> Batch:
    """Return windows of running text as one batch: of n + 1 ids, the first n are read and the last n are predicted."""
    target, keep = _padded([row[:-1] for row in rows])
    gold, _ = _padded([row[1:] for row in rows])  # as long as what is read, so one mask serves both
    source, source_keep = _padded([[] for _ in rows])
    return Batch(source, source_keep, target, keep, gold)


def collate_prompts(prompts: Sequence[Sequence[int]]) -> Batch:
    """Return prompts as a batch to continue: their ids as they are, without EOS, and no target."""
    return Batch(*_padded(prompts))


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return the rows side by side, padded with PAD, and a mask that is True where a cell is real."""
    lengths = np.array([len(row) for row in rows])
    keep = np.arange(lengths.max()) < lengths[:, None]
    cells = np.full(keep.shape, PAD, dtype=np.int64)
    # A mask is filled row by row, which is the order of the chain.
    cells[keep] = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum()))
    return torch.from_numpy(cells), torch.from_numpy(keep)


def take_rows(batch: Batch, rows: Tensor) -> Batch:
    """Return the sentences at the given rows as a batch."""
    return _each(batch, lambda x: x[rows])


def take_columns(batch: Batch, n_source: int, n_target: int) -> Batch:
    """Return the beginnings of the sentences, of this many positions on each side."""
    target = (None if x is None else x[:, :n_target] for x in (batch.target, batch.target_keep, batch.gold))
    return Batch(batch.source[:, :n_source], batch.source_keep[:, :n_source], *target)


def split_rows(batch: Batch, n: int) -> list[Batch]:
    """Return the batch as at most n batches of nearly as many sentences each."""
    parts = torch.arange(len(batch.source)).tensor_split(min(n, len(batch.source)))
    return [take_rows(batch, rows) for rows in parts] if n > 1 else [batch]


def twice(batch: Batch) -> Batch:
    """Return the batch with all its sentences repeated after them."""
    return _each(batch, lambda x: torch.cat([x, x]))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on a device."""
    return _each(batch, lambda x: x.to(device, non_blocking=True))


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Return the batch with `change` applied to each tensor."""
    tensors = (getattr(batch, field.name) for field in fields(Batch))
    return Batch(*(None if x is None else change(x) for x in tensors))  # type: ignore[arg-type]
