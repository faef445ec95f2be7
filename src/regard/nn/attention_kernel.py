"""Attention in bfloat16 on a CPU, where PyTorch's kernel spends most of its time outside the products."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from regard.nn.precision import for_products, product_dtype

MOST_KEYS = 256
"""Up to how many keys the weights are stored: their memory grows quadratically, unlike that of PyTorch's kernel."""

FEWEST_KEYS = 16
"""The numbers in a wide vector register; on shorter rows PyTorch's softmax is not vectorised, and six times slower."""


def is_short(q: Float[Tensor, "B H T K"], k: Float[Tensor, "B H S K"]) -> bool:
    """Return whether to use `attend_short`: more than one query, not too many keys, bfloat16 on a CPU.

    In float32 PyTorch's kernel was measured to be as fast.
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
    """Return what `attend` returns, without the weights, which are stored in the type of the products."""
    q, k, v = for_products(q), for_products(k), for_products(v)
    n_keys = k.shape[2]
    if (missing := FEWEST_KEYS - n_keys) > 0:
        k, v = F.pad(k, (0, 0, 0, missing)), F.pad(v, (0, 0, 0, missing))
        # A mask that is broadcast over the keys must be expanded before it can be padded.
        keep = torch.ones(n_keys, dtype=torch.bool) if keep is None else keep.expand(*keep.shape[:-1], n_keys)
        keep = F.pad(keep, (0, missing))
    # Types are chosen by hand inside, since the backward pass runs outside of autocast.
    with torch.autocast(q.device.type, enabled=False):
        return _ShortAttention.apply(q, k, v, keep)


class _ShortAttention(torch.autograd.Function):
    """Products are computed in the type of q, k and v, the softmax and its backward pass in at least float32.

    The latter takes ten times as long in bfloat16 if a row is not a multiple of a register.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None) -> Tensor:
        exact = torch.promote_types(q.dtype, torch.float32)
        # k and v may be strided views of one projection, and both passes read them: they are copied once.
        q, k, v = q * q.shape[-1] ** -0.5, k.contiguous(), v.contiguous()
        energies = (q @ k.mT).to(exact)  # (B, H, T, S)
        if keep is not None:  # adding takes a fifth of the time of selecting
            # The lowest number, not infinity: a row that keeps nothing stays finite, and is set to zero below.
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
        # A private function, but the one that autograd calls for a softmax; the tests compare the result with `attend`.
        by_energies = torch._softmax_backward_data(by_weights, weights.to(exact), -1, exact).to(q.dtype)
        # The q that was saved is scaled, so k's gradient is right as it is, and only q's own needs the factor.
        return (by_energies @ k).mul_(q.shape[-1] ** -0.5), by_energies.mT @ q, weights.mT @ grad, None
