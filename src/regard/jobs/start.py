"""Where a training begins: anew, at a checkpoint of its own run, or with another model's weights."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from regard.bundle import Bundle, load_bundle, run_bundle
from regard.bundle.card import Arithmetic, Card, Parent
from regard.bundle.files import MANIFEST, WEIGHTS, read_manifest
from regard.bundle.weights import distinct, filled, planned
from regard.display import Display
from regard.errors import ConfigError, RunError
from regard.jobs.job import Split
from regard.models import MODELS
from regard.recipe import Origin, Recipe
from regard.replacing import standing
from regard.runtime import memory_bytes, release_memory
from regard.training.processes import Processes
from regard.training.run import RunFolder, step_of
from regard.training.state import TrainState


@dataclass(frozen=True, slots=True)
class Resumed:
    """A checkpoint of the run, from which it continues."""

    checkpoint: Path
    bundle: Bundle
    state: TrainState


@dataclass(frozen=True, slots=True)
class Adapted:
    """Another model, whose weights and tokenizers are taken over. named: its path as it was given."""

    bundle: Bundle
    origin: Origin
    named: Path


def parent_of(path: Path) -> Adapted:
    """Return the model of a run or a bundle to start from. Raises BundleError if there is none."""
    try:
        os.fspath(path.absolute()).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"The path {os.fspath(path)!r} is not UTF-8, so no recipe can name it. Rename it.") from None
    place = run_bundle(path)
    # Absolute, since the run may be continued from another directory.
    return Adapted(load_bundle(place), Origin(path=str(path.absolute()), weights=digest_of(place)), path)


def same_parent(origin: Origin) -> Adapted:
    """Return the model that a run was begun from. Raises RunError if its weights have changed since."""
    parent = parent_of(Path(origin.path))
    if parent.origin.weights != origin.weights:
        raise RunError(
            f"{origin.path} has other weights than when the run was begun from it. Restore them.", ways=["fresh"]
        )
    return parent


def digest_of(bundle: Path) -> str:
    """Return the sha256 of a bundle's weights."""
    return read_manifest(standing(bundle, MANIFEST))[1].files[WEIGHTS].sha256


def refuse_other_origin(recipe: Recipe, start: Path, run: RunFolder) -> None:
    """Raise ConfigError if a run that continues was not begun from the model that is named."""
    if recipe.start is None:
        raise ConfigError(f"{run.path} was begun from scratch, not from {start}. Leave {start} out.", ways=["fresh"])
    # One match is enough: the parent may have been moved since, or trained further in place.
    if recipe.start.path != str(start.absolute()) and recipe.start.weights != digest_of(run_bundle(start)):
        raise ConfigError(f"{run.path} was begun from {recipe.start.path}, not from {start}.", ways=["fresh"])


def find_checkpoint(run: RunFolder, recipe: Recipe, display: Display) -> Resumed | None:
    """Return the newest intact checkpoint, or None if nothing was trained yet.

    Raises RunError if the run holds a model but no checkpoint: a training from scratch would overwrite it.
    """
    found = run.newest(recipe.training, lambda message: display.say(f"warning: {message}"))
    if found is not None:
        return Resumed(*found)
    last = run.card_of_last()
    damaged = [step_of(path) for path in run.steps()]
    step = max([*damaged, last.trained.step if last else 0])
    if damaged or step > recipe.training.checkpoint_steps:  # a kill alone leaves no model of more steps
        raise RunError(
            f"{run.path} holds a model of {step:,} steps and no checkpoint to continue from. Choose another directory.",
            ways=["fresh"],
        )
    return None


def refuse_other_data(before: Card, now: Card, run: RunFolder) -> None:
    """Raise ConfigError if a run was begun with other data."""
    old, new = before.data.model_dump(exclude_none=True), now.data.model_dump(exclude_none=True)
    # Only the fields of the old card are compared, since an earlier release stored fewer.
    numbers = {name: was for name, was in old.items() if name not in ("fingerprint", "validation")}
    changed = [f"{name}: {was} -> {new.get(name)}" for name, was in numbers.items() if was != new.get(name)]
    if not changed and old["fingerprint"] != new["fingerprint"]:
        changed = ["the same amount of text, but other text"]
    if old.get("validation") != new.get("validation"):
        changed.append("other validation data than at the beginning")
    if changed:
        raise ConfigError(
            f"{run.path} was begun with other data ({'; '.join(changed)}). Give the same data to continue, or choose "
            "another directory.",
            ways=["start", "fresh"],
        )


def say_arithmetic(before: Arithmetic, now: Arithmetic, display: Display) -> None:
    """Say if a run continues with other threads or processes than it was begun with."""
    if (before.threads, before.processes) != (now.threads, now.processes):
        was, goes_on = (f"threads={a.threads} and processes={a.processes}" for a in (before, now))
        display.say(f"note: the run was begun with {was}, and continues with {goes_on}: the last digits may differ.")


def new_bundle(
    recipe: Recipe, split: Split, card: Card, device: torch.device, processes: Processes, display: Display
) -> Bundle:
    """Return an untrained model and new tokenizers, the same in all processes."""
    source, target, reason = processes.from_first(lambda: split.tokenizers(recipe))
    release_memory()  # of what the tokenizer was learnt from
    display.say(f"tokenizer: {reason}")
    config = recipe.model
    if config.one_vocabulary and not source.shares(target):  # type: ignore[attr-defined]
        raise ConfigError(
            f"tokenizer.joint is false, and {recipe.family} with these settings needs one vocabulary for both "
            "languages. Set tokenizer.joint=true, or model.tied=target if the family has that."
        )
    vocabularies = source.vocabulary, target.vocabulary
    # Counted on a planned model: the real one would already take the memory.
    if device.type == "cpu" and not (recipe.training.sharded and processes.size > 1):  # elsewhere, other limits hold
        plan = planned(recipe.family, config, vocabularies, target.n_control)
        refuse_too_large(sum(x.numel() for x in distinct(plan).values()))
    # Seeded right before initialisation: the weights are the same in all processes, whatever was drawn before.
    torch.manual_seed(recipe.training.seed)
    model = MODELS[recipe.family][1](config, *vocabularies, n_control=target.n_control)
    return Bundle(model, recipe.family, source, target, card)


def refuse_too_large(n_parameters: int) -> None:
    """Raise ConfigError if a model, its gradients and the optimiser's state cannot fit into memory."""
    needed, there = n_parameters * 4 * 3, memory_bytes()  # bytes; weights, gradients, one momentum at least
    if there is not None and needed > there:
        raise ConfigError(
            f"The model has {n_parameters:,} parameters; training it takes {needed / 2**30:,.1f} GiB or more, and this "
            f"machine has {there / 2**30:,.1f}. Set a smaller model."
        )


def adapted_bundle(start: Adapted, recipe: Recipe, card: Card) -> Bundle:
    """Return the model to start from with the settings of the new run, its tokenizers, and a card that names it."""
    parent = start.bundle
    vocabularies = parent.source_tokenizer.vocabulary, parent.target_tokenizer.vocabulary
    # Built anew around the parent's weights, since the dropout rates may differ.
    model = planned(recipe.family, recipe.model, vocabularies, parent.target_tokenizer.n_control)
    weights = {name: tensor.detach() for name, tensor in distinct(parent.model).items()}
    origin = Parent(
        path=str(start.named),
        weights=start.origin.weights,
        step=parent.card.trained.step,
        data=parent.card.data,
    )
    return Bundle(
        filled(model, weights),
        recipe.family,
        parent.source_tokenizer,
        parent.target_tokenizer,
        card.model_copy(update={"parent": origin}),
    )
