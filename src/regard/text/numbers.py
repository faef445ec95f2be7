"""The numbers of a text, to find those that a translation lost."""

import re
import unicodedata
from collections import Counter

_NUMBER = re.compile(r"\d+(?:[.,:\u00a0\u202f'\u2019]\d+)*")


def numbers_of(text: str) -> Counter[str]:
    """Return the numbers of a text by their digits, in ASCII: "1,500" and "1.500" are the same "1500"."""
    return Counter(map(_digits, _NUMBER.findall(text)))


def lost_numbers(text: str, translation: str) -> list[str]:
    """Return the numbers of a text, as written there, that are missing from its translation, or occur less often."""
    kept, lost = numbers_of(translation), []
    for number in _NUMBER.findall(text):
        digits = _digits(number)
        if kept[digits]:
            kept[digits] -= 1
        else:
            lost.append(number)
    return lost


def _digits(number: str) -> str:
    return "".join(str(unicodedata.digit(digit)) for digit in re.sub(r"\D", "", number))
