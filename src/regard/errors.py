"""The exceptions that a user can get. Each carries one message: what was found, what was expected, what to do.

RegardError                  anything that the user can fix; the command line prints it and exits with 2
├── DataError                text that cannot be read, or does not match
├── ConfigError              a setting that is unknown or out of range
├── BundleError              a saved model that is missing, damaged or of another version
├── RunError                 an output file or directory that cannot be used
├── TrainingError            a training that cannot continue
└── MissingExtraError        an optional library that is not installed

Messages are about data and settings. If an argument of the call would help, the error names it in `ways`: the library
words it for Python, the command line as a flag.
"""

from collections.abc import Sequence
from typing import Literal

# The command line has its own wording of each, in cli/saying.py.
Way = Literal["fresh", "start", "device", "force"]

IN_PYTHON: dict[Way, str] = {
    "fresh": "fresh=True starts anew there and deletes what it holds.",
    "start": "start=... begins a new run from this one.",
    "device": "device='cpu' computes without a GPU.",
    "force": "Choose another name, or force=True to replace it.",
}
"""How each way is worded for Python."""


class RegardError(Exception):
    """An error that the user can fix."""

    def __init__(self, message: str, *, ways: Sequence[Way] = ()) -> None:
        super().__init__(message)
        self.message, self.ways = message, tuple(ways)

    def __str__(self) -> str:
        return " ".join([self.message, *(IN_PYTHON[way] for way in self.ways)])


class DataError(RegardError):
    """Text that cannot be read, or two files that do not match."""


class ConfigError(RegardError):
    """A setting that is unknown, of the wrong type or out of range."""


class BundleError(RegardError):
    """A saved model that is missing, damaged or of another version."""


class RunError(RegardError):
    """An output file or directory that cannot be used."""


class TrainingError(RegardError):
    """A training that cannot continue."""


class MissingExtraError(RegardError):
    """An optional library that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional library. Install it with: pip install 'regard[{extra}]'")


def shown(text: object, longest: int = 80) -> str:
    """Return a text from a file in a form that a message may show: printable, on one line and not too long.

    The content of a file must not move the cursor or colour the terminal of the user who reads the error.
    """
    # Cut before it is escaped, since it may be megabytes.
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: longest + 1])
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"
