"""What is known about a model: its job, its training data, how far it was trained, and its validation results.

A card may be of unknown origin. Known fields must have the right type; other fields are ignored, so that a later
release may add some.
"""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from regard.batch import Place

Scalar = bool | int | float | str | None
"""The value of a setting."""

Count = Annotated[int, Field(ge=0, lt=2**63)]  # fits an int64; numbers in JSON may have any length


class Part(BaseModel):
    """The base class of all parts of a card."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, populate_by_name=True)


class DataCard(Part):
    """Which text a model was trained on. fingerprint, validation: short hashes of the training and validation text."""

    fingerprint: str = Field("", max_length=64)
    validation: str | None = Field(None, max_length=64)
    pairs: Count | None = None
    characters: Count | None = None
    documents: Count | None = None
    kind: Literal["file", "line"] | None = None


class Arithmetic(Part):
    """How a model was computed, which affects the last digits of its weights."""

    threads: int = Field(1, ge=1, lt=2**31)
    processes: int = Field(1, ge=1, lt=2**31)
    precision: Literal["float32", "bfloat16"] | None = None


class Progress(Part):
    """How far a training has come: steps, the place of the next batch, seconds, tokens, and the best score so far.

    best_tie: the tie-breaker between equal scores. n_worse: validations since the best one. validated_step, saved_step:
    the steps of the last validation and of the last checkpoint. validated_share: the share of the budget used at that
    validation. n_skipped: updates skipped in a row. The learning rate is planned for `budget` (steps, epochs and
    minutes by name), starting at planned_step and planned_seconds.
    """

    step: Count = 0
    epoch: Count = 0
    pool: Count = Field(0, validation_alias=AliasChoices("pool", "window"))  # as format 1 called it
    batch: Count = 0
    seconds: float = Field(0.0, ge=0)
    target_tokens: Count = 0
    best_score: float | None = None
    best_tie: float | None = None
    best_step: Count = 0
    n_worse: Count = 0
    validated_step: Count = 0
    validated_share: float = 0.0
    saved_step: Count = 0
    n_skipped: Count = 0
    planned_step: Count = 0
    planned_seconds: float = Field(0.0, ge=0)
    budget: dict[str, float] | None = Field(None, max_length=3)

    @property
    def place(self) -> Place:
        """The place of the next batch."""
        return Place(self.epoch, self.pool, self.batch)

    @place.setter
    def place(self, place: Place) -> None:
        self.epoch, self.pool, self.batch = place.epoch, place.pool, place.batch


class Parent(Part):
    """The model whose weights a training started from. weights: their sha256."""

    path: str = Field(max_length=4096)  # the longest path on Linux
    weights: str = Field(max_length=64)
    step: Count = 0
    data: DataCard = DataCard()


class Card(Part):
    """The content of `card.json`.

    decoding: the default settings of decoding. longest_source: the longest source of the training set, in tokens.
    """

    job: str = Field("pairs", max_length=32)
    data: DataCard = DataCard()
    languages: tuple[str | None, str | None] = (None, None)
    decoding: dict[str, Scalar] = Field({}, max_length=64)
    longest_source: Count | None = None
    arithmetic: Arithmetic = Arithmetic()
    trained: Progress = Progress()
    validation: dict[str, float | None] = Field({}, max_length=64)
    parent: Parent | None = None

    def saved(self) -> dict[str, Any]:
        """Return the card as it is written to its file."""
        return self.model_dump(mode="json", exclude_none=True)
