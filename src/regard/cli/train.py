"""`regard train`: read, cut into pieces, train. Says what it found and why it chose what it chose."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regard.bundle import Bundle
from regard.cli import say
from regard.decoding.search import DecodingConfig
from regard.errors import ConfigError
from regard.evaluation.translation import score_translations
from regard.models import MODELS
from regard.pipeline import Translator
from regard.presets import PRESETS, choose_preset
from regard.recipe import Recipe, differences, make_recipe, read_overrides, read_recipe, unknown
from regard.runtime import Runtime, prepare_runtime
from regard.text.corpus import SentencePairs, encode_pairs, fingerprint, hold_out
from regard.text.readers import read_pairs
from regard.text.tokenizer import train_tokenizers
from regard.training.log import Log, make_display
from regard.training.loop import Trainer, mean_nll
from regard.training.progress import Progress
from regard.training.run import RunFolder

VALIDATION_DECODES = 500
"""Validation sentences that are decoded for BLEU; the loss is taken over all of them."""


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


def run_train(request: Request) -> None:
    """Train a translator, or go on with a run that was begun with the same settings and data."""
    run = RunFolder(request.to)
    run.check()
    pairs = read(request.data, "training data")
    if request.valid:
        train, valid = pairs, read(request.valid, "validation data")
    recipe, reason = resolve(request, len(pairs))
    if not request.valid:
        train, valid = hold_out(pairs, recipe.data.validation_pairs, recipe.training.seed)
        say(f"validation data: {len(valid):,} pairs held out at random; give your own with --valid")
    say(f"model: {recipe.family}, {reason}")
    runtime = prepare_runtime(request.device)
    say(f"device: {runtime}")
    progress = train_translator(run, recipe, train, valid, runtime, request.fresh)
    say(
        f"Done: {progress.step:,} steps in {progress.seconds / 60:.1f} minutes, best BLEU on validation "
        f"{progress.best_score:.2f} at step {progress.best_step:,}.\n"
        f"Next: regard translate {run.path} FILE  or  regard inspect {run.path} 'A sentence.' --to page.html"
    )


def read(paths: Sequence[Path], what: str) -> list[tuple[str, str]]:
    """Return the pairs of the files, and say what became of them."""
    pairs = read_pairs(paths)
    say(f"{what}: {pairs.report.summary()}")
    return list(zip(pairs.source, pairs.target, strict=True))


def resolve(request: Request, n_pairs: int) -> tuple[Recipe, str]:
    """Return the recipe for a corpus, and why its preset was chosen."""
    file = read_recipe(request.recipe) if request.recipe else {}
    overrides = read_overrides(request.overrides)
    if request.seed is not None:
        overrides.setdefault("training", {})["seed"] = request.seed
    family = request.model or file.get("family", "transformer")
    if family not in MODELS:
        raise ConfigError(f"model: {unknown(family, list(MODELS))}")
    preset = request.preset or file.get("preset")
    reason = f"preset {preset}, as asked for"
    if preset is None:
        preset, reason = choose_preset(n_pairs)
    if preset not in PRESETS:
        raise ConfigError(f"preset: {unknown(preset, list(PRESETS))}")
    sections = {name: value for name, value in file.items() if isinstance(value, dict)}
    return make_recipe(family, preset, [PRESETS[preset][family], sections, overrides]), reason


def train_translator(
    run: RunFolder, recipe: Recipe, train: SentencePairs, valid: SentencePairs, runtime: Runtime, fresh: bool
) -> Progress:
    """Train on pairs into a run directory, from its newest checkpoint if it has one, and return how far it came."""
    card = {
        "data": {"fingerprint": fingerprint(train), "pairs": len(train)},
        "languages": [recipe.data.source_language, recipe.data.target_language],
        "decoding": recipe.decoding.model_dump(),
    }
    checkpoint = None if fresh else run.newest(lambda message: say(f"warning: {message}"))
    if not fresh:
        refuse_changes(run, recipe, checkpoint[1].card if checkpoint else None, card)
    bundle = checkpoint[1] if checkpoint else new_bundle(recipe, train, card)
    source, target = bundle.source_tokenizer, bundle.target_tokenizer
    encoded = encode_pairs(train, source, target, recipe.data.max_tokens)
    run.claim(fresh, recipe.to_toml())
    bundle.model.to(runtime.device)
    n_parameters = sum(p.numel() for p in bundle.model.parameters())
    stream = encoded.stream(recipe.training.batch_tokens, recipe.training.seed)
    say(
        f"model: {n_parameters:,} parameters; {stream.batches_in(0):,} batches an epoch, "
        f"{stream.padding(0):.1%} padding, {encoded.n_dropped:,} pairs over {recipe.data.max_tokens} tokens left out"
    )
    log = Log(run.log, make_display())
    try:
        validate = make_validation(bundle, recipe, valid, runtime)
        return Trainer(bundle, stream, recipe.training, run, validate, log, runtime.device).train(
            checkpoint[0] if checkpoint else None
        )
    finally:
        log.close()


def new_bundle(recipe: Recipe, train: SentencePairs, card: dict[str, Any]) -> Bundle:
    """Return an untrained model and tokenizers trained on the pairs."""
    sides = [s for s, _ in train], [t for _, t in train]
    source, target, reason = train_tokenizers(*sides, recipe.tokenizer)
    say(f"tokenizer: {reason}")
    if getattr(recipe.model, "tied", None) == "all" and source is not target:
        raise ConfigError(
            "model.tied is 'all', which shares one table between both languages, but tokenizer.joint is false. "
            "Set model.tied=target, or tokenizer.joint=true."
        )
    torch.manual_seed(recipe.training.seed)
    model = MODELS[recipe.family][1](recipe.model, source.vocabulary, target.vocabulary)
    return Bundle(model, recipe.family, source, target, card)


def refuse_changes(run: RunFolder, recipe: Recipe, old_card: dict[str, Any] | None, card: dict[str, Any]) -> None:
    """Raise ConfigError if a run was begun with other settings or other data."""
    if not run.recipe.exists():
        return
    changed = differences(tomllib.loads(run.recipe.read_text(encoding="utf-8")), tomllib.loads(recipe.to_toml()))
    if old_card is not None and old_card["data"] != card["data"]:
        changed.append(f"training data: {old_card['data']} -> {card['data']}")
    if changed and old_card is not None:
        raise ConfigError(
            f"{run.path} was begun with other settings: {'; '.join(changed)}. "
            "Give the same settings to go on, another directory, or --fresh to start anew there."
        )


def make_validation(
    bundle: Bundle, recipe: Recipe, valid: SentencePairs, runtime: Runtime
) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function from the model to its loss on the validation pairs and the BLEU of its greedy translations."""
    source, target = bundle.source_tokenizer, bundle.target_tokenizer
    encoded = encode_pairs(valid, source, target, recipe.data.max_tokens)
    decoded = valid[:VALIDATION_DECODES]
    greedy = DecodingConfig(**{**recipe.decoding.model_dump(), "beam": 1})

    def validate(model: nn.Module) -> dict[str, float]:
        batches = encoded.stream(recipe.training.batch_tokens, seed=0).batches_from(0)
        nll = mean_nll(model, batches, runtime.device)
        translations = Translator(bundle, runtime.device, greedy).translate([s for s, _ in decoded])
        scores = score_translations([t.text for t in translations], [t for _, t in decoded])
        return {"nll": nll, "bleu": scores.bleu.value, "chrf": scores.chrf.value, "score": scores.bleu.value}

    return validate
