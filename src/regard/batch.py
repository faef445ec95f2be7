"""A batch: padded ids and keep masks, the one thing every model takes."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

PAD, BOS, EOS = 0, 1, 2
"""Ids that mean the same in every vocabulary: padding, beginning of sequence, end of sequence."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences side by side. B sentences, S source positions, T target positions; padding is at the end.

    source (B, S) ends with EOS. target (B, T) is what the decoder reads: BOS y1 .. yn. gold (B, T) is what it should
    write, one position ahead: y1 .. yn EOS. The masks are True where a position is real. A batch that is only to be
    translated has no target.
    """

    source: Tensor
    source_keep: Tensor
    target: Tensor | None = None
    target_keep: Tensor | None = None
    gold: Tensor | None = None


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on a device."""
    tensors = (getattr(batch, field.name) for field in fields(Batch))
    return Batch(*(None if x is None else x.to(device, non_blocking=True) for x in tensors))  # type: ignore[arg-type]
