"""Every pair of rungs of the ladder that must be equal, on the same weights: outputs and gradients."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from regard.nn.ladder import (
    Batched,
    Cached,
    Causal,
    Fused,
    LinearLayers,
    Matrices,
    Modern,
    MultiHead,
    StackedHeads,
    WithDropout,
)

WIDTH, N_HEADS, N_GROUPS = 8, 4, 2
"""Width of the output, its heads, and the groups that share keys and values."""


@dataclass(frozen=True)
class Comparison:
    """Two rungs on the same weights: outputs, and gradients of their squares with respect to input and weights."""

    name: str
    outputs: tuple[Tensor, Tensor]
    gradients: tuple[list[Tensor], list[Tensor]]


class Weights:
    """A sentence, and random weights by their names in the rungs; gradients are with respect to all of them."""

    def __init__(self, x: Float[Tensor, "T D"], seed: int) -> None:
        self.x = x.detach().clone().requires_grad_()
        # Also backwards, so that a rung that mixes up its sentences is detected.
        self.sentences = torch.stack([self.x, self.x.flip(0)])  # (B, T, D)
        random = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            # In float64 on the CPU: the same weights in every precision and on every device.
            return (torch.rand(*shape, generator=random, dtype=torch.float64) - 0.5).to(x).requires_grad_()

        wide, narrow = (WIDTH, x.shape[1]), (WIDTH * N_GROUPS // N_HEADS, x.shape[1])
        self.three = {f"{name}.weight": drawn(*wide) for name in ("query", "key", "value")}
        self.mixed = {**self.three, "output.weight": drawn(WIDTH, WIDTH), "output.bias": drawn(WIDTH)}
        self.grouped = {**self.mixed, "key.weight": drawn(*narrow), "value.weight": drawn(*narrow)}

    def head(self, i: int) -> dict[str, Tensor]:
        """Return the part of the weights that is one head."""
        return {name: weight.unflatten(0, (N_HEADS, -1))[i] for name, weight in self.three.items()}

    def compare(self, name: str, leaves: dict[str, Tensor], one: Tensor, other: Tensor) -> Comparison:
        """Return two outputs with their gradients with respect to the sentence and the weights they were made from."""
        by = [self.x, *leaves.values()]
        # No norm follows, so squares suffice (see `proof`). The graph is kept: an output is in several comparisons.
        first, second = (list(torch.autograd.grad(y.square().sum(), by, retain_graph=True)) for y in (one, other))
        return Comparison(name, (one.detach(), other.detach()), (first, second))


def comparisons(x: Float[Tensor, "T D"], seed: int = 123) -> list[Comparison]:
    """Return every pair of rungs that must be equal, on a sentence, in its precision and on its device.

    x: at least two tokens. seed: of the weights.
    """
    weights = Weights(x, seed)
    return [*up_to_a_batch(weights), *up_to_the_kernel(weights), *up_to_today(weights)]


def up_to_a_batch(w: Weights) -> list[Comparison]:
    """Return rungs 2 to 6: one head."""
    width, three, x = w.x.shape[1], w.three, w.x
    # `Matrices` multiplies from the right: (in, out), where a linear layer has (out, in).
    matrices = {name.removesuffix(".weight"): weight.T for name, weight in three.items()}
    layers, causal = LinearLayers(width, WIDTH), Causal(width, WIDTH)
    in_layers, in_causal = call(layers, three, x), call(causal, three, x)
    prefixes = torch.stack([call(layers, three, x[: t + 1])[-1] for t in range(len(x))])
    dropped = call(WithDropout(width, WIDTH, 0.5).eval(), three, x)
    in_batch = call(Batched(width, WIDTH), three, w.sentences)
    alone = torch.stack([call(causal, three, sentence) for sentence in w.sentences])
    return [
        w.compare("3 = 2: linear layers are matrices", three, in_layers, call(Matrices(width, WIDTH), matrices, x)),
        w.compare("4 = 3: each token sees the sentence up to itself", three, in_causal, prefixes),
        w.compare("5 = 4: no dropout outside training", three, dropped, in_causal),
        w.compare("6 = 5: a batch is its sentences", three, in_batch, alone),
    ]


def up_to_the_kernel(w: Weights) -> list[Comparison]:
    """Return rungs 7 to 10: several heads."""
    width, three, mixed, x = w.x.shape[1], w.three, w.mixed, w.sentences
    heads = {f"heads.{i}.{name}": weight for i in range(N_HEADS) for name, weight in w.head(i).items()}
    stacked = call(StackedHeads(width, WIDTH // N_HEADS, N_HEADS), heads, x)
    aside = torch.cat([call(Batched(width, WIDTH // N_HEADS), w.head(i), x) for i in range(N_HEADS)], dim=-1)
    # Stacked heads have no output projection; the identity is as good as none.
    unmixed = {**three, "output.weight": torch.eye(WIDTH).to(x), "output.bias": torch.zeros(WIDTH).to(x)}
    multi = MultiHead(width, WIDTH, N_HEADS)
    fused = call(Fused(width, WIDTH, N_HEADS), mixed, x)
    return [
        w.compare("7 = 6: stacked heads are heads side by side", three, stacked, aside),
        w.compare("8 = 7: one product split into heads", three, call(multi, unmixed, x), stacked),
        w.compare("9 = 8: the fused kernel", mixed, fused, call(multi, mixed, x)),
        w.compare("10 = 9: one token at a time", mixed, call(Cached(width, WIDTH, N_HEADS), mixed, x), fused),
    ]


def up_to_today(w: Weights) -> list[Comparison]:
    """Return rung 11: without anything new it equals rung 9, and each of its additions has an equivalent."""
    width, mixed, grouped, x = w.x.shape[1], w.mixed, w.grouped, w.sentences
    plain = call(Modern(width, WIDTH, N_HEADS, N_HEADS, rotary=False), mixed, x)
    shared = call(Modern(width, WIDTH, N_HEADS, N_GROUPS, rotary=False), grouped, x)
    repeated = {**grouped, **{f"{name}.weight": of_groups(grouped[f"{name}.weight"]) for name in ("key", "value")}}
    # The first token has nothing before it: pairs begin at the second.
    spanned = call(Modern(width, WIDTH, N_HEADS, N_GROUPS, span=2), grouped, x)[:, 1:]
    whole = Modern(width, WIDTH, N_HEADS, N_GROUPS)
    # Every pair starts again at position 0, so this also shows that rotated keys depend on distances only.
    twos = torch.cat([call(whole, grouped, x[:, t - 1 : t + 1])[:, 1:] for t in range(1, x.shape[1])], dim=1)
    fused, multi = Fused(width, WIDTH, N_HEADS), MultiHead(width, WIDTH, N_HEADS)
    return [
        w.compare("11 = 9: a group for each head, no rotation, no span", mixed, plain, call(fused, mixed, x)),
        w.compare("11 = 8: shared keys and values are repeated ones", grouped, shared, call(multi, repeated, x)),
        w.compare("11 = 11: a token sees only its span, wherever that is", grouped, spanned, twos),
    ]


def of_groups(weight: Float[Tensor, "narrow D"]) -> Float[Tensor, "wide D"]:
    """Return the weights of shared keys or values, repeated for every head of their group."""
    # The heads of a group are neighbours, as repeat_interleave makes them in `Modern`.
    return weight.unflatten(0, (N_GROUPS, -1)).repeat_interleave(N_HEADS // N_GROUPS, dim=0).flatten(0, 1)


def call(rung: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return a rung's values on a sentence, with these weights instead of its own."""
    result = functional_call(rung, weights, (x,))
    return result[0] if isinstance(result, tuple) else result
