"""The weights of a bundle: checked against its settings before memory is taken, and put into a model that drew none."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from regard.bundle.files import ADVICE, CONFIG, opened
from regard.errors import BundleError, shown
from regard.models import MODELS

Shapes = Mapping[str, tuple[int, ...]]
WeightType = Literal["float32", "bfloat16"]

TYPES: dict[WeightType, str] = {"float32": "F32", "bfloat16": "BF16"}
"""What `config.json` calls a type of weights, and what safetensors does."""

MOST_HEADER_BYTES = 2**21
"""How long the list of tensors may be; the largest models that can be described have half of it."""


FEWEST_IN_A_LAYER = 4
"""Every layer of every family has as many tensors at least."""


def distinct(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model, each tied one once, under its first name."""
    first: dict[int, tuple[str, Tensor]] = {}
    # Without keep_vars every entry is a tensor of its own, and ids would not tell which are tied.
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(id(tensor), (name, tensor))
    return dict(first.values())


class _Undrawn(TorchFunctionMode):
    """Leaves out whatever would draw random numbers.

    PyTorch would do so for tensors without memory, too, but only after importing its compiler, which takes a second.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def planned(family: str, config: Any, vocabularies: tuple[int, int], n_control: int) -> nn.Module:
    """Return a model without memory for its weights, and without having drawn any."""
    with torch.device("meta"), _Undrawn():
        model: nn.Module = MODELS[family][1](config, *vocabularies, n_control=n_control)
    return model


def filled(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a planned model with its weights. tensors: by the names of `distinct`; a tied one is shared again."""
    # A planned parameter that stands in several places becomes one new one in all of them. No family has buffers.
    by_id = {id(planned): nn.Parameter(tensors[name]) for name, planned in distinct(model).items()}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, by_id[id(parameter)])  # PyTorch's recurrent cells keep a list of theirs in step
    return model


def refuse_more_layers(path: Path, config: Any) -> None:
    """Raise BundleError if a file has fewer tensors than its layers would need: planning thousands takes seconds."""
    check_header(path)
    # Every setting that counts layers ends so; that of a new family has to as well.
    layers = sum(value for name, value in config.model_dump().items() if name.endswith("layers"))
    try:
        with safe_open(path, framework="pt") as file:
            n_tensors = len(file.keys())
    except SafetensorError as error:
        raise BundleError(f"{path} is not a safetensors file: {shown(error, 200)}. {ADVICE}") from error
    if n_tensors < FEWEST_IN_A_LAYER * layers:
        raise BundleError(
            f"{path} does not fit {CONFIG}: {n_tensors:,} tensors are too few for {layers:,} layers. {ADVICE}"
        )


def read_weights(path: Path, expected: Shapes, kind: WeightType) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, in float32. Raises BundleError if they are not what is expected.

    Everything is compared with the file's list of tensors first, which takes no memory; then that all are finite.
    """
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            check_shapes(path, {name: tuple(file.get_slice(name).get_shape()) for name in names}, expected)
            types = {file.get_slice(name).get_dtype() for name in names}
            if types != {TYPES[kind]}:
                found = ", ".join(sorted(map(shown, types)))
                raise BundleError(f"{path} has weights of the type {found}; {CONFIG} says {kind}. {ADVICE}")
            # Copied: a tensor of safe_open hangs on the file, which may be replaced while it is used.
            tensors = {name: file.get_tensor(name).to(torch.float32, copy=True) for name in names}
    except SafetensorError as error:
        raise BundleError(f"{path} is not a safetensors file: {shown(error, 200)}. {ADVICE}") from error
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise BundleError(f"{path}: the weights of {name} are not finite. {ADVICE}")
    return tensors


def check_header(path: Path) -> None:
    """Raise BundleError if a safetensors file says that its list of tensors is longer than any of ours."""
    with opened(path) as file:
        start = file.read(8)
    # The format begins with the length of its JSON header; the library itself would parse 100 MB of it.
    (n_bytes,) = struct.unpack("<Q", start) if len(start) == 8 else (0,)
    if not 0 < n_bytes <= MOST_HEADER_BYTES:
        raise BundleError(
            f"{path} is not a safetensors file of ours: its list of tensors has no fitting length. {ADVICE}"
        )


def check_shapes(path: Path, found: Shapes, expected: Shapes) -> None:
    """Raise BundleError if the tensors of a file are not those that are expected, by name and shape."""
    wrong = list(misfits(found, expected))
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise BundleError(f"{path} does not fit {CONFIG}: {'; '.join(wrong[:3])}{more}. {ADVICE}")


def misfits(found: Shapes, expected: Shapes) -> Iterator[str]:
    """Yield in words each tensor that is missing, too many or of another shape."""
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            was, should = found.get(name, "missing"), expected.get(name, "none of that name")
            yield f"{shown(name)} is {shown(was)}, expected {should}"
