"""Show how far a long piece of work has come."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from regard.cli import is_first, say
from regard.text.encoded.shards import Tell
from regard.training.log import minutes

SECONDS_A_LINE = 10.0


@contextmanager
def counting(what: str, unit: str) -> Iterator[Tell]:
    """Give a function that shows what it is told: as a bar where stderr is a terminal, in lines where it is not."""
    if not (is_first() and sys.stderr.isatty()):
        yield lines(what, unit)
        return
    columns = TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda n_done, n_all: bar.update(task, completed=n_done, total=n_all)


def lines(what: str, unit: str) -> Tell:
    """Return a function that prints a line every ten seconds, with the speed since the one before, and a last one."""
    last, n_before = time.monotonic(), 0

    def tell(n_done: int, n_all: int) -> None:
        nonlocal last, n_before
        now = time.monotonic()
        if now - last >= SECONDS_A_LINE or n_done == n_all:
            a_second = max(n_done - n_before, 1) / max(now - last, 1e-9)
            last, n_before = now, n_done
            left = minutes((n_all - n_done) / a_second)
            say(f"{what}: {n_done:,} of {n_all:,} {unit}, {a_second:,.0f} a second, {left} left")

    return tell
