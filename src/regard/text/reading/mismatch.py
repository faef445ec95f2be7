"""Find the line where two files of different length part ways."""

from collections.abc import Sequence

import numpy as np


def first_misfit(sources: Sequence[str], targets: Sequence[str]) -> tuple[int, str]:
    """Return the number (from 1) of the line where the two sides begin to disagree, and what is seen there.

    If n lines are missing at one place, then sentences fit before it as they stand, and behind it shifted by n. The
    place where both together fit best is found by comparing lengths; with several places it is one of them.
    """
    shorter, longer = sorted((sources, targets), key=len)
    n, shift = len(shorter), len(longer) - len(shorter)
    # Logarithms, since the ratio of two lengths is what counts; the one that is added is for empty lines.
    short, long = (np.log1p([len(line.strip()) for line in side]) for side in (shorter, longer))
    # The usual ratio of the two languages. Neither misplaced lines nor a few unusual ones move a median much.
    usual = np.median(short - long[:n])
    as_they_stand = np.abs(short - long[:n] - usual)
    shifted = np.abs(short - long[shift:] - usual)
    # Up to a constant, what it costs to begin the shift at each line: as they stand before it, shifted behind.
    costs = np.concatenate([[0.0], np.cumsum(as_they_stand - shifted)])
    at = n - int(np.argmin(costs[::-1]))  # the last of equals: then the shorter file just ends
    if at == n:
        return n + 1, "the lines before it fit, and there the shorter file ends"
    lengths = f"{len(sources[at].strip())} and {len(targets[at].strip())} characters"
    return (at + 1, f"it has {lengths}, and from there the files fit better shifted by {shift:,}")
