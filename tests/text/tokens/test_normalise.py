import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.text.tokens.normalise import normalise

ANY_TEXT = st.text(st.characters())  # lone surrogates included


@given(ANY_TEXT)
def test_normalising_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


@given(ANY_TEXT)
def test_nothing_is_left_that_is_no_character(text):
    normalised = normalise(text)
    assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in normalised}
    assert not any(ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF for character in normalised)


@given(ANY_TEXT)
def test_the_only_white_space_is_single_spaces_between_words(text):
    normalised = normalise(text)
    assert normalised == " ".join(normalised.split())


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_printable_ascii_keeps_all_but_its_spaces(text):
    assert normalise(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("  a \t b\r\n", "a b"),
        ("a\u00a0\u2009b\u2028c\u0085d\x1ee", "a b c d e"),
        ("a\x00b\x07\x7f\x9fc", "abc"),
        ("\ufeffa\ufffe\U0010ffff\ufdd0b", "ab"),
        ("e\x00\u0301", "é"),
        ("a\ud800b", "ab"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ﬁ ²", "ﬁ ²"),
    ],
)
def test_values_worked_by_hand(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize("invisible", ["\u00ad", "\u200b", "\u2060", "\u200e", "\u200f", "\u202e", "\u2066", "\u061c"])
def test_what_only_a_machine_would_notice_is_dropped_by_the_second_rule(invisible):
    assert normalise(f"in{invisible}visible {invisible} x") == "invisible x"
    assert normalise(f"in{invisible}visible", 1) == f"in{invisible}visible"


@pytest.mark.parametrize("kept", ["\u200c", "\u200d", "\ufe0f", "\U000e0067", "\u0600", "\u115f"])
def test_what_changes_how_its_neighbours_look_is_kept(kept):
    assert normalise(f"a{kept}b") == f"a{kept}b"


def test_no_break_spaces_are_kept_where_they_are_wanted():
    assert normalise(" \u00ab\u00a0Oui\u202f!  \u00a0\u00bb\u00a0") == "\u00ab Oui ! \u00bb"
    text = normalise(" \u00ab\u00a0Oui\u202f!  \u00a0\u00bb\u00a0", no_breaks=True)
    assert text == "\u00ab\u00a0Oui\u202f!\u00a0\u00bb"


@given(
    text=st.text(st.characters(codec=None) | st.sampled_from("\u00a0\u202f\u00ad\u0301e")), rule=st.sampled_from([1, 2])
)
def test_every_rule_is_idempotent(rule, text):
    for no_breaks in (False, True):
        once = normalise(text, rule, no_breaks=no_breaks)
        assert normalise(once, rule, no_breaks=no_breaks) == once
    assert normalise(normalise(text, rule, no_breaks=True), rule) == normalise(text, rule)
