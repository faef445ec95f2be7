"""Lines as they arrive: a pipe is answered while it is open, and a line that is not text affects no other line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.errors import DataError
from regard.text.reading.files import BYTE_ORDER_MARK, STDIN, UNPACK, opened, refuse_utf_16
from regard.text.reading.lines import refuse_carriage_returns

AT_ONCE = 2**20
"""How many bytes are read at once from a file, and at most from a pipe."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its line end. If it could not be read, `problem` says why, and `text` is empty."""

    text: str
    problem: str | None = None


def lines_of_file(path: Path) -> Iterator[list[Line]]:
    """Yield the lines of a file in groups. Raises DataError if it cannot be read or is empty."""
    with opened(path) as file:
        groups = incoming(file, str(path))
        if (first := next(groups, None)) is None:
            raise DataError(f"{path} is empty; expected text.")
        yield first
        yield from groups


def incoming(file: Any, name: str = STDIN) -> Iterator[list[Line]]:
    """Yield the lines of an open binary file in groups, each as soon as it arrives.

    Raises DataError for UTF-16, and if carriage returns alone end the lines.
    """
    rest: list[bytes] = []  # the beginning of a line, in parts, which are joined only once
    n_lines, is_first = 0, True
    while block := _read(file, name):
        if is_first:
            refuse_utf_16(block, name)
            if block.startswith(tuple(UNPACK)):
                raise DataError(f"{name} is compressed; expected plain text. Unpack it first, as with gzip -dc.")
            block, is_first = block.removeprefix(BYTE_ORDER_MARK), False
        head, line_end, tail = block.rpartition(b"\n")
        if line_end:
            lines = b"".join([*rest, head]).split(b"\n")
            n_lines, rest = n_lines + len(lines), []
            yield [_line(line) for line in lines]
        rest.append(tail)
    if last := b"".join(rest):
        if not n_lines:
            refuse_carriage_returns(last.count(b"\r"), name)
        yield [_line(last)]


def _read(file: Any, name: str) -> bytes:
    try:
        return bytes(file.read1(AT_ONCE))
    except OSError as error:  # a directory, or a stream that is open for writing only
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error


def _line(content: bytes) -> Line:
    if (n_returns := content.count(b"\r", 0, -1)) > 1:
        return Line("", f"has {n_returns:,} carriage returns, which end lines on old Macs; expected line feeds")
    try:
        text = content.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        return Line("", f"has byte 0x{content[error.start]:02X} at place {error.start + 1:,}, which is not UTF-8")
    return Line("", "has a NUL byte, which is not text") if "\0" in text else Line(text)
