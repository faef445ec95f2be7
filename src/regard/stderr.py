"""Messages to the user, on stderr for as long as it can be written."""

import os
import sys


def printable(message: str) -> str:
    """Return a message that neither moves the cursor nor colours the terminal, whatever a file put into it."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in message)


def tell(message: str) -> None:
    """Print a line on stderr. If its reader has ended or its disk is full, the work continues without messages."""
    if sys.stderr is None:  # it was closed before the start; `print` would use stdout instead
        return
    try:
        print(printable(message), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
