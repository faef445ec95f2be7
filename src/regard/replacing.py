"""A directory that is replaced in one step: a kill at any moment leaves the old content or the new, each of it whole.

Replacing NAME fills `.NAME.tmp-PID`, renames NAME to `.NAME.old`, then the new one to NAME, then deletes the old one. A
kill leaves at most these two beside it: readers fall back to `.NAME.old` while NAME is missing, and the next replacing
puts it back or clears it away. A directory counts as whole if it holds its marker, the file that is written last.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regard.errors import RunError


def standing(directory: Path, marker: str) -> Path:
    """Return where the content of a directory stands: in it, or set aside if a kill came between the two renames."""
    aside = _aside(directory)
    return aside if not (directory / marker).exists() and (aside / marker).is_file() else directory


@contextmanager
def replacing(directory: Path, marker: str) -> Iterator[Path]:
    """Give an empty temporary directory to fill; it takes the place of `directory` when the block ends well.

    One process at a time may replace a directory. Raises RunError if it exists and is something else (it is not empty
    and has no marker), or if it cannot be written; then what was there before is there still.
    """
    directory = directory.resolve()
    temporary = directory.with_name(f".{directory.name}.tmp-{os.getpid()}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _tidy(directory, marker)
        if not _is_vacant(directory) and not (directory / marker).is_file():
            raise RunError(
                f"{directory} exists and is something else (it has no {marker}), so it is left alone. "
                "Choose another directory."
            )
        try:
            temporary.mkdir()
            yield temporary
            for path in (*temporary.iterdir(), temporary):
                sync(path)
            _swap(temporary, directory)
        finally:
            _tidy(directory, marker)
    except OSError as error:
        raise RunError(f"{directory} cannot be written: {error.strerror}. Free the way, or choose another.") from error


def _swap(temporary: Path, directory: Path) -> None:
    if _is_vacant(directory):
        shutil.rmtree(directory, ignore_errors=True)
    else:
        directory.rename(_aside(directory))
    temporary.rename(directory)
    sync(directory.parent)


def _tidy(directory: Path, marker: str) -> None:
    """Put back what was set aside and never replaced; delete what else a kill has left beside the directory."""
    aside = _aside(directory)
    if (directory / marker).is_file():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.is_dir() and _is_vacant(directory):
        shutil.rmtree(directory, ignore_errors=True)
        aside.rename(directory)
    for path in directory.parent.iterdir():
        if path.name.startswith(f".{directory.name}.tmp-"):
            shutil.rmtree(path, ignore_errors=True)


def _aside(directory: Path) -> Path:
    directory = directory.resolve()
    return directory.with_name(f".{directory.name}.old")


def _is_vacant(directory: Path) -> bool:
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def sync(path: Path) -> None:
    """Wait until a file, or a directory's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no way to ask this of a directory
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
