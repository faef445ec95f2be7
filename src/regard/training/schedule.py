"""The learning rate as a pure function of how far the training is."""

import math
from dataclasses import dataclass

from regard.training.config import Schedule, TrainingConfig

WSD_DECAY = 0.2
"""The share of the budget in which "wsd" falls."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a training ends; None means no such limit. seconds counts training time, earlier sittings included."""

    steps: float | None
    seconds: float | None

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the budget that is used up, 0 to 1."""
        shares = [step / self.steps] if self.steps else []
        if self.seconds:
            shares.append(seconds / self.seconds)
        return min(1.0, max(shares))


def budget_of(config: TrainingConfig, batches_an_epoch: int) -> Budget:
    """Return the budget that steps, epochs and minutes leave together."""
    limits = [float(config.steps)] if config.steps else []
    if config.epochs:
        limits.append(config.epochs * batches_an_epoch)
    return Budget(min(limits, default=None), config.minutes * 60 if config.minutes else None)


def rate_factor(step: int, progress: float, warmup_steps: int, schedule: Schedule = "linear") -> float:
    """Return the factor on the learning rate for a step (counted from 0): a straight rise, then the schedule.

    progress: share of the budget used up before the step. "inverse_sqrt": Vaswani et al. 2017, equation 3. "wsd", warm
    up, stay, decay: one until the last fifth, then a straight line to zero (Hu et al. 2024, section 4).
    """
    rise = (step + 1) / (warmup_steps + 1)
    match schedule:
        case "linear":
            fall = 1 - progress
        case "cosine":
            fall = (1 + math.cos(math.pi * progress)) / 2
        case "inverse_sqrt":
            fall = rise**-0.5
        case "wsd":
            fall = (1 - progress) / WSD_DECAY
    return min(1.0, rise, fall)
