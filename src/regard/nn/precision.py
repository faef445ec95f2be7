"""The precision in which matrix products are computed."""

import torch
from torch import Tensor


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the type in which a product with x is computed: autocast's, otherwise that of x."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def for_products(x: Tensor) -> Tensor:
    """Return x in the type in which products are computed, so that a loop with many of them converts it only once."""
    return x.to(product_dtype(x))
