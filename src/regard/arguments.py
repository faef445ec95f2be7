"""Checks of a call's arguments, so that a mistake is reported at the call, not deep inside."""

import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from regard.errors import ConfigError, DataError, shown


def path_of(value: str | PathLike[str], what: str) -> Path:
    """Return a path. what: the name of the argument. Raises ConfigError if it is not one, or not a possible one."""
    name = os.fspath(value) if isinstance(value, (str, PathLike)) else None
    if not isinstance(name, str):
        raise ConfigError(f"{what} is {type(value).__name__}; expected a path, as a string or a Path.")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise ConfigError(f"{what} is {shown(ascii(name))}, which cannot be a file name. Choose another.") from None
    if "\0" in name:
        raise ConfigError(f"{what} is {shown(ascii(name))}, which cannot be a file name. Choose another.")
    return Path(name)


def string_of(value: str, what: str) -> str:
    """Return a string. what: the name of the argument. Raises DataError if it is something else."""
    if not isinstance(value, str):
        raise DataError(f"{what} is {type(value).__name__}; expected a string.")
    return value


def strings_of(values: Iterable[str], what: str) -> list[str]:
    """Return several strings as a list. Raises DataError for a single string, and for items that are not strings."""
    if isinstance(values, str):  # it would be iterated over letter by letter
        raise DataError(f"{what} is one string; expected several, for example in a list.")
    if not isinstance(values, Iterable):
        raise DataError(f"{what} is {type(values).__name__}; expected strings, for example in a list.")
    return [string_of(value, f"{what}, item {i:,}") for i, value in enumerate(values, start=1)]


def pairs_of(items: Iterable[tuple[str, str]], what: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of a source and a target, each checked as it comes. Raises DataError for anything else."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise DataError(f"{what} is {type(items).__name__}; expected tuples of two strings.")
    item: Any
    for i, item in enumerate(items, start=1):
        # The type counts: a string of two letters holds two strings as well.
        if not (isinstance(item, (tuple, list)) and len(item) == 2 and all(isinstance(side, str) for side in item)):
            kinds = ", ".join(type(side).__name__ for side in item[:5]) if isinstance(item, (tuple, list)) else ""
            found = f"{type(item).__name__}" + f" of {kinds}" * bool(kinds)
            raise DataError(f"{what}, item {i:,}: found {found}; expected a tuple of two strings.")
        yield item[0], item[1]


def language_of(value: str | None) -> str | None:
    """Return the code of a language, or None. Raises ConfigError if it is something else."""
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"language is {type(value).__name__}; expected a code such as 'de'.")
