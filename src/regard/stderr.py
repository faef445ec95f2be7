"""What is said to whoever watches: on stderr, for as long as somebody reads it."""

import os
import sys


def printable(message: str) -> str:
    """Return a message that neither moves the cursor nor colours the terminal, whatever a file put into it."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in message)


def tell(message: str) -> None:
    """Print a line on stderr. Where nobody reads on, or its disk is full, the work continues in silence."""
    if sys.stderr is None:  # it was closed before we began; `print` would take stdout instead
        return
    try:
        print(printable(message), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
