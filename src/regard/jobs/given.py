"""A corpus as it was given: files, pairs in memory, or texts in memory.

Strings and paths are files; pairs are tuples of two strings; running text has an argument of its own, since a string
could be either. Data from memory are read once and written into the run, so they may be larger than memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from regard.arguments import pairs_of as checked_pairs
from regard.arguments import path_of
from regard.errors import DataError, RunError, shown
from regard.replacing import replacing, standing
from regard.text.reading.kinds import ending
from regard.text.reading.pairs import Pair, Pairs, pairs_of, read_pairs
from regard.text.reading.passages import RULE, Documents, Passages
from regard.text.tokens.normalise import normalise_running

FileName: TypeAlias = str | PathLike[str]
Data: TypeAlias = FileName | Iterable[FileName] | Iterable[Pair]
"""One file or several, or pairs of a source and a target."""

SPOOLED_SOURCE, SPOOLED_TARGET, SPOOLED_TEXT, SPOOLED_ENDS = "source.txt", "target.txt", "texts", "texts.ends"
SPOOLED = (SPOOLED_SOURCE, SPOOLED_TARGET), (SPOOLED_TEXT, SPOOLED_ENDS)
KEPT = "whole"
"""The marker of a corpus that a run stores (regard/replacing.py)."""

_LINE_ENDS = str.maketrans({"\n": " ", "\r": " ", "\0": None})  # the reader refuses a file with a NUL


@dataclass(frozen=True)
class Given:
    """A corpus as it was given: exactly one of files, pairs and texts. spooled: whether the files are our own."""

    files: tuple[Path, ...] = ()
    pairs: Iterable[Pair] | None = None
    texts: Iterable[str] | None = None
    spooled: bool = False

    @property
    def is_file(self) -> bool:
        """Whether this is a file of the user's."""
        return bool(self.files) and not self.spooled

    @property
    def job(self) -> str:
        """What can be trained on this: one .txt or a folder is running text, everything else in files is pairs."""
        if self.pairs is not None or self.texts is not None:
            return "pairs" if self.texts is None else "text"
        if self.spooled:
            return "text" if self.files[0].name == SPOOLED_TEXT else "pairs"
        if len(self.files) == 1 and (ending(self.files[0]) == ".txt" or self.files[0].is_dir()):
            return "text"
        return "pairs"

    def read_pairs(self) -> Pairs:
        """Return the pairs. Raises DataError if they cannot be read or do not fit."""
        # What is still in memory here (to validate on, to guard, to score) is read once, so an iterator will do.
        return read_pairs(self.files) if self.pairs is None else pairs_of(list(self.pairs))

    def read_text(self, documents: Documents, rule: int = RULE) -> Passages:
        """Return the running text. documents: what counts as one in a file. Raises DataError if it holds no text."""
        if self.texts is None and not self.spooled:
            return Passages.read(self.files[0], documents, rule)
        # Texts from memory, spooled or not, are a document each, whatever `documents` says.
        if self.texts is not None:
            return Passages.of(list(self.texts))
        return _spooled_texts(self.files[0], rule)

    def spool(self, folder: Path) -> "Given":
        """Return the corpus in files; data from memory are written into a folder, one item at a time."""
        if self.files:
            return self
        try:
            folder.mkdir(parents=True)  # does not exist: `RunFolder.owned` has removed what a kill left
            return (
                _spool_pairs(self.pairs, folder) if self.pairs is not None else _spool_texts(self.texts or (), folder)
            )
        except _OutsideError as error:  # from the iterator of the caller, not from our files
            raise error.cause from None
        except OSError as error:
            raise RunError(f"{folder} cannot be written: {error.strerror}. Free space, then try again.") from error


def given(
    data: Data | None, texts: str | Iterable[str] | None, what: str = "data", what_texts: str = "texts"
) -> Given | None:
    """Return the corpus that was given, or None. what, what_texts: the names of the arguments, for messages.

    Raises DataError if it is neither files, nor pairs, nor texts.
    """
    if data is not None and texts is not None:
        raise DataError(f"{what} and {what_texts} were both given; a corpus is pairs of sentences or running text.")
    if texts is not None:
        if isinstance(texts, str) and names_a_file(texts):
            raise DataError(f"{what_texts} is {texts!r}, the name of a file; it takes the text itself. Give {what}.")
        documents = [texts] if isinstance(texts, str) else iterable(texts, what_texts)
        return Given(texts=_texts(documents, what_texts))
    if data is None:
        return None
    if isinstance(data, (str, PathLike)):
        return Given(files=(path_of(data, what),))
    items: Iterator[Any] = iter(iterable(data, what))
    try:
        first = next(items)
    except StopIteration:
        raise DataError(f"{what} is empty; expected files or pairs of sentences.") from None
    # The first item tells files from pairs. It goes back in front, since a generator gives it only once.
    items = chain([first], items)
    if isinstance(first, (str, PathLike)):
        files = list(items)
        if not all(isinstance(file, (str, PathLike)) for file in files):
            raise DataError(f"{what} mixes files with something else; expected one or two files, or pairs of strings.")
        paths = tuple(path_of(file, what) for file in files)
        # Strings come from Python; sentences do not end like the name of a file.
        if all(isinstance(file, str) and not Path(file).suffix and not names_a_file(file) for file in files):
            raise DataError(
                f"{what}: there is no file {shown(files[0])}. Strings are names of files; pairs are tuples of two "
                "strings."
            )
        return Given(files=paths)
    return Given(pairs=checked_pairs(items, what))


def names_a_file(name: str) -> bool:
    """Return whether a string is the name of an existing file; many texts are too long for one, or hold a NUL."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def iterable(items: Any, what: str) -> Iterable[Any]:
    """Return the items if they are iterable. Raises DataError otherwise."""
    if isinstance(items, Iterable):
        return items
    raise DataError(f"{what} is {type(items).__name__}; expected files, pairs of sentences, or texts.")


def spooled_in(folder: Path) -> Given | None:
    """Return the corpus stored in a run's folder, or None if there is none. Raises DataError if it is damaged."""
    place = standing(folder, KEPT)
    if not (place / KEPT).is_file():
        return None
    names = next((names for names in SPOOLED if all((place / name).is_file() for name in names)), None)
    if names is None or any((place / name).is_symlink() for name in names):
        raise DataError(f"{place} is damaged: its corpus is incomplete. Give the data again.")
    return Given(files=tuple(place / name for name in names if name != SPOOLED_ENDS), spooled=True)


def keep_spooled(folder: Path, place: Path) -> None:
    """Move what was spooled to its place in the run, in one step. Files that are open stay readable."""
    with replacing(place, KEPT) as new:
        for file in folder.iterdir():
            file.rename(new / file.name)
        (new / KEPT).touch()
    folder.rmdir()


class _OutsideError(Exception):
    """An OSError from the iterator of the caller, wrapped so that it is not taken for one from our own files."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _from_outside(items: Iterable[Any]) -> Iterator[Any]:
    try:
        yield from items
    except OSError as error:
        raise _OutsideError(error) from error


def _texts(items: Iterable[Any], what: str) -> Iterator[str]:
    for i, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(f"{what}, item {i:,}: found {type(item).__name__}; expected a string, one document.")
        yield item


def _spool_pairs(pairs: Iterable[Pair], folder: Path) -> Given:
    paths = folder / SPOOLED_SOURCE, folder / SPOOLED_TARGET
    n_pairs = 0
    with paths[0].open("wb") as sources, paths[1].open("wb") as targets:
        for n_pairs, pair in enumerate(_from_outside(pairs), start=1):  # noqa: B007
            for file, text in zip((sources, targets), pair, strict=True):
                # Normalisation makes a space of a line end and drops NUL and lone surrogates anyway: nothing is lost.
                file.write(text.translate(_LINE_ENDS).encode("utf-8", "ignore") + b"\n")
    if not n_pairs:
        raise DataError("data is empty; expected files or pairs of sentences.")
    return Given(files=paths, spooled=True)


def _spooled_texts(path: Path, rule: int) -> Passages:
    """Return the texts that were spooled into a file. Raises DataError if they are damaged."""
    damaged = DataError(f"{path} is damaged, or {SPOOLED_ENDS} beside it. Give the texts again.")
    ends = np.fromfile(path.with_name(SPOOLED_ENDS), dtype=np.int64)
    if len(ends) < 2 or ends[0] != 0 or ends[-1] != path.stat().st_size or bool((np.diff(ends) < 0).any()):
        raise damaged
    try:
        return Passages.spooled(path, ends, rule)
    except UnicodeDecodeError as error:
        raise damaged from error


def _spool_texts(texts: Iterable[str], folder: Path) -> Given:
    path, ends = folder / SPOOLED_TEXT, [0]
    with path.open("wb") as file:
        for text in _from_outside(texts):
            # Normalised before it is written: a lone surrogate has no UTF-8, and the ends must fit what is read again.
            ends.append(ends[-1] + file.write(normalise_running(text).encode()))
    np.array(ends, dtype=np.int64).tofile(folder / SPOOLED_ENDS)
    if ends[-1] == 0:
        raise DataError("texts is empty; expected running text.")
    return Given(files=(path,), spooled=True)
