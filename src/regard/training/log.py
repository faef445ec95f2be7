"""The log of a training: a line of JSON per record, which the display and a callback receive as well."""

import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from regard.display import Display, Record
from regard.errors import RunError

OnEvent = Callable[[Record], None]
"""Called with every record, as written to `log.jsonl`."""

BLOCK = 2**16
"""How many bytes are searched at a time for the end of the last line."""


class Log:
    """Writes every record to a file of JSON lines and passes it on. Without a path it does nothing."""

    def __init__(self, path: Path | None, display: Display, on_event: OnEvent | None = None) -> None:
        self._file: TextIOWrapper | None = None
        self.display, self.on_event = display, on_event
        if path is not None:
            try:
                cut_half_line(path)
                self._file = _appending(path)
            except OSError as error:
                display.close()  # no log is returned whose `close` would do it
                raise RunError(
                    f"{path} cannot be written: {error.strerror}. Remove it, or choose another directory."
                ) from error

    def write(self, kind: str, **values: Any) -> None:
        """Write and show a record. A number that is not finite becomes null, since JSON cannot express it."""
        if self._file is None:
            return
        record = {"kind": kind, **{name: finite(value) for name, value in values.items()}}
        try:
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
            self._file.flush()  # a record is in the file before it is passed on
        except OSError as error:
            raise RunError(
                f"{self._file.name} cannot be written: {error.strerror}. Free space, then continue the training."
            ) from error
        self.display.show(record)
        if self.on_event is not None:
            self.on_event(record)

    def close(self) -> None:
        """Close the file and the display."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written was reported by `write`
                self._file.close()
        self.display.close()


def finite(value: Any) -> Any:
    """Return a value, or None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _appending(path: Path) -> TextIOWrapper:
    """Open a file for appending, without following a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    # With a descriptor, "w" does not truncate: only the flags count.
    return open(os.open(path, flags, 0o666), "w", encoding="utf-8", newline="\n")  # noqa: PTH123


def cut_half_line(path: Path) -> None:
    """Remove an incomplete last line, which a killed process has left, from a log."""
    if not path.is_file() or path.is_symlink():  # a link would be followed; `_appending` refuses it
        return
    with path.open("rb") as file:
        # From the end and in blocks, because the log of a long training is large.
        end = size = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            file.seek(start)
            if (at := file.read(end - start).rfind(b"\n")) >= 0:
                end = start + at + 1
                break
            end = start
    if end < size:
        os.truncate(path, end)
