"""Tokens as they are written, as text: never half a character, and nothing of a stop string."""

import codecs
from collections.abc import Sequence

from regard.text.tokens.tokenizer import Tokenizer


class Writing:
    """The text of a request, token by token.

    Bytes that are not a whole character yet, and text that may be the beginning of a stop string, are held back.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self.tokenizer, self.stops = tokenizer, stops
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.held = ""
        self.stopped = False

    def add(self, tokens: Sequence[int]) -> str:
        """Return the text that is certain after more tokens; "" once a stop string was found."""
        safe = ""
        for token in tokens:
            if self.stopped:
                break
            self.held += self.decoder.decode(self.tokenizer.token_bytes(token))
            if found := [at for text in self.stops if (at := self.held.find(text)) >= 0]:
                self.stopped = True
                safe, self.held = safe + self.held[: min(found)], ""
            else:
                n_safe = len(self.held) - longest_beginning(self.held, self.stops)
                safe, self.held = safe + self.held[:n_safe], self.held[n_safe:]
        return safe

    def end(self) -> str:
        """Return what was held back, when no more tokens come."""
        if self.stopped:
            return ""
        return self.held + self.decoder.decode(b"", final=True)  # bytes that never became a character


def longest_beginning(text: str, stops: Sequence[str]) -> int:
    """Return the length of the longest end of a text that may be the beginning of one of the stop strings."""
    # At most one character less than a stop string: a whole one has already ended the text.
    lengths = (n for stop in stops for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n]))
    return max(lengths, default=0)
