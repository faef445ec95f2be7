"""A trained model on disk. It takes raw text and returns raw text, because its tokenizers are stored with it.

A bundle is a directory with `config.json`, `tokenizer.json` (or one for each side), `model.safetensors`, `card.json`
and `manifest.json`, which lists the size and sha256 of every other file. Nothing is pickled, and nothing is used that
the manifest does not confirm. Model and tokenizer are rebuilt from plain, bounded data; no stored pipeline is loaded. A
checkpoint stores additional files beside these; without them it is an ordinary bundle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from regard import __version__
from regard.bundle.card import Card
from regard.bundle.files import (
    ADVICE,
    CARD,
    CONFIG,
    FORMAT,
    JOINT,
    MANIFEST,
    MOST_BYTES,
    SOURCE,
    TARGET,
    WEIGHTS,
    Manifest,
    entry_of,
    first_problem,
    manifest_bytes,
    read_manifest,
    read_verified,
    verify,
    write_json,
)
from regard.bundle.weights import WeightType, distinct, filled, planned, read_weights, refuse_more_layers
from regard.errors import BundleError, ConfigError, RunError, shown
from regard.models import MODELS
from regard.replacing import replacing, standing
from regard.text.tokens.tokenizer import Tokenizer

TOKENIZER_ALLOWANCE = 2**20
"""How many bytes a tokenizer's file may have in addition to as many as the weights have."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model, the tokenizers of its two sides, which may share one vocabulary, and its card."""

    model: nn.Module
    family: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    card: Card


class Description(BaseModel):
    """The content of `config.json`: the family and settings of the model, and the type of its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = Field(ge=1, lt=2**31)
    regard: str = Field(max_length=64)
    family: str = Field(max_length=64)
    model: dict[str, Any]
    weights: WeightType = "float32"  # the first format did not store this


def save_bundle(bundle: Bundle, directory: Path, extra: Mapping[str, bytes] | None = None) -> None:
    """Write the bundle. An existing one is replaced only after the new one is complete and on disk.

    extra: additional files by name, verified like the others (the training state of a checkpoint). Only one process at
    a time may save to a directory. Raises RunError if the directory holds something else or cannot be written.
    """
    extra = extra or {}
    tokenizers = {JOINT: bundle.source_tokenizer}
    if not bundle.source_tokenizer.shares(bundle.target_tokenizer):
        tokenizers = {SOURCE: bundle.source_tokenizer, TARGET: bundle.target_tokenizer}
    names = [CONFIG, CARD, WEIGHTS, *tokenizers]
    assert not {MANIFEST, *names} & set(extra), "an additional file has the name of a bundle's own file"
    model: Any = bundle.model
    description = Description(
        format=FORMAT, regard=__version__, family=bundle.family, model=model.config.model_dump(mode="json")
    )
    with replacing(directory, MANIFEST) as place:
        write_json(place / CONFIG, description.model_dump())
        write_json(place / CARD, bundle.card.saved())
        # Each tied tensor once: safetensors refuses tensors that share memory or are not contiguous.
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in distinct(bundle.model).items()}
        try:
            save_file(weights, place / WEIGHTS, metadata={"format": "pt"})
        except SafetensorError as error:
            message = f"{directory} cannot be written: {error}. Free space, or choose another directory."
            raise RunError(message) from error
        (place / WEIGHTS).chmod((place / CONFIG).stat().st_mode)  # safetensors ignores the umask
        for name, tokenizer in tokenizers.items():
            tokenizer.save(place / name)
        for name, content in extra.items():
            (place / name).write_bytes(content)
        # The manifest is written last: a directory that contains it counts as complete.
        files = {name: entry_of(place / name) for name in names}
        manifest = Manifest(format=FORMAT, files=files, extra={name: entry_of(place / name) for name in extra})
        write_json(place / MANIFEST, manifest.model_dump())


def load_bundle(directory: Path) -> Bundle:
    """Return the bundle in a directory, on the CPU and in evaluation mode, after verifying its files.

    Raises BundleError if it is missing, damaged or of another format, or if its weights do not fit its settings. No
    random numbers are drawn, and no other state of the process is changed.
    """
    return _consistent(directory, _load)


def read_card(directory: Path) -> Card:
    """Return the verified card of a bundle, without its model. Raises BundleError if it is missing or damaged."""
    return _consistent(directory, _card)


def run_bundle(directory: Path) -> Path:
    """Return the bundle of a run (`best`, otherwise `last`), or the directory itself if it is a bundle.

    Raises BundleError if it is neither, or if no directory can have that name.
    """
    try:
        if (standing(directory, MANIFEST) / MANIFEST).exists():
            return directory
        if not directory.is_dir():
            raise BundleError(f"{directory} is not a directory. Give the directory that a training made.")
        for child in (directory / "best", directory / "last"):
            place = standing(child, MANIFEST)
            if child.is_symlink() or place.is_symlink():  # a run of unknown origin must not point outside itself
                raise BundleError(
                    f"{child} is a link; a run must contain its models. Name the bundle that it points to."
                )
            if place.is_dir():
                return child
    except OSError as error:  # a name too long for the file system, or a directory that may not be searched
        raise BundleError(f"{shown(directory, 200)} cannot be read: {error.strerror}.") from error
    raise BundleError(
        f"{directory} is neither a run (it has no `best` and no `last`) nor a bundle (it has no {MANIFEST}). Give the "
        "directory that a training made; if the training has just begun, wait for its first checkpoint."
    )


Read = TypeVar("Read")


def _consistent(directory: Path, read: Callable[[Path, Manifest], Read]) -> Read:
    """Return what `read` returns for a bundle, all of it from the same save. Raises BundleError."""
    try:
        for _ in range(3):  # again if a new one was saved while we read
            place = standing(directory, MANIFEST)
            before = manifest_bytes(place)
            try:
                found = read(place, read_manifest(place)[1])
            except (BundleError, OSError):
                # If a new one was saved, old and new files may have been mixed, and nothing need be damaged.
                if manifest_bytes(standing(directory, MANIFEST)) != before:
                    continue
                raise
            if manifest_bytes(standing(directory, MANIFEST)) == before:
                return found
    except OSError as error:
        raise BundleError(f"{shown(directory, 200)} cannot be read: {error.strerror}.") from error
    raise BundleError(f"{directory} was replaced repeatedly while it was read. Try again when no training saves to it.")


def _load(place: Path, manifest: Manifest) -> Bundle:
    # The smallest files come first: if the bundle cannot be used, nothing large is hashed or built.
    description = _description(place, manifest)
    card = _card(place, manifest)
    weights = manifest.files[WEIGHTS]
    verify(place / WEIGHTS, weights)  # first: its size limits the tokenizers', and is only a claim until then
    tokenizers: dict[str, Tokenizer] = {}
    for name in [JOINT] if JOINT in manifest.files else [SOURCE, TARGET]:
        content = read_verified(place, name, manifest.files[name], TOKENIZER_ALLOWANCE + weights.size)
        tokenizers[name] = Tokenizer.read(content, str(place / name))
    source, target = [*tokenizers.values(), *tokenizers.values()][:2]  # a joint one serves both sides
    source = source.for_sources()
    _refuse_other_job(place, card.job, description.family, target)
    try:
        config = MODELS[description.family][0].model_validate(description.model)
    except (ValidationError, ConfigError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise BundleError(f"{place / CONFIG} holds settings that cannot be used: {problem}.") from error
    if config.one_vocabulary and not source.shares(target):
        raise BundleError(f"{place / CONFIG} describes a model with one vocabulary, but there are two tokenizers.")
    refuse_more_layers(place / WEIGHTS, config)
    model = planned(description.family, config, (source.vocabulary, target.vocabulary), target.n_control)
    expected = {name: tuple(tensor.shape) for name, tensor in distinct(model).items()}
    tensors = read_weights(place / WEIGHTS, expected, description.weights)
    return Bundle(filled(model, tensors).eval(), description.family, source, target, card)


def _refuse_other_job(place: Path, job: str, family: str, tokenizer: Tokenizer) -> None:
    """Raise BundleError if a model of this family with such a tokenizer cannot do the job that the card names."""
    of_this, of_any = MODELS[family][1].jobs, {job for _, model in MODELS.values() for job in model.jobs}
    # An unknown job may come from a later release; it is refused where the model is used.
    if job in of_any and (job not in of_this or tokenizer.running != (job == "text")):
        raise BundleError(
            f"{place / CARD} names the job {job}, which does not fit {family} and its tokenizer. {ADVICE}"
        )


def _description(place: Path, manifest: Manifest) -> Description:
    raw = read_verified(place, CONFIG, manifest.files[CONFIG], MOST_BYTES[CONFIG])
    try:
        description = Description.model_validate_json(raw)
    except ValidationError as error:
        raise BundleError(f"{place / CONFIG} holds settings that cannot be used: {first_problem(error)}.") from error
    if description.format != manifest.format:
        raise BundleError(
            f"{place / CONFIG} has format {description.format}, but {MANIFEST} has format {manifest.format}. "
            "Take both from the same bundle."
        )
    if description.family not in MODELS:
        raise BundleError(
            f"{place / CONFIG} names the family {shown(description.family)}; known families: {', '.join(MODELS)}."
        )
    return description


def _card(place: Path, manifest: Manifest) -> Card:
    try:
        return Card.model_validate_json(read_verified(place, CARD, manifest.files[CARD], MOST_BYTES[CARD]))
    except ValidationError as error:
        raise BundleError(f"{place / CARD} cannot be used: {first_problem(error)}.") from error
