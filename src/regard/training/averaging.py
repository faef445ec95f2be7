"""Averages of weights, which often translate better than the weights of any single step."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from regard.training.sharding import spread_as


class MovingAverage:
    """The exponential moving average of a model's weights. Polyak and Juditsky 1992; Tan and Le 2019 for this form.

    In the first updates the decay is lower, (1 + n) / (10 + n), so that the beginning is soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        # A tensor, so that it is saved like the weights; on the CPU, to avoid waiting for a GPU.
        self.n_updates = torch.zeros((), dtype=torch.int64)
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the model's weights."""
        self.n_updates += 1
        decay = min(self.decay, float((1 + self.n_updates) / (10 + self.n_updates)))
        # Both are in the order of named_parameters, which lists a shared tensor once.
        torch._foreach_lerp_(list(self.weights.values()), list(self.model.parameters()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of the average by name."""
        return {"n_updates": self.n_updates, **{f"weights.{name}": w for name, w in self.weights.items()}}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        for name, tensor in self.tensors().items():
            tensor.copy_(spread_as(tensors[name], tensor))


@contextmanager
def holding(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Give a model other weights while the block runs. Names that share a tensor need one entry."""
    parameters = dict(model.named_parameters())
    # Copied in and out, not exchanged: the optimiser and PyTorch's gradient engine refer to these tensors.
    own = {name: parameters[name].detach().clone() for name in weights}
    try:
        _set(parameters, weights)
        yield
    finally:  # also if a signal ends a validation in the block
        _set(parameters, own)


@torch.no_grad()
def mean_weights(models: Iterable[nn.Module]) -> dict[str, Tensor]:
    """Return the mean weights, by name, of models that differ only in their weights."""
    first, *others = [dict(model.named_parameters()) for model in models]
    return {name: torch.stack([p, *(other[name] for other in others)]).mean(0) for name, p in first.items()}


@torch.no_grad()
def _set(parameters: dict[str, nn.Parameter], weights: dict[str, Tensor]) -> None:
    for name, weight in weights.items():
        parameters[name].copy_(weight)
