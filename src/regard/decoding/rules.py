"""Rules that change which token is drawn: pure functions on logits. A token that is ruled out has minus infinity.

At least one token of every row stays. The caller decides in which order the rules apply.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def penalise_repetition(
    logits: Float[Tensor, "R V"], written: Int[Tensor, "R T"], penalty: float
) -> Float[Tensor, "R V"]:
    """Return logits in which every token that was written is less likely (penalty above 1) or more likely (below 1).

    Keskar et al. 2019, section 4.1: positive logits are divided by the penalty; negative ones are multiplied by it, as
    is usual since, because a division would raise them.
    """
    # A token that was written twice is scattered twice, with the same value.
    seen = logits.gather(1, written)
    penalised = torch.where(seen > 0, seen / penalty, seen * penalty).nan_to_num()  # no penalty rules a token out
    # What was ruled out before stays out: nan_to_num has made it finite.
    return logits.scatter(1, written, torch.where(seen.isinf(), seen, penalised))


def temperature(logits: Float[Tensor, "R V"], t: float) -> Float[Tensor, "R V"]:
    """Return logits whose probabilities are p ** (1 / t), normalised. Holtzman et al. 2020, section 3.3.

    The largest is zero, so that no t, however low or high, makes them overflow.
    """
    tiny = torch.finfo(logits.dtype).tiny
    return (logits - logits.amax(-1, keepdim=True)) / min(max(t, tiny), 1 / tiny)


def top_k(logits: Float[Tensor, "R V"], k: int) -> Float[Tensor, "R V"]:
    """Return logits in which only the k largest are left, and those equal to the least of them. Fan et al. 2018."""
    least = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return logits.masked_fill(logits < least, float("-inf"))


def top_p(logits: Float[Tensor, "R V"], p: float) -> Float[Tensor, "R V"]:
    """Return logits in which the smallest set of likeliest tokens is left that has a probability of at least p.

    Holtzman et al. 2020, section 3.1. The likeliest token always stays; among equals, those with the lower ids.
    """
    if p == 1:
        return logits  # a sum of rounded probabilities may reach 1 before the last of them
    ordered, index = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities  # of all that are likelier
    cut = before >= p
    cut[:, 0] = False
    return logits.masked_fill(torch.empty_like(cut).scatter_(1, index, cut), float("-inf"))


def min_p(logits: Float[Tensor, "R V"], p: float) -> Float[Tensor, "R V"]:
    """Return logits without the tokens that are less than p times as likely as the likeliest. Nguyen et al. 2024."""
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < p * probabilities.amax(-1, keepdim=True), float("-inf"))


def typical(logits: Float[Tensor, "R V"], p: float) -> Float[Tensor, "R V"]:
    """Return logits of the smallest set of most typical tokens that has a probability of at least p.

    Meister et al. 2023, "Locally typical sampling", section 4: a token is the more typical, the closer its information
    -log p is to the entropy of the distribution. The most typical token always stays.
    """
    if p == 1:
        return logits
    log_p = logits.log_softmax(-1)
    probabilities = log_p.exp()
    entropy = -torch.where(probabilities > 0, probabilities * log_p, 0.0).sum(-1, keepdim=True)
    index = (log_p + entropy).abs().sort(dim=-1, stable=True).indices  # an infinite distance comes last
    ordered = probabilities.gather(1, index)
    cut = ordered.cumsum(-1) - ordered >= p
    cut[:, 0] = False
    return logits.masked_fill(torch.empty_like(cut).scatter_(1, index, cut), float("-inf"))


def penalise_occurrences(
    logits: Float[Tensor, "R V"], written: Sequence[Sequence[int]], presence: float, frequency: float
) -> Float[Tensor, "R V"]:
    """Return logits minus `presence` for every token that was written, and `frequency` for each time that it was."""
    logits = logits.clone()
    for row, ids in zip(logits, written, strict=True):
        for token, times in Counter(ids).items():
            row[token] -= presence + frequency * times
    return logits


def repeating(written: Sequence[int], n: int) -> list[int]:
    """Return the tokens that would complete an n-gram that was written before. Paulus et al. 2018, section 2.5."""
    if len(written) < n:
        return []
    last = list(written[len(written) - n + 1 :])  # the n - 1 tokens before the next one
    starts = range(len(written) - n + 1)
    return sorted({written[i + n - 1] for i in starts if list(written[i : i + n - 1]) == last})
