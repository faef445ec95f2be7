"""What a checkpoint keeps beside its bundle: what the optimisers remember, random numbers, and where the run stands.

It is read as any other file is: its names, shapes and numbers have to be those of the training that would go on.
"""

import json
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
"""Bytes of `train_state.json`; ours has some hundred."""

_RANDOM = re.compile(r"random\.(0|[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class TrainState:
    """progress: where the training stands. tensors: what the optimisers remember. random: of each process, by rank."""

    progress: Progress
    tensors: Mapping[str, Tensor]
    random: Mapping[int, Tensor]

    def files(self) -> dict[str, bytes]:
        """Return the state as further files of a bundle."""
        random = {f"random.{rank}": state for rank, state in self.random.items()}
        numbers = json.dumps(self.progress.model_dump(mode="json", exclude_none=True), allow_nan=False)
        return {TENSORS: save({**self.tensors, **random}), NUMBERS: numbers.encode()}


def read_state(checkpoint: Path) -> TrainState | None:
    """Return the state that a checkpoint keeps, or None if it keeps none. Raises BundleError if it is damaged."""
    numbers, tensors = read_extra(checkpoint, NUMBERS, MOST_NUMBERS), verified_extra(checkpoint, TENSORS)
    if numbers is None or tensors is None:
        return None
    try:
        progress = Progress.model_validate_json(numbers)
    except ValidationError as error:
        raise BundleError(f"{checkpoint / NUMBERS} cannot be used: {first_problem(error)}.") from error
    check_header(tensors)
    try:
        with safe_open(tensors, framework="pt") as file:
            found = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise BundleError(f"{tensors} is not a safetensors file: {shown(error, 200)}. {ADVICE}") from error
    ranks = {name: int(match[1]) for name in found if (match := _RANDOM.fullmatch(name))}
    random = {rank: found.pop(name) for name, rank in ranks.items()}
    return TrainState(progress, found, random)


def refuse_unfit(state: TrainState, optimiser: Optimiser, checkpoint: Path) -> None:
    """Raise BundleError if a state is none that this optimiser could have left."""
    allowed = optimiser.remembered()
    for name, tensor in state.tensors.items():
        if name not in allowed:
            raise BundleError(f"{checkpoint / TENSORS} remembers {shown(name)}, which this training has not. {ADVICE}")
        shape, dtype = allowed[name]
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            found = f"{tuple(tensor.shape)} of {tensor.dtype}"
            raise BundleError(f"{checkpoint / TENSORS}: {name} is {found}, expected {shape} of {dtype}. {ADVICE}")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise BundleError(f"{checkpoint / TENSORS}: {name} is not finite. {ADVICE}")
    # Of a parameter that never had a gradient nothing is remembered; of every other one all is, and all of an average.
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
    """Raise BundleError if a tensor is no state of random numbers that PyTorch would take."""
    of_cpu = torch.Generator().get_state()
    try:
        if random.dtype != torch.uint8 or random.ndim != 1:
            raise RuntimeError(f"it is {tuple(random.shape)} of {random.dtype}")
        torch.Generator().set_state(random[: len(of_cpu)].clone())
    except RuntimeError as error:
        raise BundleError(
            f"{checkpoint / TENSORS} holds no state of random numbers: {shown(error, 100)}. {ADVICE}"
        ) from error


def restore(state: TrainState, optimiser: Optimiser, device: torch.device, rank: int = 0) -> Progress:
    """Give the optimisers and torch's random numbers the state of a checkpoint and return where it stands.

    A process that the checkpoint knows nothing of, since there were fewer then, keeps its random numbers.
    """
    if (mine := state.random.get(rank)) is not None:
        set_random_state(mine, device)
    optimiser.restore(state.tensors)
    return state.progress.model_copy(deep=True)
