"""Positions as sinusoids."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sinusoids(positions: Int[Tensor, "*shape"], width: int) -> Float[Tensor, "*shape {width}"]:
    """Return sin and cos of the positions at geometrically falling frequencies.

    Vaswani et al. 2017, section 3.5; sines fill the first half of the width and cosines the second, a permutation of
    the paper's interleaving that no linear layer can tell apart. width must be even.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=positions.device) * (-math.log(10_000) / half))
    angles = positions[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
