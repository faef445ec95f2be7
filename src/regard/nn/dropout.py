"""Dropout that spends its time on the product, not on drawing the mask."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class _Dropped(torch.autograd.Function):
    """x * mask * scale, storing one byte per element."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale  # type: ignore[attr-defined]
        return (x * mask).mul_(scale)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return (grads[0] * mask).mul_(ctx.scale), None, None  # type: ignore[attr-defined]


def random_keep(shape: torch.Size, n_dropped: int, device: torch.device) -> Tensor:
    """Return a mask of bytes that are 0 with probability n_dropped / 256, and 1 otherwise.

    Every draw of 64 bits gives eight random bytes; Bernoulli sampling on a CPU takes six times as long. Bytes, since a
    CPU compares them in place nine times as fast as into booleans, and multiplies by them twice as fast.
    """
    n_words = -(-shape.numel() // 8)
    # From torch's own generator, whose state a checkpoint stores. The bound is exclusive and cannot be 2^63 in int64:
    # one of the 2^64 words is never drawn.
    words = torch.randint(-(2**63), 2**63 - 1, (n_words,), dtype=torch.int64, device=device)
    return words.view(torch.uint8)[: shape.numel()].ge_(n_dropped).view(shape)


class Dropout(nn.Module):
    """Set a share of the elements to zero in training and scale up the rest; the rate is rounded to n / 256, below one.

    whole: a vector, which is the last axis, is set to zero as a whole or not at all.
    """

    def __init__(self, rate: float, *, whole: bool = False) -> None:
        super().__init__()
        # At 256 nothing would be left, and the scale would be infinite.
        self.n_dropped, self.whole = min(round(rate * 256), 255), whole

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.n_dropped == 0:
            return x
        shape = torch.Size([*x.shape[:-1], 1]) if self.whole else x.shape
        mask = random_keep(shape, self.n_dropped, x.device)
        return _Dropped.apply(x, mask, 256 / (256 - self.n_dropped))

    def extra_repr(self) -> str:
        return f"rate={self.n_dropped / 256:.4f}" + ", whole" * self.whole
