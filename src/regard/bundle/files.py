"""The files of a bundle, and what has to hold before a byte of them is believed.

A bundle comes from anywhere. So its files are regular ones inside its directory, their names stand in a manifest with
size and sha256, what is parsed is small before it is read, and what is parsed has a strict shape.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regard import __version__
from regard.errors import BundleError, shown
from regard.replacing import standing

FORMAT = 2
"""Grows when the release before could not read a bundle that is written today."""

READABLE = (1, 2)
"""Formats that are read. The first kept its tokenizer as the library `tokenizers` writes it."""

MANIFEST, CONFIG, CARD, WEIGHTS = "manifest.json", "config.json", "card.json", "model.safetensors"
JOINT, SOURCE, TARGET = "tokenizer.json", "source_tokenizer.json", "target_tokenizer.json"

MOST_BYTES = {MANIFEST: 2**20, CONFIG: 2**16, CARD: 2**18}
"""How large a file that is parsed as a whole may be; one of ours has a hundredth of that."""

ADVICE = "Take the bundle from a copy, or train again."


class FileEntry(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0, lt=2**63)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The files of a bundle, and the further ones that a checkpoint keeps beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = Field(ge=1, lt=2**31)
    files: dict[str, FileEntry]
    extra: dict[str, FileEntry]


def read_manifest(place: Path) -> tuple[bytes | None, Manifest]:
    """Return the manifest of a directory, as it stands in its file and as it is understood.

    Raises BundleError if there is none, if it is damaged, or of a format that is not read.
    """
    raw = manifest_bytes(place)
    damaged = BundleError(f"{place / MANIFEST} is damaged, so nothing beside it can be trusted. {ADVICE}")
    if raw is None:
        found = f"it has no {MANIFEST}" if place.is_dir() else "there is no such directory"
        raise BundleError(f"{place} is not a bundle: {found}. Give a directory that a training has made.")
    try:
        # The format is looked at first: a later release may have changed the rest of the file.
        version = json.loads(raw)["format"]
        if isinstance(version, int) and version not in READABLE:
            raise BundleError(
                f"{place} is a bundle of format {shown(version)}; regard {__version__} reads the formats "
                f"{' and '.join(map(str, READABLE))}. Use the release that wrote it, or convert it (changelog)."
            )
        manifest = Manifest.model_validate_json(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # A list has no "format", which is a TypeError; brackets without end are a RecursionError.
        raise damaged from error
    if set(manifest.files) not in ({CONFIG, CARD, WEIGHTS, JOINT}, {CONFIG, CARD, WEIGHTS, SOURCE, TARGET}):
        raise damaged
    # Else an extra could lead out of the directory, or stand for a file of the bundle itself.
    if any(not is_plain(name) or name in manifest.files or name == MANIFEST for name in manifest.extra):
        raise damaged
    return raw, manifest


def manifest_bytes(place: Path) -> bytes | None:
    """Return what the file of the manifest holds, or None if there is none. Raises BundleError if it cannot be read."""
    path = place / MANIFEST
    try:
        with opened(path) as file:
            raw = file.read(MOST_BYTES[MANIFEST] + 1)  # the one more tells that it is too long, whatever size it claims
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > MOST_BYTES[MANIFEST]:
        raise BundleError(f"{path} has more than {MOST_BYTES[MANIFEST]:,} bytes, so it is none of ours. {ADVICE}")
    return raw


def is_plain(name: str) -> bool:
    """Return whether a name is that of a file in the very directory, whatever the system."""
    # Windows forbids these characters or gives them a meaning, and drops dots and spaces at the end of a name.
    return bool(name) and name.isprintable() and not set(name) & set('/\\:*?"<>|') and name.strip(". ") != ""


def opened(path: Path) -> BufferedReader:
    """Return a regular file, open for reading. Raises BundleError for a link, a device or a pipe, OSError otherwise.

    Opened without following a link and without waiting for a pipe's other end, and looked at only then: between a look
    and an opening it could be exchanged.
    """
    # Windows has no O_NOFOLLOW, so it follows links there; without O_BINARY it would translate line ends.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_symlink():  # FreeBSD says EMLINK
            raise BundleError(f"{path} is a link; a bundle holds its files itself. Copy the file there.") from error
        if error.errno == errno.ENXIO:  # a socket
            raise BundleError(f"{path} is no regular file; a bundle holds nothing else. {ADVICE}") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{path} is no regular file; a bundle holds nothing else. {ADVICE}")
    return os.fdopen(descriptor, "rb")


def entry_of(path: Path) -> FileEntry:
    """Return what a manifest says of a file."""
    with opened(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(size=os.fstat(file.fileno()).st_size, sha256=digest)


def verify(path: Path, entry: FileEntry) -> None:
    """Raise BundleError if a file is not what the manifest says of it."""
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.size:  # before the hash, which takes long for weights
                raise BundleError(
                    f"{path} has {size:,} bytes, expected {entry.size:,}: it was cut short or changed. {ADVICE}"
                )
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing, though {MANIFEST} lists it. {ADVICE}") from error
    if found != entry.sha256:
        raise BundleError(f"{path} was changed: its sha256 is {found[:12]}…, expected {entry.sha256[:12]}…. {ADVICE}")


def read_verified(place: Path, name: str, entry: FileEntry, most: int) -> bytes:
    """Return what a file holds. Raises BundleError if that is more than `most` bytes, or not what the manifest says."""
    path = place / name
    if entry.size > most:
        raise BundleError(f"{path} has {entry.size:,} bytes; at most {most:,} are read. {ADVICE}")
    verify(path, entry)
    with opened(path) as file:
        return file.read(entry.size)  # a read takes the memory that it is asked for, whatever comes


def read_extra(directory: Path, name: str, most: int) -> bytes | None:
    """Return the verified content of a further file of a checkpoint, or None if it keeps none of that name."""
    place = standing(directory, MANIFEST)
    entry = read_manifest(place)[1].extra.get(name)
    # lexists: a link to nowhere is not a file that was deleted, and is refused when it is opened.
    return None if entry is None or not os.path.lexists(place / name) else read_verified(place, name, entry, most)


def verified_extra(directory: Path, name: str) -> Path | None:
    """Return the path of a further file of a checkpoint, once it is verified, or None if it keeps none of that name."""
    place = standing(directory, MANIFEST)
    entry = read_manifest(place)[1].extra.get(name)
    if entry is None or not os.path.lexists(place / name):
        return None
    verify(place / name, entry)
    return place / name


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as a person can read it."""
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def first_problem(error: ValidationError) -> str:
    """Return in words the first thing that is wrong with what a file holds."""
    first = error.errors(include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{shown(where) or 'the file'}: {shown(first['msg'], 200)}"
