"""Attention as pure functions, and the two layers made of them.

`attend` is the definition, which computes the weights explicitly. `attend_fast` uses the fastest kernel available,
which is proven equal to it. `attend` runs if a trace is passed in, otherwise `attend_fast`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from regard.nn.attention_kernel import attend_short, is_short
from regard.nn.cache import attend_cached
from regard.nn.state import Reading
from regard.nn.trace import Trace


def attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    keep: Bool[Tensor, "*#keep"] | None = None,
) -> tuple[Float[Tensor, "B H T K"], Float[Tensor, "B H T S"]]:
    """Return the attended values and the weights that made them: softmax(q k^T / sqrt(K)) v.

    keep is True where a query may attend to a key, and broadcasts to (B, H, T, S). A query that may attend to nothing
    gets zeros. Vaswani et al. 2017, equation 1.
    """
    energies = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5  # (B, H, T, S)
    weights = softmax_where(energies, keep)
    return weights @ v, weights


def attend_fast(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    keep: Bool[Tensor, "*#keep"] | None = None,
    *,
    causal: bool = False,
) -> Float[Tensor, "B H T K"]:
    """Return what `attend` returns, without the weights, from PyTorch's fused kernel or `attend_short`.

    causal: replaces a mask that keeps the lower triangle, for as many queries as keys; PyTorch's kernel then skips half
    the work. There is no dropout on the weights: on a CPU that kernel is fused only without it. Its backward pass there
    takes six times as long in bfloat16 as in float32, so it is given float32.
    """
    assert not causal or (keep is None and q.shape[2] == k.shape[2]), "the kernel's causal mask is aligned top-left"
    if is_short(q, k):
        # No device is given: `is_short` implies the CPU.
        lower = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril() if causal else keep
        return attend_short(q, k, v, lower)
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            return attend_fast(q.float(), k.float(), v.float(), keep, causal=causal).to(q.dtype)
    # This kernel, too, gives zeros for a row that keeps nothing; a test checks that.
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keep, is_causal=causal)


def softmax_where(energies: Float[Tensor, "*shape"], keep: Bool[Tensor, "*#keep"] | None) -> Float[Tensor, "*shape"]:
    """Return the softmax over the last axis among the kept entries; a row that keeps nothing gives zeros."""
    if keep is None:
        return energies.softmax(-1)
    # In the backward pass this fill also stops the NaN of an empty row.
    weights = energies.masked_fill(~keep, float("-inf")).softmax(-1)
    return weights.masked_fill(~keep, 0.0)  # also turns the NaN of an empty row into zeros


def attend_traced(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, trace: Trace | None, name: str) -> Tensor:
    """Return the attended values. With a trace, they come from `attend`, and the weights are recorded as `name`."""
    if trace is None:
        return attend_fast(q, k, v, keep)
    values, weights = attend(q, k, v, keep)
    trace.record(name, weights)
    return values


def split_heads(x: Float[Tensor, "B T D"], n_heads: int) -> Float[Tensor, "B H T K"]:
    """Return x with its width split into heads."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def normed(x: Float[Tensor, "B H T K"]) -> Float[Tensor, "B H T K"]:
    """Return each vector with a mean square of one (Zhang and Sennrich 2019)."""
    return F.rms_norm(x, x.shape[-1:])


def merge_heads(x: Float[Tensor, "B H T K"]) -> Float[Tensor, "B T D"]:
    """Return the heads side by side again."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself; one product makes queries, keys and values.

    qk_norm normalises queries and keys (Henry et al. 2020).
    """

    def __init__(self, width: int, n_heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        self.n_heads, self.qk_norm = n_heads, qk_norm
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def project(self, x: Float[Tensor, "B T D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (B, H, T, K)."""
        heads = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, H, T, K)
        q, k, v = heads.unbind(0)
        return (normed(q), normed(k), v) if self.qk_norm else (q, k, v)

    def forward(
        self, x: Float[Tensor, "B T D"], keep: Bool[Tensor, "*#keep"] | None, trace: Trace | None, name: str
    ) -> Float[Tensor, "B T D"]:
        q, k, v = self.project(x)
        return self.output(merge_heads(attend_traced(q, k, v, keep, trace, name)))

    def read(self, x: Float[Tensor, "R T D"], reading: Reading, name: str) -> Float[Tensor, "R T D"]:
        """Return the output for new tokens, which attend to the ones before them and to themselves."""
        return self.output(merge_heads(reading.attend(name, *self.project(x))))


class CrossAttention(nn.Module):
    """Multi-head attention of a target sequence to a source sequence. qk_norm normalises queries and keys."""

    def __init__(self, width: int, n_heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        self.n_heads, self.qk_norm = n_heads, qk_norm
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def keys_values(self, memory: Float[Tensor, "B S D"]) -> tuple[Tensor, Tensor]:
        """Return the source's keys and values, each (B, H, S, K); in decoding they are computed once per sentence."""
        heads = self.key_value(memory).unflatten(-1, (2, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # (2, B, H, S, K)
        keys, values = heads.unbind(0)
        return normed(keys) if self.qk_norm else keys, values

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        keys: Float[Tensor, "B H S K"],
        values: Float[Tensor, "B H S K"],
        keep: Bool[Tensor, "*#keep"] | None,
        trace: Trace | None,
        name: str,
    ) -> Float[Tensor, "B T D"]:
        q = split_heads(self.query(x), self.n_heads)
        q = normed(q) if self.qk_norm else q
        return self.output(merge_heads(attend_traced(q, keys, values, keep, trace, name)))

    def read(
        self, x: Float[Tensor, "R T D"], reading: Reading, name: str, bias: Float[Tensor, "N H Q S"]
    ) -> Float[Tensor, "R T D"]:
        """Return the output for new tokens, which attend to the keys and values of their sentence's source."""
        q = split_heads(self.query(x), self.n_heads)
        q = reading.by_sentence(normed(q) if self.qk_norm else q)
        source = reading.state.sentences
        attended = attend_cached(q, source[f"{name}.keys"], source[f"{name}.values"], bias)
        return self.output(merge_heads(reading.by_row(attended)))
