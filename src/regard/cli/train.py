"""`regard train`: one road for every family and both jobs. Says what it found and why it chose what it chose.

What differs between pairs and running text stands in `train_pairs` and `train_text`, behind `Corpus` and `Job`.
"""

import tomllib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from regard.bundle import Bundle, load_bundle
from regard.cli import is_first, say
from regard.errors import ConfigError, RunError
from regard.models import MODELS
from regard.presets import PRESETS, choose_preset
from regard.recipe import Recipe, differences, make_recipe, read_overrides, read_recipe, unknown
from regard.runtime import Runtime, choose_precision, has_bfloat16, prepare_runtime
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.config import TrainingConfig
from regard.training.log import Log, NoDisplay, make_display
from regard.training.loop import Stream, Trainer, Validate
from regard.training.processes import Processes, together
from regard.training.progress import Progress
from regard.training.run import RunFolder, step_of


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    data: list[Path]
    to: Path
    valid: list[Path]
    model: str | None
    preset: str | None
    recipe: Path | None
    overrides: list[str]
    seed: int | None
    device: str
    fresh: bool


class Job(Protocol):
    """A corpus that is ready to be trained on."""

    def card(self, recipe: Recipe) -> dict[str, Any]:
        """Return what a bundle's card says of the data; "data" identifies it."""
        ...

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        """Return new tokenizers for both sides, and a sentence about them."""
        ...

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder) -> tuple[Stream, str]:
        """Return the batches to train on, and a sentence about them. The run has room for what is too large."""
        ...

    def validation(self, bundle: Bundle, recipe: Recipe, runtime: Runtime) -> Validate:
        """Return what measures the model while it is trained."""
        ...

    def closing(self, run: RunFolder, runtime: Runtime) -> str:
        """Return what to say when the training is done."""
        ...


class Corpus(Protocol):
    """What was read, before the settings are known."""

    job: ClassVar[str]
    default_family: ClassVar[str]

    @property
    def size(self) -> int:
        """Return the number of pairs, or of characters."""
        ...

    def split(self, recipe: Recipe) -> Job:
        """Return the corpus with validation data set apart."""
        ...


def run_train(request: Request) -> None:
    """Train a model, or go on with a run that was begun with the same settings and data."""
    run = RunFolder(request.to)
    run.check()
    corpus = read_corpus(request.data, request.valid)
    recipe, reason = resolve(request, corpus)
    job = corpus.split(recipe)
    say(f"model: {recipe.family}, {reason}")
    runtime = prepare_runtime(request.device)
    say(f"device: {runtime}")
    progress = train_job(run, recipe, job, runtime, request.fresh)
    if is_first():
        last = job.closing(run, runtime)
        say(f"Done: {progress.step:,} steps in {progress.seconds / 60:.1f} minutes, {last}")


def read_corpus(data: Sequence[Path], valid: Sequence[Path]) -> Corpus:
    """Return the corpus that the files hold: running text in one .txt, pairs in anything else."""
    if len(data) == 1 and data[0].suffix.lower() == ".txt":
        from regard.cli.train_text import TextCorpus

        return TextCorpus.read(data[0], valid)
    from regard.cli.train_pairs import PairsCorpus

    return PairsCorpus.read(data, valid)


def resolve(request: Request, corpus: Corpus) -> tuple[Recipe, str]:
    """Return the recipe for a corpus, and why its preset was chosen."""
    file = read_recipe(request.recipe) if request.recipe else {}
    overrides = read_overrides(request.overrides)
    if request.seed is not None:
        overrides.setdefault("training", {})["seed"] = request.seed
    family = request.model or file.get("family", corpus.default_family)
    if family not in MODELS:
        raise ConfigError(f"model: {unknown(family, list(MODELS))}")
    if corpus.job not in MODELS[family][1].jobs:
        fitting = [name for name, (_, model) in MODELS.items() if corpus.job in model.jobs]
        raise ConfigError(
            f"{family} is trained on pairs of sentences, and one .txt is running text. Use --model {fitting[0]}, or "
            "give pairs: one .tsv, or two files."
        )
    preset = request.preset or file.get("preset")
    reason = f"preset {preset}, as asked for"
    if preset is None:
        preset, reason = choose_preset(corpus.job, corpus.size)
    if preset not in PRESETS[corpus.job]:
        raise ConfigError(f"preset: {_unknown_preset(preset, corpus.job)}")
    if family not in (families := PRESETS[corpus.job][preset]):
        raise ConfigError(f"preset {preset} is for {' and '.join(families)}, not for {family}. Choose another preset.")
    sections = {name: value for name, value in file.items() if isinstance(value, dict)}
    recipe = make_recipe(corpus.job, family, preset, [families[family], sections, overrides])
    if recipe.training.compiled and not MODELS[family][1].in_one_graph:
        raise ConfigError(
            f"training.compiled is true, and {family} has a loop over positions, which would be compiled anew for "
            "every length. Leave the setting out."
        )
    return recipe, reason


def _unknown_preset(preset: str, job: str) -> str:
    """Return a sentence about a preset that the job does not have."""
    if others := [other for other in PRESETS if preset in PRESETS[other]]:
        return f"{preset} is for {others[0]}, and this is {job}. Known are {', '.join(PRESETS[job])}."
    return unknown(preset, list(PRESETS[job]))


def train_job(run: RunFolder, recipe: Recipe, job: Job, runtime: Runtime, fresh: bool) -> Progress:
    """Train into a run directory, from its newest checkpoint if it has one, and return how far it came.

    Of several processes, the first finds out where to begin and owns the directory.
    """
    with together(runtime.device) as processes, ExitStack() as owning:
        processes.in_first(lambda: owning.enter_context(run.owned()))
        return train_together(run, recipe, job, runtime, fresh, processes)


def train_together(
    run: RunFolder, recipe: Recipe, job: Job, runtime: Runtime, fresh: bool, processes: Processes
) -> Progress:
    """Train as one of several processes, or alone. What talks to the others is gone when this returns."""
    card = {**job.card(recipe), "arithmetic": {"threads": runtime.n_threads, "processes": processes.size}}
    found = processes.in_first(lambda: find_checkpoint(run, recipe, card, fresh))
    checkpoint = processes.from_first(lambda: found[0] if found else None)
    training = processes.from_first(lambda: with_precision(recipe, found, runtime))
    card["arithmetic"]["precision"] = training.precision
    if checkpoint is None:
        bundle = new_bundle(recipe, job, card, processes)
    else:
        bundle = found[1] if found else load_bundle(checkpoint)
    stream, description = processes.first_before_others(lambda: job.stream(bundle, recipe, run))
    bundle.model.to(runtime.device)
    n_parameters = sum(p.numel() for p in bundle.model.parameters())
    say(f"model: {n_parameters:,} parameters; {description}")
    validate = job.validation(bundle, recipe, runtime)
    processes.in_first(lambda: run.claim(fresh, recipe.to_toml()))
    log = processes.in_first(lambda: Log(run.log, make_display())) or Log(None, NoDisplay())
    with closing(log):
        trainer = Trainer(bundle, stream, training, run, validate, log, runtime.device, processes)
        return trainer.train(checkpoint)


def with_precision(recipe: Recipe, found: tuple[Path, Bundle] | None, runtime: Runtime) -> TrainingConfig:
    """Return the settings of the training with "auto" made out: as the run began, if possible, or as is faster here.

    Raises ConfigError if bfloat16 is asked for where there is none.
    """
    config = recipe.training
    model: Any = recipe.model
    if config.precision == "bfloat16" and not has_bfloat16(runtime.device):
        raise ConfigError(f"training.precision is bfloat16, and this {runtime.device.type} has none. Use float32.")
    if config.precision != "auto":
        return config
    before = found[1].card.get("arithmetic", {}).get("precision") if found else None
    if before == "float32" or (before and has_bfloat16(runtime.device)):
        precision, reason = before, f"{before}, as the run began"
    else:
        precision, reason = choose_precision(runtime.device, model.width)
    say(f"numbers: {reason}")
    return config.model_copy(update={"precision": precision})


def find_checkpoint(run: RunFolder, recipe: Recipe, card: dict[str, Any], fresh: bool) -> tuple[Path, Bundle] | None:
    """Return where to go on and with what, if there is something and it was begun with the same settings and data.

    Raises RunError if a model stands there without a whole checkpoint, so that it would be trained over from the start.
    """
    if fresh:
        return None
    found = run.newest(lambda message: say(f"warning: {message}"))
    old_card = found[1].card if found else run.card_of_last()
    refuse_changes(run, recipe, old_card, card)
    if found is None:
        damaged = [step_of(path) for path in run.steps()]
        step = max([*damaged, old_card["trained"]["step"] if old_card else 0])
        if damaged or step > recipe.training.checkpoint_steps:  # a kill leaves no model of more steps by itself
            raise RunError(
                f"{run.path} holds a model of {step:,} steps and no whole checkpoint to go on from. Choose another "
                "directory, or --fresh to train anew there, which deletes that model."
            )
        return None
    now = card["arithmetic"]
    before = {name: n for name, n in found[1].card.get("arithmetic", now).items() if name in now}
    if before != now:
        say(f"note: begun with {in_words(before)}, and goes on with {in_words(now)}: last digits may differ.")
    return found


def in_words(arithmetic: dict[str, int]) -> str:
    """Return how many threads and processes compute, in words."""
    return " and ".join(f"{name}={n}" for name, n in arithmetic.items())


def new_bundle(recipe: Recipe, job: Job, card: dict[str, Any], processes: Processes) -> Bundle:
    """Return an untrained model and new tokenizers, the same in all processes."""
    source, target, reason = processes.from_first(lambda: job.tokenizers(recipe))
    say(f"tokenizer: {reason}")
    model: Any = recipe.model
    if model.one_vocabulary and source is not target:
        raise ConfigError(
            f"tokenizer.joint is false, and {recipe.family} with these settings has one vocabulary for both languages. "
            "Set tokenizer.joint=true, or model.tied=target where the family has that."
        )
    torch.manual_seed(recipe.training.seed)
    built = MODELS[recipe.family][1](model, source.vocabulary, target.vocabulary)
    return Bundle(built, recipe.family, source, target, card)


def refuse_changes(run: RunFolder, recipe: Recipe, old_card: dict[str, Any] | None, card: dict[str, Any]) -> None:
    """Raise ConfigError if a run was begun with other settings or other data, or RunError if nobody can tell."""
    if old_card is None or not run.recipe.exists():
        return
    try:
        before = tomllib.loads(run.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{run.recipe} cannot be read: {error}. Put it back from a copy, choose another directory, or --fresh to "
            f"start anew, which deletes what {run.path} holds."
        ) from error
    changed = differences(before, tomllib.loads(recipe.to_toml()))
    now = card["data"]
    changed += [
        f"{name} of the data: {was} -> {now.get(name)}"
        for name, was in old_card["data"].items()
        if was != now.get(name)
    ]
    if changed:
        raise ConfigError(
            f"{run.path} was begun with other settings: {'; '.join(changed)}. "
            "Give the same settings to go on, another directory, or --fresh to start anew there."
        )
