"""The output layer: from hidden states to logits, without the ids that no model generates."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def logits_of(hidden: Float[Tensor, "*lead D"], weight: Float[Tensor, "V D"], never: slice) -> Float[Tensor, "*lead V"]:
    """Return the logits hidden weight^T. The logits of ids that are never generated are minus infinity."""
    logits = F.linear(hidden, weight)
    if never.start < never.stop:
        logits[..., never] = float("-inf")  # in place: the backward pass of a product does not need its result
    return logits
