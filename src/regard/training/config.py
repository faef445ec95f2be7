"""The settings of a training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Schedule = Literal["linear", "cosine", "inverse_sqrt", "wsd"]


class TrainingConfig(BaseModel):
    """How a model is trained. Of steps, epochs and minutes, the first that is reached ends the run.

    The learning rate rises for `warmup_steps`, within `warmup_share` of the budget, and then follows `schedule`.

    The best bundle is chosen by validation: with `ema_decay` among moving averages of the weights, and at the end also
    among the last weights themselves and, with `average_checkpoints`, the mean of the last checkpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    # The upper bounds are far from any use; they keep what is computed from the settings finite.
    steps: int | None = Field(None, ge=1, le=10**12)
    """The most steps, each of one batch."""

    epochs: float | None = Field(None, ge=0.001, le=10**6)
    """The most passes through the corpus; 0.5 is half of one."""

    minutes: float | None = Field(None, ge=0.001, le=10**6)
    """The most minutes, those of validations and of earlier sittings included."""

    batch_tokens: int = Field(4096, ge=16, le=2**24)
    """The most tokens of a batch on its longer side, padding included; an item with more is a batch by itself."""

    optimiser: Literal["adamw", "muon"] = "muon"
    """What updates the weights: "adamw" all of them, or "muon" the matrices and AdamW embeddings and vectors."""

    learning_rate: float = Field(0.004, gt=0, le=100)
    """The highest learning rate of AdamW; with `optimiser` "muon", that of embeddings and vectors."""

    muon_learning_rate: float = Field(0.02, gt=0, le=100)
    """The highest learning rate of Muon, which with `optimiser` "muon" updates the matrices."""

    weight_decay: float = Field(0.0, ge=0, le=100)
    """What share of the matrices a step takes away, times the learning rate; embeddings and vectors do not decay."""

    warmup_steps: int = Field(100, ge=0, le=10**9)
    """The steps in which the learning rate rises, in a straight line, to its highest."""

    warmup_share: float | None = Field(0.1, gt=0, le=1)
    """The share of the budget after which the learning rate is at its highest at the latest, so that a short training
    gets there.
    """

    schedule: Schedule = "linear"
    """How the learning rate falls: "linear" and "cosine" to zero at the end of the budget, "wsd" also, but only in its
    last fifth (Hu et al. 2024), "inverse_sqrt" with the root of the steps and without an end (Vaswani et al. 2017).
    """

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """The share of the probability that the loss spreads evenly over the vocabulary (Szegedy et al. 2016)."""

    z_loss: float = Field(0.0, ge=0, le=100)
    """The share of the squared logarithm of the softmax's sum that is added to the loss, which keeps the logits from
    drifting (Chowdhery et al. 2022).
    """

    r_drop: float = Field(0.0, ge=0, le=1000)
    """The weight on the difference of two predictions: each batch goes through the model twice, with different things
    left out (R-Drop, Liang et al. 2021). That takes twice the time per update, with less overfitting; 0 is one pass.
    """

    clip_norm: float = Field(1.0, gt=0, le=10**9)
    """The norm to which a larger gradient is scaled down."""

    validation_steps: int | None = Field(None, ge=1, le=10**12)
    """The steps from one validation to the next; not set, an epoch, or more by `most_validations`."""

    most_validations: int | None = Field(50, ge=1, le=10**9)
    """About the most validations of a training without `validation_steps`: an epoch ends without one if less of the
    budget has been used up since the last.
    """

    best_by: Literal["auto", "bleu", "chrf", "loss"] = "auto"
    """The score of a validation that decides about the best model: BLEU or chrF of greedy translations, or the loss;
    "auto" is the loss for running text; for pairs it is BLEU, or chrF where most targets have fewer than four words.
    Of models that are equal by it, the one with the lower loss is the best.
    """

    patience: int | None = Field(None, ge=1, le=10**9)
    """How many validations in a row without a better score end the training; not set, none do."""

    ema_decay: float = Field(0.0, ge=0, lt=1)
    """The decay per step of the moving average of the weights, which is validated in their place; 0 keeps none."""

    checkpoint_steps: int = Field(200, ge=1, le=10**12)
    """The steps from one checkpoint to the next."""

    keep_checkpoints: int = Field(2, ge=1, le=10_000)
    """How many of the newest checkpoints stay on disk."""

    average_checkpoints: int = Field(1, ge=1, le=10_000)
    """Of how many of the last checkpoints the mean is tried at the end, `keep_checkpoints` at most; 1 tries none."""

    sharded: bool = False
    """Whether each of several processes keeps its share of the weights, of their gradients and of what the optimiser
    remembers (FSDP2), where otherwise each keeps all of them (DDP). For validation and checkpoints each holds one whole
    copy of the weights beside it.
    """

    compiled: bool = False
    """Whether the model's forward and backward pass go through torch.compile, which takes minutes at the beginning,
    needs Triton for a GPU or a C++ compiler for a CPU, and draws other random numbers for dropout. Not for RNNs.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of the matrix products, "bfloat16" through autocast. Weights and their sums are float32, products
    of which a GPU takes in TF32. "auto" is what is faster on the processor where the run begins, by a table, and stays
    so.
    """

    seed: int = Field(1, ge=0, lt=2**32)
    """The number from which random choices follow: initial weights, dropout, order of batches, pairs held out."""

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
