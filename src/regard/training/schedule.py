"""The learning rate as a pure function of the training's progress."""

import math
from dataclasses import dataclass

from regard.training.config import Schedule, TrainingConfig

WSD_DECAY = 0.2
"""The last share of the budget, in which "wsd" decays."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a training ends; None means no such limit. seconds: training time, including that before a resume.

    first_step, first_seconds: where the learning rate was planned, which is not zero if the budget was changed later.
    """

    steps: float | None
    seconds: float | None
    first_step: int = 0
    first_seconds: float = 0.0

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the budget used since it was planned, from 0 to 1."""
        shares = []
        if self.steps is not None:
            shares.append(_share(step - self.first_step, self.steps - self.first_step))
        if self.seconds is not None:
            shares.append(_share(seconds - self.first_seconds, self.seconds - self.first_seconds))
        return min(1.0, max(shares))


def _share(used: float, of: float) -> float:
    return used / of if of > 0 else 1.0  # nothing is left: the budget is used up


def budget_of(config: TrainingConfig, batches_an_epoch: int, first_step: int = 0, first_seconds: float = 0.0) -> Budget:
    """Return the budget from steps, epochs and minutes, for a learning rate planned from `first_step` on."""
    limits = [float(config.steps)] if config.steps else []
    if config.epochs:
        limits.append(config.epochs * batches_an_epoch)
    seconds = config.minutes * 60 if config.minutes else None
    return Budget(min(limits, default=None), seconds, first_step, first_seconds)


def rate_factor(
    step: int, progress: float, warmup_steps: int, schedule: Schedule = "linear", warmup_share: float | None = None
) -> float:
    """Return the factor on the learning rate for a step (counted from 0): a linear warm-up, then the schedule.

    progress: share of the budget used before the step. warmup_share: the maximum share of the budget for the warm-up.
    "inverse_sqrt": Vaswani et al. 2017, equation 3. "wsd" (warm-up, stable, decay): one until the last fifth of the
    budget, then linear to zero (Hu et al. 2024, section 4).
    """
    # The rate of the first step is above zero, and the first step after the warm-up has the full rate.
    rise = (step + 1) / (warmup_steps + 1)
    sooner = progress / warmup_share if warmup_share is not None else 0.0
    match schedule:
        case "linear":
            fall = 1 - progress
        case "cosine":
            fall = (1 + math.cos(math.pi * progress)) / 2
        case "inverse_sqrt":
            fall = rise**-0.5  # one where the warm-up ends; the paper's peak depends on the width
        case "wsd":
            fall = (1 - progress) / WSD_DECAY
    return min(1.0, max(rise, sooner), fall)
