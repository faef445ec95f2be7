"""What a training says: a line of JSON for every record, which the display and whoever listens get as well."""

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
"""Is called with every record, as `log.jsonl` gets it."""

BLOCK = 2**16
"""Bytes that are looked at, at once, for the end of the last line."""


class Log:
    """Writes every record to a file of JSON lines and hands it on. Without a path it does nothing."""

    def __init__(self, path: Path | None, display: Display, on_event: OnEvent | None = None) -> None:
        self._file: TextIOWrapper | None = None
        self.display, self.on_event = display, on_event
        if path is not None:
            try:
                cut_half_line(path)
                self._file = _appending(path)
            except OSError as error:
                display.close()  # nobody will have a log whose `close` would do it
                raise RunError(
                    f"{path} cannot be written: {error.strerror}. Make room for the file, or choose another directory."
                ) from error

    def write(self, kind: str, **values: Any) -> None:
        """Write and show a record. A figure that is not finite is none: JSON has no word for it."""
        if self._file is None:
            return
        record = {"kind": kind, **{name: finite(value) for name, value in values.items()}}
        try:
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
            self._file.flush()  # a record is in the file before anybody hears of it
        except OSError as error:
            raise RunError(
                f"{self._file.name} cannot be written: {error.strerror}. Free space, then continue."
            ) from error
        self.display.show(record)
        if self.on_event is not None:
            self.on_event(record)

    def close(self) -> None:
        """Close the file and leave the display tidy."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written was reported by `write`
                self._file.close()
        self.display.close()


def finite(value: Any) -> Any:
    """Return a value, or None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _appending(path: Path) -> TextIOWrapper:
    """Open a file for writing behind its end; a link is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    # With a descriptor, "w" cuts nothing off: only the flags count.
    return open(os.open(path, flags, 0o666), "w", encoding="utf-8", newline="\n")  # noqa: PTH123


def cut_half_line(path: Path) -> None:
    """Cut what a killed process left behind the last line end of a log."""
    if not path.is_file() or path.is_symlink():  # a link would be cut where it points to; `_appending` refuses it
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
