"""The text of files. Lines stay in their file, and only where each begins is kept: a file may be larger than memory.

Lines end at b"\\n" and nowhere else: `str.splitlines` also breaks at U+2028 and others, and then two files part ways.
"""

import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from threading import Lock
from typing import IO, TypeVar, overload
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from regard.errors import DataError

LONGEST = 10_000
"""Characters that a sentence may have. Longer ones are no sentences, and would fill the memory."""

BLOCK = 2**24
"""Bytes that are looked at at once."""
CHUNK = 10_000
"""Items that are read at once."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Item = TypeVar("Item")


class Sliced(Sequence[Item]):
    """A sequence whose items are made when they are asked for, and which is walked through in slices."""

    @abstractmethod
    def part(self, start: int, stop: int) -> list[Item]:
        """Return the items from start to stop, both of which the sequence has."""

    @overload
    def __getitem__(self, i: int) -> Item: ...
    @overload
    def __getitem__(self, i: slice) -> list[Item]: ...
    def __getitem__(self, i: int | slice) -> Item | list[Item]:
        if isinstance(i, slice):
            start, stop, step = i.indices(len(self))
            assert step == 1, "slices of neighbours only"
            return self.part(start, max(start, stop))
        at = range(len(self))[i]
        return self.part(at, at + 1)[0]

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]


class Lines(Sliced[str]):
    """The lines of a UTF-8 file, without byte order mark and line ends; empty ones too.

    A newline at the end ends the last line and begins no other. Raises DataError, with the place, for what is no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file, self._lock = _open(path), Lock()
        finalize(self, self._file.close)
        is_first, n_lines, n_bytes = True, 0, 0
        ends: list[NDArray[np.int64]] = []
        for block in _blocks(self._file):
            if is_first:
                refuse_utf_16(block, str(path))
            decoded(block, str(path), n_lines)
            found = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1 + n_bytes
            is_first, n_lines, n_bytes = False, n_lines + len(found), n_bytes + len(block)
            ends.append(found)
        first = len(BYTE_ORDER_MARK) if self._bytes(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        if n_bytes == first:
            raise DataError(f"{path} is empty; expected text.")
        self.starts = np.concatenate([[first], *ends])
        """Where each line begins (n + 1), and at last where a further one would."""
        if self.starts[-1] != n_bytes:
            self.starts = np.append(self.starts, n_bytes + 1)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, start: int, stop: int) -> list[str]:
        if start == stop:
            return []
        content = self._bytes(int(self.starts[start]), int(self.starts[stop]))
        try:
            lines = split_lines(content.decode())
        except UnicodeDecodeError:
            lines = []
        if len(lines) != stop - start:
            raise DataError(f"{self.path} was changed while it was read. Start again when nobody writes to it.")
        return lines

    def _bytes(self, start: int, stop: int) -> bytes:
        with self._lock:
            self._file.seek(start)
            return self._file.read(stop - start)


def read_lines(path: Path, longest: int = LONGEST) -> list[str]:
    """Return the lines of a file, empty ones too. Raises DataError if it cannot be read or a line is too long."""
    lines = Lines(path)
    _refuse_long(lines, str(path), longest)
    return list(lines)


def lines_of(content: bytes, name: str, longest: int = LONGEST) -> list[str]:
    """Return the lines of UTF-8 bytes; `name` stands in the errors. Raises DataError as `read_lines` does."""
    text = text_of(content, name)
    lines = split_lines(text) if text else []
    _refuse_long(lines, name, longest)
    return lines


def split_lines(text: str) -> list[str]:
    """Return the lines of a text."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def read_text_file(path: Path) -> str:
    """Return the whole text of a file, with "\\n" at line ends. Raises DataError if it cannot be read or is no text."""
    with _open(path) as file:
        text = text_of(file.read(), str(path)).replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise DataError(f"{path} is empty; expected text.")
    return text


def text_of(content: bytes, name: str) -> str:
    """Return UTF-8 bytes as text, without byte order mark. Raises DataError, with the place, for what is no text."""
    refuse_utf_16(content, name)
    return decoded(content, name).removeprefix("\ufeff")


def refuse_utf_16(content: bytes, name: str) -> None:
    """Raise DataError for the beginning of a file that says it is UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16; expected UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 {name}")


def decoded(content: bytes, name: str, n_before: int = 0) -> str:
    """Return UTF-8 bytes as text. n_before: lines before them. Raises DataError, with the place, for what is none."""
    if (at := content.find(b"\0")) >= 0:
        place = _place(content, at, name, n_before)
        raise DataError(f"{place}: a NUL byte; expected text. {name} may be binary or UTF-16.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        place = _place(content, error.start, name, n_before)
        found = f"byte 0x{content[error.start]:02X} is not UTF-8"
        hint = f"If it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8 {name}"
        raise DataError(f"{place}: {found} ({error.reason}). {hint}") from error


def others(count: int) -> str:
    """Return in words that the same was found so many times more."""
    return f" (and so {count:,} more)" if count else ""


def _open(path: Path) -> IO[bytes]:
    """Open a file at any place of which can be read; what comes through a pipe is put aside first."""
    try:
        file = path.open("rb")
        if file.seekable():
            return file
        aside: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with file:
            copyfileobj(file, aside)
        aside.seek(0)
        return aside
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; expected a text file. Check the spelling.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory; expected a text file. Name a file in it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the whole of a file in blocks that end where a line ends."""
    while block := file.read(BLOCK) + file.readline():
        yield block


def _refuse_long(lines: Sequence[str], name: str, longest: int) -> None:
    if long := [(i, len(line)) for i, line in enumerate(lines, 1) if len(line) > longest]:
        line, length = long[0]
        found = f"{length:,} characters; at most {longest:,} are allowed"
        raise DataError(f"{name}, line {line}: {found}{others(len(long) - 1)}.")


def _place(content: bytes, at: int, name: str, n_before: int) -> str:
    """Return file, line and byte in the line, both counted from 1."""
    line = n_before + content.count(b"\n", 0, at) + 1
    byte = at - content.rfind(b"\n", 0, at)
    return f"{name}, line {line}, byte {byte}"
