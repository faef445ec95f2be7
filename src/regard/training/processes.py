"""The processes that train one model together: this one alone, unless `torchrun` started more.

Each computes the gradients of its share of every batch's sentences. The first one also writes, says and measures what
there is to write, to say and to measure.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from regard.batch import Batch, take_rows

Result = TypeVar("Result")

PATIENCE = timedelta(days=1)
"""How long processes wait for one that tokenises or validates; one that has died, `torchrun` notices itself."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Return this process's sentences of a batch, and their weight: 0 if there were too few for all processes.

        Sentences are dealt like cards, so that every process gets some of each length.
        """
        if self.size == 1:
            return batch, 1.0
        rows = torch.arange(len(batch.source))[self.rank :: self.size]
        return (take_rows(batch, rows), 1.0) if len(rows) else (take_rows(batch, torch.tensor([0])), 0.0)

    def total(self, *values: Tensor) -> list[Tensor]:
        """Return the sum of each value over all processes."""
        if self.size == 1:
            return list(values)
        stacked = torch.stack([value.double() for value in values])
        dist.all_reduce(stacked)
        return list(stacked)

    def most(self, *values: float) -> list[float]:
        """Return the highest of each value over all processes, so that they agree."""
        if self.size == 1:
            return list(values)
        agreed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
        return list(agreed.tolist())

    def of_each(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensor of every process, which all have the same shape."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(found, tensor.contiguous())
        return found

    def from_first(self, make: Callable[[], Result]) -> Result:
        """Return what the first process makes, in all of them; the others wait for it."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.is_first else None]
        dist.broadcast_object_list(box, src=0)
        result: Result = box[0]
        return result

    def first_before_others(self, make: Callable[[], Result]) -> Result:
        """Return what each process makes; the others begin when the first has done, and find what it has left."""
        if self.is_first:
            result = make()
        if self.size > 1:
            dist.barrier()
        return result if self.is_first else make()


ALONE = Processes()


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did; a GPU's talk through NCCL and a CPU's through Gloo."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
