"""A trained model on disk: raw text in, raw text out, because its tokenizers travel with it.

A bundle is a directory of `config.json`, `tokenizer.json` (or one for each side), `model.safetensors`, `card.json` and
`manifest.json`, which holds size and sha256 of every other file. Nothing is pickled, nothing is used that the manifest
does not confirm, and nothing is taken over as a pipeline: model and tokenizer are rebuilt from plain, bounded data. A
checkpoint keeps further files beside them; without those it is an ordinary bundle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from regard import __version__
from regard.bundle.card import Card
from regard.bundle.files import (
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

SMALLEST_TOKENIZER = 2**20
"""Bytes that the file of a tokenizer may have beside as many as the weights have: it takes no more memory than they."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model, the tokenizers of its two sides (one object twice where they share it), and what is known of them."""

    model: nn.Module
    family: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    card: Card


class Description(BaseModel):
    """The content of `config.json`: which model this is, and of which type its weights are."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = Field(ge=1, lt=2**31)
    regard: str = Field(max_length=64)
    family: str = Field(max_length=64)
    model: dict[str, Any]
    weights: WeightType = "float32"


def save_bundle(bundle: Bundle, directory: Path, extra: Mapping[str, bytes] | None = None) -> None:
    """Write the bundle; one that is there already is replaced only after the new one is whole and on the disk.

    extra: further files by name, verified like the others (a checkpoint's train state). One process at a time may save
    to a directory. Raises RunError if the directory is something else or cannot be written.
    """
    extra = extra or {}
    tokenizers = {JOINT: bundle.source_tokenizer}
    if bundle.source_tokenizer is not bundle.target_tokenizer:
        tokenizers = {SOURCE: bundle.source_tokenizer, TARGET: bundle.target_tokenizer}
    names = [CONFIG, CARD, WEIGHTS, *tokenizers]
    assert not {MANIFEST, *names} & set(extra), "a further file has the name of a bundle's own"
    model: Any = bundle.model
    description = Description(
        format=FORMAT, regard=__version__, family=bundle.family, model=model.config.model_dump(mode="json")
    )
    with replacing(directory, MANIFEST) as place:
        write_json(place / CONFIG, description.model_dump())
        write_json(place / CARD, bundle.card.saved())
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in distinct(bundle.model).items()}
        try:
            save_file(weights, place / WEIGHTS, metadata={"format": "pt"})
        except SafetensorError as error:
            raise RunError(f"{directory} cannot be written: {error}. Free space, or choose another.") from error
        (place / WEIGHTS).chmod((place / CONFIG).stat().st_mode)  # safetensors ignores the umask
        for name, tokenizer in tokenizers.items():
            tokenizer.save(place / name)
        for name, content in extra.items():
            (place / name).write_bytes(content)
        files = {name: entry_of(place / name) for name in names}
        manifest = Manifest(format=FORMAT, files=files, extra={name: entry_of(place / name) for name in extra})
        write_json(place / MANIFEST, manifest.model_dump())


def load_bundle(directory: Path) -> Bundle:
    """Return the bundle in a directory, on the CPU and in evaluation mode, after verifying every file of it.

    Raises BundleError if it is missing, damaged or of another format, or if its weights do not fit its settings. No
    random numbers are drawn, and nothing else of the process is changed.
    """
    for _ in range(3):  # again if somebody saved a new one while we read
        place = standing(directory, MANIFEST)
        before, manifest = read_manifest(place)
        try:
            bundle = _load(place, manifest)
        except (BundleError, OSError) as error:
            if manifest_bytes(standing(directory, MANIFEST)) != before:
                continue
            if isinstance(error, OSError):
                raise BundleError(f"{directory} cannot be read: {error}.") from error
            raise
        if manifest_bytes(standing(directory, MANIFEST)) == before:
            return bundle
    raise BundleError(
        f"{directory} was replaced again and again while it was read. Try again when nothing saves to it."
    )


def read_card(directory: Path) -> Card:
    """Return the verified card of a bundle, without its model. Raises BundleError if it is missing or damaged."""
    place = standing(directory, MANIFEST)
    return _card(place, read_manifest(place)[1])


def run_bundle(directory: Path) -> Path:
    """Return the bundle directory that a run means (its `best`, or else its `last`), or the directory if it is one.

    Raises BundleError if it is neither.
    """
    if (standing(directory, MANIFEST) / MANIFEST).exists():
        return directory
    if not directory.is_dir():
        raise BundleError(f"{directory} is not a directory. Give the directory that a training made.")
    for child in (directory / "best", directory / "last"):
        if child.is_symlink():
            raise BundleError(f"{child} is a link; a run holds its models itself. Name the bundle that it points to.")
        if standing(child, MANIFEST).is_dir():
            return child
    raise BundleError(
        f"{directory} is neither a run (it has no `best` and no `last`) nor a bundle (it has no {MANIFEST}). Give the "
        "directory that a training made; if the training has just begun, wait for the first save."
    )


def _load(place: Path, manifest: Manifest) -> Bundle:
    description = _description(place, manifest)
    card = _card(place, manifest)
    weights = manifest.files[WEIGHTS]
    tokenizers: dict[str, Tokenizer] = {}
    for name in [JOINT] if JOINT in manifest.files else [SOURCE, TARGET]:
        content = read_verified(place, name, manifest.files[name], SMALLEST_TOKENIZER + weights.size)
        tokenizers[name] = Tokenizer.read(content, str(place / name))
    source, target = [*tokenizers.values(), *tokenizers.values()][:2]
    verify(place / WEIGHTS, weights)
    try:
        config = MODELS[description.family][0].model_validate(description.model)
    except (ValidationError, ConfigError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise BundleError(f"{place / CONFIG} holds settings that cannot be used: {problem}.") from error
    if config.one_vocabulary and source is not target:
        raise BundleError(f"{place / CONFIG} describes a model of one vocabulary, and there are two tokenizers.")
    refuse_more_layers(place / WEIGHTS, config)
    model = planned(description.family, config, (source.vocabulary, target.vocabulary), target.n_control)
    expected = {name: tuple(tensor.shape) for name, tensor in distinct(model).items()}
    tensors = read_weights(place / WEIGHTS, expected, description.weights)
    return Bundle(filled(model, tensors).eval(), description.family, source, target, card)


def _description(place: Path, manifest: Manifest) -> Description:
    raw = read_verified(place, CONFIG, manifest.files[CONFIG], MOST_BYTES[CONFIG])
    try:
        description = Description.model_validate_json(raw)
    except ValidationError as error:
        raise BundleError(f"{place / CONFIG} holds settings that cannot be used: {first_problem(error)}.") from error
    if description.format != manifest.format:
        raise BundleError(
            f"{place / CONFIG} is of format {description.format}, and {MANIFEST} of format {manifest.format}. "
            "Take both from one bundle."
        )
    if description.family not in MODELS:
        raise BundleError(
            f"{place / CONFIG} names the family {shown(description.family)}; known are {', '.join(MODELS)}."
        )
    return description


def _card(place: Path, manifest: Manifest) -> Card:
    try:
        return Card.model_validate_json(read_verified(place, CARD, manifest.files[CARD], MOST_BYTES[CARD]))
    except ValidationError as error:
        raise BundleError(f"{place / CARD} cannot be used: {first_problem(error)}.") from error
