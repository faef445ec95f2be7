"""The cost of a text under an interpolated n-gram model of its characters: a baseline that a neural model must beat.

Counts only, no training. Knows characters; exact for any alphabet.
"""

from collections import defaultdict
from math import log

import numpy as np
from numpy.typing import NDArray

N_CODE_POINTS = 0x110000
"""The number of possible characters; the probability that is left is shared by all, so unseen ones have some."""

Ints = NDArray[np.int64]


def nats_after(text: str, known: str, order: int = 5) -> float:
    """Return the cost of a text in nats, under counts of the known text, which it continues.

    Interpolated Kneser-Ney smoothing, Chen and Goodman 1999, section 2.7: each order subtracts one discount for every
    distinct continuation, estimated as n1 / (n1 + 2 n2), and gives it to the order below; the lowest order gives it to
    all code points equally. Below the highest order a continuation counts once for each distinct character before it.
    """
    # Four bytes each; naming the byte order avoids a byte order mark.
    characters = np.frombuffer((known + text).encode("utf-32-le"), dtype=np.uint32)
    _, ids = np.unique(characters, return_inverse=True)
    n_known, n_characters = len(known), int(ids.max()) + 1
    contexts = [np.zeros(len(ids), dtype=np.int64)]  # of 0, 1, ... characters before each position
    for _ in range(order - 1):
        # 0 is the beginning of the text, hence + 1. Numbered anew each time, so that the next product stays in int64.
        before = np.concatenate([[0], contexts[-1][:-1] * n_characters + ids[:-1] + 1])
        contexts.append(np.unique(before, return_inverse=True)[1])
    grams = [np.unique(context * n_characters + ids, return_inverse=True)[1] for context in contexts]
    probability = np.full(len(text), 1 / N_CODE_POINTS)
    for n in range(order):
        counts = counted(grams, n, n_known)
        probability = interpolate(counts, grams[n], contexts[n], n_known, probability)
    return float(-np.log(probability).sum())


def counted(grams: list[Ints], n: int, n_known: int) -> Ints:
    """Return how often each n-gram counts: its occurrences, or below the highest order the characters before it."""
    known = grams[n][:n_known]
    if n + 1 < len(grams):
        _, first = np.unique(grams[n + 1][:n_known], return_index=True)
        known = known[first]
    return np.bincount(known, minlength=int(grams[n].max()) + 1)


def interpolate(
    counts: Ints, grams: Ints, contexts: Ints, n_known: int, lower: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability of each position after the known ones, from that of the order below."""
    n_once, n_twice = int((counts == 1).sum()), int((counts == 2).sum())
    # Without n-grams seen once it would be 0, and nothing would be left for unseen ones.
    discount = n_once / (n_once + 2 * n_twice) if n_once else 0.5
    context_of = np.zeros(len(counts), dtype=np.int64)
    context_of[grams] = contexts
    n_contexts = int(contexts.max()) + 1
    total = np.bincount(context_of, weights=counts, minlength=n_contexts)
    kinds = np.bincount(context_of[counts > 0], minlength=n_contexts)
    here = contexts[n_known:]
    seen = total[here] > 0
    own = np.maximum(counts[grams[n_known:]] - discount, 0)
    mixed = (own + discount * kinds[here] * lower) / np.where(seen, total[here], 1)
    return np.where(seen, mixed, lower)


def nats_alone(text: str, order: int = 5) -> float:
    """Return the cost of a text in nats when each character is predicted from counts of those before it.

    Witten and Bell 1991, method C: with T distinct continuations seen n times in all, the order below has T / (n + T).
    """
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    totals: dict[str, int] = defaultdict(int)
    nats = 0.0
    for i, character in enumerate(text):
        probability = 1 / N_CODE_POINTS
        for n in range(min(order, i + 1)):
            context = text[i - n : i]
            continuations = counts[context]
            if kinds := len(continuations):
                seen = continuations.get(character, 0)
                probability = (seen + kinds * probability) / (totals[context] + kinds)
            # Counted only now: a character does not predict itself.
            continuations[character] = continuations.get(character, 0) + 1
            totals[context] += 1
        nats -= log(probability)
    return nats
