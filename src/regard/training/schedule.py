"""The learning rate as a pure function of how far the training is."""

from dataclasses import dataclass

from regard.training.config import TrainingConfig


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


def rate_factor(step: int, progress: float, warmup_steps: int) -> float:
    """Return the factor on the learning rate for a step (counted from 0): a rise, then a straight line down to zero.

    progress: share of the budget used up before the step.
    """
    rise = min(1.0, (step + 1) / (warmup_steps + 1))
    return min(rise, 1.0 - progress)
