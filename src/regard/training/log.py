"""What a training says: a line of JSON for every record, and a display for whoever watches."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from regard.errors import RunError
from regard.stderr import tell


class Display(Protocol):
    """Somewhere to show records: a terminal, a file of lines, or nothing."""

    def show(self, record: dict[str, Any]) -> None:
        """Show a record of kind "train" or "valid"."""
        ...

    def say(self, message: str) -> None:
        """Show a sentence."""
        ...

    def close(self) -> None:
        """Leave the terminal tidy."""
        ...


class Log:
    """Writes every record to a file of JSON lines and hands it to the display. Without a path it does nothing."""

    def __init__(self, path: Path | None, display: Display) -> None:
        self._file, self.display = None, display
        if path is not None:
            try:
                cut_half_line(path)
                self._file = path.open("a", encoding="utf-8", newline="\n")
            except OSError as error:
                display.close()
                raise RunError(f"{path} cannot be written: {error.strerror}. Free the way, then go on.") from error

    def write(self, kind: str, **values: Any) -> None:
        """Write and show a record."""
        if self._file is None:
            return
        record = {"kind": kind, **values}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise RunError(f"{self._file.name} cannot be written: {error.strerror}. Free space, then go on.") from error
        self.display.show(record)

    def close(self) -> None:
        """Close the file and the display."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written was reported by `write`
                self._file.close()
        self.display.close()


def cut_half_line(path: Path) -> None:
    """Cut what a killed process left after the last line end of a log."""
    if path.exists():
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


class NoDisplay:
    """Shows nothing."""

    def show(self, record: dict[str, Any]) -> None:
        pass

    def say(self, message: str) -> None:
        pass

    def close(self) -> None:
        pass


def make_display() -> Display:
    """Return a progress bar where stderr is a terminal, and plain lines where it is not."""
    return BarDisplay() if sys.stderr.isatty() else LineDisplay()


class LineDisplay:
    """One line for a validation, and one every ten seconds of training."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self._last = float("-inf")

    def show(self, record: dict[str, Any]) -> None:
        now = time.monotonic()
        if record["kind"] == "train" and now - self._last < self.seconds:
            return
        if line := describe(record):
            self._last = now
            tell(line)

    def say(self, message: str) -> None:
        tell(message)

    def close(self) -> None:
        pass


class BarDisplay:
    """A bar over the whole budget, with the newest figures behind it."""

    def __init__(self) -> None:
        self._progress = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("training", total=1.0, figures="")
        self._beside = ""
        self._progress.start()

    def show(self, record: dict[str, Any]) -> None:
        if record["kind"] != "train":
            self._beside = beside(record) or self._beside
            self.say(describe(record))
        else:
            self._progress.update(self._task, completed=record["progress"], figures=describe(record) + self._beside)

    def say(self, message: str) -> None:
        with suppress(OSError):  # the terminal is gone, and the work goes on
            self._progress.console.print(message, highlight=False, markup=False)

    def close(self) -> None:
        with suppress(OSError):
            self._progress.stop()


def describe(record: dict[str, Any]) -> str:
    """Return a record as a person reads it, or nothing if it is of a kind nobody watches."""
    if record["kind"] == "train":
        return (
            f"step {record['step']}  epoch {record['epoch'] + 1}  loss {record['loss']:.3f}  "
            f"{record['tokens_per_second']:,.0f} tokens/s  {minutes(record['seconds_left'])} left"
        )
    if record["kind"] == "valid":
        best = "  (best so far)" if record["best"] else ""
        return f"step {record['step']}  validation: {record['nll']:.3f} nats a token{beside(record)}{best}"
    if record["kind"] == "skipped":
        where = f"batch {record['batch']} in pool {record['pool']} of epoch {record['epoch'] + 1}"
        return f"warning: step {record['step']} left out: the gradient of {where} was not finite"
    return ""


def beside(record: dict[str, Any]) -> str:
    """Return what a validation found beside the loss."""
    if "bleu" in record:
        return f"  BLEU {record['bleu']:.2f}"
    return f"  {record['bits_per_byte']:.3f} bits a byte" if "bits_per_byte" in record else ""


def minutes(seconds: float) -> str:
    """Return seconds as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
