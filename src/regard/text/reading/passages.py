"""Running text in passages: a file of it may be larger than memory, and is read a quarter of a megabyte at a time."""

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
from regard.text.reading.lines import TextFile
from regard.text.sliced import Sliced
from regard.text.tokens.normalise import normalise_running

Documents = Literal["file", "line"]
"""What a document is: the whole of a file, cut at lines of "<|endoftext|>", or each of its lines."""

# The place of a passage takes 26 bytes of memory, so those of a terabyte of text take 100 MB.
LENGTH = 250_000
"""Bytes of a passage, or a little more."""

# \Z is the end of the file: every other block ends with a line feed (`TextFile.blocks`).
MARK = re.compile(rb"<\|endoftext\|>(?:\r\n|\r|\n|\Z)")
LINE = re.compile(rb"[^\r\n]+")
# ASCII only, so that no cut falls within a character. A document whose lines never end in ASCII is one passage.
CUT = re.compile(rb"[!-~](?=[\r\n])")
"""What a passage may end with: no word of byte-level BPE goes over a line end that follows what is no white space."""

Span = tuple[int, int, bool]
"""Where a passage begins and ends, in bytes, and whether it begins a document."""


class Passages(Sliced[str]):
    """The passages of documents, one after the other, left in their file. A line end is "\\n".

    The pieces of all passages are together those of the documents. Documents of blanks only are left out.
    """

    def __init__(self, file: TextFile, spans: NDArray[np.int64], begins: NDArray[np.bool_]) -> None:
        """spans: where each passage begins and ends in the file, and its length in characters (N, 3)."""
        self.file, self.spans, self.begins = file, spans, begins
        self.closes: NDArray[np.bool_] = np.append(begins[1:], True)
        """Whether each passage ends a document."""

    @classmethod
    def read(cls, path: Path, documents: Documents) -> "Passages":
        """Return the passages of a text file. Raises DataError if it cannot be read, is no UTF-8, or holds no text."""
        file = TextFile.at(path)
        return cls._found(file, _spans(file) if documents == "file" else _lines(file))

    @classmethod
    def of(cls, documents: Sequence[str]) -> "Passages":
        """Return the passages of documents that are in memory. Raises DataError if they hold no text."""
        contents = [normalise_running(document).encode() for document in documents]
        file = TextFile(BytesIO(b"".join(contents)), "the text")
        return cls._found(file, _documents(file, accumulate(map(len, contents), initial=0)))

    @classmethod
    def spooled(cls, path: Path, ends: Iterable[int]) -> "Passages":
        """Return the passages of normalised documents that stand end to end in a file.

        ends: 0, then where each of them ends, in bytes.
        """
        return cls._found(file := TextFile.at(path), _documents(file, map(int, ends)))

    @classmethod
    def _found(cls, file: TextFile, spans: Iterable[Span]) -> "Passages":
        """Return the passages at the spans, without documents that are blank. Raises DataError if all of them are."""
        found, all_begin = array("q"), array("b")
        for start, end, begins in spans:
            # Decoded once now: the length in characters also tells later whether the file was changed.
            text = _decoded(file, start, end)
            if text.strip() or (text and not begins):  # a document of several passages is not blank
                found.extend((start, end, len(text)))
                all_begin.append(begins)
        if not found:
            raise DataError(f"{file.name} holds no text, only blank lines and marks; expected running text.")
        return cls(file, np.array(found, dtype=np.int64).reshape(-1, 3), np.array(all_begin, dtype=bool))

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[str]:
        # One at a time, and not ITEMS_AT_ONCE as others are: so many passages would take gigabytes.
        return (self[i] for i in range(len(self)))

    def part(self, start: int, stop: int) -> list[str]:
        return [self._text(*span) for span in self.spans[start:stop].tolist()]

    def _text(self, start: int, end: int, n_characters: int) -> str:
        try:
            text = _decoded(self.file, start, end)
        except UnicodeDecodeError:
            text = ""  # no passage is empty, so the length below differs
        # A change that leaves the number of characters alone is not noticed here.
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
        """Yield the passages, with a line end more before every document but the first."""
        return ("\n" * (begins and i > 0) + self[i] for i, begins in enumerate(self.begins.tolist()))

    def split_at(self, character: int) -> tuple["Passages", "Passages"]:
        """Return what stands before a character and the rest; the document in which it lies is cut there."""
        ends = np.cumsum(self.sizes)
        i = int(np.searchsorted(ends, character))  # the passage that the border ends or lies in
        n_before = character - int(ends[i] - self.sizes[i])
        start, end, n = self.spans[i].tolist()
        # Not normalised: what is counted are the bytes as they stand in the file.
        border = start + _n_bytes(self.file.read(start, end).decode(), n_before)
        head, tail = np.array([[start, border, n_before]]), np.array([[border, end, n - n_before]])
        before = np.concatenate([self.spans[:i], head])
        after = np.concatenate([tail, self.spans[i + 1 :]])
        begins = self.begins[i:].copy()
        if n_before == n:  # the passage ends at the border, and nothing of it is left
            after, begins = after[1:], begins[1:]
        begins[:1] = True
        return Passages(self.file, before, self.begins[: i + 1]), Passages(self.file, after, begins)


def _spans(file: TextFile) -> Iterator[Span]:
    """Yield the passages of a file that is one document, or several with marks between them."""
    start, begins, end_of_block = file.first, True, 0
    for at, block in file.blocks():
        marks = (mark for mark in MARK.finditer(block) if _begins_a_line(block, mark.start(), at, file.first))
        for mark in chain(marks, [None]):
            end = mark.start() if mark else len(block)
            for cut in _cuts(block, start - at, end):
                yield start, at + cut, begins
                start, begins = at + cut, False
            if mark:
                yield start, at + end, begins
                start, begins = at + mark.end(), True
        end_of_block = at + len(block)
    yield start, end_of_block, begins  # may be empty, as behind a last mark; `_found` leaves it out


def _documents(file: TextFile, ends: Iterable[int]) -> Iterator[Span]:
    """Yield the passages of documents, one of which stands in memory at a time."""
    for start, end in pairwise(ends):
        content = file.read(start, end)
        borders = [0, *_cuts(content, 0, len(content)), len(content)]
        yield from ((start + a, start + b, i == 0) for i, (a, b) in enumerate(pairwise(borders)))


def _begins_a_line(block: bytes, i: int, at: int, first: int) -> bool:
    # A block begins where a line does. The first line of a file may begin behind a byte order mark.
    return i == 0 or block[i - 1] in b"\r\n" or at + i == first


def _cuts(content: bytes, start: int, end: int) -> Iterator[int]:
    """Yield where a document ends a passage before its end. start: where it begins, perhaps before the content."""
    while cut := CUT.search(content, max(start + LENGTH, 0), end):
        start = cut.end()
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
