"""One spelling for what looks the same: NFC, single spaces, nothing invisible that only a machine would notice.

The second rule drops control characters, the byte order mark, characters that only tell where a line may break (soft
hyphen, zero-width space, word joiner) or in which direction it runs (bidi controls), and the other invisible format
characters. It keeps whatever changes how its neighbours look: the joiners U+200C and U+200D (Persian, Indic scripts,
emoji), variation selectors and the tags of flags. The first rule drops only controls and the byte order mark; models
that were trained with it continue to use it.
"""

import re
import unicodedata

RULE = 2
"""The version of the rule for new models."""

NO_BREAKS = "\u00a0\u202f"
"""The no-break space and the narrow one, which French writes before some marks."""

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in range(0, 0x110000, 0x10000))
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # without those that str.split treats as white space
_SURROGATES = "\ud800-\udfff"  # not characters, and not possible in UTF-8
_BYTE_ORDER_MARK = "\ufeff"
_BREAKS = "\u00ad\u200b\u2060"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Invisible operators of formulas, deprecated format characters, marks of annotations, the tag of a language.
_OTHER_FORMATS = "\u2061-\u2065\u206a-\u206f\ufff9-\ufffb\U000e0001"
_FIRST = f"{_CONTROLS}{_NONCHARACTERS}{_SURROGATES}{_BYTE_ORDER_MARK}"
_REMOVED = {1: re.compile(f"[{_FIRST}]"), 2: re.compile(f"[{_FIRST}{_BREAKS}{_BIDI}{_OTHER_FORMATS}]")}
_WHITE_SPACE = re.compile(r"\s+")


def normalise(text: str, rule: int = RULE, *, no_breaks: bool = False) -> str:
    """Return the text in NFC, without what is invisible, with each run of white space as one space, stripped.

    Idempotent. rule: its version, 1 or 2. no_breaks: keep no-break spaces; white space that contains one becomes it.
    """
    # Nothing that is removed is printable, so most text can skip the search.
    if not text.isprintable():
        text = _REMOVED[rule].sub("", text)
        if no_breaks and not set(NO_BREAKS).isdisjoint(text):
            # Composing comes last, because a removal can bring a letter and its accent together.
            return unicodedata.normalize("NFC", _WHITE_SPACE.sub(_one_space, text.strip()))
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _one_space(run: re.Match[str]) -> str:
    return next((space for space in run[0] if space in NO_BREAKS), " ")


def normalise_running(text: str) -> str:
    """Return the text with "\\n" for every line end. A lone surrogate, which is not text, becomes a question mark."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode()
