"""Where progress is shown: on a terminal, as lines on stderr, or nowhere.

The library prints nothing by itself. To see its progress, pass in a `Display`, such as the one that `on_stderr`
returns.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from regard.stderr import printable, tell

SECONDS_A_LINE = 10.0
"""Seconds between two lines about the progress of a training or a count."""

Record = dict[str, Any]
"""The content of a line of `log.jsonl`."""

Tell = Callable[[int, int], None]
"""Called with the number of items that are done, and of all items."""


class Display(Protocol):
    """Shows messages and progress."""

    def say(self, message: str) -> None:
        """Show a sentence."""
        ...

    def show(self, record: Record) -> None:
        """Show a record of kind "train", "valid" or "skipped"."""
        ...

    def counting(self, what: str, unit: str) -> AbstractContextManager[Tell]:
        """Yield a function that shows the progress of a long piece of work."""
        ...

    def close(self) -> None:
        """End the display, and restore the terminal."""
        ...


def on_stderr() -> Display:
    """Return a progress bar where stderr is a terminal, and plain lines where it is not."""
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines()


class Silent:
    """Shows nothing."""

    def say(self, message: str) -> None:
        pass

    def show(self, record: Record) -> None:
        pass

    def counting(self, what: str, unit: str) -> AbstractContextManager[Tell]:  # noqa: ARG002
        return _nobody()

    def close(self) -> None:
        pass


class Lines:
    """One line per message or validation, and one every ten seconds of a training or a count."""

    def __init__(self, seconds: float = SECONDS_A_LINE) -> None:
        self.seconds = seconds
        self._last = float("-inf")  # the first record is shown at once

    def say(self, message: str) -> None:
        tell(message)

    def show(self, record: Record) -> None:
        now = time.monotonic()
        if record["kind"] == "train" and now - self._last < self.seconds:
            return
        if line := describe(record):
            self._last = now
            tell(line)

    @contextmanager
    def counting(self, what: str, unit: str) -> Iterator[Tell]:
        last, n_before = time.monotonic(), 0

        def count(n_done: int, n_all: int) -> None:
            nonlocal last, n_before
            now = time.monotonic()
            if now - last >= self.seconds or n_done == n_all:
                # Never zero, never divided by zero: the count may not have advanced, nor the clock.
                a_second = max(n_done - n_before, 1) / max(now - last, 1e-9)
                last, n_before = now, n_done
                left = minutes((n_all - n_done) / a_second)
                tell(f"{what}: {n_done:,} of {n_all:,} {unit}, {a_second:,.0f} per second, {left} left")

        yield count

    def close(self) -> None:
        pass


class Bar:
    """A bar for the whole budget of a training, followed by the newest figures; another one for a count."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._training: Progress | None = None
        self._beside = ""

    def say(self, message: str) -> None:
        with suppress(OSError):  # the terminal is gone, and the work continues
            self._console.print(printable(message), highlight=False, markup=False, soft_wrap=True)

    def show(self, record: Record) -> None:
        if record["kind"] != "train":
            self._beside = beside(record) or self._beside
            self.say(describe(record))
            return
        # Started only with the first step, since until then a count may show its own bar.
        if self._training is None:
            columns = BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.fields[figures]}")
            self._training = Progress(*columns, console=self._console)
            self._training.add_task("training", total=1.0, figures="")  # a share of the budget, of whatever kind
            self._training.start()
        figures = describe(record) + self._beside
        self._training.update(self._training.task_ids[0], completed=record["progress"], figures=figures)

    @contextmanager
    def counting(self, what: str, unit: str) -> Iterator[Tell]:
        columns = TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(unit)
        with Progress(*columns, TimeRemainingColumn(), console=self._console) as bar:
            task = bar.add_task(what, total=None)
            yield lambda n_done, n_all: bar.update(task, completed=n_done, total=n_all)

    def close(self) -> None:
        if self._training is not None:
            with suppress(OSError):
                self._training.stop()
            self._training = None


@contextmanager
def _nobody() -> Iterator[Tell]:
    yield lambda n_done, n_all: None  # noqa: ARG005


def describe(record: Record) -> str:
    """Return a record in words, or an empty string if its kind is not shown."""
    if record["kind"] == "train":
        return (
            f"step {record['step']}  epoch {record['epoch'] + 1}  loss {record['loss']:.3f}  "
            f"{record['tokens_per_second']:,.0f} tokens/s  {minutes(record['seconds_left'])} left"
        )
    if record["kind"] == "valid":
        best = "  (best so far)" if record["best"] else ""
        # The log has null for a number that is not finite, since JSON cannot express it.
        loss = "not finite" if record["nll"] is None else f"{record['nll']:.3f} nats per token"
        return f"step {record['step']}  validation: {loss}{beside(record)}{best}"
    if record["kind"] == "skipped":
        where = f"batch {record['batch']} in pool {record['pool']} of epoch {record['epoch'] + 1}"
        return f"warning: step {record['step']} skipped: the gradient of {where} was not finite"
    return ""


def beside(record: Record) -> str:
    """Return the figures of a validation other than the loss, on the validation set and on the guarded one."""
    found = ""
    for of, prefix in (("", ""), ("guard_", "  guard")):
        if record.get(f"{of}bleu") is not None:
            found += f"{prefix}  BLEU {record[f'{of}bleu']:.2f}"
        if record.get(f"{of}bits_per_byte") is not None:
            found += f"{prefix}  {record[f'{of}bits_per_byte']:.3f} bits per byte"
    return found


def counted(n: int, what: str, plural: str = "s") -> str:
    """Return a number of things in words."""
    return f"{n:,} {what}{plural * (n != 1)}"


def minutes(seconds: float) -> str:
    """Return seconds as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
