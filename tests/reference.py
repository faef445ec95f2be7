"""Naive references, written with loops and no library function that could share a mistake with the code."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from regard.batch import BOS, EOS, PAD

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


def length_penalty(n_tokens: int, exponent: float, kind: str) -> float:
    """Return what a log-probability is divided by; "wu": Wu et al. 2016, equation 14."""
    return (5 + n_tokens) ** exponent / (5 + 1) ** exponent if kind == "wu" else n_tokens**exponent


def beam_search(
    next_log_p: Callable[[list[int]], list[float]],
    longest: int,
    beam: int,
    exponent: float = 1.0,
    *,
    penalty: str = "exponent",
    min_tokens: int = 0,
    no_repeat: int = 0,
    forced: tuple[int, ...] = (),
) -> list[tuple[list[int], float, float, bool]]:
    """Return the ids, log-probability, score and whether it ended of what beam search finds, with lists and loops.

    next_log_p: the log-probabilities of all tokens after some ids. EOS counts in the length of what has ended.
    """
    open_ones: list[tuple[list[int], float]] = [([], 0.0)]
    found = []

    def add(ids: list[int], total: float, *, ended: bool) -> None:
        found.append((ids, total, total / length_penalty(len(ids) + ended, exponent, penalty), ended))

    for t in range(1, longest + 1):
        candidates = []
        for ids, total in open_ones:
            for token, log_p in enumerate(next_log_p(ids)):
                text = [*ids, token]
                if t <= len(forced):
                    allowed = token == forced[t - 1]
                else:
                    n_grams = [text[i : i + no_repeat] for i in range(len(text) - no_repeat + 1)]
                    repeats = no_repeat > 0 and token != EOS and n_grams.count(text[-no_repeat:]) > 1
                    allowed = token not in (PAD, BOS) and not repeats and not (token == EOS and t <= min_tokens)
                if allowed and log_p > float("-inf"):
                    candidates.append((ids, token, total + log_p))
        candidates = sorted(candidates, key=lambda c: -c[2])[: 2 * beam]
        for ids, token, total in candidates[:beam]:
            if token == EOS:
                add(ids, total, ended=True)
        open_ones = [([*ids, token], total) for ids, token, total in candidates if token != EOS][:beam]
        if len(found) >= beam:
            break
        if t == longest:
            for ids, total in open_ones:
                add(ids, total, ended=False)
    return sorted(found, key=lambda h: -h[2])[:beam]
