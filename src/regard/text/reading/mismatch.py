"""Find the line from which two files of different length are no longer aligned."""

from collections.abc import Sequence

import numpy as np


def first_misfit(sources: Sequence[str], targets: Sequence[str]) -> tuple[int, str]:
    """Return the number (from 1) of the line where the two sides begin to disagree, and a description of it.

    If n lines are missing in one place, sentences match before it as they are, and after it when shifted by n. The
    place at which both together match best is found by comparing lengths. If lines are missing in several places, it is
    one of them.
    """
    shorter, longer = sorted((sources, targets), key=len)
    n, shift = len(shorter), len(longer) - len(shorter)
    # Logarithms, since the ratio of two lengths is what counts; one is added because of empty lines.
    short, long = (np.log1p([len(line.strip()) for line in side]) for side in (shorter, longer))
    # The usual ratio of the two languages. Neither misplaced lines nor a few unusual ones move a median much.
    usual = np.median(short - long[:n])
    as_they_stand = np.abs(short - long[:n] - usual)
    shifted = np.abs(short - long[shift:] - usual)
    # Up to a constant, the cost of beginning the shift at each line: not shifted before it, shifted after it.
    costs = np.concatenate([[0.0], np.cumsum(as_they_stand - shifted)])
    at = n - int(np.argmin(costs[::-1]))  # the last of equal costs: then the shorter file just ends
    if at == n:
        return n + 1, "the lines before it match, and the shorter file ends there"
    lengths = f"{len(sources[at].strip())} and {len(targets[at].strip())} characters"
    return (at + 1, f"it has {lengths}, and from there on the files match better when shifted by {shift:,}")
