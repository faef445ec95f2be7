"""Lines of text. They stay in their file; only the place where each begins is in memory.

Lines end at b"\\n" and nowhere else: `str.splitlines` also breaks at U+2028 and others, and then two files would not be
aligned.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regard.errors import DataError
from regard.text.reading.files import STDIN, TextFile
from regard.text.reading.kinds import command
from regard.text.sliced import Sliced

LONGEST = 10_000
"""The maximum length of a sentence in characters. Longer lines are not sentences, and would fill the memory."""


class Lines(Sliced[str]):
    """The lines of a UTF-8 file, without byte order mark and line ends; empty ones too.

    A newline at the end ends the last line and begins no other. Raises DataError, with the place, for what is not text,
    and for a file with the line ends of old Macs.
    """

    def __init__(self, path: Path) -> None:
        self.file = TextFile.at(path)
        starts, end, n_returns = [np.array([self.file.first])], 0, 0
        for at, block in self.file.blocks():
            starts.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1 + at)
            end, n_returns = at + len(block), n_returns + block.count(b"\r")
        self.starts = np.concatenate(starts)
        """Where each line begins, and last where another one would begin (n + 1)."""
        if self.starts[-1] != end:
            self.starts = np.append(self.starts, end + 1)  # as if the last line had a line end
        if len(self) == 1:
            refuse_carriage_returns(n_returns, str(path))

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


def split_lines(text: str) -> list[str]:
    """Return the lines of a text."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def refuse_carriage_returns(count: int, name: str) -> None:
    """Raise DataError if a text of one line has several carriage returns. name: of its file."""
    if count > 1:
        convert = command(r"tr '\r' '\n' < {file} > {new}", Path(name)) if name != STDIN else "tr '\\r' '\\n'"
        raise DataError(
            f"{name}: the lines end in a carriage return alone, as on old Macs, so the text is a single line; expected "
            f"line feeds. Convert it: {convert}"
        )


def others(count: int) -> str:
    """Return in words how many more times the same was found."""
    return f" (and {count:,} more)" if count else ""


def _refuse_long(lines: Sequence[str], name: str, longest: int) -> None:
    if long := [(i, len(line)) for i, line in enumerate(lines, 1) if len(line) > longest]:
        line, length = long[0]
        found = f"{length:,} characters; at most {longest:,} are allowed"
        raise DataError(f"{name}, line {line}: {found}{others(len(long) - 1)}.")
