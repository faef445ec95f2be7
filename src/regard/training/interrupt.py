"""Signals that end a training: they wait until a step is taken or a checkpoint written, and then it ends in order."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

ECHO = 1.0
"""Seconds in which a signal that comes again is the same one: a scheduler signals every process, `torchrun` its own."""


class Interrupted(BaseException):
    """The training was asked to end, by the signal of that number. Not an Exception: nothing recovers from it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Holds signals back: `pending` is the one that came. Only a main thread gets any; in others this does nothing."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.pending: int | None = None
        self._came = 0.0
        self._at_once = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs, a signal is remembered for `check`; a second one ends the process where it stands."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # others stay ignored
        before = {number: signal.signal(number, self._take) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end this block where it stands: what it does can be done again."""
        self._at_once = True  # before the check, or a signal between them would wait for the end of the block
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.pending is not None:
            raise Interrupted(self.pending)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.pending is not None:
            if time.monotonic() - self._came > ECHO:
                # The process dies of the signal itself, so that a shell or a scheduler sees which.
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self.pending, self._came = number, time.monotonic()
        self._say("Ending after this step, with everything saved. The same signal again ends it at once.")
        if self._at_once:
            raise Interrupted(number)
