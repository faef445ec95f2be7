"""One spelling for what looks the same: NFC, single spaces, nothing invisible that only a machine would notice."""

import re
import unicodedata

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in range(0, 0x110000, 0x10000))
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # without those that str.split takes for white space
_SURROGATES = "\ud800-\udfff"  # no character, and nothing that UTF-8 could hold
_BYTE_ORDER_MARK = "\ufeff"
_REMOVED = re.compile(f"[{_CONTROLS}{_NONCHARACTERS}{_SURROGATES}{_BYTE_ORDER_MARK}]")


def normalise(text: str) -> str:
    """Return the text in NFC, without control characters, with each run of white space as one space, stripped.

    Idempotent. Joiners (U+200C, U+200D) stay: Persian and emoji need them.
    """
    # Nothing that is removed is printable, so most text is spared the search.
    if not text.isprintable():
        text = " ".join(_REMOVED.sub("", text).split())
    # Composing comes last, because a removal can bring a letter and its accent together.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def normalise_running(text: str) -> str:
    """Return the text with "\\n" for every line end. A lone surrogate, which is no text, becomes a question mark."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode()
