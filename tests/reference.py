"""Naive references, written with loops and no library function that could share a mistake with the code."""

import math

import torch
from torch import Tensor

JOURNEY = torch.tensor(
    [
        [0.43, 0.15, 0.89],
        [0.55, 0.87, 0.66],
        [0.57, 0.85, 0.64],
        [0.22, 0.58, 0.33],
        [0.77, 0.25, 0.10],
        [0.05, 0.80, 0.55],
    ]
)
"""Your journey starts with one step: six tokens of width 3. Raschka, Build a Large Language Model, chapter 3."""


def softmax(energies: list[float]) -> list[float]:
    """Return exp(e) over their sum."""
    exponentials = [math.exp(e) for e in energies]
    return [x / sum(exponentials) for x in exponentials]


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return attended values (T, K) of one head, from queries (T, K), keys (S, K) and values (S, K)."""
    rows = []
    for query in q:
        energies = [(query @ key).item() / math.sqrt(len(key)) for key in k]
        rows.append(sum(w * value for w, value in zip(softmax(energies), v, strict=True)))
    return torch.stack(rows)


def gated_unit(x: Tensor, s: Tensor, unit) -> Tensor:
    """Return the next state (H,) by Bahdanau et al. 2014, appendix A.1.1, from projected inputs (3H,)."""
    n = len(s)
    z = torch.sigmoid(x[:n] + unit.gates[:, :n].T @ s)
    r = torch.sigmoid(x[n : 2 * n] + unit.gates[:, n:].T @ s)
    candidate = torch.tanh(x[2 * n :] + unit.candidate.T @ (r * s))
    return (1 - z) * s + z * candidate


def bahdanau(model, source: list[int], target: list[int]) -> tuple[Tensor, Tensor]:
    """Return read-outs (T, E) and attention weights (T, S) of one sentence, word by word as the appendix has it."""
    n = model.config.width
    embed = model.embeddings.source.weight
    inputs = [model.encoder.inputs.weight @ embed[i] + model.encoder.inputs.bias for i in source]

    class Direction:
        def __init__(self, d: int) -> None:
            self.gates, self.candidate = model.encoder.unit.gates[d], model.encoder.unit.candidate[d]

    forward, backward = [], []
    s = torch.zeros(n, dtype=embed.dtype)
    for x in inputs:
        s = gated_unit(x[: 3 * n], s, Direction(0))
        forward.append(s)
    s = torch.zeros(n, dtype=embed.dtype)
    for x in reversed(inputs):
        s = gated_unit(x[3 * n :], s, Direction(1))
        backward.insert(0, s)
    annotations = [torch.cat(pair) for pair in zip(forward, backward, strict=True)]

    s = torch.tanh(model.initial.weight @ backward[0] + model.initial.bias)
    readouts, rows = [], []
    for token in target:
        word = model.embeddings.target.weight[token]
        attention = model.attention
        energies = [
            attention.energy @ torch.tanh(attention.query.weight @ s + attention.key.weight @ h) for h in annotations
        ]
        weights = torch.stack(energies).exp() / torch.stack(energies).exp().sum()
        context = sum(w * h for w, h in zip(weights, annotations, strict=True))
        pairs = model.readout.weight @ torch.cat([s, word, context]) + model.readout.bias
        readouts.append(torch.stack([torch.max(pairs[2 * i], pairs[2 * i + 1]) for i in range(len(pairs) // 2)]))
        rows.append(weights)
        x = model.decoder_inputs.weight @ word + model.decoder_inputs.bias + model.decoder_context.weight @ context
        s = gated_unit(x, s, model.decoder)
    return torch.stack(readouts), torch.stack(rows)
