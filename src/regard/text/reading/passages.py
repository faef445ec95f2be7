"""Running text in passages: it may be larger than memory, and is read a quarter of a megabyte at a time."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regard.errors import DataError
from regard.text.reading.files import TextFile, before_character
from regard.text.reading.folders import joined
from regard.text.reading.kinds import TWO_COLUMNS, command
from regard.text.sliced import Sliced
from regard.text.tokens.normalise import normalise_running

Documents = Literal["file", "line"]
"""What a document is: a whole file, divided at lines of "<|endoftext|>", or each line of a file."""

# The place of a passage takes 26 bytes of memory, so the places in a terabyte of text take 100 MB.
LENGTH = 250_000
"""The length of a passage in bytes, or a little more; up to twice as long where there are no spaces."""

MOST_BACK = 4
"""How many bytes a cut may move back, so that it splits no character and no line end."""

RULE = 2
"""The version of the rule by which passages are cut. Both give the same tokens, except where there are no spaces."""

# \Z is the end of the file: no other block ends within a line that begins with a mark (`TextFile.blocks`).
MARK = re.compile(rb"<\|endoftext\|>(?:\r\n|\r|\n|\Z)")
LINE = re.compile(rb"[^\r\n]+")
TABLE_BYTES = 2**16
"""How many bytes of a file are checked to tell whether it is a table."""

# The white space of Unicode beyond ASCII, in UTF-8: U+0085 and U+00A0, U+1680, U+2000 to 200A, 2028, 2029 and 202F,
# U+205F, U+3000.
WHITE = rb"(?<!\xc2[\x85\xa0])(?<!\xe1\x9a\x80)(?<!\xe2\x80[\x80-\x8a\xa8\xa9\xaf])(?<!\xe2\x81\x9f)(?<!\xe3\x80\x80)"
CUTS = {1: re.compile(rb"[!-~](?=[\r\n])"), 2: re.compile(rb"[!-~\x80-\xff]" + WHITE + rb"(?=[ \t\r\n])")}
"""Where a passage may end, by rule: before white space, since no word of byte-level BPE extends into white space."""

Span = tuple[int, int, bool]
"""Where a passage begins and ends, in bytes, and whether it begins a document."""


class Passages(Sliced[str]):
    """The passages of documents in order, whose text stays in its file. A line end is "\\n".

    The tokens of all passages together are those of the documents. Blank documents are left out.
    """

    def __init__(self, file: TextFile, spans: NDArray[np.int64], begins: NDArray[np.bool_]) -> None:
        """spans: where each passage begins and ends in the file, and its length in characters (N, 3)."""
        self.file, self.spans, self.begins = file, spans, begins
        self.closes: NDArray[np.bool_] = np.append(begins[1:], True)
        """Whether each passage ends a document."""

    @classmethod
    def read(cls, path: Path, documents: Documents, rule: int = RULE) -> "Passages":
        """Return the passages of a text file, or of a folder of text files, each of which is a document.

        Raises DataError if it cannot be read, is not UTF-8, or holds no text.
        """
        if path.is_dir():
            file, ends = joined(path)
            return cls._found(file, _lines(file) if documents == "line" else _documents(file, ends, rule))
        file = TextFile.at(path)
        _refuse_columns(file, path)
        return cls._found(file, _lines(file) if documents == "line" else _spans(file, rule))

    @classmethod
    def of(cls, documents: Sequence[str]) -> "Passages":
        """Return the passages of documents that are in memory. Raises DataError if they hold no text."""
        contents = [normalise_running(document).encode() for document in documents]
        file = TextFile(BytesIO(b"".join(contents)), "the text")
        return cls._found(file, _documents(file, accumulate(map(len, contents), initial=0)))

    @classmethod
    def spooled(cls, path: Path, ends: Iterable[int], rule: int = RULE) -> "Passages":
        """Return the passages of normalised documents that are stored end to end in a file.

        ends: 0, then where each of them ends, in bytes.
        """
        return cls._found(file := TextFile.at(path), _documents(file, map(int, ends), rule))

    @classmethod
    def _found(cls, file: TextFile, spans: Iterable[Span]) -> "Passages":
        """Return the passages at the spans, without documents that are blank. Raises DataError if all of them are."""
        found, all_begin = array("q"), array("b")
        held: list[tuple[int, int, int]] = []  # passages of a document that is blank so far
        has_text = False
        for start, end, begins in spans:
            # Decoded once now: later the length in characters also shows whether the file was changed.
            text = _decoded(file, start, end)
            if begins:
                held, has_text = [], False
            if text:
                held.append((start, end, len(text)))
            if held and (has_text or text.strip()):
                all_begin.extend([not has_text] + [False] * (len(held) - 1))
                found.extend(chain.from_iterable(held))
                held, has_text = [], True
        if not found:
            raise DataError(f"{file.name} holds no text, only blank lines and document marks; expected running text.")
        return cls(file, np.array(found, dtype=np.int64).reshape(-1, 3), np.array(all_begin, dtype=bool))

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[str]:
        # One at a time, not ITEMS_AT_ONCE: so many passages would take gigabytes.
        return (self[i] for i in range(len(self)))

    def part(self, start: int, stop: int) -> list[str]:
        return [self._text(*span) for span in self.spans[start:stop].tolist()]

    def _text(self, start: int, end: int, n_characters: int) -> str:
        try:
            text = _decoded(self.file, start, end)
        except UnicodeDecodeError:
            text = ""  # no passage is empty, so the length below differs
        # A change that keeps the number of characters is not noticed here.
        if len(text) != n_characters:
            raise self.file.changed()
        return text

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The length of each passage in characters."""
        return np.asarray(self.spans[:, 2])

    @property
    def n_characters(self) -> int:
        return int(self.sizes.sum())

    @property
    def n_documents(self) -> int:
        return int(self.begins.sum())

    def documents(self) -> list[str]:
        """Return each document whole."""
        borders = [*np.flatnonzero(self.begins).tolist(), len(self)]
        return ["".join(self[start:stop]) for start, stop in pairwise(borders)]

    def apart(self) -> Iterator[str]:
        """Yield the passages, with an additional line end before every document except the first."""
        return ("\n" * (begins and i > 0) + self[i] for i, begins in enumerate(self.begins.tolist()))

    def split_at(self, character: int) -> tuple["Passages", "Passages"]:
        """Return the text before a character and the rest; the document that contains the character is cut there."""
        ends = np.cumsum(self.sizes)
        i = int(np.searchsorted(ends, character))  # the passage that ends at or contains the border
        n_before = character - int(ends[i] - self.sizes[i])
        start, end, n = self.spans[i].tolist()
        # Not normalised: bytes are counted as they are in the file.
        border = start + _n_bytes(self.file.read(start, end).decode(), n_before)
        head, tail = np.array([[start, border, n_before]]), np.array([[border, end, n - n_before]])
        before = np.concatenate([self.spans[:i], head])
        after = np.concatenate([tail, self.spans[i + 1 :]])
        begins = self.begins[i:].copy()
        if n_before == n:  # the passage ends at the border, and nothing of it is left
            after, begins = after[1:], begins[1:]
        begins[:1] = True
        return Passages(self.file, before, self.begins[: i + 1]), Passages(self.file, after, begins)


def _refuse_columns(file: TextFile, path: Path) -> None:
    """Raise DataError for a file whose lines all have a tab: it is a table, most often of pairs."""
    head = file.read(file.first, file.first + TABLE_BYTES)
    lines = [line for line in head.split(b"\n") if line.strip()]
    if len(lines) > 2 and all(b"\t" in line.strip() for line in lines[: len(lines) - (len(head) == TABLE_BYTES)]):
        n_columns = lines[0].count(b"\t") + 1
        raise DataError(
            f"{path} has a tab in every line ({n_columns} columns in the first), as pairs have; expected running text. "
            f"To train on pairs: {command(TWO_COLUMNS, path)}. If it is running text, turn its tabs into spaces: "
            f"{command('expand {file} > {txt}', path)}"
        )


def _spans(file: TextFile, rule: int) -> Iterator[Span]:
    """Yield the passages of a file that is one document, or several with marks between them."""
    start, begins, end_of_block, at_line = file.first, True, 0, True
    for at, block in file.blocks():
        marks = (m for m in MARK.finditer(block) if _begins_a_line(block, m.start(), at_line, file.first - at))
        for mark in chain(marks, [None]):
            end = mark.start() if mark else len(block)
            for cut in _cuts(block, start - at, end, rule):
                yield start, at + cut, begins
                start, begins = at + cut, False
            if mark:
                yield start, at + end, begins
                start, begins = at + mark.end(), True
        end_of_block, at_line = at + len(block), block.endswith((b"\r", b"\n"))
    yield start, end_of_block, begins  # may be empty, as after a last mark; `_found` leaves it out


def _documents(file: TextFile, ends: Iterable[int], rule: int = RULE) -> Iterator[Span]:
    """Yield the passages of documents, of which one is in memory at a time."""
    for start, end in pairwise(ends):
        content = file.read(start, end)
        borders = [0, *_cuts(content, 0, len(content), rule), len(content)]
        yield from ((start + a, start + b, i == 0) for i, (a, b) in enumerate(pairwise(borders)))


def _begins_a_line(block: bytes, i: int, at_line: bool, first: int) -> bool:
    # The first line of a file may begin after a byte order mark.
    return block[i - 1] in b"\r\n" or i == first if i else at_line


def _cuts(content: bytes, start: int, end: int, rule: int) -> Iterator[int]:
    """Yield where a document is cut into passages. start: where it begins, perhaps before the content.

    If no white space follows within another LENGTH bytes, as in a text without spaces, a passage ends between two
    characters; by the first rule it extends to the next line that ends in ASCII.
    """
    while end - start > LENGTH:
        hard = start + max(2 * LENGTH, MOST_BACK + 1) if rule > 1 else end
        if cut := CUTS[rule].search(content, max(start + LENGTH, 0), min(hard, end)):
            start = cut.end()
        elif hard < end:
            start = before_character(content, max(hard, 0))
            start -= content[start - 1 : start + 1] == b"\r\n"  # one line end, half of which would be another
        else:
            return
        yield start


def _lines(file: TextFile) -> Iterator[Span]:
    """Yield the lines of a file, which are a document each."""
    for at, block in file.blocks():
        for line in LINE.finditer(block):
            yield max(at + line.start(), file.first), at + line.end(), True  # LINE takes a byte order mark for text


def _decoded(file: TextFile, start: int, end: int) -> str:
    return normalise_running(file.read(start, end).decode())


def _n_bytes(text: str, n_characters: int) -> int:
    """Return how many bytes the first characters of a text take, where "\\r\\n" counts as one of them."""
    for pair in re.finditer("\r\n", text):
        if pair.start() >= n_characters:
            break
        n_characters += 1
    return len(text[:n_characters].encode())
