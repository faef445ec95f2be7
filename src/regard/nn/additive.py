"""Additive attention, the first kind of attention."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from regard.nn.attention import softmax_where


class AdditiveAttention(nn.Module):
    """Attention whose energies are v . tanh(W q + U k). Bahdanau et al. 2014, section 3.1 and appendix A.1.2."""

    def __init__(self, query_width: int, key_width: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, width, bias=False)
        self.key = nn.Linear(key_width, width, bias=False)
        # As PyTorch initialises a linear layer with this many inputs.
        self.energy = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def forward(
        self,
        queries: Float[Tensor, "B T H"],
        keys: Float[Tensor, "B S A"],
        values: Float[Tensor, "B S C"],
        keep: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B T S"]]:
        """Return contexts and weights. keys are already projected by `key`, once per sentence."""
        # In place: the gradient of tanh needs its output, that of a sum needs nothing.
        hidden = (self.query(queries)[:, :, None] + keys[:, None]).tanh_()  # (B, T, S, A)
        weights = softmax_where(hidden @ self.energy, keep[:, None])  # (B, T, S)
        return weights @ values, weights
