"""Where a training stands: a few numbers that a checkpoint keeps."""

from dataclasses import asdict, dataclass
from typing import Any

from regard.batch import Place


@dataclass
class Progress:
    """Steps taken, the place of the next batch, seconds of training, tokens trained on, and the best score so far.

    n_worse: validations since the best one. validated_step, saved_step: when the model was measured and a checkpoint
    written last. n_skipped: updates left out in a row.
    """

    step: int = 0
    epoch: int = 0
    pool: int = 0
    batch: int = 0
    seconds: float = 0.0
    target_tokens: int = 0
    best_score: float | None = None
    best_step: int = 0
    n_worse: int = 0
    validated_step: int = 0
    saved_step: int = 0
    n_skipped: int = 0

    @property
    def place(self) -> Place:
        """Where the next batch stands."""
        return Place(self.epoch, self.pool, self.batch)

    @place.setter
    def place(self, place: Place) -> None:
        self.epoch, self.pool, self.batch = place.epoch, place.pool, place.batch

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)
