"""What is known of a model: what it was trained for and on, how far, and how well it did.

A card may come from a stranger: fields that are known must have the right type, others are left aside, so that a later
release may say more.
"""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from regard.batch import Place

Scalar = bool | int | float | str | None
"""The value of a setting."""

Count = Annotated[int, Field(ge=0, lt=2**63)]  # what an int64 holds: JSON has numbers of any length


class Part(BaseModel):
    """What every part of a card is."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, populate_by_name=True)


class DataCard(Part):
    """Which text a model was trained on. fingerprint, validation: short names of exactly that text."""

    fingerprint: str = Field("", max_length=64)
    validation: str | None = Field(None, max_length=64)
    pairs: Count | None = None
    characters: Count | None = None
    documents: Count | None = None
    kind: Literal["file", "line"] | None = None


class Arithmetic(Part):
    """On what a model was computed, which decides about the last digits of its weights."""

    threads: int = Field(1, ge=1, lt=2**31)
    processes: int = Field(1, ge=1, lt=2**31)
    precision: Literal["float32", "bfloat16"] | None = None


class Progress(Part):
    """Where a training stands: steps taken, the place of the next batch, seconds, tokens, and the best score so far.

    best_tie: what decides between equal scores. n_worse: validations since the best one. validated_step, saved_step:
    when the model was measured and a checkpoint written last; validated_share: how much of the budget was used then.
    n_skipped: updates left out in a row. The learning rate is planned for `budget` (steps, epochs and minutes by name)
    from planned_step and planned_seconds on.
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
        """Where the next batch stands."""
        return Place(self.epoch, self.pool, self.batch)

    @place.setter
    def place(self, place: Place) -> None:
        self.epoch, self.pool, self.batch = place.epoch, place.pool, place.batch


class Parent(Part):
    """The model whose weights a training began with. weights: their sha256."""

    path: str = Field(max_length=4096)  # Linux takes no longer one
    weights: str = Field(max_length=64)
    step: Count = 0
    data: DataCard = DataCard()


class Card(Part):
    """What `card.json` holds.

    decoding: how the model is used unless its user says otherwise. longest_source: of training, in tokens.
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
        """Return the card as its file has it."""
        return self.model_dump(mode="json", exclude_none=True)
