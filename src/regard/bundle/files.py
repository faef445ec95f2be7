"""The files of a bundle, and the checks before any of them is used.

A bundle may be of unknown origin. So its files must be regular files inside its directory, and must be listed in a
manifest with their size and sha256. Files that are parsed must be small, which is checked before they are read, and
must follow a strict schema.
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
"""Increases when the previous release could not read a bundle that is written today."""

READABLE = (1, 2)
"""The formats that can be read. The first stored its tokenizer as the library `tokenizers` writes it."""

MANIFEST, CONFIG, CARD, WEIGHTS = "manifest.json", "config.json", "card.json", "model.safetensors"
JOINT, SOURCE, TARGET = "tokenizer.json", "source_tokenizer.json", "target_tokenizer.json"

MOST_BYTES = {MANIFEST: 2**20, CONFIG: 2**16, CARD: 2**18}
"""The maximum size of a file that is parsed as a whole; those written by regard have about a hundredth of it."""

ADVICE = "Restore the bundle from a copy, or train again."


class FileEntry(BaseModel):
    """The entry of one file in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0, lt=2**63)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The files of a bundle, and the additional files of a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = Field(ge=1, lt=2**31)
    files: dict[str, FileEntry]
    extra: dict[str, FileEntry]


def read_manifest(place: Path) -> tuple[bytes | None, Manifest]:
    """Return the manifest of a directory, as bytes and parsed.

    Raises BundleError if it is missing, damaged, or of a format that cannot be read.
    """
    raw = manifest_bytes(place)
    damaged = BundleError(f"{place / MANIFEST} is damaged, so the other files cannot be verified. {ADVICE}")
    if raw is None:
        found = f"it has no {MANIFEST}" if place.is_dir() else "the directory does not exist"
        raise BundleError(f"{place} is not a bundle: {found}. Give the directory that a training made.")
    try:
        # The format is checked first: a later release may have changed the rest of the file.
        version = json.loads(raw)["format"]
        if isinstance(version, int) and version not in READABLE:
            raise BundleError(
                f"{place} is a bundle of format {shown(version)}; regard {__version__} reads the formats "
                f"{' and '.join(map(str, READABLE))}. Use the release that wrote it, or convert it (see the changelog)."
            )
        manifest = Manifest.model_validate_json(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # A list raises TypeError for "format"; deeply nested brackets raise RecursionError.
        raise damaged from error
    if set(manifest.files) not in ({CONFIG, CARD, WEIGHTS, JOINT}, {CONFIG, CARD, WEIGHTS, SOURCE, TARGET}):
        raise damaged
    # Otherwise an additional file could be outside the directory, or replace a file of the bundle itself.
    if any(not is_plain(name) or name in manifest.files or name == MANIFEST for name in manifest.extra):
        raise damaged
    return raw, manifest


def manifest_bytes(place: Path) -> bytes | None:
    """Return the content of the manifest's file, or None if it is missing. Raises BundleError if it cannot be read."""
    path = place / MANIFEST
    try:
        with opened(path) as file:
            raw = file.read(MOST_BYTES[MANIFEST] + 1)  # one more, to detect a longer file
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > MOST_BYTES[MANIFEST]:
        raise BundleError(f"{path} has more than {MOST_BYTES[MANIFEST]:,} bytes, so regard did not write it. {ADVICE}")
    return raw


def is_plain(name: str) -> bool:
    """Return whether a name can only be that of a file directly in the directory, on every system."""
    # Windows forbids these characters or gives them a meaning, and drops dots and spaces at the end of a name.
    return bool(name) and name.isprintable() and not set(name) & set('/\\:*?"<>|') and name.strip(". ") != ""


def opened(path: Path) -> BufferedReader:
    """Return a regular file, open for reading. Raises BundleError for a link, a device or a pipe, OSError otherwise.

    It is opened without following a link and without waiting for a pipe's other end, and checked only then: between a
    check and the opening it could be exchanged.
    """
    # Windows has no O_NOFOLLOW, so links are followed there. Without O_BINARY it would translate line ends.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_symlink():  # FreeBSD says EMLINK
            raise BundleError(f"{path} is a link; a bundle must contain its files. Copy the file there.") from error
        if error.errno == errno.ENXIO:  # a socket
            raise BundleError(f"{path} is not a regular file; a bundle may contain nothing else. {ADVICE}") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{path} is not a regular file; a bundle may contain nothing else. {ADVICE}")
    return os.fdopen(descriptor, "rb")


def entry_of(path: Path) -> FileEntry:
    """Return the manifest entry of a file."""
    with opened(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(size=os.fstat(file.fileno()).st_size, sha256=digest)


def verify(path: Path, entry: FileEntry) -> None:
    """Raise BundleError if a file does not match its manifest entry."""
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.size:  # before the hash, which takes long for large weights
                raise BundleError(
                    f"{path} has {size:,} bytes, expected {entry.size:,}: it was cut short or changed. {ADVICE}"
                )
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing, though {MANIFEST} lists it. {ADVICE}") from error
    if found != entry.sha256:
        raise BundleError(f"{path} was changed: its sha256 is {found[:12]}…, expected {entry.sha256[:12]}…. {ADVICE}")


def read_verified(place: Path, name: str, entry: FileEntry, most: int) -> bytes:
    """Return the content of a file. Raises BundleError if it is larger than `most` bytes or does not match `entry`."""
    path = place / name
    if entry.size > most:
        raise BundleError(f"{path} has {entry.size:,} bytes; at most {most:,} are allowed. {ADVICE}")
    verify(path, entry)
    with opened(path) as file:
        return file.read(entry.size)  # takes this much memory even if the file is shorter


def read_extra(directory: Path, name: str, most: int) -> bytes | None:
    """Return the verified content of an additional file of a checkpoint, or None if it is missing."""
    place = standing(directory, MANIFEST)
    entry = read_manifest(place)[1].extra.get(name)
    # lexists: a dangling link does not count as missing, and is refused when it is opened.
    return None if entry is None or not os.path.lexists(place / name) else read_verified(place, name, entry, most)


def verified_extra(directory: Path, name: str) -> Path | None:
    """Return the path of an additional file of a checkpoint after verifying it, or None if it is missing."""
    place = standing(directory, MANIFEST)
    entry = read_manifest(place)[1].extra.get(name)
    if entry is None or not os.path.lexists(place / name):
        return None
    verify(place / name, entry)
    return place / name


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in a readable layout."""
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def first_problem(error: ValidationError) -> str:
    """Return the first validation error of a file's content in words."""
    first = error.errors(include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{shown(where) or 'the file'}: {shown(first['msg'], 200)}"
