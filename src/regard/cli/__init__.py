"""The command line: one module a verb. Results go to stdout, everything else to stderr."""

import errno
import os
import signal
import sys
from types import FrameType

from regard.errors import RegardError
from regard.stderr import tell
from regard.training.interrupt import Interrupted


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 a mistake of the user, 1 ours or nobody read on, 130 interrupted, 143 terminated.
    """
    code = run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # DDP keeps Gloo's threads beyond the end of their group, where a dying interpreter may meet them and abort.
        os._exit(code)
    sys.exit(code)


def run() -> int:
    """Run the command line and return its exit code."""
    from regard.cli.app import app

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    try:
        try:
            app()
        finally:
            print(end="", flush=True)
    except RegardError as error:
        say(f"regard: {error}")
        return 2
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where what is left of the output goes
        if error.errno == errno.EPIPE:  # whoever read it has seen enough
            return 1
        say("regard: the disk is full, so the output is not whole. Free space, then run the command again.")
        return 2
    return 0


def leave(number: int, _frame: FrameType | None) -> None:
    """Leave in good order: what is open is closed, and half-written files are cleared away."""
    say("Interrupted." if number == signal.SIGINT else "Terminated.")
    sys.exit(128 + number)


def say(message: str) -> None:
    """Print a message for the person who watches; of several processes, the first one does."""
    if is_first():
        tell(message)


def is_first() -> bool:
    """Return whether this is the only process, or the first of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"
