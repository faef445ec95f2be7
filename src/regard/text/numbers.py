"""The numbers of a text, so that those that a translation lost can be told."""

import re
import unicodedata
from collections import Counter

_NUMBER = re.compile(r"\d+(?:[.,:\u00a0\u202f'\u2019]\d+)*")


def numbers_of(text: str) -> Counter[str]:
    """Return the numbers of a text by their digits, in ASCII: "1,500" and "1.500" are the same "1500"."""
    found = (re.sub(r"\D", "", match) for match in _NUMBER.findall(text))
    return Counter("".join(str(unicodedata.digit(digit)) for digit in number) for number in found)


def lost_numbers(text: str, translation: str) -> list[str]:
    """Return the numbers of a text that its translation has not, or not as often."""
    return list((numbers_of(text) - numbers_of(translation)).elements())
