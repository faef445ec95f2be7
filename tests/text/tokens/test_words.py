from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.text.tokens.words import word_of_token, words


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
        ("〇 x2 ①", ["〇", "x2", "①"]),
        ("👍🏽 e\u0301", ["👍", "🏽", "e\u0301"]),
    ],
)
def test_values_worked_by_hand(text, expected):
    assert [text[start:end] for start, end in words(text)] == expected


@given(st.text())
def test_words_are_in_order_and_hold_everything_but_white_space(text):
    spans = words(text)
    inside = [i for start, end in spans for i in range(start, end)]
    assert inside == [i for i, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in spans)


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
