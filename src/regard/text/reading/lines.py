"""The text of files. Lines stay in their file, and only where each begins is kept: a file may be larger than memory.

Lines end at b"\\n" and nowhere else: `str.splitlines` also breaks at U+2028 and others, and then two files part ways.
"""

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from threading import Lock
from typing import IO
from weakref import finalize

import numpy as np

from regard.errors import DataError
from regard.text.sliced import Sliced

LONGEST = 10_000
"""Characters that a sentence may have. Longer ones are no sentences, and would fill the memory."""

BLOCK = 2**24
"""Bytes that are looked at at once."""
STDIN = "standard input"
"""The name of what comes through a pipe."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextFile:
    """A file of UTF-8 that stays where it is; any span of its bytes can be read, by several threads."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        """name: stands in the errors. Raises DataError if there is no text."""
        self.name = name
        self._file, self._lock = file, Lock()
        # Sequences share the file, so none of them can close it: it closes when the last one is gone.
        finalize(self, file.close)
        self.first = len(BYTE_ORDER_MARK) if self.read(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        """Where the text begins."""
        if not self.read(self.first, self.first + 1):
            raise DataError(f"{name} is empty; expected text.")

    @classmethod
    def at(cls, path: Path) -> "TextFile":
        """Return the file of that name. Raises DataError if it cannot be read or is empty."""
        return cls(_open(path), str(path))

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes between two places, fewer at the end of the file."""
        with self._lock:
            # Seek and read must not be parted: `encode_pairs` reads in two threads at once.
            self._file.seek(start)
            return self._file.read(stop - start)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the whole file in blocks that end where a line ends, each behind the place where it begins.

        Raises DataError, with the place, for what is no text.
        """
        # First, because `decoded` would only say that a byte is NUL, or is not UTF-8.
        refuse_utf_16(self.read(0, 2), self.name)
        at = n_lines = 0
        while block := self._block(at):
            decoded(block, self.name, n_lines)  # only checked; a part is decoded again when it is asked for
            yield at, block
            at, n_lines = at + len(block), n_lines + block.count(b"\n")

    def _block(self, at: int) -> bytes:
        with self._lock:
            self._file.seek(at)
            # With the rest of its line, no character and no "\r\n" is cut. A file without line feeds is one block.
            return self._file.read(BLOCK) + self._file.readline()

    def changed(self) -> DataError:
        """Return what to raise if the file is not any more what it was when its places were found."""
        return DataError(f"{self.name} was changed while it was read. Start again when nobody writes to it.")


class Lines(Sliced[str]):
    """The lines of a UTF-8 file, without byte order mark and line ends; empty ones too.

    A newline at the end ends the last line and begins no other. Raises DataError, with the place, for what is no text.
    """

    def __init__(self, path: Path) -> None:
        self.file = TextFile.at(path)
        starts, end = [np.array([self.file.first])], 0
        for at, block in self.file.blocks():
            starts.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1 + at)
            end = at + len(block)
        self.starts = np.concatenate(starts)
        """Where each line begins (n + 1), and at last where a further one would."""
        if self.starts[-1] != end:
            self.starts = np.append(self.starts, end + 1)  # as if the last line had its line end

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, start: int, stop: int) -> list[str]:
        if start == stop:  # splitting nothing would give one empty line
            return []
        content = self.file.read(int(self.starts[start]), int(self.starts[stop]))
        try:
            lines = split_lines(content.decode())
        except UnicodeDecodeError:
            lines = []  # so the count below differs
        if len(lines) != stop - start:
            raise self.file.changed()
        return lines


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


def text_of(content: bytes, name: str) -> str:
    """Return UTF-8 bytes as text, without byte order mark. Raises DataError, with the place, for what is no text."""
    refuse_utf_16(content, name)
    # The mark is removed last, so that places count the bytes as they stand in the file.
    return decoded(content, name).removeprefix("\ufeff")


def refuse_utf_16(content: bytes, name: str) -> None:
    """Raise DataError for the beginning of a file that says it is UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16; expected UTF-8. Convert it: {_conversion('UTF-16', name)}")


def decoded(content: bytes, name: str, n_before: int = 0) -> str:
    """Return UTF-8 bytes as text. n_before: lines before them. Raises DataError, with the place, for what is none."""
    # NUL is valid UTF-8 and never text. UTF-16 without a byte order mark and binary files are full of it.
    if (at := content.find(b"\0")) >= 0:
        place = _place(content, at, name, n_before)
        raise DataError(f"{place}: a NUL byte; expected text. {name} may be binary or UTF-16.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        place = _place(content, error.start, name, n_before)
        found = f"byte 0x{content[error.start]:02X} is not UTF-8"
        hint = f"If it is Latin-1, convert it: {_conversion('LATIN1', name)}"
        raise DataError(f"{place}: {found} ({error.reason}). {hint}") from error


def _conversion(encoding: str, name: str) -> str:
    """Return the command that turns a file, or what comes through a pipe, into UTF-8."""
    # Quoted, since the user will paste this into a shell, and a file may have any name.
    return f"iconv -f {encoding} -t UTF-8" + (f" {shlex.quote(name)}" if name != STDIN else "")


def others(count: int) -> str:
    """Return in words that the same was found so many times more."""
    return f" (and so {count:,} more)" if count else ""


def _open(path: Path) -> IO[bytes]:
    """Open a file at any place of which can be read; what comes through a pipe is put aside first."""
    try:
        file = path.open("rb")
        if file.seekable():
            return file
        # Without a name, so that a kill leaves nothing behind.
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


def _refuse_long(lines: Sequence[str], name: str, longest: int) -> None:
    if long := [(i, len(line)) for i, line in enumerate(lines, 1) if len(line) > longest]:
        line, length = long[0]
        found = f"{length:,} characters; at most {longest:,} are allowed"
        raise DataError(f"{name}, line {line}: {found}{others(len(long) - 1)}.")


def _place(content: bytes, at: int, name: str, n_before: int) -> str:
    """Return file, line and byte in the line, both counted from 1."""
    line = n_before + content.count(b"\n", 0, at) + 1
    # In the first line rfind finds nothing and returns -1, which counts from 1 as well.
    byte = at - content.rfind(b"\n", 0, at)
    return f"{name}, line {line}, byte {byte}"
