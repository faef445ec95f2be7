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
from regard.errors import RegardError
from regard.stderr import tell

Result = TypeVar("Result")

PATIENCE = timedelta(days=1)
"""How long processes wait for one that tokenises or validates; one that has died, `torchrun` notices itself."""


class FirstsError(RegardError):
    """A mistake that the first process has found, and says."""


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
        # In float64, because sums over thousands of tokens are added up.
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
        """Return what the first process makes, in all of them; the others wait for it, and share its RegardError."""
        if self.size == 1:
            return make()
        if self.is_first:
            try:
                result = make()
            except RegardError as error:
                # Of a class of its own, so that `together` does not say it again in every process. Any other exception
                # is a bug: it ends this process, and torchrun the others.
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
        """Return what the first process makes, there alone; the others wait for it, and share its RegardError."""
        made: list[Result] = []
        self.from_first(lambda: made.append(make()))  # so only None is sent, and nothing need be pickled
        return made[0] if made else None

    def first_before_others(self, make: Callable[[], Result]) -> Result:
        """Return what each process makes; the others begin when the first has done, and find what it has left."""
        made = self.in_first(make)
        return make() if made is None else made


ALONE = Processes()


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did; a GPU's talk through NCCL and a CPU's through Gloo."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL takes the current one
    # Gradients go through NCCL; what is agreed on stands on the CPU and goes through Gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    processes = Processes(dist.get_rank(), size)
    try:
        yield processes
        processes.most(0)  # so that none leaves while another still listens to it
    except RegardError as error:
        if not processes.is_first and not isinstance(error, FirstsError):
            tell(f"regard, process {processes.rank}: {error}")
        raise
    finally:
        dist.destroy_process_group()
