"""The settings of a training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Schedule = Literal["linear", "cosine", "inverse_sqrt", "wsd"]


class TrainingConfig(BaseModel):
    """How a model is trained. Training ends when the first of steps, epochs and minutes is reached: the budget.

    The learning rate rises for `warmup_steps`, but at most for `warmup_share` of the budget, and then follows
    `schedule`.

    The best model is chosen by validation. With `ema_decay`, moving averages of the weights are validated instead of
    the weights. At the end the last weights themselves are validated, too, and with `average_checkpoints` also the mean
    of the last checkpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    # The upper bounds are far beyond any use; they keep everything that is computed from the settings finite.
    steps: int | None = Field(None, ge=1, le=10**12)
    """The maximum number of steps, each on one batch."""

    epochs: float | None = Field(None, ge=0.001, le=10**6)
    """The maximum number of passes over the training set; 0.5 is half a pass."""

    minutes: float | None = Field(None, ge=0.001, le=10**6)
    """The maximum training time in minutes, including validations and the time before a resume."""

    batch_tokens: int = Field(4096, ge=16, le=2**24)
    """The maximum number of tokens of a batch on its longer side, padding included; a longer item is its own batch."""

    optimiser: Literal["adamw", "muon"] = "muon"
    """What updates the weights: "adamw", or "muon" for the matrices and AdamW for embeddings and vectors."""

    learning_rate: float = Field(0.004, gt=0, le=100)
    """The peak learning rate of AdamW, which with `optimiser` "muon" updates only embeddings and vectors."""

    muon_learning_rate: float = Field(0.02, gt=0, le=100)
    """The peak learning rate of Muon, which with `optimiser` "muon" updates the matrices."""

    weight_decay: float = Field(0.0, ge=0, le=100)
    """The weight decay of the matrices: each step subtracts this share of them, times the learning rate. Embeddings and
    vectors do not decay.
    """

    warmup_steps: int = Field(100, ge=0, le=10**9)
    """The number of steps in which the learning rate rises linearly to its peak."""

    warmup_share: float | None = Field(0.1, gt=0, le=1)
    """The maximum length of the warm-up as a share of the budget, so that a short training reaches the peak learning
    rate, too; not set, there is no maximum.
    """

    schedule: Schedule = "linear"
    """How the learning rate falls: "linear" and "cosine" to zero at the end of the budget; "wsd" likewise, but only in
    the last fifth of the budget (Hu et al. 2024); "inverse_sqrt" with the inverse square root of the steps, never to
    zero (Vaswani et al. 2017).
    """

    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """The share of the probability that the loss spreads evenly over the vocabulary (Szegedy et al. 2016)."""

    z_loss: float = Field(0.0, ge=0, le=100)
    """The weight of the z-loss, the squared logarithm of the softmax's normaliser, which keeps the logits from drifting
    (Chowdhery et al. 2022).
    """

    r_drop: float = Field(0.0, ge=0, le=1000)
    """The weight of R-Drop (Liang et al. 2021): each batch passes through the model twice, with different dropout, and
    the difference of the two predictions is added to the loss. An update takes twice the time, and the model overfits
    less; 0 means one pass.
    """

    clip_norm: float = Field(1.0, gt=0, le=10**9)
    """The maximum norm of the gradient; a larger gradient is scaled down to it."""

    validation_steps: int | None = Field(None, ge=1, le=10**12)
    """The number of steps between validations; not set, an epoch, or several because of `most_validations`."""

    most_validations: int | None = Field(50, ge=1, le=10**9)
    """The approximate maximum number of validations without `validation_steps`: an epoch ends without a validation if
    less than 1/`most_validations` of the budget was used since the last one.
    """

    best_by: Literal["auto", "bleu", "chrf", "loss"] = "auto"
    """The validation score that decides which model is the best: BLEU or chrF of greedy translations, or the loss.
    "auto" is the loss for running text; for pairs it is BLEU, or chrF if most targets have fewer than four words. Of
    models with equal scores, the one with the lower loss is the best.
    """

    patience: int | None = Field(None, ge=1, le=10**9)
    """The number of validations in a row without a better score after which training stops early; not set, never."""

    ema_decay: float = Field(0.0, ge=0, lt=1)
    """The decay per step of a moving average of the weights, which is validated instead of them; 0 means no average."""

    checkpoint_steps: int = Field(200, ge=1, le=10**12)
    """The number of steps between checkpoints."""

    keep_checkpoints: int = Field(2, ge=1, le=10_000)
    """How many of the newest checkpoints stay on disk."""

    average_checkpoints: int = Field(1, ge=1, le=10_000)
    """The number of last checkpoints whose mean is validated at the end, at most `keep_checkpoints`; 1 means none."""

    sharded: bool = False
    """Whether weights, gradients and optimiser state are sharded over the processes (FSDP2); otherwise each process
    holds all of them (DDP). For validation and checkpoints each process also holds one whole copy of the weights.
    """

    compiled: bool = False
    """Whether the model's forward and backward pass are compiled with torch.compile, which takes minutes at the start,
    needs Triton for a GPU or a C++ compiler for a CPU, and draws other random numbers for dropout. Not for RNNs.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of the matrix products, "bfloat16" through autocast. Weights and sums are float32; a GPU computes
    float32 products in TF32. "auto" chooses by a table what is faster on the processor where the run begins, and the
    run keeps it.
    """

    seed: int = Field(1, ge=0, lt=2**32)
    """The random seed of initial weights, dropout, the order of batches, and the choice of held-out pairs."""

    @property
    def budget(self) -> dict[str, float]:
        """The limits of the training by name: those of steps, epochs and minutes that are set."""
        found = {name: getattr(self, name) for name in ("steps", "epochs", "minutes")}
        return {name: float(n) for name, n in found.items() if n is not None}

    @model_validator(mode="after")
    def enough_is_kept(self) -> "TrainingConfig":
        if self.average_checkpoints > self.keep_checkpoints:
            raise ValueError(
                f"average_checkpoints is {self.average_checkpoints}; only keep_checkpoints ({self.keep_checkpoints}) "
                "stay on disk. Raise keep_checkpoints, too."
            )
        return self
