"""What a training will be, said before it begins."""

from collections.abc import Iterator

from regard.training.schedule import Budget

FEW = 200
"""Updates with which hardly any model learns anything."""


def planned(
    budget: Budget, batches_an_epoch: int, step: int, seconds: float, seconds_an_update: float
) -> Iterator[str]:
    """Yield what is to come, and about how long it takes here; and a note if that is too little to learn from.

    step, seconds: where the training stands. seconds_an_update: measured here.
    """
    by_time = None
    if budget.seconds is not None:
        by_time = max(1, round((budget.seconds - seconds) / seconds_an_update))
    by_steps = max(0, int(budget.steps) - step) if budget.steps is not None else None
    n_updates = min(n for n in (by_time, by_steps) if n is not None)
    epochs = f"{n_updates / batches_an_epoch:,.1f} epochs of {batches_an_epoch:,}"
    if n_updates == by_time:
        yield f"plan: {spoken(budget.seconds or 0, seconds)}, about {n_updates:,} updates here ({epochs})"
    else:
        yield f"plan: {n_updates:,} updates ({epochs}), about {spoken(n_updates * seconds_an_update)} here"
    if step + n_updates < FEW:
        yield (
            f"warning: {step + n_updates:,} updates are too few to learn from; expected some hundreds at least. Give "
            "more text, more training.epochs or training.minutes, or a smaller training.batch_tokens."
        )


def spoken(seconds: float, since: float = 0.0) -> str:
    """Return a span of time in words."""
    left = max(0.0, seconds - since)
    if left < 90:
        return f"{left:,.0f} seconds"
    return f"{left / 60:,.0f} minutes" if left < 5400 else f"{left / 3600:,.1f} hours"
