"""A trained model on disk: raw text in, raw text out, because its tokenizers travel with it.

A bundle is a directory of `config.json`, `tokenizer.json` (or one for each side), `model.safetensors`, `card.json` and
`manifest.json`, which holds size and sha256 of every other file. Nothing is pickled, and nothing is used that the
manifest does not confirm. A checkpoint keeps further files beside them; without those it is an ordinary bundle.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from regard import __version__
from regard.errors import BundleError, ConfigError, RunError
from regard.models import MODELS
from regard.replacing import replacing, standing
from regard.text.tokens.tokenizer import Tokenizer

FORMAT = 1
"""Grows when the release before could not read a bundle that is written today."""

MANIFEST, CONFIG, CARD, WEIGHTS = "manifest.json", "config.json", "card.json", "model.safetensors"
JOINT, SOURCE, TARGET = "tokenizer.json", "source_tokenizer.json", "target_tokenizer.json"
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model, the tokenizers of its two sides (one object twice where they share it), and what is known of them."""

    model: nn.Module
    family: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    card: dict[str, Any]


class FileEntry(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int
    sha256: str


class Manifest(BaseModel):
    """The files of a bundle, and the further ones that a checkpoint keeps beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    files: dict[str, FileEntry]
    extra: dict[str, FileEntry]


class Settings(BaseModel):
    """The content of `config.json`: which model this is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    regard: str
    family: str
    model: dict[str, Any]


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
    settings = Settings(
        format=FORMAT, regard=__version__, family=bundle.family, model=model.config.model_dump(mode="json")
    )
    with replacing(directory, MANIFEST) as place:
        _write_json(place / CONFIG, settings.model_dump())
        _write_json(place / CARD, bundle.card)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in _distinct(bundle.model).items()}
        try:
            save_file(weights, place / WEIGHTS, metadata={"format": "pt"})
        except SafetensorError as error:
            raise RunError(f"{directory} cannot be written: {error}. Free space, or choose another.") from error
        (place / WEIGHTS).chmod((place / CONFIG).stat().st_mode)  # safetensors ignores the umask
        for name, tokenizer in tokenizers.items():
            tokenizer.save(place / name)
        for name, content in extra.items():
            (place / name).write_bytes(content)
        files = {name: _entry(place / name) for name in names}
        manifest = Manifest(format=FORMAT, files=files, extra={name: _entry(place / name) for name in extra})
        _write_json(place / MANIFEST, manifest.model_dump())


def load_bundle(directory: Path) -> Bundle:
    """Return the bundle in a directory, on the CPU and in evaluation mode, after verifying every file of it.

    Raises BundleError if it is missing, damaged or of another format, or if its weights do not fit its settings. The
    state of torch's random numbers is left as it was.
    """
    for _ in range(3):  # again if somebody saved a new one while we read
        place = standing(directory, MANIFEST)
        before = _manifest_bytes(place)
        try:
            bundle = _load(place, _manifest(place, before))
        except (BundleError, OSError) as error:
            if _manifest_bytes(standing(directory, MANIFEST)) != before:
                continue
            if isinstance(error, OSError):
                raise BundleError(f"{directory} cannot be read: {error}.") from error
            raise
        if _manifest_bytes(standing(directory, MANIFEST)) == before:
            return bundle
    raise BundleError(
        f"{directory} was replaced again and again while it was read. Try again when nothing saves to it."
    )


def read_extra(directory: Path, name: str) -> bytes | None:
    """Return the verified content of a further file of a checkpoint, or None if it keeps none of that name."""
    place = standing(directory, MANIFEST)
    entry = _manifest(place, _manifest_bytes(place)).extra.get(name)
    if entry is None or not (place / name).exists():
        return None
    _verify(place / name, entry)
    return (place / name).read_bytes()


def read_card(directory: Path) -> dict[str, Any]:
    """Return the verified card of a bundle, without its model. Raises BundleError if it is missing or damaged."""
    place = standing(directory, MANIFEST)
    _verify(place / CARD, _manifest(place, _manifest_bytes(place)).files[CARD])
    return _card(place)


def run_bundle(directory: Path) -> Path:
    """Return the bundle directory that a run means (its `best`, or else its `last`), or the directory if it is one.

    Raises BundleError if it is neither.
    """
    if (standing(directory, MANIFEST) / MANIFEST).exists():
        return directory
    if not directory.is_dir():
        raise BundleError(f"{directory} is not a directory. Give the directory that `regard train --to` made.")
    for child in (directory / "best", directory / "last"):
        if standing(child, MANIFEST).is_dir():
            return child
    raise BundleError(
        f"{directory} is neither a run (it has no `best` and no `last`) nor a bundle (it has no {MANIFEST}). Give the "
        "directory that `regard train --to` made; if its training has just begun, wait for the first save."
    )


def _load(place: Path, manifest: Manifest) -> Bundle:
    for name, entry in manifest.files.items():
        _verify(place / name, entry)
    if JOINT in manifest.files:
        source = target = Tokenizer.load(place / JOINT)
    else:
        source, target = Tokenizer.load(place / SOURCE), Tokenizer.load(place / TARGET)
    model, family = _load_model(place, source.vocabulary, target.vocabulary)
    return Bundle(model, family, source, target, _card(place))


def _card(place: Path) -> dict[str, Any]:
    """Return the card of a bundle that was verified."""
    try:
        card: dict[str, Any] = json.loads((place / CARD).read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{place / CARD} is not JSON: {error}.") from error
    return card


def _load_model(place: Path, source_vocabulary: int, target_vocabulary: int) -> tuple[nn.Module, str]:
    """Return the model with its weights, and its family. Memory is taken only once the weights are known to fit."""
    try:
        settings = Settings.model_validate_json((place / CONFIG).read_bytes())
        if settings.family not in MODELS:
            raise BundleError(f"{place / CONFIG} names the family {settings.family!r}; known are {', '.join(MODELS)}.")
        config_class, model_class = MODELS[settings.family]
        config = config_class.model_validate(settings.model)
        with torch.device("meta"):
            expected = _distinct(model_class(config, source_vocabulary, target_vocabulary))
    except (ValidationError, ConfigError) as error:
        raise BundleError(f"{place / CONFIG} holds settings that cannot be used: {_first_problem(error)}") from error
    try:
        with safe_open(place / WEIGHTS, framework="pt") as weights:
            found = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
            _check_shapes(place, found, {name: tuple(tensor.shape) for name, tensor in expected.items()})
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                model: nn.Module = model_class(config, source_vocabulary, target_vocabulary)
                for name, tensor in _distinct(model).items():
                    tensor.copy_(weights.get_tensor(name))
    except SafetensorError as error:
        raise BundleError(f"{place / WEIGHTS} is not a safetensors file: {error}.") from error
    return model.eval(), settings.family


def _distinct(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model, each tied one once, under its first name."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(id(tensor), (name, tensor))
    return dict(first.values())


def _check_shapes(place: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'none of that name')}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise BundleError(f"{place / WEIGHTS} does not fit {CONFIG}: {'; '.join(wrong[:3])}{more}.")


def _manifest_bytes(place: Path) -> bytes | None:
    path = place / MANIFEST
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(MAX_MANIFEST_BYTES)


def _manifest(place: Path, raw: bytes | None) -> Manifest:
    damaged = f"{place / MANIFEST} is damaged, so nothing beside it can be trusted. Take the bundle from a copy."
    if raw is None:
        found = f"it has no {MANIFEST}" if place.is_dir() else "there is no such directory"
        raise BundleError(f"{place} is not a bundle: {found}. Give a directory that `regard train` has made.")
    try:
        version = json.loads(raw)["format"]
        if isinstance(version, int) and version != FORMAT:
            raise BundleError(
                f"{place} is a bundle of format {version}; regard {__version__} reads format {FORMAT}. Use the release "
                "that wrote it, or convert it as the changelog says."
            )
        manifest = Manifest.model_validate_json(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(damaged) from error
    names = set(manifest.files)
    if names not in ({CONFIG, CARD, WEIGHTS, JOINT}, {CONFIG, CARD, WEIGHTS, SOURCE, TARGET}):
        raise BundleError(damaged)
    return manifest


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _verify(path: Path, entry: FileEntry) -> None:
    advice = "Take the bundle from a copy, or train again."
    if not path.is_file():
        raise BundleError(f"{path} is missing, though {MANIFEST} lists it. {advice}")
    if (size := path.stat().st_size) != entry.size:
        raise BundleError(f"{path} has {size:,} bytes, expected {entry.size:,}: it was cut short or changed. {advice}")
    if (found := _entry(path).sha256) != entry.sha256:
        raise BundleError(f"{path} was changed: its sha256 is {found[:12]}…, expected {entry.sha256[:12]}…. {advice}")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n")


def _first_problem(error: ValidationError | ConfigError) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}."
