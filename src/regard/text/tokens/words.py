"""Words and punctuation marks of a text, so that attention between pieces can be read between words."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache

Span = tuple[int, int]

_WORD = re.compile(
    r"IM*"  # an ideograph or kana is a word of its own
    r"|[LN][LNM]*(?:J[LN][LNM]*|(?<=N)P(?=N)[LNM]+)*"  # don't, T-Shirt, 3.50, 10:30
    r"|[^S]M*"  # one punctuation mark or symbol
)
_JOINS_LETTERS = "'\u2019-\u2010"  # straight and curly apostrophe, the two hyphens
_JOINS_DIGITS = ".,:"
_IDEOGRAPHS = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA")


def words(text: str) -> list[Span]:
    """Return the spans [start, end) of the words and of the punctuation marks, in order; white space lies in none.

    Scripts that put no spaces between words but are no ideographs (Thai, Khmer) come as runs of letters.
    """
    # One letter stands for one character, so places among the letters are places in the text.
    return [match.span() for match in _WORD.finditer("".join(map(_shape, text)))]


@lru_cache(maxsize=4096)
def _shape(character: str) -> str:
    """Return S for white space, M mark, I ideograph, L letter, N digit, J and P that may join letters or digits."""
    category = unicodedata.category(character)
    if character.isspace():
        return "S"
    if category[0] == "M" or character in "\u200c\u200d":
        return "M"
    if category[0] in "LN" and unicodedata.name(character, "").startswith(_IDEOGRAPHS):
        return "I"
    if category[0] in "LN":
        return category[0]
    if character in _JOINS_LETTERS:
        return "J"
    return "P" if character in _JOINS_DIGITS else "O"


def word_of_token(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """Return for each token the index of the word that it shares most characters with.

    A token of white space belongs to the word behind it, and at the very end to the last word. Where there is no word,
    all belong to the one that comes next.
    """
    if not spans:
        return [0] * len(offsets)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    found = []
    for start, end in offsets:
        first = min(bisect_right(ends, start), len(spans) - 1)
        last = max(first, bisect_left(starts, end) - 1)
        shared = [min(end, ends[i]) - max(start, starts[i]) for i in range(first, last + 1)]
        found.append(first + shared.index(max(shared)))  # of words that share as many, the first
    return found
