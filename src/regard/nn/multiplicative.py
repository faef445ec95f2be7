"""Multiplicative attention: a state and a key are compared by their dot product."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from regard.nn.attention import softmax_where


class MultiplicativeAttention(nn.Module):
    """Attention whose energies are q . (W h), or q . h without a projection. Luong et al. 2015, equation 8.

    project: the score they call "general"; without it "dot", for which queries and memory must have the same width.
    """

    def __init__(self, query_width: int, memory_width: int, *, project: bool) -> None:
        super().__init__()
        assert project or query_width == memory_width, "a dot product needs two vectors of the same width"
        self.key = nn.Linear(memory_width, query_width, bias=False) if project else nn.Identity()

    def forward(
        self,
        queries: Float[Tensor, "B T H"],
        keys: Float[Tensor, "B S H"],
        values: Float[Tensor, "B S C"],
        keep: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B T S"]]:
        """Return contexts and weights. keys are already projected by `key`, once per sentence."""
        # Not divided by the square root of the width: Luong et al. do not.
        weights = softmax_where(queries @ keys.transpose(1, 2), keep[:, None])  # (B, T, S)
        return weights @ values, weights
