"""Read pairs of text from files. A reader never guesses: what does not fit is refused, with the place."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regard.errors import DataError
from regard.text.reading.kinds import CSV, TWO_COLUMNS, command, ending, refuse_format
from regard.text.reading.lines import LONGEST, Lines, others
from regard.text.reading.mismatch import first_misfit
from regard.text.sliced import Chosen, Sliced
from regard.text.tokens.normalise import RULE, normalise

Pair = tuple[str, str]
SentencePairs = Sequence[Pair]


@dataclass(frozen=True)
class ReadReport:
    """How many pairs were read, kept and dropped. Always read == kept + sum(dropped.values())."""

    read: int
    kept: int
    dropped: dict[str, int]

    def summary(self) -> str:
        """Return the counts as one sentence."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        dropped = f"{self.read - self.kept:,} dropped ({reasons})" if reasons else "none dropped"
        return f"{self.read:,} pair{'s' * (self.read != 1)} read, {self.kept:,} kept, {dropped}."


class LinePairs(Sliced[Pair]):
    """The pairs of line-aligned files, as they were written; they stay in their files."""

    def __init__(self, files: Sequence[Lines], pair_of: Callable[..., Pair]) -> None:
        """pair_of: makes a pair from one line of each file."""
        self.files, self.pair_of = files, pair_of

    def __len__(self) -> int:
        return len(self.files[0])

    def part(self, start: int, stop: int) -> list[Pair]:
        return list(map(self.pair_of, *(lines[start:stop] for lines in self.files)))


class Pairs(Chosen[Pair]):
    """Sentences and their translations that were kept."""

    def __init__(self, rows: Sequence[Pair], kept: NDArray[np.int64], report: ReadReport) -> None:
        super().__init__(rows, kept)
        self.report = report


def read_pairs(paths: Sequence[Path], longest: int = LONGEST) -> Pairs:
    """Return the pairs of two line-aligned files, or of one .tsv. Pairs with an empty or overlong side are dropped.

    Raises DataError if a file cannot be read, the sides are not aligned, or nothing is left.
    """
    return pairs_of(READERS[_reader_for(paths)](paths), _names(paths), longest)


def pairs_of(rows: SentencePairs, name: str = "the data", longest: int = LONGEST, rule: int = RULE) -> Pairs:
    """Return the pairs that have text on both sides and are not too long. Raises DataError if nothing is left.

    rule: the version of the normalisation after which a side may be empty.
    """
    # One byte per pair, since the pairs themselves may be larger than memory.
    is_kept = np.ones(len(rows), dtype=bool)
    dropped: Counter[str] = Counter()
    for i, pair in enumerate(rows):
        if reason := _reason_to_drop(pair, longest, rule):
            dropped[reason] += 1
            is_kept[i] = False
    report = ReadReport(len(rows), int(is_kept.sum()), dict(dropped))
    if not report.kept:
        raise DataError(f"{name}: no pair is left. {report.summary()} Expected text on both sides.")
    return Pairs(rows, np.flatnonzero(is_kept), report)


def _aligned(paths: Sequence[Path]) -> LinePairs:
    if all(ending(path) == ".tsv" for path in paths):
        raise DataError(f"{paths[0]} and {paths[1]} are two .tsv files, and each holds both sides. Give one of them.")
    sources, targets = map(Lines, paths)
    # Checked before any pair is made: one missing line gives every sentence after it a wrong translation.
    if len(sources) != len(targets):
        counts = " and ".join(f"{path} has {len(side):,}" for path, side in zip(paths, (sources, targets), strict=True))
        line, what = first_misfit(sources, targets)
        raise DataError(f"Line counts differ: {counts} lines. Look near line {line:,}: {what}.")
    return LinePairs([sources, targets], lambda source, target: (source, target))


def _tsv(paths: Sequence[Path]) -> LinePairs:
    (path,) = paths
    lines = Lines(path)
    # A blank line is accepted: as in two files, it is an empty pair that is dropped and counted.
    if wrong := [i for i, line in enumerate(lines) if line.strip() and line.count("\t") != 1]:
        n_columns = lines[wrong[0]].count("\t") + 1
        found = f"{n_columns} column{'s' * (n_columns > 1)}; expected 2 (source, tab, target)"
        hint = ""
        if len(wrong) > len(lines) / 2:  # not a mistake in some lines, but another kind of file
            hint = f" To keep the first two: {command(TWO_COLUMNS, path)}" if n_columns > 2 else _if_csv(lines, path)
        raise DataError(f"{path}, line {wrong[0] + 1}: {found}{others(len(wrong) - 1)}.{hint}")
    return LinePairs([lines], _columns)


def _if_csv(lines: Sequence[str], path: Path) -> str:
    """Return what to do if the lines are separated by commas or semicolons."""
    first = [line for line in lines[:100] if line.strip()]
    if all("," in line or ";" in line for line in first):
        return f" If it is CSV, convert it: {command(CSV, path)}"
    return ""


def _columns(line: str) -> Pair:
    """Return both columns of a line; those of a blank line are empty."""
    source, _, target = line.partition("\t")
    return (source, target) if line.strip() else ("", "")


READERS: dict[str, Callable[[Sequence[Path]], LinePairs]] = {"lines": _aligned, "tsv": _tsv}
"""How to read pairs, by name. A reader is given the files."""


def _reader_for(paths: Sequence[Path]) -> str:
    for path in paths:
        refuse_format(path)
    if len(paths) == 1 and ending(paths[0]) == ".tsv":
        return "tsv"
    if len(paths) == 2:
        return "lines"
    expected = (
        "two files (source and target, line by line) or one .tsv (source, tab, target); running text is one .txt or a "
        "directory of them"
    )
    if missing := [path for path in paths if not path.exists()]:
        raise DataError(f"{missing[0]} does not exist; expected {expected}. Check the spelling.")
    raise DataError(f"Found {_names(paths) or 'no file'}; expected {expected}.")


COLUMN_NAMES = """source target src tgt trg sentence sentences translation translations original input output text
english german french spanish italian portuguese dutch russian chinese japanese korean arabic hindi turkish polish czech
swedish deutsch englisch français anglais español inglés quelle ziel from to key value en de fr es it pt nl ru zh ja ko
ar hi tr pl cs sv da no fi hu ro uk vi id"""
"""Words of a first line that names the columns."""


def names_columns(pair: Pair) -> bool:
    """Return whether a first pair looks like the names of two columns, and not like a sentence and its translation."""
    source, target = (re.findall(r"\w+", side.lower()) for side in pair)
    known = set(COLUMN_NAMES.split())
    return source != target and all(0 < len(words) <= 2 and known.issuperset(words) for words in (source, target))


def _reason_to_drop(pair: Pair, longest: int, rule: int) -> str | None:
    if max(map(len, pair)) > longest:
        return "too long"
    return "empty" if any(_is_empty(side, rule) for side in pair) else None


def _is_empty(text: str, rule: int) -> bool:
    """Return whether nothing is left of a text once it is normalised."""
    # Normalisation removes nothing but spaces from printable text. Nearly every sentence takes this shortcut.
    return not (text.strip() if text.isprintable() else normalise(text, rule))


def _names(paths: Sequence[Path]) -> str:
    return " and ".join(map(str, paths))
