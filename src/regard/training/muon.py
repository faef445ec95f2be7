"""Muon: orthogonalised momentum for the matrices of a network."""

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from regard.training.processes import ALONE, Processes
from regard.training.sharding import spread_as, unspread

# The five steps of the Polar Express: each is the odd polynomial that brings the singular values closest to one.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalise(matrices: Float[Tensor, "N R C"], dtype: torch.dtype | None = None) -> Float[Tensor, "N R C"]:
    """Return each matrix with all its singular values brought near one.

    Amsel et al. 2025, "The Polar Express", algorithm 1, with products in `dtype`, by default that of the input.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices  # so that the Gram matrix is of the shorter side
    # The Frobenius norm is no less than the largest singular value. 1.02 leaves room for rounding in bfloat16, and
    # 1e-7 is for a matrix of zeros.
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7)).to(dtype or x.dtype)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalised updates. Jordan et al. 2024.

    Parameters of the same shape are updated in one batch of products, of which each process computes a share. A
    parameter with three axes is a stack of matrices. dtype: of the products, by default that of the parameters.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        decay: float = 0.0,
        dtype: torch.dtype | None = None,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay})
        self.dtype, self.processes = dtype, processes

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "the trainer computes its gradients itself"
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape[-2:]].append(parameter)
            for parameters in by_shape.values():
                self._step_together(parameters, group)

    def _step_together(self, parameters: list[Tensor], group: dict[str, float]) -> None:
        looks_ahead = []
        for parameter in parameters:
            assert parameter.grad is not None, "only parameters with a gradient are stepped"
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"]
            momentum.lerp_(parameter.grad, 1 - group["momentum"])
            looks_ahead.append(torch.lerp(parameter.grad, momentum, group["momentum"]))
        rows, columns = parameters[0].shape[-2:]
        # Whole, even if weights are sharded: the singular values of a shard are not those of the matrix.
        stacked = torch.cat([unspread(x).view(-1, rows, columns) for x in looks_ahead])
        # Jordan et al. 2024: with this factor the rows of a tall update are as long as those of a square one.
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        updates = self._orthogonalised(stacked).split([x.numel() // (rows * columns) for x in looks_ahead])
        for parameter, update in zip(parameters, updates, strict=True):
            update = spread_as(update.view(parameter.shape), parameter)
            parameter.mul_(1 - group["lr"] * group["decay"]).sub_(update, alpha=rate)

    def _orthogonalised(self, matrices: Float[Tensor, "N R C"]) -> Float[Tensor, "N R C"]:
        """Return the matrices orthogonalised, each computed by one process for all of them."""
        rank, size = self.processes.rank, self.processes.size
        if size == 1:
            return orthogonalise(matrices, self.dtype)
        # Each is computed once and sent to all, so that weights stay identical in all processes to the last bit.
        share = -(-len(matrices) // size)
        mine = matrices[rank * share : (rank + 1) * share]
        # Padded with zeros, since all must send equally many; the results for these are cut off.
        mine = orthogonalise(F.pad(mine, (0, 0, 0, 0, 0, share - len(mine))), self.dtype)
        return torch.cat(self.processes.of_each(mine))[: len(matrices)]
