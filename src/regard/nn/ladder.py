"""Self-attention from the ground up, rung by rung: from bare dot products to the kernel that models run on.

Each rung is a few lines that can be read alone; it adds one idea to the rung before it, and `nn.ladder_proof`
shows that nothing else has changed. docs/ladder.md explains it. The models use `nn.attention`, the top of the ladder.
Rungs 1 to 8 follow Raschka, "Build a Large Language Model (From Scratch)", chapter 3.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def embed(words: Sequence[str], width: int, seed: int = 123) -> Float[Tensor, "T D"]:
    """Return a random vector for each word of a sentence, the same one for the same word."""
    # dict.fromkeys keeps the order of the words; a set would give them other vectors in every process.
    places = {word: i for i, word in enumerate(dict.fromkeys(words))}
    table = torch.rand(len(places), width, generator=torch.Generator().manual_seed(seed))
    return table[[places[word] for word in words]]


def similarity(x: Float[Tensor, "T D"]) -> tuple[Float[Tensor, "T D"], Float[Tensor, "T T"]]:
    """Rung 1. Return every token as a mean of all tokens, weighted by how similar they are; and the weights."""
    energies = x @ x.T
    weights = energies.softmax(dim=-1)
    return weights @ x, weights


# rand and not randn, as in the book, whose figures the tests repeat.
class Matrices(nn.Module):
    """Rung 2. Three trainable matrices make separate queries, keys and values."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.rand(width_in, width_out))
        self.key = nn.Parameter(torch.rand(width_in, width_out))
        self.value = nn.Parameter(torch.rand(width_in, width_out))

    def forward(self, x: Float[Tensor, "T D"]) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T T"]]:
        q, k, v = x @ self.query, x @ self.key, x @ self.value
        energies = q @ k.T / k.shape[-1] ** 0.5
        weights = energies.softmax(dim=-1)
        return weights @ v, weights


# No biases, as in the book; GPT-2 has some.
class LinearLayers(nn.Module):
    """Rung 3. The same with linear layers, which have better initial weights."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)

    def forward(self, x: Float[Tensor, "T D"]) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T T"]]:
        q, k, v = self.query(x), self.key(x), self.value(x)
        energies = q @ k.T / k.shape[-1] ** 0.5
        weights = energies.softmax(dim=-1)
        return weights @ v, weights


# The diagonal is kept, so no row is empty and minus infinity is safe; `nn.attention` has to handle empty rows.
class Causal(nn.Module):
    """Rung 4. A token attends only to itself and earlier tokens, so that it cannot see the next word."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)

    def forward(self, x: Float[Tensor, "T D"]) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T T"]]:
        q, k, v = self.query(x), self.key(x), self.value(x)
        energies = q @ k.T / k.shape[-1] ** 0.5
        keep = torch.ones_like(energies, dtype=torch.bool).tril()
        weights = energies.masked_fill(~keep, float("-inf")).softmax(dim=-1)
        return weights @ v, weights


class WithDropout(nn.Module):
    """Rung 5. In training some attention weights are dropped at random, so that the model relies on no single token."""

    def __init__(self, width_in: int, width_out: int, dropout_rate: float) -> None:
        super().__init__()
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: Float[Tensor, "T D"]) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T T"]]:
        q, k, v = self.query(x), self.key(x), self.value(x)
        energies = q @ k.T / k.shape[-1] ** 0.5
        keep = torch.ones_like(energies, dtype=torch.bool).tril()
        weights = energies.masked_fill(~keep, float("-inf")).softmax(dim=-1)
        weights = self.dropout(weights)
        return weights @ v, weights


# `.T` would reverse all axes: from here on only the last two are swapped.
class Batched(nn.Module):
    """Rung 6. Several sentences at once: only the last two axes are used, whatever comes before them."""

    def __init__(self, width_in: int, width_out: int, dropout_rate: float = 0.0) -> None:
        super().__init__()
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T K"]:
        q, k, v = self.query(x), self.key(x), self.value(x)
        energies = q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5  # (B, T, T)
        keep = torch.ones_like(energies, dtype=torch.bool).tril()
        weights = energies.masked_fill(~keep, float("-inf")).softmax(dim=-1)
        return self.dropout(weights) @ v


class StackedHeads(nn.Module):
    """Rung 7. Several heads side by side, each with weights of its own."""

    def __init__(self, width_in: int, width_head: int, n_heads: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Batched(width_in, width_head) for _ in range(n_heads))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T out"]:
        return torch.cat([head(x) for head in self.heads], dim=-1)


class MultiHead(nn.Module):
    """Rung 8. One product each for queries, keys and values of all heads; an output projection mixes the heads."""

    def __init__(self, width_in: int, width_out: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)
        self.output = nn.Linear(width_out, width_out)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T out"]:
        heads = (layer(x).unflatten(-1, (self.n_heads, -1)) for layer in (self.query, self.key, self.value))
        q, k, v = (y.transpose(1, 2) for y in heads)  # (B, H, T, K)
        energies = q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5  # (B, H, T, T)
        keep = torch.ones_like(energies, dtype=torch.bool).tril()
        weights = energies.masked_fill(~keep, float("-inf")).softmax(dim=-1)
        values = (weights @ v).transpose(1, 2).flatten(2)  # (B, T, out)
        return self.output(values)


# is_causal counts from the first key, so it needs as many queries as keys; `Cached` has one query.
class Fused(nn.Module):
    """Rung 9. The same in one kernel, which never stores the weights."""

    def __init__(self, width_in: int, width_out: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)
        self.output = nn.Linear(width_out, width_out)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T out"]:
        heads = (layer(x).unflatten(-1, (self.n_heads, -1)) for layer in (self.query, self.key, self.value))
        q, k, v = (y.transpose(1, 2) for y in heads)  # (B, H, T, K)
        values = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(values.transpose(1, 2).flatten(2))


class Cached(nn.Module):
    """Rung 10. One token at a time: keys and values of the tokens before it are cached, not computed again."""

    def __init__(self, width_in: int, width_out: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, width_out, bias=False)
        self.value = nn.Linear(width_in, width_out, bias=False)
        self.output = nn.Linear(width_out, width_out)

    def step(self, x: Float[Tensor, "B 1 D"], keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output for one token, and keys and values (B, H, T, K) with that token appended."""
        heads = (layer(x).unflatten(-1, (self.n_heads, -1)) for layer in (self.query, self.key, self.value))
        q, k, v = (y.transpose(1, 2) for y in heads)  # (B, H, 1, K)
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        attended = F.scaled_dot_product_attention(q, keys, values)  # all keys are of tokens before it: no mask
        return self.output(attended.transpose(1, 2).flatten(2)), keys, values

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T out"]:
        keys = values = x.new_empty(len(x), self.n_heads, 0, self.query.out_features // self.n_heads)
        outputs = []
        for token in x.split(1, dim=1):
            output, keys, values = self.step(token, keys, values)
            outputs.append(output)
        return torch.cat(outputs, dim=1)


# The mask is explicit, since is_causal has no span.
class Modern(nn.Module):
    """Rung 11. Groups of heads share keys and values; positions rotate queries and keys; a span limits the context."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        n_heads: int,
        n_groups: int,
        *,
        rotary: bool = True,
        span: int | None = None,
    ) -> None:
        super().__init__()
        self.width_head, self.n_heads, self.n_groups = width_out // n_heads, n_heads, n_groups
        self.rotary, self.span = rotary, span
        self.query = nn.Linear(width_in, width_out, bias=False)
        self.key = nn.Linear(width_in, n_groups * self.width_head, bias=False)
        self.value = nn.Linear(width_in, n_groups * self.width_head, bias=False)
        self.output = nn.Linear(width_out, width_out)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T out"]:
        heads = (layer(x).unflatten(-1, (-1, self.width_head)) for layer in (self.query, self.key, self.value))
        q, k, v = (y.transpose(1, 2) for y in heads)  # (B, H, T, K), and twice (B, groups, T, K)
        positions = torch.arange(x.shape[1], device=x.device)
        if self.rotary:
            frequencies = 10_000.0 ** -(torch.arange(0, self.width_head, 2).to(x) / self.width_head)
            angles = positions[:, None] * frequencies  # (T, half)
            q, k = turn(q, angles), turn(k, angles)
        k, v = (y.repeat_interleave(self.n_heads // self.n_groups, dim=1) for y in (k, v))
        distance = positions[:, None] - positions
        keep = (distance >= 0) if self.span is None else (distance >= 0) & (distance < self.span)
        values = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        return self.output(values.transpose(1, 2).flatten(2))


def turn(x: Float[Tensor, "B H T K"], angles: Float[Tensor, "T half"]) -> Float[Tensor, "B H T K"]:
    """Return x with every pair of numbers, one from each half of a head, rotated by its angle."""
    first, second = x.chunk(2, dim=-1)
    c, s = angles.cos(), angles.sin()
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)
