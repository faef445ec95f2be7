import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard import errors
from regard.cli.saying import IN_FLAGS, in_flags
from regard.errors import IN_PYTHON, ConfigError, MissingExtraError, RegardError, RunError, shown

SOURCES = [path for path in (Path(errors.__file__).parent).rglob("*.py") if "cli" not in path.parts]


def test_an_error_says_the_ways_out_in_the_words_of_python_and_a_command_in_its_own():
    error = RunError("It is taken.", ways=["force", "fresh"])
    assert (error.message, error.ways) == ("It is taken.", ("force", "fresh"))
    assert str(error) == f"It is taken. {IN_PYTHON['force']} {IN_PYTHON['fresh']}"
    assert in_flags(error) == f"It is taken. {IN_FLAGS['force']} {IN_FLAGS['fresh']}"


def test_an_error_without_a_way_is_its_message():
    assert str(ConfigError("x is 3.")) == ConfigError("x is 3.").message == "x is 3."


def test_every_way_has_words_in_python_and_on_the_command_line():
    assert IN_PYTHON.keys() == IN_FLAGS.keys()
    assert all("--" not in words for words in IN_PYTHON.values())
    assert all("--" in words for words in IN_FLAGS.values())
    assert all(words.endswith(".") for words in [*IN_PYTHON.values(), *IN_FLAGS.values()])


def test_every_error_that_a_user_can_meet_is_a_regard_error():
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) == 7 and all(issubclass(error, RegardError) for error in found)


def test_a_missing_extra_says_how_it_is_installed():
    expected = "Drawing needs an optional library. Install it with: pip install 'regard[plot]'"
    assert str(MissingExtraError("Drawing", "plot")) == expected


@given(text=st.text(st.characters()), longest=st.integers(1, 100))
def test_what_is_shown_is_printable_and_on_one_line_and_not_too_long(text, longest):
    found = shown(text, longest)
    assert found.isprintable() and len(found) <= longest
    if text.isprintable() and len(text) <= longest:
        assert found == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("größe", "größe"),
        ("\ud800", r"\ud800"),
        ("\u202e", r"\u202e"),
        ("x" * 81, "x" * 79 + "…"),
        ("x" * 80, "x" * 80),
        (("a", 3), "('a', 3)"),
        (None, "None"),
    ],
)
def test_shown_texts_worked_by_hand(text, expected):
    assert shown(text) == expected


def test_of_a_huge_text_only_the_beginning_is_looked_at():
    assert shown("\x00" * 10_000_000).startswith(r"\x00\x00") and len(shown("\x00" * 10_000_000)) == 80


def spoken(path: Path) -> list[str]:
    """Return the texts in a piece of source that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in alone)
    return [node.value for node in constants if isinstance(node.value, str)]


def test_the_library_speaks_of_no_flags():
    """A flag of the command line means nothing to who calls from Python.

    Other programs have flags of their own, and the page of settings is for both.
    """
    sources = [path for path in SOURCES if path.name not in ("kinds.py", "settings_reference.py")]
    flags = [(path.name, text) for path in sources for text in spoken(path) if re.search(r"(?<!\w)--[a-z]{2}", text)]
    assert [name for name, text in flags if "torchrun" not in text] == []
