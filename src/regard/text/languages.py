"""Languages: which one texts are in, and how its code is written. Knows nothing of models and of training.

A language is recognised by its script and its frequent words, which are in `frequent_words.py`. No answer is better
than a wrong one here, because the user can still name the language.
"""

import difflib
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import NamedTuple

from regard.errors import ConfigError, shown
from regard.text.frequent_words import LEAST_SHARES, MISTAKEN, NAMES, PLAIN_LETTERS, RIVALS, WORDS

MOST_TEXTS, MOST_CHARACTERS = 2_000, 200_000
"""How many texts and characters are examined, from the beginning."""

FEWEST_LETTERS = 150
FEWEST_WORDS, FEWEST_KNOWN, FEWEST_DIFFERENT = 60, 15, 8
"""The minimum evidence: words, frequent ones among them, and different ones among those."""
LEAST_OF_SCRIPT = 0.8
"""Share of the letters that one script must have."""
MOST_FOREIGN = 0.01
"""Share of the letters that a language may borrow from others; names bring some."""
FEWEST_APART, TIMES_AHEAD = 5, 4
"""Words that only the first of two languages has: the minimum, and the minimum per word that only the second has."""

LEAST_SHARE = 0.25
"""Share of the words that must be frequent ones. `frequent_words` lists the languages that need fewer."""

LEAST_KANA, LEAST_BESIDE = 0.2, 0.9
"""For Japanese: the share of kana in Han and kana, and of Han that are in a line with hiragana."""
MOST_KANA, LEAST_CHINESE, MOST_CANTONESE = 0.02, 0.045, 0.002
"""For Chinese: how many kana, letters of `CHINESE` and letters of `CANTONESE` there are per Han."""
FEWEST_CHINESE = 4
"""Different letters of `CHINESE`: Japanese names contain one or two as well."""
CHINESE = "的是了我这這们們他她你就也很那还還没沒说說吗嗎把被让讓"
"""Frequent in Mandarin, and rare in Japanese names, in Cantonese, Hakka and Wu as they are spoken."""
CANTONESE = "嘅喺咗唔冇哋嚟啲"

DENSE = {"Hani", "Kana", "Hang"}
DENSITY = 3
"""A letter of these scripts carries about as much as three of an alphabet."""
UNSPACED = {"Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
"""Scripts that put no spaces between words."""

ALONE = {
    "Armn": "hy", "Beng": "bn", "Geor": "ka", "Grek": "el", "Gujr": "gu", "Guru": "pa", "Hang": "ko", "Khmr": "km",
    "Knda": "kn", "Laoo": "lo", "Mlym": "ml", "Mymr": "my", "Orya": "or", "Sinh": "si", "Taml": "ta", "Telu": "te",
    "Thaa": "dv", "Thai": "th",
}  # fmt: skip
"""Scripts that determine the language by themselves."""
ELSEWHERE = {
    "Beng": "ৰৱ",  # Assamese
    "Geor": "ჷჸჹჺ",  # Mingrelian and Svan
    "Grek": "".join(map(chr, range(0x1F00, 0x2000))),  # Ancient Greek
    "Mymr": "".join(map(chr, range(0x1050, 0x10A0))),  # Mon, Karen, Shan
}
"""Letters of those scripts that belong to another language."""

# The first and last code point of each script, in ascending order; what is not a letter in between does not count.
_SCRIPTS = [
    (0x0000, 0x0040, ""), (0x0041, 0x02AF, "Latn"), (0x0370, 0x03FF, "Grek"), (0x0400, 0x052F, "Cyrl"),
    (0x0531, 0x0587, "Armn"), (0x05D0, 0x05F2, "Hebr"), (0x0620, 0x06FF, "Arab"), (0x0750, 0x077F, "Arab"),
    (0x0780, 0x07BF, "Thaa"), (0x08A0, 0x08FF, "Arab"), (0x0900, 0x097F, "Deva"), (0x0980, 0x09FF, "Beng"),
    (0x0A00, 0x0A7F, "Guru"), (0x0A80, 0x0AFF, "Gujr"), (0x0B00, 0x0B7F, "Orya"), (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"), (0x0C80, 0x0CFF, "Knda"), (0x0D00, 0x0D7F, "Mlym"), (0x0D80, 0x0DFF, "Sinh"),
    (0x0E00, 0x0E7F, "Thai"), (0x0E80, 0x0EFF, "Laoo"), (0x0F00, 0x0FFF, "Tibt"), (0x1000, 0x109F, "Mymr"),
    (0x10A0, 0x10FF, "Geor"), (0x1100, 0x11FF, "Hang"), (0x1200, 0x139F, "Ethi"), (0x1780, 0x17FF, "Khmr"),
    (0x1E00, 0x1EFF, "Latn"), (0x1F00, 0x1FFF, "Grek"), (0x3005, 0x3007, "Hani"), (0x3041, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hang"), (0x31F0, 0x31FF, "Kana"), (0x3400, 0x9FFF, "Hani"), (0xAC00, 0xD7A3, "Hang"),
    (0xF900, 0xFAFF, "Hani"), (0xFB50, 0xFDFF, "Arab"), (0xFE70, 0xFEFE, "Arab"), (0xFF66, 0xFF9F, "Kana"),
    (0x20000, 0x323AF, "Hani"),
]  # fmt: skip
_FIRST = [first for first, _, _ in _SCRIPTS]

_HIRAGANA = re.compile("[ぁ-ゖ]")

# Others are valid as well: "x-mine", and the unknown extension of a language in "de-xxx".
_CODE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-\d{3})?(-[a-z\d]{4,8})*")
_NO_LANGUAGE = {"und", "mul", "mis", "zxx"}
_LONGEST_CODE = 64


class Language(NamedTuple):
    """What is known of one language: its letters beyond the plain ones of its script, and its frequent words."""

    letters: str
    words: frozenset[str]


def recognise(texts: Iterable[str]) -> str | None:
    """Return the ISO 639 code of the language that texts are in, such as "de", or None if it is uncertain.

    Examines the first 2,000 texts and 200,000 characters. It is None for too little text, for lists of single words,
    for a mixture of languages, for languages not known here, and for similar ones that the texts do not distinguish,
    such as Danish and Norwegian. A few lines of another language usually change nothing. "no" is Bokmål; "zh" is
    Mandarin in either script.
    """
    sample = _sample(texts)
    letters = _letters(sample)
    scripts = _scripts(letters)
    weights = Counter({script: n * (DENSITY if script in DENSE else 1) for script, n in scripts.items()})
    weights["Hani"] += weights.pop("Kana", 0)  # Japanese writes both
    script, weight = weights.most_common(1)[0]
    if weight < max(FEWEST_LETTERS, LEAST_OF_SCRIPT * weights.total()):
        return None
    if script == "Hani":
        return _chinese_or_japanese(sample, letters, scripts)
    if script in ALONE:
        elsewhere = sum(letters[letter] for letter in ELSEWHERE.get(script, ""))
        return ALONE[script] if elsewhere <= MOST_FOREIGN * scripts[script] else None
    if script in WORDS:
        return _by_words(script, letters, _words(sample))
    return None


def unspaced(text_sample: Iterable[str]) -> bool:
    """Return whether more than half of the letters are of a script that puts no spaces between words.

    Examines the first 2,000 texts and 200,000 characters.
    """
    scripts = _scripts(_letters(_sample(text_sample)))
    return 2 * sum(scripts[script] for script in UNSPACED) > scripts.total()


def code_of(name: str) -> str:
    """Return the standard form of a language's code: "de", "pt-BR", "zh-Hant".

    name: a code of two or three letters, optionally with script, region and variant, or an English name known here, in
    upper or lower case. A deprecated code becomes its replacement ("iw" becomes "he"), a long one its short form ("deu"
    becomes "de", "cmn" becomes "zh"), and the usual script of a language is left out.
    `langcodes` checks codes against the registry of IANA, without its extra package of names; names come from a table
    here. Raises ConfigError for anything else.
    """
    import langcodes

    wanted = " ".join(name.split())
    if code := _codes().get(wanted.casefold()):
        return code
    if len(wanted) <= _LONGEST_CODE and langcodes.tag_is_valid(wanted):
        code = langcodes.standardize_tag(wanted, macro=True)
        if _CODE.fullmatch(code) and code.partition("-")[0] not in _NO_LANGUAGE:
            return code
    meant = _codes() | _mistaken()
    nearest = difflib.get_close_matches(wanted[:_LONGEST_CODE].casefold(), meant, n=1, cutoff=0.7)
    if nearest:
        hint = f"did you mean {name_of(meant[nearest[0]])} ({meant[nearest[0]]})?"
    else:
        hint = "expected one such as 'de' or 'pt-BR', or an English name such as 'German'."
    raise ConfigError(f"language is {shown(repr(name))}: not a language code; {hint}")


def name_of(code: str) -> str:
    """Return the English name of a language: "German" for "de", "Portuguese (BR)" for "pt-BR", "gsw" for "gsw"."""
    language, _, rest = code.partition("-")
    name = _names().get(language)
    return code if name is None else f"{name} ({rest})" if rest else name


def _sample(texts: Iterable[str]) -> str:
    """Return the beginning of texts, one line each, in NFC and lower case. A bare string is one text."""
    if isinstance(texts, str):
        texts = [texts]
    taken, left = [], MOST_CHARACTERS
    for text in islice(texts, MOST_TEXTS):
        taken.append(text[:left])
        left -= len(taken[-1])
        if left <= 0:
            break
    # Python would turn the Turkish capital into an i and a separate dot.
    return unicodedata.normalize("NFC", "\n".join(taken).replace("İ", "i").lower())


def _letters(sample: str) -> Counter[str]:
    """Return how often each letter occurs."""
    return Counter({letter: n for letter, n in Counter(sample).items() if letter.isalpha()})


def _scripts(letters: Counter[str]) -> Counter[str]:
    """Return how many letters each script has; "" stands for others."""
    scripts: Counter[str] = Counter()
    for letter, n in letters.items():
        scripts[_script(letter)] += n
    return scripts


def _script(letter: str) -> str:
    """Return the script of a letter, or "" for one that is in no range here."""
    _, last, script = _SCRIPTS[bisect_right(_FIRST, ord(letter)) - 1]
    return script if ord(letter) <= last else ""


def _words(sample: str) -> Counter[str]:
    """Return how often each word occurs. Marks belong to words, as the vowels of Indian scripts do."""
    others = {letter for letter in set(sample) if unicodedata.category(letter)[0] not in "LM"}
    return Counter(sample.translate(dict.fromkeys(map(ord, others), " ")).split())


def _chinese_or_japanese(sample: str, letters: Counter[str], scripts: Counter[str]) -> str | None:
    han, kana = scripts["Hani"], scripts["Kana"]
    # Hardly any line of Japanese lacks hiragana, so that lines distinguish a mixture from either language.
    beside = sum(_script(letter) == "Hani" for line in sample.split("\n") if _HIRAGANA.search(line) for letter in line)
    if kana >= LEAST_KANA * (han + kana) and beside >= LEAST_BESIDE * han:
        return "ja"
    chinese, cantonese = (sum(letters[letter] for letter in known) for known in (CHINESE, CANTONESE))
    different = sum(letter in letters for letter in CHINESE)
    if kana > MOST_KANA * han or chinese < LEAST_CHINESE * han or cantonese > MOST_CANTONESE * han:
        return None
    return "zh" if different >= FEWEST_CHINESE else None


def _by_words(script: str, letters: Counter[str], counts: Counter[str]) -> str | None:
    """Return the language of a script whose frequent words clearly occur, and clearly more often than another's."""
    languages = _languages(WORDS[script])

    def occurrences(words: Iterable[str]) -> int:
        return sum(counts[word] for word in words)

    best = max(languages, key=lambda code: occurrences(languages[code].words))
    words, total = languages[best].words, counts.total()
    known, different = occurrences(words), sum(word in counts for word in words)
    least_known = max(FEWEST_KNOWN, _least_shares().get(best, LEAST_SHARE) * total)
    if total < FEWEST_WORDS or known < least_known or different < FEWEST_DIFFERENT:
        return None
    if script in PLAIN_LETTERS:
        own = {*PLAIN_LETTERS[script], *languages[best].letters}
        of_script = {letter: n for letter, n in letters.items() if _script(letter) == script}
        if sum(n for letter, n in of_script.items() if letter not in own) > MOST_FOREIGN * sum(of_script.values()):
            return None
    for other, rival in (languages | _languages(RIVALS[script])).items():
        ahead, behind = occurrences(words - rival.words), occurrences(rival.words - words)
        if other != best and ahead < max(FEWEST_APART, TIMES_AHEAD * behind):
            return None
    return best


@cache
def _languages(table: str) -> dict[str, Language]:
    """Return the entries of a table by their codes."""
    # A line that begins with a space continues the one above.
    entries = [entry.split() for entry in re.split(r"\n(?! )", table.strip()) if entry]
    return {code: Language(letters, frozenset(words)) for code, letters, *words in entries}


@cache
def _least_shares() -> dict[str, float]:
    """Return the required share of frequent words for the languages that need fewer than usual."""
    return {code: float(share) for code, share in map(str.split, _listed(LEAST_SHARES))}


@cache
def _names() -> dict[str, str]:
    """Return the English name of each code."""
    return {code: name for code, _, name in (entry.partition(" ") for entry in _listed(NAMES))}


@cache
def _codes() -> dict[str, str]:
    """Return the code of each English name, in lower case."""
    return {name.casefold(): code for code, name in _names().items()}


@cache
def _mistaken() -> dict[str, str]:
    """Return the code that is meant by what is often written for it."""
    return {name: code for name, _, code in (entry.rpartition(" ") for entry in _listed(MISTAKEN))}


def _listed(table: str) -> list[str]:
    return " ".join(table.split()).split(", ")
