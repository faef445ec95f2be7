"""One training from start to end: read the corpus, settle recipe and start, train, and report the result."""

import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from regard.bundle import Bundle, load_bundle
from regard.bundle.card import Arithmetic, Card, Progress
from regard.display import Display, Silent
from regard.errors import ConfigError, DataError, RunError
from regard.jobs import JOBS
from regard.jobs.given import Given, keep_spooled, spooled_in
from regard.jobs.job import Split
from regard.jobs.settling import Request, Start, refuse_early, settle
from regard.jobs.start import (
    Adapted,
    Resumed,
    adapted_bundle,
    new_bundle,
    refuse_other_data,
    same_parent,
    say_arithmetic,
)
from regard.recipe import Recipe
from regard.runtime import release_memory
from regard.training.log import Log, OnEvent
from regard.training.loop import Trainer
from regard.training.processes import Processes, together
from regard.training.run import RunFolder
from regard.training.schedule import budget_of
from regard.training.state import TrainState, read_state


def train_run(request: Request, display: Display | None, on_event: OnEvent | None = None) -> Progress:
    """Train into a run directory, from where it left off, and return how far it came.

    Of several processes, the first determines where to begin, owns the directory, and shows the messages.
    """
    run = RunFolder(request.to)
    run.check()
    spool = run.path / f".spool.tmp-{os.getpid()}"  # a name that `RunFolder.owned` clears away after a kill
    with together(request.device) as processes, ExitStack() as owning, own_random_numbers(request.device):
        shown = display if display is not None and processes.is_first else Silent()
        processes.in_first(lambda: owning.enter_context(run.owned()))
        # Runs before the lock is released, which removes a directory that was new if nothing else is in it.
        owning.callback(shutil.rmtree, spool, ignore_errors=True)
        data = processes.from_first(lambda: data_of(request, run, spool))
        job = JOBS[data.job]
        processes.in_first(lambda: refuse_early(request, run, job))
        corpus = job.read(data, request.valid, request.guard, shown)
        recipe, start = settle(request, run, job, corpus, processes, shown)
        split = corpus.split(recipe, shown)
        progress = train(run, recipe, split, start, Surroundings(request, spool, processes, shown, on_event))
        # Only if it is shown: for running text, a sample is generated and searched for in the training text.
        if display is not None and processes.is_first:
            minutes, how_well = progress.seconds / 60, split.closing(run, recipe, request.device)
            display.say(f"Done: {progress.step:,} steps in {minutes:.1f} minutes, {how_well}")
        return progress


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What surrounds a training: the request, the other processes, the display and the callback."""

    request: Request
    spool: Path
    processes: Processes
    display: Display
    on_event: OnEvent | None


def train(run: RunFolder, recipe: Recipe, split: Split, start: Start, around: Surroundings) -> Progress:
    """Train as one of several processes, or alone, and return how far it came."""
    processes, display, device = around.processes, around.display, around.request.device
    precision = recipe.training.precision
    assert precision != "auto", "the recipe is resolved"
    arithmetic = Arithmetic(threads=torch.get_num_threads(), processes=processes.size, precision=precision)
    card = split.card(recipe).model_copy(update={"arithmetic": arithmetic})
    # Before the stream, which would replace the shards of the run with those of other data.
    processes.in_first(lambda: compare(start, card, run, display))
    bundle, state = begin(start, recipe, split, card, around)
    # Shards are written by the first process; the others find them complete.
    stream, description = processes.first_before_others(lambda: split.stream(bundle, recipe, run, display))
    if state is not None:
        refuse_used_up(recipe, state.progress, stream.survey.n_batches)
        if not stream.holds(state.progress.place):
            raise RunError(f"{run.path} would continue at a batch that these data do not have.", ways=["fresh"])
    release_memory()  # of what was read and encoded
    recipe, card = split.observed(stream, recipe, bundle.card)
    bundle = dataclasses.replace(bundle, card=card)
    bundle.model.to(device)
    n_parameters = sum(p.numel() for p in bundle.model.parameters())
    display.say(f"model: {n_parameters:,} parameters; {description}")
    validate = split.validation(bundle, recipe, device, display)
    # Except for shards, the run changes only here: nothing can be refused any more, and `fresh` deletes the old one.
    processes.in_first(lambda: claim(run, start, split.settled(recipe), around))
    log = processes.in_first(lambda: Log(run.log, display, around.on_event)) or Log(None, Silent())
    with closing(log):
        return Trainer(bundle, stream, recipe.training, run, validate, log, device, processes).train(state)


def compare(start: Start, card: Card, run: RunFolder, display: Display) -> None:
    """Raise ConfigError if a run that continues was begun with other data; say if it was with other threads."""
    if isinstance(start, Resumed):
        refuse_other_data(start.bundle.card, card, run)
        say_arithmetic(start.bundle.card.arithmetic, card.arithmetic, display)


def data_of(request: Request, run: RunFolder, spool: Path) -> Given:
    """Return the corpus in files: as it was given, or as the run stores it.

    Raises DataError if there is none.
    """
    if request.data is not None:
        return request.data.spool(spool)
    if (held := spooled_in(run.data)) is None:
        raise DataError(f"No data was given, and {run.path} holds none. Give the data that it was begun with.")
    return held


def begin(
    start: Start, recipe: Recipe, split: Split, card: Card, around: Surroundings
) -> tuple[Bundle, TrainState | None]:
    """Return the bundle to train, the same in all processes, and the state to continue from."""
    processes = around.processes
    checkpoint = processes.from_first(lambda: start.checkpoint if isinstance(start, Resumed) else None)
    if checkpoint is not None:
        bundle, state = (start.bundle, start.state) if isinstance(start, Resumed) else again(checkpoint)
        # The first process has filled in what a checkpoint of format 1 does not say.
        state.progress.budget = processes.from_first(lambda: state.progress.budget)
        old = bundle.card
        # Languages, decoding and arithmetic are the current ones; progress and parent are those of the checkpoint.
        card = card.model_copy(update={"trained": old.trained, "parent": old.parent, "validation": old.validation})
        return dataclasses.replace(bundle, card=card), state
    origin = processes.from_first(lambda: start.origin if isinstance(start, Adapted) else None)
    if origin is not None:
        adapted = start if isinstance(start, Adapted) else same_parent(origin)
        return adapted_bundle(adapted, recipe, card), None
    return new_bundle(recipe, split, card, around.request.device, processes, around.display), None


def again(checkpoint: Path) -> tuple[Bundle, TrainState]:
    """Return the content of a checkpoint that the first process has found intact."""
    state = read_state(checkpoint)
    assert state is not None, "the first process has seen a state there"
    return load_bundle(checkpoint), state


def refuse_used_up(recipe: Recipe, progress: Progress, n_batches: int) -> None:
    """Raise ConfigError if the budget was changed to one that is used up already."""
    budget = budget_of(recipe.training, n_batches)
    if progress.budget != recipe.training.budget and budget.progress(progress.step, progress.seconds) >= 1:
        given = " and ".join(f"training.{name}={n:g}" for name, n in recipe.training.budget.items())
        raise ConfigError(
            f"{given} is used up: the run has made {progress.step:,} steps in {progress.seconds / 60:.2f} minutes. "
            "A budget counts from the beginning: give a larger one, or none to keep the previous one."
        )


def claim(run: RunFolder, start: Start, recipe: Recipe, around: Surroundings) -> None:
    """Claim the run: write its recipe, and store a corpus that was given from memory."""
    begins = not isinstance(start, Resumed)
    run.claim(begins, recipe.to_toml())
    if around.spool.is_dir():
        keep_spooled(around.spool, run.data)
    elif begins and around.request.data is not None:  # files: a corpus that an older run stored is outdated
        shutil.rmtree(run.data, ignore_errors=True)


_ONE_TRAINING = threading.Lock()


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Restore torch's random state after the block, which may seed and draw.

    Raises RunError if another training of this process is in such a block: all threads share one random state.
    """
    if not _ONE_TRAINING.acquire(blocking=False):
        raise RunError("Another training is running in this process. Wait for it, or train in another process.")
    try:
        # The device is named, since by default the state of every GPU is copied.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        _ONE_TRAINING.release()
