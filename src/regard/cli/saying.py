"""The command line's messages, and the stream for its results."""

import os
import sys
from typing import BinaryIO

from regard.display import Display, Silent, on_stderr
from regard.errors import RegardError, RunError, Way
from regard.stderr import tell

IN_FLAGS: dict[Way, str] = {
    "fresh": "--fresh starts anew there and deletes what it holds.",
    "start": "--from RUN, with another --to, begins a new run from this one.",
    "device": "--device cpu computes without a GPU.",
    "force": "Choose another name, or --force to replace it.",
}
"""How the command line words each way out of an error."""


def in_flags(error: RegardError) -> str:
    """Return an error's message, with the ways out as flags."""
    return " ".join([error.message, *(IN_FLAGS[way] for way in error.ways)])


def say(message: str) -> None:
    """Print a message to stderr; of several processes, only the first one does."""
    if is_first():
        tell(message)


def display() -> Display:
    """Return the display for a command's progress; of several processes, only the first one shows any."""
    return on_stderr() if is_first() else Silent()


def is_first() -> bool:
    """Return whether this is the only process, or the first of those that `torchrun` started."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2 or os.environ.get("RANK", "0") == "0"


def out() -> BinaryIO:
    """Return standard output, for bytes. Raises RunError if it is closed."""
    if sys.stdout is None:  # None if the stream was closed at the start
        raise RunError("Standard output is closed, so there is nowhere to write. Leave it open, or redirect it.")
    return sys.stdout.buffer


def print_text(text: str) -> None:
    """Print a text to stdout as UTF-8, whatever the locale is."""
    stream = out()
    stream.write(f"{text}\n".encode())
    stream.flush()
