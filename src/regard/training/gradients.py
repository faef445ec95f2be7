"""The gradients of a batch: over all processes, and in as many parts as memory requires."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from regard.batch import Batch, split_rows, to_device, twice
from regard.errors import TrainingError
from regard.nn.loss import Loss, consistent_loss, output_loss
from regard.training.config import TrainingConfig
from regard.training.processes import Processes
from regard.training.sharding import shard

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")
"""What errors contain if memory runs out: those of PyTorch on a GPU and on a CPU, and of cuBLAS and cuDNN."""


class Gradients:
    """Adds the gradients of a batch's mean loss to those of a model."""

    def __init__(self, model: nn.Module, config: TrainingConfig, device: torch.device, processes: Processes) -> None:
        """With sharded weights and several processes, the model's parameters are replaced by their shards."""
        self.model, self.device, self.processes = model, device, processes
        self.objective: Any = Objective(model, config)
        if config.compiled:
            # In place, so that weights keep their names; dynamic, since hardly any two batches have the same shape.
            model.compile(dynamic=True)
        self.sharded = config.sharded and processes.size > 1
        if self.sharded:
            self.objective = shard(self.objective, device.type, processes.size)
        elif processes.size > 1:
            self.objective = DistributedDataParallel(self.objective)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
        self.n_parts = 1

    def add(self, batch: Batch, *, gather: bool = True) -> Loss:
        """Add the gradients of the whole batch. Return the loss of this process's share, with the batch's token count.

        Each process computes its share of the sentences, one part at a time. With the last part the gradients are
        summed over all processes, if gather is True.
        """
        # Of the whole batch, before it is divided: so several processes get the same gradients as one.
        n_tokens = n_real(batch)
        # With weight 0 it computes all the same, because the others wait for the gradients of every process.
        mine, weight = self.processes.share(batch)
        parts, losses = split_rows(mine, self.n_parts), []
        for i, part in enumerate(parts):
            with self.gathering(gather and i == len(parts) - 1):
                # Only the forward pass: PyTorch computes the backward pass of a product in the same type.
                with self.autocast:
                    smoothed, nll = self.objective(to_device(part, self.device))
                # PyTorch takes the mean over the processes; times their number it is the sum.
                (smoothed * (weight * self.processes.size / n_tokens)).backward()
            losses.append(Loss(smoothed.detach() * weight, nll * weight, 0))  # tokens of the batch are counted once
        sums = reduce(add, losses)
        return Loss(sums.smoothed, sums.nll, n_tokens)

    def gathering(self, wanted: bool) -> Any:
        """Return a context in which gradients are summed over all processes, or stay in their own process."""
        if self.sharded:
            # The switch keeps its value, so it is set for every part.
            self.objective.set_requires_gradient_sync(wanted)
        elif not wanted and isinstance(self.objective, DistributedDataParallel):
            return self.objective.no_sync()
        return nullcontext()

    def rehearse(self, largest: Batch, reserve: Callable[[], list[Tensor]], say: Callable[[str], None]) -> None:
        """Try the largest batch first, so that memory runs out now or never; if it does, split batches into parts.

        reserve: returns as much memory as will be needed beside it. Raises TrainingError if a single sentence does not
        fit or, with sharded weights, if the batch does not: processes that gather each other's shards cannot retry one
        by one.
        """
        # Decided together: if the batch is too large for one process, all take more parts.
        while self.processes.most((problem := self.memory_problem(largest, reserve)) is not None)[0]:
            if self.n_parts >= len(largest.source):
                raise TrainingError(
                    f"Not even one sentence of the largest batch fits into memory ({problem or 'of another process'}). "
                    "Choose a smaller model, or set a smaller data.max_tokens for pairs or model.context for text."
                )
            self.n_parts *= 2
            say(f"The largest batch does not fit into memory: batches are split into {self.n_parts} parts.")

    def memory_problem(self, batch: Batch, reserve: Callable[[], list[Tensor]]) -> str | None:
        """Return PyTorch's error if a batch does not fit into memory beside what is reserved, otherwise None."""
        try:
            _reserved = reserve()  # bound to a name; otherwise it would be freed before the batch is tried
            self.add(batch, gather=self.sharded)  # FSDP cannot discard gradients that were not gathered
        except RuntimeError as error:  # includes torch.OutOfMemoryError; a CPU raises nothing more specific
            if not any(sign in str(error) for sign in OUT_OF_MEMORY):
                raise
            problem = str(error).splitlines()[0]
            if self.sharded:
                advice = "Set a lower training.batch_tokens, or use more processes."
                raise TrainingError(f"The largest batch does not fit into memory ({problem}). {advice}") from error
            return problem
        finally:
            self.model.zero_grad(set_to_none=True)  # also of the parts that did fit
        return None


class Objective(nn.Module):
    """A model followed by its loss, as one module whose gradients PyTorch's distributed engine can gather."""

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the training loss of a batch and its negative log-likelihood, as sums in nats."""
        config = self.config
        loss = batch_loss(self.model, batch, config.label_smoothing, config.z_loss, config.r_drop)
        return loss.smoothed, loss.nll


def batch_loss(model: nn.Module, batch: Batch, smoothing: float, z_loss: float = 0.0, r_drop: float = 0.0) -> Loss:
    """Return the loss of the real target positions of a batch; with r_drop, of two passes computed side by side."""
    assert batch.gold is not None and batch.target_keep is not None, "training needs targets"
    gold = batch.gold[batch.target_keep]  # (N,)
    weight: Any = model.output_weight
    never: Any = model.never_written
    if not r_drop:
        return output_loss(model(batch)[batch.target_keep], weight, gold, smoothing, z_loss, never)
    both = twice(batch)
    hidden = model(both)[both.target_keep]  # (2 N, D)
    return consistent_loss(hidden.unflatten(0, (2, -1)), weight, gold, r_drop, smoothing, z_loss, never)


def n_real(batch: Batch) -> int:
    """Return how many target positions are not padding."""
    assert batch.target_keep is not None, "training needs targets"
    return int(batch.target_keep.sum())
