"""What a checkpoint stores beside its bundle: the optimiser state, the random state, and the progress of the training.

It is checked like any other file: its names, shapes and values must fit the training that is to continue.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from regard.bundle.card import Progress
from regard.bundle.files import ADVICE, first_problem, read_extra, verified_extra
from regard.bundle.weights import check_header
from regard.errors import BundleError, shown
from regard.training.optimiser import Optimiser
from regard.training.randomness import set_random_state

TENSORS, NUMBERS = "train_state.safetensors", "train_state.json"
MOST_NUMBERS = 2**16
"""The maximum size of `train_state.json` in bytes; regard writes some hundred."""

GPU_RANDOM_BYTES = 16
"""The size of a GPU's random state, which follows the CPU's: a seed and an offset of eight bytes each."""

_RANDOM = re.compile(r"random\.(0|[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class TrainState:
    """progress: of the training. tensors: the optimiser state. random: the random state of each process, by rank."""

    progress: Progress
    tensors: Mapping[str, Tensor]
    random: Mapping[int, Tensor]

    def files(self) -> dict[str, bytes]:
        """Return the state as additional files of a bundle."""
        random = {f"random.{rank}": state for rank, state in self.random.items()}
        numbers = json.dumps(self.progress.model_dump(mode="json", exclude_none=True), allow_nan=False)
        return {TENSORS: save({**self.tensors, **random}), NUMBERS: numbers.encode()}


RANDOM_BYTES = 2**24
"""Room for the random states of some thousand processes, five thousand bytes each, and for the list of tensors."""


def most_bytes(optimiser: Optimiser) -> int:
    """Return the maximum size, in bytes, of the tensors of a state that this optimiser has saved."""
    sizes = (math.prod(shape) * dtype.itemsize for shape, dtype in optimiser.remembered().values())
    return sum(sizes) + RANDOM_BYTES


def read_state(checkpoint: Path, most: int | None = None) -> TrainState | None:
    """Return the training state of a checkpoint, or None if it has none.

    most: the maximum size of its tensors in bytes. Raises BundleError if they are larger, or if the state is damaged.
    """
    numbers, tensors = read_extra(checkpoint, NUMBERS, MOST_NUMBERS), verified_extra(checkpoint, TENSORS)
    if numbers is None or tensors is None:
        return None
    try:
        progress = Progress.model_validate_json(numbers)
    except ValidationError as error:
        raise BundleError(f"{checkpoint / NUMBERS} cannot be used: {first_problem(error)}.") from error
    # Before the library parses the header, which may be too long.
    check_header(tensors)
    if most is not None and (n_bytes := tensors.stat().st_size) > most:
        raise BundleError(f"{tensors} has {n_bytes:,} bytes; this training has at most {most:,}. {ADVICE}")
    try:
        with safe_open(tensors, framework="pt") as file:
            # Copies, because the file is mapped into memory, and the training will remove this checkpoint.
            found = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise BundleError(f"{tensors} is not a safetensors file: {shown(error, 200)}. {ADVICE}") from error
    ranks = {name: int(match[1]) for name in found if (match := _RANDOM.fullmatch(name))}
    random = {rank: found.pop(name) for name, rank in ranks.items()}
    return TrainState(progress, found, random)


def refuse_unfit(state: TrainState, optimiser: Optimiser, checkpoint: Path) -> None:
    """Raise BundleError if this optimiser cannot have saved this state."""
    allowed = optimiser.remembered()
    for name, tensor in state.tensors.items():
        if name not in allowed:
            raise BundleError(f"{checkpoint / TENSORS} holds {shown(name)}, which this training lacks. {ADVICE}")
        shape, dtype = allowed[name]
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            found = f"{tuple(tensor.shape)} of {tensor.dtype}"
            raise BundleError(f"{checkpoint / TENSORS}: {name} is {found}, expected {shape} of {dtype}. {ADVICE}")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise BundleError(f"{checkpoint / TENSORS}: {name} is not finite. {ADVICE}")
    # An optimiser has no state for a parameter that never had a gradient, and complete state for the others and for an
    # average.
    parts = {name.rpartition(".")[0] for name in state.tensors}
    half = [
        name
        for name in allowed
        if name not in state.tensors and (name.rpartition(".")[0] in parts or name.startswith("average."))
    ]
    if half:
        raise BundleError(f"{checkpoint / TENSORS} lacks {half[0]}. {ADVICE}")
    for random in state.random.values():
        refuse_unfit_random(random, checkpoint)


def refuse_unfit_random(random: Tensor, checkpoint: Path) -> None:
    """Raise BundleError if a tensor is not a random state that PyTorch accepts."""
    of_cpu = torch.Generator().get_state()
    try:
        if random.dtype != torch.uint8 or random.ndim != 1:
            raise RuntimeError(f"it is {tuple(random.shape)} of {random.dtype}")
        # Tried on an unused generator. The GPU's part at the end is not checked: that would need a GPU.
        torch.Generator().set_state(random[: len(of_cpu)].clone())
        if len(random) not in (len(of_cpu), len(of_cpu) + GPU_RANDOM_BYTES):
            raise RuntimeError(f"it has {len(random):,} bytes")
    except RuntimeError as error:
        raise BundleError(
            f"{checkpoint / TENSORS} holds an invalid random state: {shown(error, 100)}. {ADVICE}"
        ) from error


def restore(state: TrainState, optimiser: Optimiser, device: torch.device, rank: int = 0) -> Progress:
    """Restore the optimisers and torch's random state from a checkpoint, and return its progress.

    A process without a state in the checkpoint, because there were fewer processes then, keeps its random state.
    """
    if (mine := state.random.get(rank)) is not None:
        set_random_state(mine, device)
    optimiser.restore(state.tensors)
    return state.progress.model_copy(deep=True)
