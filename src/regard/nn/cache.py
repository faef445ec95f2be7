"""Attention of a few new positions to keys and values that are stored already."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

MOST_CELLS = 96
"""Up to how many keys two batched products take less time than PyTorch's kernel, for several queries a sentence."""


def attend_cached(
    q: Float[Tensor, "N H Q K"],
    keys: Float[Tensor, "N G L K"],
    values: Float[Tensor, "N G L K"],
    bias: Float[Tensor, "N H Q L"],
) -> Float[Tensor, "N H Q K"]:
    """Return what `attend` returns, without the weights, for few queries and any number of keys.

    bias: zero where a query may attend to a key and minus infinity elsewhere; every query may attend to one at least.
    Each of the G heads of keys and values serves H / G heads of queries (Ainslie et al. 2023).
    """
    n, heads, n_queries, width = q.shape
    group = heads // keys.shape[1]
    if q.device.type != "cpu" or q.dtype == torch.bfloat16 or (n_queries > 1 and keys.shape[2] > MOST_CELLS):
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=bias, enable_gqa=group > 1)
    # Head h is in group h // (H / G), so the heads of a group are next to each other: more queries of one product.
    queries = q.reshape(-1, group * n_queries, width)  # (N * G, H / G * Q, K)
    scale = width**-0.5
    energies = torch.baddbmm(bias.reshape(*queries.shape[:2], -1), queries, keys.flatten(0, 1).mT, alpha=scale)
    return torch.bmm(energies.softmax(-1), values.flatten(0, 1)).view(n, heads, n_queries, width)


def for_heads(bias: Float[Tensor, "N 1 Q L"], n_heads: int) -> Float[Tensor, "N H Q L"]:
    """Return a mask that all heads share, once for each of them, as the batched product adds it."""
    return bias.expand(-1, n_heads, -1, -1).contiguous()


def bias_of(keep: Bool[Tensor, "N S"], n_queries: int, n_heads: int, dtype: torch.dtype) -> Float[Tensor, "N H Q S"]:
    """Return the mask of a source, in which every query attends to the same keys: zero or minus infinity."""
    bias = torch.zeros(keep.shape, dtype=dtype, device=keep.device).masked_fill_(~keep, float("-inf"))
    return bias[:, None, None].expand(-1, n_heads, n_queries, -1).contiguous()
