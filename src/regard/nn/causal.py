"""Causal self-attention of decoder-only models: over a whole sequence, or for one new position at a time."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from regard.nn.attention import attend, attend_fast, merge_heads, normed
from regard.nn.positions import rotate
from regard.nn.state import Reading
from regard.nn.trace import Trace

Turns = tuple[Float[Tensor, "*batch T half"], Float[Tensor, "*batch T half"]]
KeysValues = tuple[Float[Tensor, "B G L K"], Float[Tensor, "B G L K"]]


class CausalAttention(nn.Module):
    """Attention of every position to itself and the ones before it; one product makes queries, keys and values.

    Each of the n_kv_heads keys and values serves a group of heads (Ainslie et al. 2023). qk_norm normalises queries and
    keys (Henry et al. 2020).
    """

    def __init__(self, width: int, n_heads: int, n_kv_heads: int, *, bias: bool, qk_norm: bool) -> None:
        super().__init__()
        self.heads, self.width_head = [n_heads, n_kv_heads, n_kv_heads], width // n_heads
        self.qk_norm = qk_norm
        self.qkv = nn.Linear(width, sum(self.heads) * self.width_head, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)

    def project(
        self, x: Float[Tensor, "B L D"], turning: Turns | None
    ) -> tuple[Float[Tensor, "B H L K"], Float[Tensor, "B G L K"], Float[Tensor, "B G L K"]]:
        """Return queries, keys and values; queries and keys normalised and rotated as the settings say."""
        heads = self.qkv(x).unflatten(-1, (-1, self.width_head)).transpose(1, 2)  # (B, H + 2G, L, K)
        compared, v = heads.split([sum(self.heads[:2]), self.heads[2]], dim=1)  # queries and keys together
        if self.qk_norm:
            compared = normed(compared)
        if turning is not None:
            compared = rotate(compared, *turning)
        q, k = compared.split(self.heads[:2], dim=1)
        return q, k, v

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        turning: Turns | None,
        visible: Bool[Tensor, "B 1 L L"] | None,
        trace: Trace | None,
        name: str,
        n_source: int,
    ) -> tuple[Float[Tensor, "B L D"], KeysValues]:
        """Return the output, and the keys and values that later positions attend to.

        visible: which positions may be attended to; None means all up to its own. The first n_source positions are
        a source, whose weights a trace records separately.
        """
        q, k, v = self.project(x, turning)
        group = self.heads[0] // self.heads[1]
        # The kernels need as many heads of keys as of queries; the cache stores those of each group once.
        keys, values = (y.repeat_interleave(group, dim=1) if group > 1 else y for y in (k, v))
        if trace is None:
            attended = attend_fast(q, keys, values, visible, causal=visible is None)
        else:
            # Without a mask `attend` would attend to later positions: `GPT.read` makes one for a trace.
            attended, weights = attend(q, keys, values, visible)
            if n_source:
                trace.record(f"{name}.source", weights[:, :, :n_source, :n_source])  # (B, H, S, S)
            trace.record(f"{name}.context", weights[:, :, n_source:])  # (B, H, T, S + T)
        return self.output(merge_heads(attended)), (k, v)

    def read(
        self, x: Float[Tensor, "R T D"], turning: Turns | None, reading: Reading, name: str
    ) -> Float[Tensor, "R T D"]:
        """Return the output for new tokens, which attend to the ones before them and to themselves."""
        return self.output(merge_heads(reading.attend(name, *self.project(x, turning))))
