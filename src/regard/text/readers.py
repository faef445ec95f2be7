"""Read text and pairs of text from files. A reader never guesses: what does not fit is refused, with the place.

Lines end at b"\\n" and nowhere else: `str.splitlines` also breaks at U+2028 and others, and then two files part ways.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regard.errors import DataError
from regard.text.mismatch import first_misfit
from regard.text.normalise import normalise

LONGEST = 10_000
"""Characters that a sentence may have. Longer ones are no sentences, and would fill the memory."""

Sides = tuple[list[str], list[str]]
Reader = Callable[[Sequence[Path]], Sides]


@dataclass(frozen=True)
class ReadReport:
    """What became of the pairs that were read. Always read == kept + sum(dropped.values())."""

    read: int
    kept: int
    dropped: dict[str, int]

    def summary(self) -> str:
        """Return the counts as one sentence."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        dropped = f"{self.read - self.kept:,} dropped ({reasons})" if reasons else "none dropped"
        return f"{self.read:,} pairs read, {self.kept:,} kept, {dropped}."


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations, as they were written."""

    source: list[str]
    target: list[str]
    report: ReadReport


def read_pairs(paths: Sequence[Path], longest: int = LONGEST) -> Pairs:
    """Return the pairs of two line-aligned files, or of one .tsv. Pairs with an empty or overlong side are dropped.

    Raises DataError if a file cannot be read, the sides do not fit, or nothing is left.
    """
    sources, targets = READERS[_reader_for(paths)](paths)
    kept = []
    dropped: Counter[str] = Counter()
    for pair in zip(sources, targets, strict=True):
        if reason := _reason_to_drop(pair, longest):
            dropped[reason] += 1
        else:
            kept.append(pair)
    report = ReadReport(len(sources), len(kept), dict(dropped))
    if not kept:
        raise DataError(f"{_names(paths)}: no pair is left. {report.summary()} Expected text on both sides.")
    return Pairs([source for source, _ in kept], [target for _, target in kept], report)


def read_lines(path: Path, longest: int = LONGEST) -> list[str]:
    """Return the lines of a file, empty ones too. Raises DataError if it cannot be read or a line is too long."""
    return lines_of(_bytes_of(path), str(path), longest)


def lines_of(content: bytes, name: str, longest: int | None = LONGEST) -> list[str]:
    """Return the lines of UTF-8 bytes, without byte order mark and line ends; `name` stands in the errors.

    A newline at the end ends the last line and begins no other. Raises DataError for what is no text.
    """
    text = text_of(content, name)
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    if longest is not None and (long := [i for i, line in enumerate(lines, 1) if len(line) > longest]):
        found = f"{len(lines[long[0] - 1]):,} characters; at most {longest:,} are allowed"
        raise DataError(f"{name}, line {long[0]}: {found}{_others(len(long) - 1)}.")
    return lines


def read_text_file(path: Path) -> str:
    """Return the whole text of a file, with "\\n" at line ends. Raises DataError if it cannot be read or is no text."""
    return text_of(_bytes_of(path), str(path)).replace("\r\n", "\n").replace("\r", "\n")


def text_of(content: bytes, name: str) -> str:
    """Return UTF-8 bytes as text, without byte order mark. Raises DataError, with the place, for what is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16; expected UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 {name}")
    if (at := content.find(b"\0")) >= 0:
        raise DataError(f"{_place(content, at, name)}: a NUL byte; expected text. {name} may be binary or UTF-16.")
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02X} is not UTF-8"
        hint = f"If it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8 {name}"
        raise DataError(f"{_place(content, error.start, name)}: {found} ({error.reason}). {hint}") from error
    return text


def _aligned(paths: Sequence[Path]) -> Sides:
    sources, targets = (lines_of(_bytes_of(path), str(path), longest=None) for path in paths)
    if len(sources) != len(targets):
        counts = " and ".join(f"{path} has {len(side):,}" for path, side in zip(paths, (sources, targets), strict=True))
        line, what = first_misfit(sources, targets)
        raise DataError(f"Line counts differ: {counts} lines. Look near line {line:,}: {what}.")
    return sources, targets


def _tsv(paths: Sequence[Path]) -> Sides:
    (path,) = paths
    lines = lines_of(_bytes_of(path), str(path), longest=None)
    rows = [line.split("\t") if line.strip() else ["", ""] for line in lines]
    if wrong := [i for i, row in enumerate(rows, 1) if len(row) != 2]:
        n_columns = len(rows[wrong[0] - 1])
        found = f"{n_columns} column{'s' * (n_columns > 1)}; expected 2 (source, tab, target)"
        raise DataError(f"{path}, line {wrong[0]}: {found}{_others(len(wrong) - 1)}.")
    return [source for source, _ in rows], [target for _, target in rows]


READERS: dict[str, Reader] = {"lines": _aligned, "tsv": _tsv}
"""How to read pairs, by name. A reader is given the files and returns both sides, of equal length."""


def _reader_for(paths: Sequence[Path]) -> str:
    if len(paths) == 1 and paths[0].suffix.lower() == ".tsv":
        return "tsv"
    if len(paths) == 2:
        return "lines"
    expected = "two files (source and target, line by line) or one .tsv (source, tab, target); running text is one .txt"
    raise DataError(f"Found {_names(paths) or 'no file'}; expected {expected}.")


def _reason_to_drop(pair: tuple[str, str], longest: int) -> str | None:
    if max(map(len, pair)) > longest:
        return "too long"
    return None if all(map(normalise, pair)) else "empty"


def _bytes_of(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; expected a text file. Check the spelling.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory; expected a text file. Name a file in it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not content.removeprefix(b"\xef\xbb\xbf"):
        raise DataError(f"{path} is empty; expected text.")
    return content


def _place(content: bytes, at: int, name: str) -> str:
    """Return file, line and byte in the line, both counted from 1."""
    line = content.count(b"\n", 0, at) + 1
    byte = at - content.rfind(b"\n", 0, at)
    return f"{name}, line {line}, byte {byte}"


def _others(count: int) -> str:
    return f" (and so {count:,} more)" if count else ""


def _names(paths: Sequence[Path]) -> str:
    return " and ".join(map(str, paths))
