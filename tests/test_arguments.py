"""What a call is handed is checked at the call, and named."""

import re
from pathlib import Path

import pytest

from regard.arguments import language_of, pairs_of, path_of, string_of, strings_of
from regard.errors import ConfigError, DataError


@pytest.mark.parametrize("value", ["a/b", Path("a/b"), "ü"])
def test_a_path_is_a_string_or_a_path(value):
    assert path_of(value, "to") == Path(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *((value, f"to is {type(value).__name__}; expected a path") for value in (None, 3, b"a", ["a"])),
        ("a\ud800b", r"to is 'a\\ud800b', which cannot be a file name"),
        ("a\0b", r"to is 'a\\x00b', which cannot be a file name"),
    ],
)
def test_what_no_path_can_be_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        path_of(value, "to")


@pytest.mark.parametrize("value", [None, 3, b"a", ["a"]])
def test_what_is_no_string_is_refused(value):
    with pytest.raises(DataError, match=f"text is {type(value).__name__}; expected a string"):
        string_of(value, "text")


def test_several_strings_are_a_list_and_a_single_one_is_refused():
    assert strings_of((text for text in "ab"), "texts") == ["a", "b"]
    with pytest.raises(DataError, match="texts is one string; expected several"):
        strings_of("ab", "texts")
    with pytest.raises(DataError, match="texts is int; expected strings"):
        strings_of(3, "texts")
    with pytest.raises(DataError, match="texts, item 2 is NoneType"):
        strings_of(["a", None], "texts")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("ab", "pairs is str; expected tuples"),
        (None, "pairs is NoneType; expected tuples"),
        (["ab"], "pairs, item 1: found str; expected"),
        ([("a", "b"), ("a", "b", "c")], "pairs, item 2: found tuple of str, str, str; expected"),
        ([("a", None)], "pairs, item 1: found tuple of str, NoneType; expected"),
        ([{"a": 1, "b": 2}], "pairs, item 1: found dict; expected"),
    ],
)
def test_what_is_no_pair_is_refused(items, message):
    with pytest.raises(DataError, match=re.escape(message)):
        list(pairs_of(items, "pairs"))


def test_a_language_is_a_code_or_nothing():
    assert (language_of(None), language_of("de")) == (None, "de")
    with pytest.raises(ConfigError, match="language is int; expected a code such as 'de'"):
        language_of(3)
