"""Signals that end a training. They are held back until a step or a checkpoint is complete."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

ECHO = 1.0
"""Seconds within which a repeated signal counts as one: a scheduler signals every process, and `torchrun` its own."""


class Interrupted(BaseException):
    """The signal of that number has ended the training. Not an Exception, so that `except Exception` lets it pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Holds signals back; `pending` is the one received. Only the main thread gets any; elsewhere this does nothing."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.pending: int | None = None
        self._came = 0.0
        self._at_once = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs, a signal is recorded for `check`; a second one ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # ignored ones stay so
        before = {number: signal.signal(number, self._take) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end this block at once, since its work can be repeated."""
        self._at_once = True  # before the check; otherwise a signal between them would wait for the end of the block
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def check(self) -> None:
        """Raise Interrupted if a signal was received."""
        if self.pending is not None:
            raise Interrupted(self.pending)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.pending is not None:
            if time.monotonic() - self._came > ECHO:
                # The signal itself ends the process, so that a shell or a scheduler sees which one it was.
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self.pending, self._came = number, time.monotonic()
        self._say("Stopping after this step; everything will be saved. A second signal stops at once.")
        if self._at_once:
            raise Interrupted(number)
