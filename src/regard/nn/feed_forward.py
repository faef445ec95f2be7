"""The feed-forward layer of Transformers, with the nonlinearities it has had."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from regard.nn.dropout import Dropout

Activation = Literal["relu", "gelu", "squared_relu", "swiglu"]


class FeedForward(nn.Module):
    """Two linear layers with a nonlinearity between them, or three where one gates another.

    ReLU: Vaswani et al. 2017, equation 2. GELU: in GPT-2's approximation by tanh. Squared ReLU: So et al. 2021. SwiGLU:
    Shazeer 2020, equation 6.
    """

    def __init__(
        self, width: int, inner_width: int, activation: Activation, *, bias: bool = True, dropout_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.activation = activation
        self.inner = nn.Linear(width, inner_width * (2 if activation == "swiglu" else 1), bias=bias)
        self.outer = nn.Linear(inner_width, width, bias=bias)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.outer(self.dropout(self.activated(self.inner(x))))

    def activated(self, inner: Float[Tensor, "B T I"]) -> Float[Tensor, "B T O"]:
        """Return what the second layer reads."""
        match self.activation:
            case "relu":
                return F.relu(inner)
            case "gelu":
                return F.gelu(inner, approximate="tanh")
            case "squared_relu":
                return F.relu(inner).square()
            case "swiglu":
                gate, value = inner.chunk(2, dim=-1)  # one product has made both
                return F.silu(gate) * value
