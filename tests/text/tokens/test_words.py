import unicodedata
from itertools import pairwise

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from regard.text.tokens.words import word_of_token, words

SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
EMOJI = [
    *("👍", "👍🏽", "❤️", "☎\ufe0e", "ℹ️", "〰️", "‼️", "©️", "🇩🇪", "🇫🇷", "1️⃣", "#️⃣", "*️⃣", "0⃣", SCOTLAND),
    *("👩🏽‍💻", "👨‍👩‍👧", "🏳️‍🌈", "🏴‍☠️", "🙂‍↔️", "👩🏽‍❤️‍💋‍👨🏿"),
]
CELLS = [
    *EMOJI,
    *("東", "々", "〇", "き", "ー", "か\u3099", "\U0001b002", "ｶﾞ", "ﾊﾟ", "ｯ", "!", "…", "€", "）"),
    *("น้ำ", "เ", "ๆ", "ກຳ", "ស្ត្រី", "န္မာ", "ཧཱུྃ", "ꦏ꧀ꦱ", "ᬓ᭄ᬱ"),
]
"""What is one word whatever stands before and after it."""

WORDS = [
    *("don't", "T-Shirt", "3.50", "10:30", "๓.๕๐", "x2", "①", "e\u0301"),
    *("नमस्ते", "क्\u200dष", "می\u200cخواهم", "שָׁלוֹם", "한국어", "\u1112\u1161\u11ab"),
]
BELOW = "\u17d2"
"""Puts the next letter of Khmer below the last."""

HOSTILE = (
    f"a1é-'.:,! \n\u00a0\u00ad\u200b東きｶกเខា{BELOW}👩❤☎©ℹ↔🏴\U0001faff"
    "\u0301\u0903\u0e33\u0eb3\u200c\u200d\u20e3\ufe0e\ufe0f\uff9e"
    "\U0001f1e9\U0001f1ea\U0001f3fb\U0001f3ff\U000e0001\U000e0067\U000e007f"
)
"""Characters that change what those beside them are, and characters that are changed."""

WITHOUT_SPACES = {
    "Thai": (0x0E00, 0x0E7F, ""),
    "Lao": (0x0E80, 0x0EFF, ""),
    "Tibetan": (0x0F00, 0x0FFF, ""),
    "Burmese": (0x1000, 0x109F, "\u1039"),
    "Khmer": (0x1780, 0x17FF, BELOW),
    "Tai Le": (0x1950, 0x197F, ""),
    "New Tai Lue": (0x1980, 0x19DF, ""),
    "Tai Tham": (0x1A20, 0x1AAF, "\u1a60"),
    "Balinese": (0x1B00, 0x1B7F, "\u1b44"),
    "Batak": (0x1BC0, 0x1BFF, ""),
    "Javanese": (0xA980, 0xA9DF, "\ua9c0"),
    "Tai Viet": (0xAA80, 0xAADF, ""),
    "Ahom": (0x11700, 0x1174F, ""),
}
"""First and last character of a script, and the sign that puts a consonant below another."""


def hostile() -> st.SearchStrategy[str]:
    return st.text(HOSTILE) | st.text()


def in_words(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Zwei Männer, am Herd.", ["Zwei", "Männer", ",", "am", "Herd", "."]),
        ("Don't drink l\u2019eau!", ["Don't", "drink", "l\u2019eau", "!"]),
        ("'T-Shirts' - so-", ["'", "T-Shirts", "'", "-", "so", "-"]),
        ("3.50 € at 10:30, 1,000.", ["3.50", "€", "at", "10:30", ",", "1,000", "."]),
        ("a.b 28. August", ["a", ".", "b", "28", ".", "August"]),
        ("wait... what?!", ["wait", ".", ".", ".", "what", "?", "!"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("東京タワー、きれい", ["東", "京", "タ", "ワ", "ー", "、", "き", "れ", "い"]),
        ("ｶﾞｯﾂﾎﾟｰｽﾞ", ["ｶﾞ", "ｯ", "ﾂ", "ﾎﾟ", "ｰ", "ｽﾞ"]),
        ("〇 x2 ①", ["〇", "x2", "①"]),
        ("👍🏽 e\u0301", ["👍🏽", "e\u0301"]),
        ("👩🏽‍💻 codes in 🇩🇪 👨‍👩‍👧!", ["👩🏽‍💻", "codes", "in", "🇩🇪", "👨‍👩‍👧", "!"]),
        ("🇩🇪🇫🇷🇪", ["🇩🇪", "🇫🇷", "🇪"]),
        ("Room1️⃣2️⃣.3️⃣, 12", ["Room", "1️⃣", "2️⃣", ".", "3️⃣", ",", "12"]),
        ("\u200d👍 \ufe0fa\u0301 \U000e0067", ["\u200d", "👍", "\ufe0f", "a\u0301", "\U000e0067"]),
        ("น้ำใจเด็ก 3 คน", ["น้ำ", "ใ", "จ", "เ", "ด็", "ก", "3", "ค", "น"]),
        ("๓.๕๐บาท", ["๓.๕๐", "บ", "า", "ท"]),
        ("ນ້ຳ", ["ນ້ຳ"]),
        ("ខ្មែរ ស្ត្រី", ["ខ្មែ", "រ", "ស្ត្រី"]),
        ("မြန်မာ မန္တလေး", ["မြ", "န်", "မာ", "မ", "န္တ", "လေး"]),
        ("བོད་ཡིག", ["བོ", "ད", "་", "ཡི", "ག"]),
        ("ꦲꦏ꧀ꦱꦫ ꦏ꧀\u200cꦱ", ["ꦲ", "ꦏ꧀ꦱ", "ꦫ", "ꦏ꧀\u200c", "ꦱ"]),
    ],
)
def test_values_worked_by_hand(text, expected):
    assert in_words(text) == expected


@given(hostile())
def test_words_are_in_order_and_hold_everything_but_white_space(text):
    spans = words(text)
    inside = [i for start, end in spans for i in range(start, end)]
    assert inside == [i for i, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in spans)


@given(hostile())
def test_a_word_by_itself_is_one_word(text):
    assert all(words(word) == [(0, len(word))] for word in in_words(text))


@given(hostile(), hostile())
def test_what_stands_beyond_white_space_changes_nothing(before, after):
    assert in_words(f"{before} {after}") == in_words(before) + in_words(after)


@given(st.lists(st.tuples(st.sampled_from(["", *WORDS]), st.sampled_from(CELLS))))
def test_emoji_ideographs_and_characters_without_spaces_are_words_beside_anything(pairs):
    expected = [piece for pair in pairs for piece in pair if piece]
    assert in_words("".join(expected)) == expected


@pytest.mark.parametrize("script", WITHOUT_SPACES)
@given(data=st.data())
def test_a_script_without_spaces_has_a_word_for_each_base_with_its_marks(script, data):
    first, last, below = WITHOUT_SPACES[script]
    block = [chr(i) for i in range(first, last + 1)]
    marks = [c for c in block if (unicodedata.category(c)[0] == "M" and c != below) or c in "\u0e33\u0eb3"]
    base = st.sampled_from([c for c in block if unicodedata.category(c) == "Lo" and c not in marks])
    stack = st.lists(base, min_size=1, max_size=3 if below else 1).map(below.join)
    cells = st.builds(str.__add__, stack, st.text(marks, max_size=3) if marks else st.just(""))
    expected = data.draw(st.lists(cells))
    assert in_words("".join(expected)) == expected


@given(st.lists(st.sampled_from([*HOSTILE.replace(BELOW, ""), f"ខ{BELOW}ខ", f"ខ\u0301{BELOW}\u0301ខ"])).map("".join))
def test_no_extended_grapheme_cluster_is_cut(text):
    # As `regex` finds them. About a sign that has nothing above it, versions of Unicode differ.
    edges = {edge for cluster in regex.finditer(r"\X", text) for edge in cluster.span()}
    # A mark after white space has only that for a base, which lies in no word.
    edges |= {i for i in range(1, len(text)) if text[i - 1].isspace()}
    assert {edge for span in words(text) for edge in span} <= edges


def test_every_pictograph_may_be_joined():
    pictographs = regex.findall(r"\p{Extended_Pictographic}", "".join(map(chr, range(0x110000))))
    assert len(pictographs) > 1000
    assert [c for c in pictographs if in_words(f"a{c}\ufe0f\u200d{c}a") != ["a", f"{c}\ufe0f\u200d{c}", "a"]] == []


@pytest.mark.parametrize(
    ("first", "repeated"),
    [
        *(("a", "a"), ("1", ".1"), ("a", "-a"), ("", "1\u20e3"), ("", "🇩"), ("", "\u0301")),
        *(("ខ", "\u0301"), ("ខ", BELOW), ("ខ", f"{BELOW}\u0301"), ("ខ", f"{BELOW}ខ")),
        *(("👩", "\u200d"), ("👩", "\u200d👩")),
    ],
)
def test_a_long_text_is_read_to_its_end(first, repeated):
    text = first + repeated * 100_000  # in time with the square of the length, this would not end
    assert words(text)[-1][1] == len(text)


def test_each_token_belongs_to_the_word_it_mostly_lies_in():
    spans = [(0, 4), (5, 11), (11, 12)]  # "Zwei Männer,"
    assert word_of_token([(0, 2), (2, 4), (4, 8), (8, 11), (11, 12)], spans) == [0, 0, 1, 1, 2]
    assert word_of_token([(0, 6), (3, 11), (10, 12)], spans) == [0, 1, 1]


def test_white_space_belongs_to_the_word_behind_it():
    assert word_of_token([(0, 0), (4, 5), (4, 4)], [(0, 4), (5, 11)]) == [0, 1, 1]


def test_white_space_at_the_very_end_belongs_to_the_last_word():
    assert word_of_token([(4, 5)], [(0, 4)]) == [0]


def test_no_tokens_have_no_words():
    assert word_of_token([], []) == []


def test_tokens_of_a_text_without_words_belong_to_what_comes_next():
    assert word_of_token([(0, 1), (1, 2)], []) == [0, 0]


@given(st.lists(st.integers(1, 4), min_size=1), st.lists(st.integers(0, 6)))
def test_it_agrees_with_trying_every_word(gaps, sizes):
    edges = [sum(gaps[:i]) for i in range(len(gaps) + 1)]
    spans = [(start, max(start + 1, end - 1)) for start, end in pairwise(edges)]
    offsets = [(min(i, edges[-1] - 1), min(i + size, edges[-1])) for i, size in enumerate(sizes)]

    def naive(start: int, end: int) -> int:
        shared = [min(end, word_end) - max(start, word_start) for word_start, word_end in spans]
        if max(shared) > 0:
            return shared.index(max(shared))
        return next((i for i, (_, word_end) in enumerate(spans) if word_end > start), len(spans) - 1)

    assert word_of_token(offsets, spans) == [naive(*offset) for offset in offsets]
