"""The plan of a training, shown before it begins."""

from collections.abc import Iterator

from regard.training.schedule import Budget

FEW = 200
"""With fewer updates than this, hardly any model learns anything."""


def planned(
    budget: Budget, batches_an_epoch: int, step: int, seconds: float, seconds_an_update: float
) -> Iterator[str]:
    """Yield the planned updates and their approximate duration, and a warning if they are too few to learn from.

    step, seconds: how far the training has come. seconds_an_update: measured on this machine.
    """
    by_time = None
    if budget.seconds is not None:
        by_time = max(1, round((budget.seconds - seconds) / seconds_an_update))
    by_steps = max(0, int(budget.steps) - step) if budget.steps is not None else None
    n_updates = min(n for n in (by_time, by_steps) if n is not None)
    steps = f"{n_updates:,} step{'s' * (n_updates != 1)}"
    epochs = f"{n_updates / batches_an_epoch:,.1f} epochs of {batches_an_epoch:,}"
    if n_updates == by_time:
        yield f"plan: {spoken(budget.seconds or 0, seconds)}, about {steps} here ({epochs})"
    else:
        yield f"plan: {steps} ({epochs}), about {spoken(n_updates * seconds_an_update)} here"
    if step + n_updates < FEW:
        yield (
            f"warning: {step + n_updates:,} steps are too few to learn from; expected at least some hundreds. Give "
            "more text, more training.epochs or training.minutes, or a smaller training.batch_tokens."
        )


def spoken(seconds: float, since: float = 0.0) -> str:
    """Return a duration in words."""
    left = max(0.0, seconds - since)
    if left < 90:
        return f"{left:,.0f} seconds"
    return f"{left / 60:,.0f} minutes" if left < 5400 else f"{left / 3600:,.1f} hours"
