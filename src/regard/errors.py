"""The exceptions a user can meet. Each carries one message: what was found, what was expected, what to do.

RegardError                  anything the user can mend; the command line prints it and exits with 2
├── DataError                text that cannot be read, or does not fit together
├── ConfigError              a setting that is unknown or out of range
├── BundleError              a saved model that is missing, damaged or of another version
├── RunError                 an output file or directory that cannot be used
├── TrainingError            a training that cannot continue
└── MissingExtraError        an optional library that is not installed

They speak of data and settings. Where an argument of the call is the way out, the error names it in `ways`: the library
says it in Python's words, the command line in its own.
"""

from collections.abc import Sequence
from typing import Literal

# The command line has its own words for each, in cli/saying.py.
Way = Literal["fresh", "start", "device", "force"]

IN_PYTHON: dict[Way, str] = {
    "fresh": "fresh=True starts anew there and deletes what it holds.",
    "start": "start=... begins a new run from this one.",
    "device": "device='cpu' computes without a GPU.",
    "force": "Choose another name, or force=True to replace it.",
}
"""What each way is called in Python."""


class RegardError(Exception):
    """A mistake that the user can mend."""

    def __init__(self, message: str, *, ways: Sequence[Way] = ()) -> None:
        super().__init__(message)
        self.message, self.ways = message, tuple(ways)

    def __str__(self) -> str:
        return " ".join([self.message, *(IN_PYTHON[way] for way in self.ways)])


class DataError(RegardError):
    """Text that cannot be read, or two files that do not fit together."""


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
    """Return a text that stood in a file as a message may show it: printable, on one line and not too long.

    What somebody wrote into a file must not move the cursor or colour the terminal of whoever reads the error.
    """
    # Cut before it is escaped, since it may be megabytes.
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: longest + 1])
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"
