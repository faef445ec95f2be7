"""What is settled before a training: its recipe, fully resolved, and where it begins.

A run with a checkpoint continues from it. A run that ended before its first checkpoint begins again with its recipe.
Otherwise the call decides, and the model that it starts from, if it names one.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from regard.display import Display, Silent
from regard.errors import ConfigError
from regard.jobs import JOBS
from regard.jobs.given import Given
from regard.jobs.job import Corpus, Job
from regard.jobs.settings import (
    Named,
    continued,
    new_recipe,
    recipe_from,
    recipe_of_run,
    refuse_changes,
    resolved,
)
from regard.jobs.start import Adapted, Resumed, find_checkpoint, parent_of, refuse_other_origin, same_parent
from regard.recipe import Recipe
from regard.runtime import described, has_bfloat16
from regard.training.processes import Processes
from regard.training.run import RunFolder


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a training. data: None if the run holds them. start: a run or a bundle to begin from."""

    to: Path
    data: Given | None
    valid: Given | None
    guard: Given | None
    names: Named
    start: Path | None
    device: torch.device
    fresh: bool


Start = None | Adapted | Resumed
"""Where a training begins: anew, with another model's weights, or at a checkpoint."""


def refuse_early(request: Request, run: RunFolder, job: Job) -> None:
    """Raise ConfigError for settings of a new run that are wrong for every corpus, before the corpus is read."""
    if request.start is None and (request.fresh or run.recipe_text() is None):
        new_recipe(request.names, job, 0)


def settle(
    request: Request, run: RunFolder, job: Job, corpus: Corpus, processes: Processes, display: Display
) -> tuple[Recipe, Start]:
    """Return the recipe and where to begin; the first process determines both and sends the others the recipe."""
    # Not sent: the other processes read the model and its state from the disk themselves.
    found: list[Start] = [None]

    def first() -> Recipe:
        before = None if request.fresh else recipe_of_run(run)  # with `fresh` it may be damaged
        checkpoint = None
        if before is not None:
            refuse_other_job(before, job, run)
            checkpoint = find_checkpoint(run, before, display)
        if before is not None and checkpoint is not None:
            recipe = _continuing(before, checkpoint, request, run, job, display)
            found[0], reason = checkpoint, f"preset {recipe.preset}, from the run's recipe"
        else:
            recipe, found[0], reason = _beginning(before, request, job, corpus)
            recipe = resolved(recipe, job, request.device, display, corpus)
        display.say(f"model: {recipe.family}, {reason}")
        display.say(f"device: {described(request.device)}")
        return recipe

    recipe = processes.from_first(first)
    return recipe, found[0]


def _continuing(
    before: Recipe, checkpoint: Resumed, request: Request, run: RunFolder, job: Job, display: Display
) -> Recipe:
    """Return the recipe of a run that continues. Raises ConfigError if the call would change its course."""
    # Format 1 did not store the planned budget, nor what "auto" was resolved to.
    if checkpoint.state.progress.budget is None:
        checkpoint.state.progress.budget = before.training.budget
    if before.training.precision == "auto":
        computed = checkpoint.bundle.card.arithmetic.precision or "float32"
        before = before.with_section("training", precision=computed)
    if before.training.precision == "bfloat16" and not has_bfloat16(request.device):
        # The new recipe says float32, and the run keeps it, even back on a machine that has bfloat16.
        display.say("note: begun in bfloat16, which this machine does not support; the run continues in float32.")
        before = before.with_section("training", precision="float32")
    # Format 1 had no `best_by`. Not reported, since nothing new is chosen for this run.
    before = resolved(before, job, request.device, Silent())
    recipe = resolved(continued(before, request.names, job), job, request.device, display)
    refuse_changes(before, recipe, run, display)
    if request.start is not None:
        refuse_other_origin(recipe, request.start, run)
    return recipe


def _beginning(before: Recipe | None, request: Request, job: Job, corpus: Corpus) -> tuple[Recipe, Adapted | None, str]:
    """Return the recipe of a run that begins, the model it starts from, if any, and a phrase about both."""
    names = request.names
    # Nothing was trained yet, so the call may name another family or preset, or a model to start from.
    as_before = before is not None and names.family in (None, before.family) and names.preset in (None, before.preset)
    if before is not None and as_before and request.start is None:
        origin = same_parent(before.start) if before.start is not None else None
        return continued(before, names, job), origin, "from the run's recipe"
    if request.start is None:
        recipe, reason = new_recipe(names, job, corpus.size)
        return recipe, None, reason
    origin = parent_of(request.start)
    parent_recipe = recipe_of_run(RunFolder(request.start))
    recipe, reason = recipe_from(names, job, origin.bundle, parent_recipe, corpus.size)
    recipe = recipe.model_copy(update={"start": origin.origin})
    return recipe, origin, f"from {request.start} after {origin.bundle.card.trained.step:,} steps, {reason}"


def refuse_other_job(before: Recipe, job: Job, run: RunFolder) -> None:
    """Raise ConfigError if a run was begun on another kind of data."""
    if not isinstance(before.data, job.data):
        was = next(other.title for other in JOBS.values() if isinstance(before.data, other.data))
        raise ConfigError(
            f"{run.path} was begun on {was}, and these data are {job.title}. Choose another directory.", ways=["fresh"]
        )
