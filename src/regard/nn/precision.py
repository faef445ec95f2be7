"""The type of numbers in which products are taken."""

import torch
from torch import Tensor


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the type in which a product with x is taken: autocast's, or else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def for_products(x: Tensor) -> Tensor:
    """Return x in the type in which products are taken, so that a loop that takes many with it converts it once."""
    return x.to(product_dtype(x))
