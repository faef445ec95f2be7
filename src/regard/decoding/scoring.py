"""The log-probability that a model gives to existing text. Ids in, nats out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from regard.batch import collate, collate_text, to_device
from regard.models.protocol import Model
from regard.nn.loss import output_loss

Window = tuple[Sequence[int], int]
"""Ids that are read, and predicted one position ahead, and how many of the last predictions count."""


@dataclass(frozen=True, slots=True)
class TextScore:
    """The sum of the log-probabilities of a text's tokens, in nats, and their number."""

    log_probability: float
    n_tokens: int


@torch.no_grad()
def windows_nll(model: Model, windows: Sequence[Window], batch_tokens: int, device: torch.device) -> float:
    """Return the negative log-likelihood in nats, summed over all that counts in the windows.

    Windows of similar length are computed together, about batch_tokens at a time. The model must be in evaluation mode.
    """
    total = 0.0
    for batch_of_windows in batches(sorted(windows, key=lambda window: len(window[0])), batch_tokens):
        batch = to_device(collate_text([ids for ids, _ in batch_of_windows]), device)
        assert batch.gold is not None and batch.target_keep is not None, "windows have a target"
        lengths = batch.target_keep.sum(1, keepdim=True)  # (B, 1)
        counting = torch.tensor([n for _, n in batch_of_windows], device=device)[:, None]
        # A row counts after the last token that is only context.
        behind = torch.arange(batch.gold.shape[1], device=device) >= lengths - counting
        counts = behind & batch.target_keep  # (B, T)
        hidden = model.forward(batch)
        total += float(
            output_loss(hidden[counts], model.output_weight, batch.gold[counts], never=model.never_written).nll
        )
    return total


@torch.inference_mode()
def pairs_nll(model: Model, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], device: torch.device) -> list[float]:
    """Return the negative log-likelihood of each target given its source, EOS included, in nats.

    One pair at a time, so that a pair's figure does not depend on its neighbours. The model must be in evaluation mode.
    """
    found = []
    for source, target in pairs:
        batch = to_device(collate([source], [target]), device)
        assert batch.gold is not None, "a pair has a target"
        hidden = model.forward(batch)[0]
        found.append(float(output_loss(hidden, model.output_weight, batch.gold[0], never=model.never_written).nll))
    return found


def batches(windows: Sequence[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Yield the windows in order, as many at a time as batch_tokens allows; the last is the longest."""
    batch: list[Window] = []
    for window in windows:
        if batch and (len(batch) + 1) * len(window[0]) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
