"""The training loop: numbered steps over a stream of batches, with validations and checkpoints between them.

Knows models, batches and ids. Knows no text; what a validation measures comes in as a callable.
"""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import islice
from operator import add

import torch
from torch import Tensor, nn

from regard.batch import Batch, to_device
from regard.bundle import Bundle
from regard.bundle.card import Progress
from regard.errors import TrainingError
from regard.nn.loss import Loss
from regard.training.averaging import holding, mean_weights
from regard.training.config import TrainingConfig
from regard.training.gradients import Gradients, batch_loss
from regard.training.interrupt import Interrupted, Interrupts
from regard.training.log import Log, finite
from regard.training.optimiser import Optimiser
from regard.training.plan import planned
from regard.training.processes import Processes
from regard.training.randomness import random_state
from regard.training.run import RunFolder
from regard.training.schedule import budget_of, rate_factor
from regard.training.sharding import gathered, unspread
from regard.training.state import TrainState, restore
from regard.training.stream import Stream

STEPS_A_RECORD = 10
MAX_SKIPPED = 10
ROUNDING = 1e-9
"""The most by which two shares of a budget that should be equal differ."""


Validate = Callable[[nn.Module], dict[str, float]]
"""Returns figures by name. The best model has the highest "score"; of models with equal scores, the highest "tie".

"tie" may be missing. A score that is not finite is the worst.
"""


class Trainer:
    """Trains the model of a bundle until the budget is used up, starting at the current state of the run."""

    def __init__(
        self,
        bundle: Bundle,
        stream: Stream,
        config: TrainingConfig,
        run: RunFolder,
        validate: Validate,
        log: Log,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.bundle, self.stream, self.config = bundle, stream, config
        self.run, self.validate, self.log, self.device = run, validate, log, device
        self.processes = processes
        spread = config.sharded and processes.size > 1
        self.model = copy.deepcopy(bundle.model) if spread else bundle.model  # the bundle's is not sharded
        self.gradients = Gradients(self.model, config, device, processes)
        self.optimiser = Optimiser(self.model, config, processes)
        self.batches_an_epoch = stream.survey.n_batches
        self.progress = Progress()
        self.budget = budget_of(config, self.batches_an_epoch)
        self._started = self._recorded = time.monotonic()
        self._since_record: list[Loss] = []
        self._interrupts = Interrupts(log.display.say)

    def train(self, state: TrainState | None) -> Progress:
        """Take steps until the budget is used up, and save `best`, `last` and a checkpoint of the last step.

        state: of the checkpoint to continue from, whose weights the bundle's model already has. On SIGINT and SIGTERM
        the step is finished, a checkpoint is saved and Interrupted is raised.
        """
        self.model.train()
        extremes = self.stream.survey.extremes
        # The last one, which is as large as most, once more: the first time is not that of an update.
        for batch in (*extremes, extremes[-1]):
            began = time.monotonic()
            self.gradients.rehearse(batch, self.optimiser.reserve, self.log.display.say)
            seconds_an_update = time.monotonic() - began
        # After the rehearsal, which draws random numbers, and more of them if memory is short. By rank, so that dropout
        # differs between processes.
        torch.manual_seed(self.config.seed + self.processes.rank)
        if state is not None:
            self.progress = restore(state, self.optimiser, self.device, self.processes.rank)
            self.log.display.say(f"Continuing from step {self.progress.step:,}.")
        self._plan()
        if not self._is_over():
            where = self.progress.step, self.progress.seconds
            for sentence in planned(self.budget, self.batches_an_epoch, *where, seconds_an_update):
                self.log.display.say(sentence)
        elif state is not None:
            self.log.display.say("The run is finished. A larger budget continues it.")
        self._started = time.monotonic() - self.progress.seconds  # the time before a resume counts
        self._recorded = time.monotonic()
        # Until here nothing can be lost, so a signal ends the process at once.
        with self._interrupts.held():
            try:
                self._agree()
                self._train()
            except Interrupted:
                self._save()
                self.log.display.say(f"Stopped at step {self.progress.step:,}. The same call continues from there.")
                raise
        return self.progress

    def _plan(self) -> None:
        """Plan the learning rate for the budget: from the beginning, or from here if the budget was changed."""
        progress = self.progress
        budget = self.config.budget
        # None in a checkpoint of the first format, which did not store it: it counts as unchanged.
        if progress.budget not in (None, budget):
            progress.planned_step, progress.planned_seconds = progress.step, progress.seconds
            progress.n_worse = 0  # otherwise a run that patience had ended would end again
            progress.validated_share = 0.0
            self.log.display.say(
                f"The budget has changed: the learning rate is planned again from step {progress.step:,}, with a new "
                "warm-up."
            )
        progress.budget = budget
        self.budget = budget_of(self.config, self.batches_an_epoch, progress.planned_step, progress.planned_seconds)

    def _train(self) -> None:
        if self.progress.step and self._is_due():
            self._validate()  # in case the training ended before this validation
        batches = self.stream.batches_from(self.progress.place)
        while not self._is_over():
            batch, behind = next(batches)
            self._step(batch)
            # After the step, which logs a skipped update with its own place; before signals are checked, so that a
            # checkpoint never has the step without the place.
            self.progress.place = behind
            self._agree()
            # Before the save, so that the checkpoint records that its step was validated.
            if self._is_due():
                self._validate()
            if self.progress.step % self.config.checkpoint_steps == 0 and not self._is_over():
                self._save()  # that of the end is saved below, when it has been measured
        self._validate()
        self._save()
        # So far only the average was validated; at the end the weights themselves may be better.
        if self.optimiser.average is not None:
            self._measure({})
        if self.config.average_checkpoints > 1:
            self._measure(self.processes.from_first(self._mean_of_checkpoints))
        self._agree()  # on a signal received in the meantime

    def _mean_of_checkpoints(self) -> dict[str, Tensor]:
        intact = self.run.bundles(lambda message: self.log.display.say(f"warning: {message}"))
        return mean_weights(bundle.model for _, bundle in islice(intact, self.config.average_checkpoints))

    def _save(self) -> None:
        """Save a checkpoint of this step, unless there is one."""
        if self.progress.saved_step < self.progress.step:
            self.progress.saved_step = self.progress.step
            # In all processes, though only one writes: each provides its random state and its shards.
            random = dict(enumerate(self.processes.of_each(random_state(self.device))))
            state = TrainState(self.progress.model_copy(deep=True), self.optimiser.tensors(), random)
            with holding(self.bundle.model, gathered(self.model, {})):
                self._check_weights()
                kept = {"keep": self.config.keep_checkpoints, "every": self.config.checkpoint_steps}
                self.processes.in_first(lambda: self.run.save_checkpoint(self._carded(), state, **kept))

    def _agree(self) -> None:
        """Check the clock and signals, alike in all processes. Raises Interrupted in all if one received a signal."""
        seconds = time.monotonic() - self._started
        self.progress.seconds, number = self.processes.most(seconds, self._interrupts.pending or 0)
        if number:  # not the one pending here: another process may not know of it yet
            raise Interrupted(int(number))

    def _is_over(self) -> bool:
        """Return whether the budget is used up, or the model has not improved for too long."""
        return self._share() >= 1 or self.progress.n_worse >= (self.config.patience or math.inf)

    def _is_due(self) -> bool:
        """Return whether the model is validated at this step: at the end of an epoch, but not too often in total."""
        config = self.config
        if config.validation_steps is not None or config.most_validations is None:
            return self.progress.step % (config.validation_steps or self.batches_an_epoch) == 0
        # A share of the budget, not a time: with a budget in steps, the same steps are validated in every training.
        since = self._share() - self.progress.validated_share
        if self.progress.step - self.progress.validated_step < STEPS_A_RECORD:
            return False  # an epoch of few batches
        return self.progress.step % self.batches_an_epoch == 0 and since >= 1 / config.most_validations - ROUNDING

    def _share(self) -> float:
        return self.budget.progress(self.progress.step, self.progress.seconds)

    def _step(self, batch: Batch) -> None:
        """Train on a batch. An update that is not finite is skipped; ten in a row end the training."""
        since = self.progress.step - self.progress.planned_step
        config = self.config
        factor = rate_factor(since, self._share(), config.warmup_steps, config.schedule, config.warmup_share)
        loss = self.gradients.add(batch)
        # The gradients are gathered already, so all processes find the same norm and skip the same updates.
        norm = unspread(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm))
        # Counted even if the update is skipped: every step is one batch.
        self.progress.step += 1
        self.progress.target_tokens += loss.n_tokens
        if norm.isfinite():
            self.optimiser.step(factor)
            self.progress.n_skipped = 0
            self._since_record.append(loss)  # a loss that is not finite would spoil the mean
        else:
            self._skip()
        if self.progress.step % STEPS_A_RECORD == 0 and self._since_record:
            self._record(factor, float(norm))

    def _skip(self) -> None:
        """Skip an update, and log its batch."""
        self.model.zero_grad(set_to_none=True)
        self.progress.n_skipped += 1
        place = self.progress.place
        items = self.stream.items_at(place)
        self.log.write("skipped", step=self.progress.step, **dataclasses.asdict(place), items=items)
        if self.progress.n_skipped >= MAX_SKIPPED:
            raise TrainingError(
                f"The gradient was not finite {MAX_SKIPPED} times in a row, last at step {self.progress.step}. "
                "The saved weights are finite. Train again with a lower training.learning_rate.",
                ways=["fresh"],
            )

    def _record(self, factor: float, norm: float) -> None:
        now, share, sums = time.monotonic(), self._share(), reduce(add, self._since_record)
        # All processes get here at the same steps; otherwise one would wait for the others.
        smoothed, nll = self.processes.total(sums.smoothed, sums.nll)
        self.log.write(
            "train",
            step=self.progress.step,
            epoch=self.progress.epoch,
            loss=float(smoothed) / sums.n_tokens,
            nll=float(nll) / sums.n_tokens,
            tokens_per_second=sums.n_tokens / (now - self._recorded),
            learning_rate_factor=factor,
            gradient_norm=norm,
            seconds=self.progress.seconds,
            # With a coarse clock, none of the budget may be used yet.
            seconds_left=(self.progress.seconds - self.progress.planned_seconds) * (1 / max(share, 1e-9) - 1),
            progress=share,
        )
        self._recorded, self._since_record = now, []

    def _validate(self) -> None:
        """Validate the model, or the average of its weights, unless this was already done at this step."""
        if self.progress.validated_step < self.progress.step:
            average = self.optimiser.average
            self._measure(average.weights if average is not None else {})
            self.progress.validated_step, self.progress.validated_share = self.progress.step, self._share()

    def _measure(self, weights: dict[str, Tensor]) -> None:
        """Validate the model with other weights instead of its own, and save it as `best` if it is the best."""
        began = time.monotonic()
        with holding(self.bundle.model, gathered(self.model, weights)):
            self._check_weights()
            self.bundle.model.eval()
            figures = self.processes.from_first(self._figures)
            self.model.train()
            # As a value, so that it reaches all: raised only in the first process, it would leave the others waiting.
            if isinstance(figures, Interrupted):
                raise figures
            # Decided in every process from the same figures, so that patience ends all of them.
            best = self._is_best(figures["score"], figures.get("tie"))
            self.progress.n_worse = 0 if best else self.progress.n_worse + 1
            if best:
                self.progress.best_score, self.progress.best_step = figures["score"], self.progress.step
                self.progress.best_tie = figures.get("tie")
                self.processes.in_first(lambda: self.run.save_best(self._carded(figures)))
        seconds = time.monotonic() - self._started
        self.log.write("valid", step=self.progress.step, best=best, seconds=seconds, **figures)
        self._recorded += time.monotonic() - began  # a validation does not count as training speed

    def _is_best(self, score: float, tie: float | None) -> bool:
        """Return whether a score is the best so far, or equal with a better tie. One that is not finite never is."""
        if not math.isfinite(score):
            self.log.display.say(
                f"warning: the validation score at step {self.progress.step:,} is not finite, so the model is not "
                "saved as the best. Lower training.learning_rate."
            )
            return False
        if score == self.progress.best_score and tie is not None:
            return tie > (self.progress.best_tie if self.progress.best_tie is not None else -math.inf)
        return self.progress.best_score is None or score > self.progress.best_score

    def _figures(self) -> dict[str, float] | Interrupted:
        """Return the figures of the validation, or the signal that ended it."""
        try:
            with self._interrupts.at_once():
                return self.validate(self.bundle.model)
        except Interrupted as interrupted:
            return interrupted

    def _check_weights(self) -> None:
        """Raise TrainingError if the weights are not finite, so that such a model is never saved."""
        if not all(bool(p.isfinite().all()) for p in self.bundle.model.parameters()):
            raise TrainingError(
                f"The weights are not finite at step {self.progress.step}. The saved weights are finite. Train again "
                "with a lower training.learning_rate.",
                ways=["fresh"],
            )

    def _carded(self, figures: dict[str, float] | None = None) -> Bundle:
        """Return the bundle with a card that says how far it was trained."""
        validation = {name: finite(value) for name, value in (figures or {}).items()}
        trained = {"trained": self.progress.model_copy(deep=True), "validation": validation}
        return dataclasses.replace(self.bundle, card=self.bundle.card.model_copy(update=trained))


@torch.no_grad()
def mean_nll(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> float:
    """Return the mean negative log-likelihood per target token, in nats, over all batches. The mode is not changed."""
    nll, n_tokens = 0.0, 0
    for batch in batches:
        loss = batch_loss(model, to_device(batch, device), smoothing=0.0)
        nll, n_tokens = nll + float(loss.nll), n_tokens + loss.n_tokens
    return nll / n_tokens
