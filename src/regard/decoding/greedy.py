"""Greedy search: the most likely token at every step."""

from collections.abc import Sequence

import torch

from regard.batch import BOS, EOS, PAD, Batch
from regard.models.protocol import Model
from regard.nn.state import select_sentences


def greedy_search(model: Model, batch: Batch, longest: Sequence[int]) -> list[tuple[list[int], float]]:
    """Return for every source the target that takes the most likely token at every step, and its log-probability.

    A target ends before EOS or after the `longest` of its sentence. Finished sentences leave the batch.
    """
    n_sentences = len(batch.source)
    targets: list[list[int]] = [[] for _ in range(n_sentences)]
    totals = [0.0] * n_sentences
    state = model.begin(batch)
    last = batch.source.new_full((n_sentences,), BOS)
    open_sentences = list(range(n_sentences))
    for _ in range(max(longest)):
        logits, state = model.step(last, state)
        normaliser = logits.logsumexp(-1)
        logits[:, [PAD, BOS]] = float("-inf")  # never written, though they have a probability
        best, last = logits.max(-1)
        log_p = (best - normaliser).tolist()
        going_on = []
        for row, (sentence, token) in enumerate(zip(open_sentences, last.tolist(), strict=True)):
            totals[sentence] += log_p[row]  # EOS counts, though it is not returned
            if token != EOS:
                targets[sentence].append(token)
                if len(targets[sentence]) < longest[sentence]:
                    going_on.append(row)
        if not going_on:
            break
        if len(going_on) < len(open_sentences):
            open_sentences = [open_sentences[row] for row in going_on]
            rows = torch.tensor(going_on, device=last.device)
            last, state = last[rows], select_sentences(state, rows)
    return list(zip(targets, totals, strict=True))
