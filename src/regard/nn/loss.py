"""The output layer and its loss in one function, so that the logits of a whole batch never stand in memory."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from regard.nn.precision import product_dtype

CHUNK_ROWS = 256
"""Rows whose logits stand in memory at once; 64 to 512 were equally fast where it was measured."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums over target positions, in nats; divide by `n_tokens` for means.

    smoothed is the quantity to minimise, the z-loss included, nll the negative log-likelihood of the gold tokens
    (without gradient).
    """

    smoothed: Tensor
    nll: Tensor
    n_tokens: int

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.smoothed + other.smoothed, self.nll + other.nll, self.n_tokens + other.n_tokens)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are computed in the forward pass, while a chunk's logits are in the cache.

    Products are taken in `dtype`, the softmax and all sums in float32 at least.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        gold: Tensor,
        smoothing: float,
        z_loss: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, ...]:
        wanted = hidden.requires_grad or weight.requires_grad
        exact = torch.promote_types(dtype, torch.float32)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        hidden_grad, weight_grad = torch.empty_like(hidden), torch.zeros_like(weight, dtype=exact)
        smoothed, nll = hidden.new_zeros((), dtype=exact), hidden.new_zeros((), dtype=exact)
        for start in range(0, len(gold), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            ids = gold[chunk, None]  # (rows, 1)
            logits = (hidden[chunk] @ weight.T).to(exact)  # (rows, V)
            log_p = torch.log_softmax(logits, dim=-1)
            log_z = logits[:, :1] - log_p[:, :1]  # (rows, 1), the logarithm of the softmax's sum
            picked = log_p.gather(1, ids).sum()
            nll -= picked
            smoothed -= (1 - smoothing) * picked
            if smoothing:
                smoothed -= smoothing * log_p.sum() / log_p.shape[1]
            if z_loss:
                smoothed += z_loss * log_z.square().sum()
            if wanted:
                grad = log_p.exp_()
                if z_loss:
                    grad *= 1 + 2 * z_loss * log_z
                grad -= smoothing / log_p.shape[1]
                grad.scatter_add_(1, ids, grad.new_full(ids.shape, smoothing - 1))
                grad = grad.to(dtype)
                torch.mm(grad, weight, out=hidden_grad[chunk])
                if dtype == exact:
                    weight_grad.addmm_(grad.T, hidden[chunk])
                else:
                    weight_grad += grad.T @ hidden[chunk]
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.mark_non_differentiable(nll)
        return smoothed, nll

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.saved_tensors  # type: ignore[attr-defined]
        return hidden_grad * grads[0], weight_grad * grads[0], None, None, None, None


def output_loss(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    gold: Int[Tensor, " N"],
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Loss:
    """Return the cross-entropy of softmax(hidden weight^T) against gold, summed over the N positions.

    smoothing: share of the probability spread evenly over the vocabulary (Szegedy et al. 2016, section 7). Equal to
    `cross_entropy(hidden @ weight.T, gold, label_smoothing=smoothing, reduction="sum")`, in memory of a few hundred
    rows of logits instead of N. z_loss: that times the squared logarithm of the softmax's sum is added, which keeps the
    logits from drifting (Chowdhery et al. 2022, section 5). Under autocast the products are in its type.
    """
    dtype = product_dtype(hidden)
    with torch.autocast(hidden.device.type, enabled=False):
        smoothed, nll = _ChunkedCrossEntropy.apply(hidden.contiguous(), weight, gold, smoothing, z_loss, dtype)
    return Loss(smoothed, nll, len(gold))
