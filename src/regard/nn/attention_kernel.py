"""Attention in bfloat16 on a CPU, where PyTorch's kernel spends its time on anything but the products."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from regard.nn.precision import for_products, product_dtype

MOST_KEYS = 256
"""Up to how many keys the weights are remembered: their memory grows with the square, as PyTorch's does not."""

FEWEST_KEYS = 16
"""The numbers in a wide vector register; over shorter rows PyTorch's softmax goes one by one, six times as slowly."""


def is_short(q: Float[Tensor, "B H T K"], k: Float[Tensor, "B H S K"]) -> bool:
    """Return whether `attend_short` is the one to take: more than one query, not too many keys, bfloat16 on a CPU.

    In float32 PyTorch's kernel was as fast where it was measured.
    """
    # Autocast's type counts: q may still be float32 and be rounded by the product only.
    here = q.device.type == "cpu" and product_dtype(q) == torch.bfloat16
    return here and q.shape[2] > 1 and k.shape[2] <= MOST_KEYS


def attend_short(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    keep: Bool[Tensor, "*#keep"] | None = None,
) -> Float[Tensor, "B H T K"]:
    """Return what `attend` returns, without the weights, which are remembered in the type of the products."""
    q, k, v = for_products(q), for_products(k), for_products(v)
    n_keys = k.shape[2]
    if (missing := FEWEST_KEYS - n_keys) > 0:
        k, v = F.pad(k, (0, 0, 0, missing)), F.pad(v, (0, 0, 0, missing))
        # A mask that is broadcast over the keys must have all of them before it can get more.
        keep = torch.ones(n_keys, dtype=torch.bool) if keep is None else keep.expand(*keep.shape[:-1], n_keys)
        keep = F.pad(keep, (0, missing))
    # Types are chosen by hand inside, since the backward pass runs outside of autocast.
    with torch.autocast(q.device.type, enabled=False):
        return _ShortAttention.apply(q, k, v, keep)


class _ShortAttention(torch.autograd.Function):
    """Products are taken in the type of q, k and v, the softmax and its backward pass in float32 at least.

    The latter takes ten times as long in bfloat16 where a row is no multiple of a register.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None) -> Tensor:
        exact = torch.promote_types(q.dtype, torch.float32)
        # k and v may be strided views of one projection, and both passes read them: they are copied once.
        q, k, v = q * q.shape[-1] ** -0.5, k.contiguous(), v.contiguous()
        energies = (q @ k.mT).to(exact)  # (B, H, T, S)
        if keep is not None:  # a sum takes a fifth of the time of a choice
            # The lowest number and not infinity: a row that keeps nothing stays finite, and is set to zero below.
            energies += torch.zeros(keep.shape, dtype=exact).masked_fill_(~keep, torch.finfo(exact).min)
        weights = energies.softmax(-1)
        if keep is not None and not (sees := keep.any(-1, keepdim=True)).all():
            weights *= sees
        weights = weights.to(q.dtype)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        exact = torch.promote_types(q.dtype, torch.float32)
        grad = grads[0].contiguous()
        by_weights = (grad @ v.mT).to(exact)
        # Private, but what autograd calls behind a softmax; the tests compare it with `attend`.
        by_energies = torch._softmax_backward_data(by_weights, weights.to(exact), -1, exact).to(q.dtype)
        # The q that was saved is scaled, so k's gradient is right as it is, and only q's own needs the factor.
        return (by_energies @ k).mul_(q.shape[-1] ** -0.5), by_energies.mT @ q, weights.mT @ grad, None
