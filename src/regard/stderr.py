"""What is said to whoever watches: on stderr, for as long as somebody reads it."""

import os
import sys


def tell(message: str) -> None:
    """Print a line on stderr. Where nobody reads on, or its disk is full, the work goes on in silence."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
