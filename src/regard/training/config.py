"""The settings of a training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Schedule = Literal["linear", "cosine", "inverse_sqrt", "wsd"]


class TrainingConfig(BaseModel):
    """How a model is trained. Of steps, epochs and minutes, the first that is reached ends the run.

    The learning rate rises over warmup_steps and then follows the schedule, of which all but "inverse_sqrt" end at zero
    with the budget. learning_rate is AdamW's; with optimiser "muon", muon_learning_rate is for the matrices and
    learning_rate for embeddings and vectors. z_loss adds that share of the squared logarithm of the softmax's sum. With
    r_drop each batch is passed through the model twice, with different things left out, and that weight is on the
    difference of what they predict (R-Drop, Liang et al. 2021): twice the time an update, and less learnt by heart.

    The best bundle is chosen by validation: with ema_decay among moving averages of the weights, and at the end also
    among the last weights themselves and, with average_checkpoints, the mean of the last so many checkpoints. best_by:
    the score that decides, BLEU or chrF of greedy translations, or the loss; "auto" is BLEU for pairs and the loss for
    running text. patience: how many validations without a better score end the run. keep_checkpoints: how many of the
    newest stay on disk.

    sharded: of several processes, each keeps its share of the weights, of their gradients and of what the optimiser
    remembers (FSDP2), where otherwise each keeps all of them (DDP). For validation and checkpoints each holds one whole
    copy of the weights beside it.

    compiled: the model's forward and backward pass go through torch.compile, which takes minutes at the beginning,
    needs Triton for a GPU or a C++ compiler for a CPU, and draws other random numbers for dropout. Not for RNNs.

    precision: of the matrix products ("bfloat16" through autocast); weights and their sums are float32, products of
    which a GPU takes in TF32. "auto" is what is faster on the processor where the run begins, by a table, and stays so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # The upper bounds are far from any use; they keep what is computed from the settings finite.
    steps: int | None = Field(None, ge=1, le=10**12)
    epochs: float | None = Field(None, ge=0.001, le=10**6)
    minutes: float | None = Field(None, ge=0.001, le=10**6)
    batch_tokens: int = Field(4096, ge=16, le=2**24)
    optimiser: Literal["adamw", "muon"] = "muon"
    learning_rate: float = Field(0.004, gt=0, le=100)
    muon_learning_rate: float = Field(0.02, gt=0, le=100)
    weight_decay: float = Field(0.0, ge=0, le=100)
    warmup_steps: int = Field(100, ge=0, le=10**9)
    schedule: Schedule = "linear"
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    z_loss: float = Field(0.0, ge=0, le=100)
    r_drop: float = Field(0.0, ge=0, le=1000)
    clip_norm: float = Field(1.0, gt=0, le=10**9)
    validation_steps: int | None = Field(None, ge=1, le=10**12)
    best_by: Literal["auto", "bleu", "chrf", "loss"] = "auto"
    patience: int | None = Field(None, ge=1, le=10**9)
    ema_decay: float = Field(0.0, ge=0, lt=1)
    checkpoint_steps: int = Field(200, ge=1, le=10**12)
    keep_checkpoints: int = Field(2, ge=1, le=10_000)
    average_checkpoints: int = Field(1, ge=1, le=10_000)
    sharded: bool = False
    compiled: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = Field(1, ge=0, lt=2**32)

    @property
    def budget(self) -> dict[str, float]:
        """What ends the training, by name: those of steps, epochs and minutes that are set."""
        found = {name: getattr(self, name) for name in ("steps", "epochs", "minutes")}
        return {name: float(n) for name, n in found.items() if n is not None}

    @model_validator(mode="after")
    def enough_is_kept(self) -> "TrainingConfig":
        if self.average_checkpoints > self.keep_checkpoints:
            raise ValueError(
                f"average_checkpoints is {self.average_checkpoints}; only keep_checkpoints ({self.keep_checkpoints}) "
                "stay on disk. Raise that, too."
            )
        return self
