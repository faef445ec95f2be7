"""Positions: added as sinusoids, or applied to queries and keys as rotations."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def sinusoids(positions: Int[Tensor, "*shape"], width: int) -> Float[Tensor, "*shape {width}"]:
    """Return sin and cos of the positions at geometrically falling frequencies.

    Vaswani et al. 2017, section 3.5; sines fill the first half of the width and cosines the second, a permutation of
    the paper's interleaving that makes no difference to a linear layer. width must be even.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=positions.device) * (-math.log(10_000) / half))
    angles = positions[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def turns(
    positions: Int[Tensor, "*shape"], width: int, base: float = 10_000.0
) -> tuple[Float[Tensor, "*shape half"], Float[Tensor, "*shape half"]]:
    """Return cosines and sines of the angles by which `rotate` rotates each pair of a head of that (even) width.

    Su et al. 2021, "RoFormer", equation 15: angles fall geometrically from one radian per position.
    """
    frequencies = base ** (-torch.arange(0, width, 2, device=positions.device) / width)
    angles = positions[..., None] * frequencies  # radians in float32: at position 2^20 off by up to .1
    return angles.cos(), angles.sin()


def rotate(
    x: Float[Tensor, "B H T K"], cosines: Float[Tensor, "#B T half"], sines: Float[Tensor, "#B T half"]
) -> Float[Tensor, "B H T K"]:
    """Return queries or keys rotated by their position, so that a dot product of two depends only on their distance.

    Each pair has one number from either half of the head, not two neighbours as in the paper: a permutation that makes
    no difference to the layers before.
    """
    first, second = x.chunk(2, dim=-1)
    # Only cosines and sines are rounded to x's type: bfloat16 could not even represent all positions beyond 256.
    c, s = cosines[:, None].to(x.dtype), sines[:, None].to(x.dtype)
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)


def tabulated_sinusoids(positions: Int[Tensor, "*shape"], last: int, width: int) -> Float[Tensor, "*shape {width}"]:
    """Return what `sinusoids` returns, from a table; last: the largest of the positions, known without asking."""
    return F.embedding(positions, _sinusoids_up_to(_rounded(last), width, positions.device))


def tabulated_turns(
    positions: Int[Tensor, "*shape"], last: int, width: int
) -> tuple[Float[Tensor, "*shape half"], Float[Tensor, "*shape half"]]:
    """Return what `turns` returns, from a table; last: the largest of the positions, known without asking."""
    cosines, sines = _turns_up_to(_rounded(last), width, positions.device)
    return F.embedding(positions, cosines), F.embedding(positions, sines)


def _rounded(last: int) -> int:
    """Return the next power of two, at least 256, so that there are few tables."""
    return max(256, 1 << last.bit_length())


# Outside inference mode, whose tensors no gradient may go through.
@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _sinusoids_up_to(n: int, width: int, device: torch.device) -> Tensor:
    return sinusoids(torch.arange(n, device=device), width)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _turns_up_to(n: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return turns(torch.arange(n, device=device), width)
