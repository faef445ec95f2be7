"""A trace, which records attention weights for inspection. It knows names and tensors, no words."""

from jaxtyping import Float
from torch import Tensor


class Trace:
    """Collects the attention weights of one forward pass; it is passed down from layer to layer.

    `weights` maps a name such as `decoder.3.cross` to a tensor (B, H, T, S), in the order of recording. Nothing is
    detached or copied, so gradients can be taken through what was recorded.
    """

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def record(self, name: str, weights: Float[Tensor, "B H T S"]) -> None:
        """Record the weights of one attention. Raises ValueError if the name was recorded before."""
        if name in self.weights:
            raise ValueError(f"{name} was recorded twice; every attention of a forward pass needs a name of its own.")
        self.weights[name] = weights
