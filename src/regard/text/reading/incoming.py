"""Lines as they come: a pipe is answered while it is open, and a line that is no text costs only itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.errors import DataError
from regard.text.reading.files import BYTE_ORDER_MARK, STDIN, opened, refuse_utf_16
from regard.text.reading.lines import refuse_carriage_returns

AT_ONCE = 2**20
"""Bytes that are taken from a file at once, and at most from a pipe: as many as it holds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, and why it could not be read; then it has no text."""

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
    """Yield the lines of an open binary file in groups, each as soon as it is there.

    Raises DataError for UTF-16, and where a carriage return alone ends the lines.
    """
    rest: list[bytes] = []  # the beginning of a line, in parts: joined at once, a long one costs its length
    n_lines, is_first = 0, True
    while block := file.read1(AT_ONCE):
        if is_first:
            refuse_utf_16(block, name)
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


def _line(content: bytes) -> Line:
    try:
        text = content.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        return Line("", f"has byte 0x{content[error.start]:02X} at place {error.start + 1:,}, which is not UTF-8")
    return Line("", "has a NUL byte, which is no text") if "\0" in text else Line(text)
