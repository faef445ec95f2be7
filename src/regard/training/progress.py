"""Where a training stands: a few numbers that a checkpoint keeps."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Progress:
    """Steps taken, batches taken from the epoch, seconds of training, tokens trained on, and the best score so far."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    target_tokens: int = 0
    best_score: float | None = None
    best_step: int = 0
    n_skipped: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)
