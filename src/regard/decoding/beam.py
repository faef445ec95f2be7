"""Beam search: the best few hypotheses of every sentence, kept side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor

from regard.batch import BOS, EOS, PAD, Batch
from regard.models.protocol import Model
from regard.nn.state import repeat_rows, select_rows, select_sentences

Scored = tuple[list[int], float]


def beam_search(
    model: Model, batch: Batch, longest: Sequence[int], beam: int, length_penalty: float
) -> list[list[Scored]]:
    """Return for every source up to `beam` hypotheses (ids without EOS, log-probability), best first.

    Hypotheses are ranked by log-probability / length ** length_penalty, EOS counted. A sentence is finished when
    `beam` hypotheses have ended, or at its `longest`; those still open then count as they are.
    """
    n_open, device = len(batch.source), batch.source.device
    finished: list[list[Scored]] = [[] for _ in range(n_open)]
    sentences = list(range(n_open))
    state = repeat_rows(model.begin(batch), beam)
    last = batch.source.new_full((n_open * beam,), BOS)
    written = batch.source.new_empty((n_open, beam, 0))
    totals = torch.full((n_open, beam), float("-inf"), device=device)
    totals[:, 0] = 0.0  # all hypotheses are the same at first: only one of them counts
    for t in range(1, max(longest) + 1):
        logits, state = model.step(last, state)
        scores, parents, tokens = best_continuations(logits, totals, 2 * beam)  # (N, 2 beam)
        ends = tokens == EOS
        # Before `written` grows: what has ended is its parent's tokens, since EOS is not returned.
        collect_ended(finished, sentences, written, scores, parents, ends & in_beam(ends, beam))
        totals, kept = scores.masked_fill(ends, float("-inf")).topk(beam)  # at most `beam` of 2 beam have ended
        parents, tokens = parents.gather(1, kept), tokens.gather(1, kept)
        history = written.gather(1, parents[..., None].expand(-1, -1, written.shape[2]))  # (N, beam, t - 1)
        written = torch.cat([history, tokens[..., None]], dim=2)  # (N, beam, t)
        # The index of a parent is within its sentence, that of a row of the state over all sentences.
        offsets = torch.arange(len(sentences), device=device)[:, None] * beam
        state = select_rows(state, (parents + offsets).flatten())
        going_on = []
        for i, sentence in enumerate(sentences):
            if len(finished[sentence]) < beam and t < longest[sentence]:
                going_on.append(i)
            elif len(finished[sentence]) < beam:
                still_open = zip(written[i].tolist(), totals[i].tolist(), strict=True)
                finished[sentence] += (
                    h for h in still_open if h[1] > float("-inf")
                )  # others hold tokens that are never written
        if len(going_on) < len(sentences):
            sentences = [sentences[i] for i in going_on]
            keep = torch.tensor(going_on, dtype=torch.long, device=device)
            totals, tokens, written = totals[keep], tokens[keep], written[keep]
            state = select_sentences(state, keep)
        if not sentences:
            break
        last = tokens.flatten()
    return [ranked(hypotheses, beam, length_penalty) for hypotheses in finished]


def best_continuations(logits: Tensor, totals: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the n best continuations of every sentence: log-probabilities, parent hypotheses and tokens, (N, n) each.

    logits (N * beam, V); totals (N, beam) are the log-probabilities so far.
    """
    normaliser = logits.logsumexp(-1, keepdim=True)
    logits[:, [PAD, BOS]] = float("-inf")  # never written, though they have a probability
    best, tokens = logits.topk(min(n, logits.shape[1]))  # the n best of a sentence are among the n best of each row
    log_p = best - normaliser
    n_sentences, beam = totals.shape
    candidates = (totals[..., None] + log_p.view(n_sentences, beam, -1)).flatten(1)  # (N, beam * n)
    scores, index = candidates.topk(n)
    return scores, index // best.shape[1], tokens.view(n_sentences, -1).gather(1, index)


def in_beam(ends: Tensor, beam: int) -> Tensor:
    """Return which of the 2 * beam candidates are among the first `beam`: only there may a hypothesis end."""
    return (torch.arange(ends.shape[1], device=ends.device) < beam).expand_as(ends)


def collect_ended(
    finished: list[list[Scored]], sentences: list[int], written: Tensor, scores: Tensor, parents: Tensor, ended: Tensor
) -> None:
    """Add the candidates that ended to their sentences' finished hypotheses."""
    for i, j in ended.nonzero().tolist():
        if scores[i, j] > float("-inf"):
            finished[sentences[i]].append((written[i, parents[i, j]].tolist(), scores[i, j].item()))


def ranked(hypotheses: list[Scored], beam: int, length_penalty: float) -> list[Scored]:
    """Return the best `beam` hypotheses by their score."""
    return sorted(hypotheses, key=lambda h: -ranking_score(h[0], h[1], length_penalty))[:beam]


def ranking_score(ids: Sequence[int], log_probability: float, length_penalty: float) -> float:
    """Return what hypotheses are ranked by: the log-probability over length ** length_penalty, EOS counted."""
    return log_probability / (len(ids) + 1) ** length_penalty
