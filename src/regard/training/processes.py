"""The processes that train one model together: this one alone, unless `torchrun` started more.

Each computes the gradients of its share of every batch's sentences. Only the first one writes files, prints messages
and validates.
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
from regard.errors import RegardError
from regard.stderr import tell

Result = TypeVar("Result")

PATIENCE = timedelta(days=1)
"""How long processes wait for one that tokenises or validates. If one has died, `torchrun` notices that itself."""


class FirstsError(RegardError):
    """An error that the first process has found and reports."""


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

        Sentences are dealt out in turn, so that every process gets some of each length.
        """
        if self.size == 1:
            return batch, 1.0
        rows = torch.arange(len(batch.source))[self.rank :: self.size]
        return (take_rows(batch, rows), 1.0) if len(rows) else (take_rows(batch, torch.tensor([0])), 0.0)

    def total(self, *values: Tensor) -> list[Tensor]:
        """Return the sum of each value over all processes."""
        if self.size == 1:
            return list(values)
        # In float64, because sums over thousands of tokens are added up.
        stacked = torch.stack([value.double() for value in values])
        dist.all_reduce(stacked)
        return list(stacked)

    def most(self, *values: float) -> list[float]:
        """Return the maximum of each value over all processes, so that they agree."""
        if self.size == 1:
            return list(values)
        agreed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
        return list(agreed.tolist())

    def of_each(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, which must have the same shape."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(found, tensor.contiguous())
        return found

    def from_first(self, make: Callable[[], Result]) -> Result:
        """Return in all processes what the first one makes. The others wait for it; all raise its RegardError."""
        if self.size == 1:
            return make()
        if self.is_first:
            try:
                result = make()
            except RegardError as error:
                # Of a class of its own, so that `together` does not report it again in every process. Any other
                # exception is a bug: it ends this process, and torchrun ends the others.
                dist.broadcast_object_list([None, FirstsError(str(error))])
                raise
            dist.broadcast_object_list([result, None])
            return result
        box: list[Any] = [None, None]
        dist.broadcast_object_list(box)
        if box[1] is not None:
            raise box[1]
        made: Result = box[0]
        return made

    def in_first(self, make: Callable[[], Result]) -> Result | None:
        """Return what the first process makes, and None in the others. They wait for it; all raise its RegardError."""
        made: list[Result] = []
        self.from_first(lambda: made.append(make()))  # so only None is sent, and nothing need be pickled
        return made[0] if made else None

    def first_before_others(self, make: Callable[[], Result]) -> Result:
        """Return what each process makes. The others begin after the first has finished, and find what it wrote."""
        made = self.in_first(make)
        return make() if made is None else made


ALONE = Processes()


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if any. They communicate through NCCL on GPUs and Gloo on CPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL uses the current device
    # Gradients go through NCCL; what processes agree on is on the CPU and goes through Gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    processes = Processes(dist.get_rank(), size)
    try:
        yield processes
        processes.most(0)  # so that none leaves while another still waits for it
    except RegardError as error:
        if not processes.is_first and not isinstance(error, FirstsError):
            tell(f"regard, process {processes.rank}: {error}")
        raise
    finally:
        dist.destroy_process_group()
