"""What somebody handed in as a corpus: files, pairs in memory, or texts in memory.

Strings and paths are files; pairs are tuples of two strings; running text comes under its own name, since a string
cannot say what it is. What has no file is read once, and written into the run, so that it may be larger than memory.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from regard.errors import DataError, RunError
from regard.text.reading.pairs import Pair, Pairs, pairs_of, read_pairs
from regard.text.reading.passages import Documents, Passages
from regard.text.tokens.normalise import normalise_running

FileName: TypeAlias = str | PathLike[str]
Data: TypeAlias = FileName | Iterable[FileName] | Iterable[Pair]
"""One file or several, or pairs of a source and a target."""

SPOOLED_SOURCE, SPOOLED_TARGET, SPOOLED_TEXT, SPOOLED_ENDS = "source.txt", "target.txt", "texts", "texts.ends"
_LINE_ENDS = str.maketrans({"\n": " ", "\r": " ", "\0": None})


@dataclass(frozen=True)
class Given:
    """A corpus as it was handed in; exactly one of the three is there. spooled: whether the files are our own."""

    files: tuple[Path, ...] = ()
    pairs: Iterable[Pair] | None = None
    texts: Iterable[str] | None = None
    spooled: bool = False

    @property
    def job(self) -> str:
        """What can be trained on this: one .txt is running text, everything else in files is pairs."""
        if self.pairs is not None or self.texts is not None:
            return "pairs" if self.texts is None else "text"
        if self.spooled:
            return "text" if self.files[0].name == SPOOLED_TEXT else "pairs"
        return "text" if len(self.files) == 1 and self.files[0].suffix.lower() == ".txt" else "pairs"

    def read_pairs(self) -> Pairs:
        """Return the pairs. Raises DataError if they cannot be read or do not fit."""
        return read_pairs(self.files) if self.pairs is None else pairs_of(list(self.pairs))

    def read_text(self, documents: Documents) -> Passages:
        """Return the running text. documents: what one is in a file. Raises DataError if it holds no text."""
        if self.texts is None and not self.spooled:
            return Passages.read(self.files[0], documents)
        if self.texts is not None:
            return Passages.of(list(self.texts))
        ends = np.fromfile(self.files[0].with_name(SPOOLED_ENDS), dtype=np.int64)
        return Passages.spooled(self.files[0], ends)

    def spool(self, folder: Path) -> "Given":
        """Return the corpus in files; what has none is written into a folder, each item as it comes."""
        if self.files:
            return self
        try:
            folder.mkdir(parents=True)
            return (
                _spool_pairs(self.pairs, folder) if self.pairs is not None else _spool_texts(self.texts or (), folder)
            )
        except OSError as error:
            raise RunError(f"{folder} cannot be written: {error.strerror}. Free space, then try again.") from error


def given(data: Data | None, texts: str | Iterable[str] | None, what: str = "data") -> Given | None:
    """Return what was handed in, or None for nothing. what: the name of the argument, for messages.

    Raises DataError if it is neither files, nor pairs, nor texts.
    """
    if data is not None and texts is not None:
        raise DataError(f"{what} and texts were both given; a corpus is either pairs of sentences or running text.")
    if texts is not None:
        return Given(texts=_texts([texts] if isinstance(texts, str) else iterable(texts, "texts")))
    if data is None:
        return None
    if isinstance(data, (str, PathLike)):
        return Given(files=(Path(data),))
    items: Iterator[Any] = iter(iterable(data, what))
    try:
        first = next(items)
    except StopIteration:
        raise DataError(f"{what} is empty; expected files or pairs of sentences.") from None
    items = chain([first], items)
    if isinstance(first, (str, PathLike)):
        files = list(items)
        if not all(isinstance(file, (str, PathLike)) for file in files):
            raise DataError(f"{what} mixes files with something else; expected one or two files, or pairs of strings.")
        return Given(files=tuple(map(Path, files)))
    return Given(pairs=_pairs(items, what))


def iterable(items: Any, what: str) -> Iterable[Any]:
    """Return what can be walked through. Raises DataError for anything else."""
    if isinstance(items, Iterable):
        return items
    raise DataError(f"{what} is {type(items).__name__}; expected files, pairs of sentences, or texts.")


def spooled_in(folder: Path) -> Given | None:
    """Return the corpus that was written into a folder, or None if there is none."""
    if (folder / SPOOLED_TARGET).is_file():
        return Given(files=(folder / SPOOLED_SOURCE, folder / SPOOLED_TARGET), spooled=True)
    return Given(files=(folder / SPOOLED_TEXT,), spooled=True) if (folder / SPOOLED_ENDS).is_file() else None


def keep_spooled(folder: Path, place: Path) -> None:
    """Put what was spooled where it belongs in a run. Files that are open stay readable."""
    shutil.rmtree(place, ignore_errors=True)
    folder.rename(place)


def _pairs(items: Iterable[Any], what: str) -> Iterator[Pair]:
    for i, item in enumerate(items, start=1):
        if not (isinstance(item, (tuple, list)) and len(item) == 2 and all(isinstance(side, str) for side in item)):
            raise DataError(f"{what}, item {i:,}: found {type(item).__name__}; expected a tuple of two strings.")
        yield item[0], item[1]


def _texts(items: Iterable[Any]) -> Iterator[str]:
    for i, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(f"texts, item {i:,}: found {type(item).__name__}; expected a string, one document.")
        yield item


def _spool_pairs(pairs: Iterable[Pair], folder: Path) -> Given:
    paths = folder / SPOOLED_SOURCE, folder / SPOOLED_TARGET
    n_pairs = 0
    with paths[0].open("wb") as sources, paths[1].open("wb") as targets:
        for n_pairs, pair in enumerate(pairs, start=1):  # noqa: B007
            for file, text in zip((sources, targets), pair, strict=True):
                # Normalising makes a space of a line end and drops NUL and lone surrogates: nothing is lost by this.
                file.write(text.translate(_LINE_ENDS).encode("utf-8", "ignore") + b"\n")
    if not n_pairs:
        raise DataError("data is empty; expected files or pairs of sentences.")
    return Given(files=paths, spooled=True)


def _spool_texts(texts: Iterable[str], folder: Path) -> Given:
    path, ends = folder / SPOOLED_TEXT, [0]
    with path.open("wb") as file:
        for text in texts:
            ends.append(ends[-1] + file.write(normalise_running(text).encode()))
    np.array(ends, dtype=np.int64).tofile(folder / SPOOLED_ENDS)
    if ends[-1] == 0:
        raise DataError("texts is empty; expected running text.")
    return Given(files=(path,), spooled=True)
