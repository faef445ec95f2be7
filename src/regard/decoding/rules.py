"""Rules that change which token is drawn: pure functions on logits. A token that is ruled out has minus infinity.

At least one token of every row stays. The caller decides in which order the rules apply.
"""

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
