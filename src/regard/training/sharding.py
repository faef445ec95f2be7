"""Weights that are spread over the processes, by PyTorch's FSDP2, and whole tensors from and to their shares.

Zhao et al. 2023, "PyTorch FSDP". Every process keeps its share of each parameter, of its gradient and of what the
optimiser remembers of it; a layer is gathered while it computes. What is spread is a DTensor, which knows itself by its
placements; PyTorch's distributed engine is imported only where something is spread.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def shard(module: nn.Module, device_type: str, n_processes: int) -> Any:
    """Spread a module's parameters over the processes, each layer of its lists for itself, then the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device_type, (n_processes,))
    # Layer by layer: while one computes, the weights of the others need not be whole.
    for inner in module.modules():
        if isinstance(inner, nn.ModuleList):
            for layer in inner:
                fully_shard(layer, mesh=mesh)
    return fully_shard(module, mesh=mesh)


def is_spread(tensor: Tensor) -> bool:
    """Return whether a tensor is spread over the processes."""
    return hasattr(tensor, "placements")


def unspread(tensor: Tensor) -> Tensor:
    """Return a tensor as it is without its being spread. All processes must ask for it."""
    return tensor.full_tensor() if is_spread(tensor) else tensor  # type: ignore[attr-defined]


def spread_as(tensor: Tensor, model: Any) -> Tensor:
    """Return this process's share of a whole tensor, spread as another one of its shape is, if that is spread."""
    if not is_spread(model) or tensor.shape != model.shape:  # another shape: AdamW's count of steps
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # None: every process has the whole tensor and takes its share of it, so nothing is sent.
    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements, src_data_rank=None)


def gathered(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by name as whole ones: those given, or else a model's parameters if they are spread."""
    if not tensors and any(map(is_spread, model.parameters())):
        tensors = dict(model.named_parameters())
    return {name: unspread(tensor.detach()) for name, tensor in tensors.items()}
