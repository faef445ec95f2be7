"""The settings of a run: of a new one, of one that continues, of one that begins from another model.

A new run takes a preset by the size of its corpus and resolves every automatic choice, so that its recipe is complete.
A run that continues takes what the call does not name from its own recipe, whatever a later release would choose.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from regard.bundle import Bundle
from regard.display import Display
from regard.errors import ConfigError, RunError, shown
from regard.jobs import JOBS
from regard.jobs.job import Corpus, Job
from regard.models import MODELS
from regard.presets import BUDGET_KEYS, Settings, choose_preset
from regard.recipe import SECTIONS, Recipe, Rules, checked_content, differences, make_recipe, read_recipe, unknown
from regard.runtime import choose_precision, has_bfloat16
from regard.text.languages import code_of
from regard.training.run import RunFolder

HARMLESS = frozenset(
    {
        "training.validation_steps",
        "training.most_validations",
        "training.checkpoint_steps",
        "training.keep_checkpoints",
        "training.average_checkpoints",
        "training.patience",
        # Batches are the same from files as from memory.
        "data.pairs_in_memory",
        "data.characters_in_memory",
        "data.source_language",
        "data.target_language",
    }
)
"""Settings that do not affect the weights, so they may change when a run continues; so may those of decoding."""

CONSEQUENCES = {
    "data.target_language": "its BLEU may be tokenised differently, and earlier scores are not comparable",
    "training.validation_steps": "the best model is chosen among validations at other steps from now on",
    "training.checkpoint_steps": "averages are over other checkpoints from now on",
    "training.keep_checkpoints": "averages are over the checkpoints that are left",
    "training.average_checkpoints": "the average at the end is over another number of checkpoints",
    "training.patience": "validations without a better score are counted against the new number",
}
"""The further consequences of such a change."""

LANGUAGES = frozenset({"source_language", "target_language"})

BUDGET = frozenset(f"training.{key}" for key in BUDGET_KEYS)

FREE = frozenset({"dropout_rate", "ngram_dropout"})
"""Settings of a model that may change when its weights are taken over: they affect only its training."""


@dataclass(frozen=True, slots=True)
class Named:
    """The settings that a call names. layers: a recipe file's sections, and over them single settings."""

    family: str | None
    preset: str | None
    layers: tuple[Settings, ...]


def named(model: str | None, preset: str | None, recipe: Path | None, settings: Settings) -> Named:
    """Return what a call names, a recipe file read. Raises ConfigError for a family that is not known."""
    file = read_recipe(recipe) if recipe else {}
    if "start" in file:
        raise ConfigError(
            f"{recipe} is the recipe of a run that began with another model's weights, which a recipe does not "
            "contain. Remove its section [start]; to start from the same model, name it in the call."
        )
    family = model or file.get("family")
    if family is not None and family not in MODELS:
        raise ConfigError(f"model: {unknown(family, list(MODELS), 'a family')}")
    sections = {name: value for name, value in file.items() if name in (*SECTIONS, "rules")}
    return Named(family, preset or file.get("preset"), (with_codes(sections), with_codes(settings)))


def with_codes(layer: Settings) -> Settings:
    """Return settings with languages as codes, "de" for "German". Raises ConfigError for an unknown language."""
    data = dict(layer.get("data", {}))
    for key in LANGUAGES & data.keys():
        if isinstance(data[key], str):  # anything else is refused with all other settings of a wrong type
            data[key] = code_of(data[key])
    return layer | {"data": data} if data else layer


def new_recipe(names: Named, job: Job, size: int) -> tuple[Recipe, str]:
    """Return the recipe of a new run, and why its preset was chosen."""
    family = names.family or job.default_family
    refuse_family(family, job)
    preset, reason = names.preset, f"preset {names.preset}, as requested"
    if preset is None:
        preset, reason = choose_preset(job.limits, size, job.unit)
    layers = [preset_of(preset, family, job), *names.layers]
    return checked(make_recipe(job, family, preset, layers)), reason


def recipe_from(names: Named, job: Job, parent: Bundle, parent_recipe: Recipe | None, size: int) -> tuple[Recipe, str]:
    """Return the recipe of a run that begins with another model's weights, and a sentence about its settings.

    Model and tokenizer are the parent's, and so is everything else that the call does not name if the parent is a run.
    Raises ConfigError if a setting that must match does not.
    """
    if parent.card.job != job.name:
        parents = JOBS[parent.card.job].title if parent.card.job in JOBS else shown(parent.card.job)
        raise ConfigError(f"The model to start from was trained on {parents}, and these data are {job.title}.")
    if names.family not in (None, parent.family):
        raise ConfigError(f"The model to start from is {parent.family}, not {names.family}. Leave the family out.")
    model: Any = parent.model
    kept: dict[str, Any] = {"model": model.config.model_dump()}
    preset, reason = names.preset, "settings as in the run that it starts from"
    if parent_recipe is not None and preset in (None, parent_recipe.preset):
        preset = parent_recipe.preset
        layers: list[Mapping[str, Any]] = [
            {section: getattr(parent_recipe, section).model_dump(exclude_none=True) for section in SECTIONS}
        ]
    else:
        if preset is None:
            preset, _ = choose_preset(job.limits, size, job.unit)
        layers = [preset_of(preset, parent.family, job)]
        layers[0] = {name: values for name, values in layers[0].items() if name not in ("model", "tokenizer")}
        reason = f"training as in preset {preset}"
    joint = parent.source_tokenizer.shares(parent.target_tokenizer)
    tokenizer = parent.target_tokenizer
    kept["tokenizer"] = {"kind": tokenizer.kind, "joint": joint, "n_control_ids": tokenizer.n_control}
    kept["rules"] = {"normalisation": tokenizer.normalisation}
    kept["tokenizer"]["vocabulary"] = max(256, tokenizer.vocabulary)  # the least allowed; a small text gives fewer
    # The call's settings are the last layer: one that contradicts the model must be refused below, not lost.
    recipe = make_recipe(job, parent.family, preset, [*layers, kept, *names.layers])
    wrong = [
        f"{section}.{key} is {value}, the model's is {kept[section][key]}"
        for section in ("model", "tokenizer")
        for key, value in getattr(recipe, section).model_dump().items()
        if key not in FREE and value != kept[section].get(key, value)
    ]
    if wrong:
        raise ConfigError(
            f"These settings cannot change when a model's weights are taken over: {'; '.join(wrong)}. Leave them out, "
            "or train a new model."
        )
    return checked(recipe), reason


def preset_of(preset: str, family: str, job: Job) -> Settings:
    """Return the settings of a preset for a family. Raises ConfigError if there is none."""
    if preset not in job.presets:
        if others := [other for other in JOBS.values() if preset in other.presets]:
            known = ", ".join(job.presets)
            raise ConfigError(f"preset: {preset} is for {others[0].title}, not for {job.title}. Known are {known}.")
        raise ConfigError(f"preset: {unknown(preset, list(job.presets), 'a preset')}")
    if family not in (families := job.presets[preset]):
        raise ConfigError(f"preset {preset} is for {' and '.join(families)}, not for {family}. Choose another preset.")
    return families[family]


def refuse_family(family: str, job: Job) -> None:
    """Raise ConfigError if a family cannot do a job."""
    if job.name not in MODELS[family][1].jobs:
        fitting = [name for name, (_, model) in MODELS.items() if job.name in model.jobs]
        other = next(other for other in JOBS.values() if other.name in MODELS[family][1].jobs)
        raise ConfigError(
            f"{family} is trained on {other.title}, and these data are {job.title}. Choose model {fitting[0]}, or give "
            f"other data. {other.fits}"
        )


def checked(recipe: Recipe) -> Recipe:
    """Return a recipe. Raises ConfigError if its sections do not fit together."""
    if not recipe.training.budget:
        raise ConfigError(
            "The training has no budget: training.steps, training.epochs and training.minutes are all not set. Set one."
        )
    if recipe.training.compiled and not MODELS[recipe.family][1].in_one_graph:
        raise ConfigError(
            f"training.compiled is true, and {recipe.family} has a loop over positions, which would be compiled again "
            "for every length. Leave the setting out."
        )
    return recipe


def resolved(recipe: Recipe, job: Job, device: torch.device, display: Display, corpus: Corpus | None = None) -> Recipe:
    """Return a recipe with every "auto" resolved, for the device and, in a run that begins, for the corpus.

    Raises ConfigError if bfloat16 is set and the device does not support it.
    """
    if recipe.training.best_by == "auto":
        best_by, reason = corpus.best_by() if corpus is not None else (job.scores[0], "")
        if reason:
            display.say(f"best model: {reason}")
        recipe = recipe.with_section("training", best_by=best_by)
    elif recipe.training.best_by not in job.scores:
        raise ConfigError(
            f"training.best_by is {recipe.training.best_by}; models of {job.title} are measured by "
            f"{' and '.join(job.scores)}."
        )
    if corpus is not None:
        recipe = recipe.with_section("data", **corpus.languages(recipe, display))
    if recipe.training.precision == "bfloat16" and not has_bfloat16(device):
        raise ConfigError(f"training.precision is bfloat16, which this {device.type} does not support. Use float32.")
    if recipe.training.precision == "auto":
        model: Any = recipe.model
        precision, reason = choose_precision(device, model.width, MODELS[recipe.family][1].in_one_graph)
        display.say(f"precision: {reason}")
        recipe = recipe.with_section("training", precision=precision)
    return recipe


def recipe_of_run(run: RunFolder) -> Recipe | None:
    """Return the recipe that a run was begun with, or None if it has none. Raises RunError if it cannot be read."""
    text = run.recipe_text()
    if text is None:
        return None
    try:
        content = as_begun(checked_content(tomllib.loads(text), str(run.recipe)))
        family, preset = content.pop("family"), content.pop("preset")
        if family not in MODELS:
            raise ConfigError(f"family: {unknown(family, list(MODELS), 'a family')}")
        # The file does not name the job. Its section `decoding` is complete, and its keys differ between jobs.
        job = next(
            job for job in JOBS.values() if content.get("decoding", {}).keys() <= job.decoding.model_fields.keys()
        )
        return make_recipe(job, family, preset, [content])
    except (ValueError, KeyError, StopIteration, RecursionError, ConfigError) as error:
        # Invalid TOML is a ValueError, and too deeply nested brackets are a RecursionError.
        reason = {KeyError: f"it has no {error}", StopIteration: "its job is not known"}.get(type(error), str(error))
        reason = shown(reason, 300).rstrip(".")
        raise RunError(f"{run.recipe} cannot be used: {reason}. Restore it from a copy.", ways=["fresh"]) from error


def as_begun(content: dict[str, Any]) -> dict[str, Any]:
    """Return a run's recipe with the rules and the settings that every run had before recipes stored them."""
    if "rules" not in content:
        content["rules"] = dict.fromkeys(Rules.model_fields, 1)
        content.setdefault("tokenizer", {}).setdefault("n_control_ids", 0)
    if content["rules"].get("budget") == 1:
        training = content.setdefault("training", {})
        training["warmup_share"] = training["most_validations"] = None  # TOML cannot express None
    return content


def continued(before: Recipe, names: Named, job: Job) -> Recipe:
    """Return the recipe of a run that continues: its own, overridden by what the call names."""
    family, preset = names.family or before.family, names.preset or before.preset
    own: dict[str, Any] = {section: getattr(before, section).model_dump() for section in (*SECTIONS, "rules")}
    if before.start is not None:
        own["start"] = before.start.model_dump()
    # Otherwise the error would be about unknown settings, although the family is the mistake.
    if family != before.family:
        own["model"] = {}
    layers = [{name: automatic(values, own, name) for name, values in layer.items()} for layer in names.layers]
    return checked(make_recipe(job, family, preset, [own, *layers]))


def automatic(values: Mapping[str, Any], own: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Return settings without those that are "auto": a run keeps what was chosen for it."""
    return {key: value for key, value in values.items() if not (value == "auto" and key in own.get(section, {}))}


def refuse_changes(before: Recipe, after: Recipe, run: RunFolder, display: Display) -> None:
    """Report the settings that have changed, and raise ConfigError if some of them would affect the weights."""
    changed = differences(before, after)
    if "family" in changed:
        changed = {"family": changed["family"]}  # all else follows from it
    allowed = {name for name in changed if name in HARMLESS | BUDGET or name.startswith("decoding.")}
    if refused := [f"{name}: {change}" for name, change in changed.items() if name not in allowed]:
        raise ConfigError(
            f"{run.path} was begun with other settings: {'; '.join(refused)}. Give the same settings to continue, or "
            "choose another directory.",
            ways=["start", "fresh"],
        )
    for name in sorted(allowed):
        also = f"; {CONSEQUENCES[name]}" if name in CONSEQUENCES else ""
        if name.startswith("decoding."):
            also = "; models that are saved from now on have it, existing ones do not"
        display.say(f"note: {name}: {changed[name]}{also}")
