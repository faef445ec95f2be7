"""Weights sharded over the processes by PyTorch's FSDP2, and the conversion between whole tensors and shards.

Zhao et al. 2023, "PyTorch FSDP". Every process holds its shard of each parameter, of its gradient and of its optimiser
state; a layer is gathered while it computes. A sharded tensor is a DTensor, recognised by its `placements`. PyTorch's
distributed engine is imported only where something is sharded.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def shard(module: nn.Module, device_type: str, n_processes: int) -> Any:
    """Shard a module's parameters over the processes: each layer of its module lists separately, then the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device_type, (n_processes,))
    # Layer by layer: while one computes, the weights of the others need not be gathered.
    for inner in module.modules():
        if isinstance(inner, nn.ModuleList):
            for layer in inner:
                fully_shard(layer, mesh=mesh)
    return fully_shard(module, mesh=mesh)


def is_spread(tensor: Tensor) -> bool:
    """Return whether a tensor is sharded over the processes."""
    return hasattr(tensor, "placements")


def unspread(tensor: Tensor) -> Tensor:
    """Return the whole of a tensor, whether or not it is sharded. All processes must call this."""
    return tensor.full_tensor() if is_spread(tensor) else tensor  # type: ignore[attr-defined]


def spread_as(tensor: Tensor, model: Any) -> Tensor:
    """Return this process's shard of a whole tensor if `model`, another tensor of its shape, is sharded."""
    if not is_spread(model) or tensor.shape != model.shape:  # another shape: AdamW's count of steps
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # None: every process has the whole tensor and takes its own shard, so nothing is sent.
    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements, src_data_rank=None)


def gathered(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors by name: those given, or if there are none, a model's parameters if they are sharded."""
    if not tensors and any(map(is_spread, model.parameters())):
        tensors = dict(model.named_parameters())
    return {name: unspread(tensor.detach()) for name, tensor in tensors.items()}
