"""The weights of a bundle: checked against its settings before memory is allocated, then put into an empty model."""

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
"""The names of the types of weights in `config.json`, and in safetensors."""

MOST_HEADER_BYTES = 2**21
"""The maximum length of the list of tensors in bytes; the largest models that can be described need half of it."""


FEWEST_IN_A_LAYER = 4
"""Every layer of every family has at least this many tensors."""


def distinct(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model, each tied one once, under its first name."""
    first: dict[int, tuple[str, Tensor]] = {}
    # Without keep_vars every entry would be a new tensor, and ids would not show which are tied.
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(id(tensor), (name, tensor))
    return dict(first.values())


class _Undrawn(TorchFunctionMode):
    """Skips the functions that draw random numbers.

    For tensors without memory PyTorch skips them, too, but only after importing its compiler, which takes a second.
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
    """Return a model whose weights are neither allocated nor drawn."""
    with torch.device("meta"), _Undrawn():
        model: nn.Module = MODELS[family][1](config, *vocabularies, n_control=n_control)
    return model


def filled(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a planned model with its weights. tensors: by the names of `distinct`; a tied one is shared again."""
    # A planned parameter that is used in several places is replaced by the same new one. No family has buffers.
    by_id = {id(planned): nn.Parameter(tensors[name]) for name, planned in distinct(model).items()}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, by_id[id(parameter)])  # PyTorch's recurrent cells update their own list
    return model


def refuse_more_layers(path: Path, config: Any) -> None:
    """Raise BundleError if a file has too few tensors for its layers: planning thousands of layers takes seconds."""
    check_header(path)
    # The name of every setting that counts layers ends like this; in a new family it must, too.
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
    """Return the tensors of a safetensors file, in float32. Raises BundleError if they are not as expected.

    The file's list of tensors is compared first, which takes no memory; then the values are checked to be finite.
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
            # Copied: a tensor of safe_open depends on the file, which may be replaced while it is used.
            tensors = {name: file.get_tensor(name).to(torch.float32, copy=True) for name in names}
    except SafetensorError as error:
        raise BundleError(f"{path} is not a safetensors file: {shown(error, 200)}. {ADVICE}") from error
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise BundleError(f"{path}: the weights of {name} are not finite. {ADVICE}")
    return tensors


def check_header(path: Path) -> None:
    """Raise BundleError if the list of tensors of a safetensors file is longer than any that regard writes."""
    with opened(path) as file:
        start = file.read(8)
    # The format begins with the length of its JSON header; the library itself would parse 100 MB of it.
    (n_bytes,) = struct.unpack("<Q", start) if len(start) == 8 else (0,)
    if not 0 < n_bytes <= MOST_HEADER_BYTES:
        raise BundleError(
            f"{path} is not a safetensors file of regard: its list of tensors has a wrong length. {ADVICE}"
        )


def check_shapes(path: Path, found: Shapes, expected: Shapes) -> None:
    """Raise BundleError if the tensors of a file do not have the expected names and shapes."""
    wrong = list(misfits(found, expected))
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise BundleError(f"{path} does not fit {CONFIG}: {'; '.join(wrong[:3])}{more}. {ADVICE}")


def misfits(found: Shapes, expected: Shapes) -> Iterator[str]:
    """Yield a description of each tensor that is missing, unexpected or of another shape."""
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            was, should = found.get(name, "missing"), expected.get(name, "none of that name")
            yield f"{shown(name)} is {shown(was)}, expected {should}"
