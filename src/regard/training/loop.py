"""The training loop: numbered steps over a stream of batches, with validations and checkpoints between them.

Knows models, batches and ids. Knows no text; what a validation measures comes in as a callable.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from regard.batch import Batch, to_device
from regard.bundle import Bundle, save_bundle
from regard.errors import TrainingError
from regard.nn.loss import Loss, output_loss
from regard.training.config import TrainingConfig
from regard.training.log import Log
from regard.training.optimiser import Optimiser
from regard.training.progress import Progress
from regard.training.run import RunFolder, restore
from regard.training.schedule import budget_of, rate_factor

STEPS_A_RECORD = 10
MAX_SKIPPED = 10


class Stream(Protocol):
    """Batches in an order that is a pure function of the epoch."""

    def batches_from(self, epoch: int, position: int) -> Iterator[Batch]:
        """Yield an epoch's batches without the first `position`."""
        ...

    def batches_in(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        ...


Validate = Callable[[nn.Module], dict[str, float]]
"""Returns figures by name; the best model is the one with the highest "score"."""


class Trainer:
    """Trains the model of a bundle until the budget is used up, from wherever the run stands."""

    def __init__(
        self,
        bundle: Bundle,
        stream: Stream,
        config: TrainingConfig,
        run: RunFolder,
        validate: Validate,
        log: Log,
        device: torch.device,
    ) -> None:
        self.bundle, self.stream, self.config = bundle, stream, config
        self.run, self.validate, self.log, self.device = run, validate, log, device
        self.model = bundle.model
        self.optimiser = Optimiser(self.model, config)
        self.batches_an_epoch = stream.batches_in(0)
        self.budget = budget_of(config, self.batches_an_epoch)
        self.progress = Progress()
        self._started = self._recorded = time.monotonic()
        self._since_record = _Sums()

    def train(self, checkpoint: Path | None) -> Progress:
        """Take steps until the budget is used up, and leave `best`, `last` and a checkpoint of the end.

        checkpoint: where to go on; the bundle's model has its weights already.
        """
        torch.manual_seed(self.config.seed)
        if checkpoint is not None:
            self.progress = restore(checkpoint, self.optimiser)
            self.log.display.say(f"Going on from step {self.progress.step:,} ({checkpoint}).")
        self._started = time.monotonic() - self.progress.seconds
        self._recorded = time.monotonic()
        self.model.train()
        every = self.config.validation_steps or self.batches_an_epoch
        for batch in self._batches():
            self._step(to_device(batch, self.device))
            if self.progress.step % every == 0:
                self._validate()
            if self.progress.step % self.config.checkpoint_steps == 0:
                self.run.save_checkpoint(self._carded(), self.optimiser, self.progress)
        if self.progress.step % every:
            self._validate()
        self.run.save_checkpoint(self._carded(), self.optimiser, self.progress)
        return self.progress

    def _batches(self) -> Iterator[Batch]:
        """Yield batches until the budget is used up, keeping count of epoch and position."""
        while self._share() < 1:
            for batch in self.stream.batches_from(self.progress.epoch, self.progress.position):
                self.progress.position += 1
                yield batch
                if self._share() >= 1:
                    return
            self.progress.epoch, self.progress.position = self.progress.epoch + 1, 0

    def _share(self) -> float:
        self.progress.seconds = time.monotonic() - self._started
        return self.budget.progress(self.progress.step, self.progress.seconds)

    def _step(self, batch: Batch) -> None:
        """Train on a batch; an update that is not finite is left out, and ten in a row end the training."""
        factor = rate_factor(self.progress.step, self._share(), self.config.warmup_steps)
        loss = batch_loss(self.model, batch, self.config.label_smoothing)
        (loss.smoothed / loss.n_tokens).backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.progress.step += 1
        self.progress.target_tokens += loss.n_tokens
        if norm.isfinite():
            self.optimiser.step(factor)
            self.progress.n_skipped = 0
        else:
            self._skip()
        self._since_record.add(loss)
        if self.progress.step % STEPS_A_RECORD == 0:
            self._record(factor, float(norm))

    def _skip(self) -> None:
        self.model.zero_grad(set_to_none=True)
        self.progress.n_skipped += 1
        if self.progress.n_skipped >= MAX_SKIPPED:
            raise TrainingError(
                f"The gradient was not finite {MAX_SKIPPED} times in a row, last at step {self.progress.step}. "
                "The last checkpoint is whole. Train anew with --fresh and a lower training.learning_rate."
            )

    def _record(self, factor: float, norm: float) -> None:
        now, share, sums = time.monotonic(), self._share(), self._since_record
        self.log.write(
            "train",
            step=self.progress.step,
            epoch=self.progress.epoch,
            loss=float(sums.smoothed) / sums.n_tokens,
            nll=float(sums.nll) / sums.n_tokens,
            tokens_per_second=sums.n_tokens / (now - self._recorded),
            learning_rate_factor=factor,
            gradient_norm=norm,
            seconds=self.progress.seconds,
            seconds_left=self.progress.seconds * (1 / share - 1),
            progress=share,
        )
        self._recorded, self._since_record = now, _Sums()

    def _validate(self) -> None:
        began = time.monotonic()
        self.model.eval()
        figures = self.validate(self.model)
        self.model.train()
        best = self.progress.best_score is None or figures["score"] > self.progress.best_score
        if best:
            self.progress.best_score, self.progress.best_step = figures["score"], self.progress.step
            save_bundle(self._carded(figures), self.run.best)
        seconds = time.monotonic() - self._started
        self.log.write("valid", step=self.progress.step, best=best, seconds=seconds, **figures)
        self._recorded += time.monotonic() - began  # a validation does not count as training speed

    def _carded(self, figures: dict[str, float] | None = None) -> Bundle:
        """Return the bundle with a card that says how far it was trained."""
        card = {**self.bundle.card, "trained": self.progress.as_dict()}
        if figures:
            card["validation"] = figures
        return dataclasses.replace(self.bundle, card=card)


class _Sums:
    """Sums since the last record."""

    def __init__(self) -> None:
        self.smoothed, self.nll = torch.zeros(()), torch.zeros(())
        self.n_tokens = 0

    def add(self, loss: Loss) -> None:
        self.smoothed = self.smoothed.to(loss.nll.device) + loss.smoothed.detach()
        self.nll = self.nll.to(loss.nll.device) + loss.nll
        self.n_tokens += loss.n_tokens


def batch_loss(model: nn.Module, batch: Batch, smoothing: float) -> Loss:
    """Return the loss of the real target positions of a batch."""
    assert batch.gold is not None and batch.target_keep is not None, "training needs targets"
    hidden = model(batch)  # (B, T, D)
    return output_loss(hidden[batch.target_keep], model.output_weight, batch.gold[batch.target_keep], smoothing)  # type: ignore[arg-type]


@torch.no_grad()
def mean_nll(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> float:
    """Return the negative log-likelihood of a target token, in nats, over all batches. The model stays in its mode."""
    nll, n_tokens = 0.0, 0
    for batch in batches:
        loss = batch_loss(model, to_device(batch, device), smoothing=0.0)
        nll, n_tokens = nll + float(loss.nll), n_tokens + loss.n_tokens
    return nll / n_tokens
