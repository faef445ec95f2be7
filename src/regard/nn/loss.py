"""The output layer and its loss in one function, so that the logits of a whole batch are never in memory."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from regard.nn.precision import product_dtype

CHUNK_ROWS = 256
"""How many rows of logits are in memory at once; 64 to 512 were measured to be equally fast."""

NOTHING = slice(0, 0)


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums over target positions, in nats; divide by `n_tokens` for means.

    smoothed: the quantity to minimise, including the z-loss. nll: the negative log-likelihood of the gold tokens
    (without gradient).
    """

    smoothed: Tensor
    nll: Tensor
    n_tokens: int

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.smoothed + other.smoothed, self.nll + other.nll, self.n_tokens + other.n_tokens)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are computed in the forward pass, while a chunk's logits are in the cache.

    hidden (P, N, D): for two passes over the same positions the means are returned, plus r_drop times their difference.
    Products are computed in `dtype`, the softmax and all sums in at least float32. never: ids that are excluded from
    the softmax. wanted: whether gradients are needed.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        gold: Tensor,
        smoothing: float,
        z_loss: float,
        r_drop: float,
        never: slice,
        dtype: torch.dtype,
        wanted: bool,
    ) -> tuple[Tensor, ...]:
        exact = torch.promote_types(dtype, torch.float32)  # float64 stays, so that proofs can be more exact
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        n_passes, n, _ = hidden.shape
        hidden_grad = torch.empty_like(hidden)
        weight_grad = weight.new_zeros(len(weight) if wanted else 0, weight.shape[1], dtype=exact)
        smoothed, nll = hidden.new_zeros((), dtype=exact), hidden.new_zeros((), dtype=exact)
        # A chunk has both passes of its positions, the first before the second: `_held_together` splits it in halves.
        for start in range(0, n, CHUNK_ROWS // n_passes):
            chunk = slice(start, start + CHUNK_ROWS // n_passes)
            read = hidden[:, chunk].flatten(0, 1)  # (rows, D)
            ids = gold[chunk].repeat(n_passes)[:, None]  # (rows, 1)
            logits = (read @ weight.T).to(exact)  # (rows, V)
            logits[:, never] = torch.finfo(exact).min  # not infinity, whose differences are NaN
            chunk_smoothed, chunk_nll, grad = _chunk_loss(logits, ids, smoothing, z_loss, r_drop)
            smoothed += chunk_smoothed
            nll += chunk_nll
            if wanted:
                grad = grad.to(dtype)
                hidden_grad[:, chunk] = (grad @ weight).unflatten(0, (n_passes, -1))
                # addmm_ adds products of its own type only.
                if dtype == exact:
                    weight_grad.addmm_(grad.T, read)
                else:
                    weight_grad += grad.T @ read
        if smoothing:  # the mean of a position's logits is linear, so that of all positions needs no logits
            share = smoothing / (len(weight) - (never.stop - never.start))
            hidden_sum = hidden.sum((0, 1), dtype=exact)
            weight_sum = weight.sum(0, dtype=exact) - weight[never].sum(0, dtype=exact)
            smoothed -= share * hidden_sum.dot(weight_sum)
            hidden_grad -= share * weight_sum
            weight_grad -= share * hidden_sum
            weight_grad[never] = 0  # their logits are not in the mean
        for total in (smoothed, nll, hidden_grad, weight_grad):
            # In place, so that the tensors themselves change.
            total /= n_passes
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.mark_non_differentiable(nll)
        return smoothed, nll

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.saved_tensors  # type: ignore[attr-defined]
        # In the type of the products; autograd converts them to those of the inputs.
        return hidden_grad * grads[0], weight_grad * grads[0], *[None] * 7


def _chunk_loss(
    logits: Float[Tensor, "rows V"], ids: Int[Tensor, "rows 1"], smoothing: float, z_loss: float, r_drop: float
) -> tuple[Tensor, Tensor, Float[Tensor, "rows V"]]:
    """Return some positions' loss, their negative log-likelihood, and the loss's gradient with respect to the logits.

    The smoothing term with the mean of a position's logits is left out of loss and gradient.
    """
    p = logits.softmax(-1)  # not its logarithm, whose exponential takes longer than a softmax
    # The highest probability is at least 1 / V, so that its logarithm is finite.
    likeliest, log_highest = logits.amax(-1, keepdim=True), p.amax(-1, keepdim=True).log()  # (rows, 1)
    log_z = likeliest - log_highest  # (rows, 1), the logarithm of the softmax's sum
    # In this order: where gold is the likeliest, the first difference is zero, and the rest keeps all its digits.
    nll = (likeliest - logits.gather(1, ids) - log_highest).sum()
    smoothed = (1 - smoothing) * nll + smoothing * log_z.sum() + z_loss * log_z.square().sum()
    slope = 1 + 2 * z_loss * log_z  # (rows, 1), the factor of p in the gradient
    if r_drop:
        # Halved here and once more with the mean of the passes: r_drop / 4.
        apart, grad = _held_together(logits, log_z, p, r_drop / 2, slope)
        smoothed += apart
    else:
        grad = p.mul_(slope) if z_loss else p
    return smoothed, nll, grad.scatter_add_(1, ids, grad.new_full(ids.shape, smoothing - 1))


def _held_together(
    logits: Float[Tensor, "rows V"],
    log_z: Float[Tensor, "rows 1"],
    p: Float[Tensor, "rows V"],
    weight: float,
    slope: Float[Tensor, "rows 1"],
) -> tuple[Tensor, Float[Tensor, "rows V"]]:
    """Return weight times the KL divergence, in both directions, between the two halves of the rows; and a gradient.

    The gradient is with respect to the logits, of that plus a loss whose own gradient is slope times p, their softmax.
    """
    ratio = torch.sub(*logits.chunk(2)).sub_(torch.sub(*log_z.chunk(2)))  # (rows / 2, V), log(first / second)
    first, second = p.chunk(2)
    there = (first * ratio).sum(1, keepdim=True)  # (rows / 2, 1), KL(first || second)
    back = -(second * ratio).sum(1, keepdim=True)  # KL(second || first)
    # With respect to the first's logits, KL(first || second) has the gradient first * (ratio - there), and
    # KL(second || first) has first - second. For the second's logits it is the same, with the sign of ratio reversed.
    ratio *= weight
    slope = slope + weight * (1 - torch.cat([there, back]))
    grad = torch.cat([slope[: len(ratio)] + ratio, slope[len(ratio) :] - ratio]).mul_(p)
    for mine, other in zip(grad.chunk(2), (second, first), strict=True):
        mine.sub_(other, alpha=weight)
    return weight * (there + back).sum(), grad


def output_loss(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    gold: Int[Tensor, " N"],
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    never: slice = NOTHING,
) -> Loss:
    """Return the cross-entropy of softmax(hidden weight^T) against gold, summed over the N positions.

    smoothing: share of the probability spread evenly over the vocabulary (Szegedy et al. 2016, section 7). Equal to
    `cross_entropy(hidden @ weight.T, gold, label_smoothing=smoothing, reduction="sum")`, with memory for a few hundred
    rows of logits instead of N. z_loss: weight of the squared logarithm of the softmax's normaliser, which is added and
    keeps the logits from drifting (Chowdhery et al. 2022, section 5). never: ids that are excluded from the softmax and
    from the smoothing. Under autocast the products are in its type.
    """
    return _loss(hidden[None], weight, gold, smoothing, z_loss, 0.0, never)


def consistent_loss(
    hidden: Float[Tensor, "2 N D"],
    weight: Float[Tensor, "V D"],
    gold: Int[Tensor, " N"],
    r_drop: float,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    never: slice = NOTHING,
) -> Loss:
    """Return the mean loss of two passes over the same N positions, plus the difference between them (R-Drop).

    It is the mean of both passes' `output_loss`, plus r_drop / 4 times KL(p || q) + KL(q || p), where p and q are the
    distributions that the two passes, with different dropout, give for a position. Liang et al. 2021, equations 2 to 4,
    halved, so that it is a mean over passes; r_drop is their alpha.
    """
    return _loss(hidden, weight, gold, smoothing, z_loss, r_drop, never)


def _loss(
    hidden: Tensor, weight: Tensor, gold: Tensor, smoothing: float, z_loss: float, r_drop: float, never: slice
) -> Loss:
    dtype = product_dtype(hidden)
    # Checked here, since inside a Function gradients are always off.
    wanted = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    with torch.autocast(hidden.device.type, enabled=False):
        smoothed, nll = _ChunkedCrossEntropy.apply(
            hidden, weight, gold, smoothing, z_loss, r_drop, never, dtype, wanted
        )
    return Loss(smoothed, nll, len(gold))
