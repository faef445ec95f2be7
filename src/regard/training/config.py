"""The settings of a training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """How a model is trained. Of steps, epochs and minutes, the first that is reached ends the run.

    The learning rate rises over warmup_steps and then falls linearly to zero at the end of that budget.
    learning_rate is AdamW's; with optimiser "muon", muon_learning_rate is for the matrices and learning_rate for
    embeddings and vectors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)
    minutes: float | None = Field(None, gt=0)
    batch_tokens: int = Field(4096, ge=16)
    optimiser: Literal["adamw", "muon"] = "muon"
    learning_rate: float = Field(0.004, gt=0)
    muon_learning_rate: float = Field(0.02, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    warmup_steps: int = Field(100, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    validation_steps: int | None = Field(None, ge=1)
    checkpoint_steps: int = Field(200, ge=1)
    seed: int = 1
