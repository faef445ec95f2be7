"""Atomic replacement of a directory or a file: a kill at any moment leaves the old content or the new, complete.

Replacing NAME fills `.NAME.tmp-PID`, renames NAME to `.NAME.old`, renames the new one to NAME, then deletes the old
one. A kill leaves at most these two beside it: readers fall back to `.NAME.old` while NAME is missing, and the next
replacement restores or removes it. A directory counts as complete if it contains its marker, the file that is written
last.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from regard.errors import RunError, shown


def standing(directory: Path, marker: str) -> Path:
    """Return where the content of a directory is: in it, or set aside if a kill came between the two renames."""
    aside = _aside(directory)
    return aside if not (directory / marker).exists() and (aside / marker).is_file() else directory


@contextmanager
def replacing(directory: Path, marker: str) -> Iterator[Path]:
    """Yield an empty temporary directory to fill; it replaces `directory` when the block ends without an error.

    Only one process at a time may replace a directory. Raises RunError if it exists and is something else (it is not
    empty and has no marker), or if it cannot be written; then the previous content is unchanged.
    """
    directory = real(directory)
    temporary = directory.with_name(f".{directory.name}.tmp-{os.getpid()}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # What killed processes have left is removed: only one at a time may replace a directory.
        _tidy(directory, marker)
        if not _is_vacant(directory) and not (directory / marker).is_file():
            raise RunError(
                f"{directory} exists and is something else (it has no {marker}), so it was not replaced. "
                "Choose another directory."
            )
        try:
            temporary.mkdir()
            yield temporary
            # Before the renames: after a power failure no name may refer to content that never reached the disk.
            for path in (*temporary.iterdir(), temporary):
                sync(path)
            _swap(temporary, directory)
        finally:
            _tidy(directory, marker)
    except OSError as error:
        advice = "Choose another directory, or free space."
        raise RunError(f"{directory} cannot be written: {error.strerror}. {advice}") from error


HEAD = 8192
"""How many bytes at the beginning of a file are enough to recognise it."""

LONGEST_KEPT = 40
"""How many characters of a name the name of its temporary file keeps, which could otherwise be too long."""


@contextmanager
def replacing_file(path: Path, is_ours: Callable[[bytes], bool] | None) -> Iterator[IO[bytes]]:
    """Yield an empty temporary file to write; it replaces `path` when the block ends without an error.

    is_ours: tells from the beginning of an existing file whether it may be replaced; None allows any. Raises RunError
    if it may not, or if the file cannot be written; then the previous content is unchanged.
    """
    try:
        path = real(path)  # the target of a link is replaced, not the link
        if path.is_symlink():  # `real` has followed all links but circular ones
            raise RunError(f"{path} cannot be written: it is a symbolic link to itself. Choose another name.")
        if not path.parent.is_dir():
            raise RunError(f"{path} cannot be written: the directory {path.parent} does not exist. Create it first.")
        if path.exists():
            _refuse_other(path, is_ours)
        temporary = path.with_name(f".{path.name[:LONGEST_KEPT]}.tmp-{os.getpid()}-{threading.get_ident()}")
        try:
            with temporary.open("xb") as file:
                yield file
            sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}. Choose another name, or free space.") from error


def _refuse_other(path: Path, is_ours: Callable[[bytes], bool] | None) -> None:
    """Raise RunError if an existing file may not be replaced."""
    if not path.is_file():
        raise RunError(f"{path} cannot be written: it is not a regular file. Choose another name.")
    if is_ours is not None:
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head and not is_ours(head):  # with an empty file nothing is lost
            raise RunError(f"{path} exists and regard did not write it, so it was not replaced.", ways=["force"])


def _swap(temporary: Path, directory: Path) -> None:
    if _is_vacant(directory):
        # Windows cannot rename to an existing name, not even that of an empty directory.
        shutil.rmtree(directory, ignore_errors=True)
    else:
        directory.rename(_aside(directory))
    temporary.rename(directory)
    sync(directory.parent)  # the renames themselves


def _tidy(directory: Path, marker: str) -> None:
    """Restore what was set aside and never replaced; delete what else a kill has left beside the directory."""
    aside = _aside(directory)
    if (directory / marker).is_file():
        # The new one is in place, so the kill came after both renames, or there was none.
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.is_dir() and _is_vacant(directory):
        shutil.rmtree(directory, ignore_errors=True)
        aside.rename(directory)
    for path in directory.parent.iterdir():
        if path.name.startswith(f".{directory.name}.tmp-"):
            shutil.rmtree(path, ignore_errors=True)


def real(path: Path) -> Path:
    """Return a path with links followed; if links are circular, the path as it is.

    Raises RunError for a name that no file can have.
    """
    if "\0" in str(path):
        raise RunError(f"{shown(path)} cannot be the name of a file: it contains a NUL. Choose another name.")
    return Path(os.path.realpath(path))


def _aside(directory: Path) -> Path:
    directory = real(directory)  # a reader may use a link
    return directory.with_name(f".{directory.name}.old")


def _is_vacant(directory: Path) -> bool:
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def sync(path: Path) -> None:
    """Wait until a file, or a directory's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no way to ask this of a directory
    # Windows syncs only a file that is open for writing.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
