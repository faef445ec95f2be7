"""Words and punctuation marks of a text as a reader sees them, so that attention can be shown between words.

Knows which characters belong together, and which scripts put no spaces between words. It knows no language, so it finds
no words that are not marked by spaces.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache

Span = tuple[int, int]

# Lower-case letters stand for what stays with the character before it, whatever that is.
_WORD = re.compile(
    r"[LN][LNa-z]*(?:(?:J|(?<=N)P(?=N))[LN][LNa-z]*)*"  # don't, T-Shirt, 3.50, 10:30
    r"|B(?:[a-z]*v[mj]*B)*[a-z]*"  # น้ำ; and ស្ត្រី, three consonants below each other (UAX #29, GB9c)
    r"|E[a-z]*(?:(?<=j)E[a-z]*)*"  # 👍🏽, ❤️, and a family of emoji that are joined (UAX #29, GB11)
    r"|RR[a-z]*"  # 🇩🇪 (UAX #29, GB12 and GB13)
    r"|[^S][a-z]*"  # one ideograph, kana, punctuation mark or keycap; marks that have no base
)
_SHAPES = {
    **dict.fromkeys("'\u2019-\u2010", "J"),  # straight and curly apostrophe, the two hyphens
    **dict.fromkeys(".,:", "P"),
    **dict.fromkeys(map(chr, range(0x1F1E6, 0x1F200)), "R"),
    **dict.fromkeys("\u203c\u2049\u2139\u3030\u303d", "E"),  # ‼ ⁉ ℹ 〰 〽, the only pictographs that are not symbols
    **dict.fromkeys("\u0e33\u0eb3\uff9e\uff9f", "m"),  # Thai and Lao AM; the voicing marks of half-width kana
    **dict.fromkeys(map(chr, range(0x1F3FB, 0x1F400)), "m"),  # skin tones
    **dict.fromkeys(map(chr, range(0xE0020, 0xE0080)), "m"),  # tags, which say whose flag a black flag is
    **dict.fromkeys("\u1039\u17d2\u1a60\u1b44\ua9c0", "v"),  # Burmese, Khmer, Tai Tham, Balinese, Javanese
    "\u200c": "n",
    "\u200d": "j",
    "\u20e3": "k",
}
"""Characters whose function Unicode's general category does not tell."""
_IDEOGRAPHS = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HENTAIGANA")
_WITHOUT_SPACES = (
    *("THAI", "LAO", "MYANMAR", "KHMER", "TAI LE", "NEW TAI LUE", "TAI THAM", "TAI VIET", "AHOM"),
    *("TIBETAN", "JAVANESE", "BALINESE", "BATAK"),
)
"""How the names of letters begin in scripts without spaces between words: class SA of UAX #14, and four more."""


def words(text: str) -> list[Span]:
    """Return the spans [start, end) of the words and of the punctuation marks, in order; white space is in none.

    An emoji sequence is one word (UTS #51, ED-17), and so is an ideograph or kana. In a script that puts no spaces
    between words, such as Thai, every character as a reader sees it is a word: an extended grapheme cluster (UAX #29,
    section 3), except that every mark stays with its base, also the few that UAX #29 separates (Burmese U+102B).
    """
    # One letter stands for one character, so places among the letters are places in the text. A digit in a keycap is
    # not part of a number (UTS #51, ED-14c).
    shapes = "".join(map(_shape, text)).replace("Nmk", "Omk").replace("Nk", "Ok")
    return [match.span() for match in _WORD.finditer(shapes)]


@lru_cache(maxsize=4096)
def _shape(character: str) -> str:
    """Return the letter for what a character does among its neighbours.

    S white space, L letter, N digit, J and P that may join letters or digits, I ideograph or kana, B letter of a script
    without spaces, E symbol, R regional indicator, O other; m mark, v mark that puts the next letter below the last, j
    joiner, n non-joiner, k keycap. Python does not know which symbols are pictographs, so a joiner joins any two, and
    also characters that Python's version of Unicode lacks.
    """
    if character in _SHAPES:
        return _SHAPES[character]
    if character.isspace():
        return "S"
    category = unicodedata.category(character)
    if category == "Nd":
        return "N"
    if category[0] in "LN":
        name = unicodedata.name(character, "")
        return "I" if name.startswith(_IDEOGRAPHS) else "B" if name.startswith(_WITHOUT_SPACES) else category[0]
    if category[0] == "M":
        return "m"
    return "E" if category in ("So", "Sm", "Cn") else "O"


def word_of_token(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """Return for each token the index of the word with which it shares most characters.

    A token of white space belongs to the word after it, and at the very end to the last word. If there are no words,
    the index is 0 for all.
    """
    if not spans:
        return [0] * len(offsets)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    found = []
    for start, end in offsets:
        first = min(bisect_right(ends, start), len(spans) - 1)
        last = max(first, bisect_left(starts, end) - 1)
        shared = [min(end, ends[i]) - max(start, starts[i]) for i in range(first, last + 1)]
        found.append(first + shared.index(max(shared)))  # of words that share equally many, the first
    return found
