"""The attention of a sentence, by words: the data that the page, the picture and the JSON are made from."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from regard.errors import ConfigError
from regard.replacing import replacing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

START, END = "<start>", "<end>"
"""Labels of the two marks that are not words: what the decoder reads first, what it writes last."""

Axis = Literal["source", "target", "read", "context"]


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one attention, by words: (H, rows, columns).

    Each row sums to one, or for a word without tokens to zero.

    A row on the axis "target" is labelled by the word written at that step. The self-attention of a decoder
    attends to the words it has read, which are START and the target shifted by one: that axis is called "read". A
    decoder-only model attends to the source and then to what it has read, in one sequence: "context".
    """

    name: str
    rows: Literal["source", "target"]
    columns: Axis
    weights: Float[Tensor, "H rows columns"]


@dataclass(frozen=True)
class Explanation:
    """A source sentence, a target sentence, and how one was attended to while the other was written.

    Running text is a target without a source. summary: name of the map to show first. title: one line that says what
    this is. Raises ValueError if the maps do not fit the words.
    """

    source: list[str]
    target: list[str]
    maps: list[AttentionMap]
    summary: str
    title: str

    def __post_init__(self) -> None:
        names = [item.name for item in self.maps]
        if self.summary not in names:
            raise ValueError(
                f"the summary {self.summary!r} is not one of the maps: {', '.join(names) or 'there are none'}"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"two maps have the same name: {', '.join(names)}")
        for item in self.maps:
            n_rows, n_columns = len(self.labels(item.rows)), len(self.labels(item.columns))
            shape = tuple(item.weights.shape)
            if shape[1:] != (n_rows, n_columns):
                raise ValueError(f"{item.name} has shape {shape}, expected (H, {n_rows}, {n_columns})")

    def labels(self, axis: Axis) -> list[str]:
        """Return the words along an axis."""
        read = [START, *self.target[:-1]]
        return {"source": self.source, "target": self.target, "read": read, "context": [*self.source, *read]}[axis]

    def shown_first(self) -> AttentionMap:
        """Return the map that the summary names."""
        return next(item for item in self.maps if item.name == self.summary)

    def __repr__(self) -> str:
        return f"Explanation({self.title!r}, {len(self.maps)} maps)"

    def _repr_html_(self) -> str:
        """Return the page in a frame, which is how a notebook shows it."""
        page = html.escape(self.to_html(), quote=True)
        # Without allow-same-origin no script in it reaches the notebook.
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="width:100%;height:640px;border:0"></iframe>'

    def to_html(self) -> str:
        """Return a page that works offline, opened as a file."""
        from regard.inspection.page import render_page  # which imports this module

        return render_page(self)

    def to_json(self) -> str:
        """Return the explanation as one JSON object, the same that the page embeds."""
        return json.dumps(as_data(self), ensure_ascii=False, allow_nan=False)

    def to_svg(self) -> str:
        """Return a picture of the map that is shown first, as text. Raises MissingExtraError without matplotlib."""
        from regard.inspection.plots import drawn

        return drawn(self, "svg").decode()

    def to_png(self) -> bytes:
        """Return a picture of the map that is shown first. Raises MissingExtraError without matplotlib."""
        from regard.inspection.plots import drawn

        return drawn(self, "png")

    def plot(self) -> "Figure":
        """Return the picture of the map that is shown first as a matplotlib figure, for further drawing."""
        from regard.inspection.plots import figure_of

        return figure_of(self)

    def save(self, path: str | PathLike[str], *, force: bool = False) -> Path:
        """Write a page (.html), a picture (.png, .svg) or data (.json), whole or not at all, and return where it is.

        force: also replace a file that is not one of ours. Raises ConfigError for another ending, RunError if
        the file cannot be written or is something else.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in WRITERS:
            raise ConfigError(f"{path} ends in {ending or 'nothing'}; the name must end in {', '.join(WRITERS)}.")
        content = getattr(self, WRITERS[ending])()
        mark = MARKS[ending]
        with replacing_file(path, None if force else lambda head: mark in head) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path


WRITERS = {".html": "to_html", ".json": "to_json", ".png": "to_png", ".svg": "to_svg"}
"""Ending of the file's name -> method that returns the content."""

MARKS = {
    ".html": b'<meta name="generator" content="regard">',
    ".json": b'"generator": "regard"',
    ".png": b"Software\0regard",
    ".svg": b"<dc:title>regard</dc:title>",
}
"""What is near the beginning of each file of ours, to tell it from the files of others."""


def by_words(
    weights: Float[Tensor, "H T S"], row_words: Sequence[int], column_words: Sequence[int], n_rows: int, n_columns: int
) -> Float[Tensor, "H rows columns"]:
    """Return attention between words from attention between tokens.

    row_words, column_words: the index of the word that each token belongs to, of n_rows and n_columns words. Summed
    over the tokens of a word that is attended to, averaged over the tokens of the word that attends, so a row that sums
    to one still does. A word without tokens, because its neighbour has them, gets zeros.
    """
    assert tuple(weights.shape[1:]) == (len(row_words), len(column_words)), "every token needs the index of its word"
    rows, columns = _membership(row_words, n_rows).to(weights), _membership(column_words, n_columns).to(weights)
    # A word without tokens would be divided by zero.
    averaging = rows / rows.sum(1, keepdim=True).clamp(min=1)
    return averaging @ weights @ columns.T  # (H, row words, column words)


def explanation_of(
    captured: Mapping[str, Float[Tensor, "H T S"]],
    source: list[str],
    source_words: Sequence[int],
    target: list[str],
    target_words: Sequence[int],
    title: str,
) -> Explanation:
    """Return the explanation of one sentence from what `capture` found.

    source, target: the words, each side with END as its last. source_words, target_words: the word of each token,
    end mark included; those of the target are the tokens written, which is what labels a row.
    """
    # Word 0 is START, and the end mark is never read.
    read = [0, *(word + 1 for word in target_words[:-1])]
    context = [*source_words, *(len(source) + word for word in read)]
    words = {"source": source_words, "target": target_words, "read": read, "context": context}
    n_words = {"source": len(source), "target": len(target), "read": len(target), "context": len(source) + len(target)}
    maps = []
    for name, weights in captured.items():
        rows, columns = _axes(name)
        weights = by_words(weights, words[rows], words[columns], n_words[rows], n_words[columns])
        maps.append(AttentionMap(name, rows, columns, weights))
    return Explanation(source, target, maps, _summary([item.name for item in maps]), title)


def as_data(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as plain lists and strings, weights rounded to four decimals."""
    return {
        # First, so that `save` finds its mark at the beginning of the file.
        "generator": "regard",
        "title": explanation.title,
        "summary": explanation.summary,
        "source": explanation.source,
        "target": explanation.target,
        "read": explanation.labels("read"),
        "context": explanation.labels("context"),
        "maps": [
            {"name": item.name, "rows": item.rows, "columns": item.columns, "weights": _rounded(item.weights)}
            for item in explanation.maps
        ],
    }


def _membership(words: Sequence[int], n_words: int) -> Tensor:
    """Return a matrix (words, tokens): one where the token belongs to the word."""
    return torch.nn.functional.one_hot(torch.tensor(words, dtype=torch.long), n_words).T


def _rounded(weights: Tensor) -> list[list[list[float]]]:
    return [[[round(cell, 4) for cell in row] for row in head] for head in weights.tolist()]


def _axes(name: str) -> tuple[Literal["source", "target"], Axis]:
    """Return what attends and what is attended to, from a name such as `encoder.0.self` or `decoder.cross`."""
    stack, kind = name.partition(".")[0], name.rpartition(".")[2]
    if kind == "cross":
        return "target", "source"
    if kind == "source" or (kind == "self" and stack == "encoder"):
        return "source", "source"
    if kind == "self" and stack == "decoder":
        return "target", "read"
    if kind == "context":
        return "target", "context"
    raise ValueError(f"{name} is recorded under a name that does not end in self, cross, source or context")


def _summary(names: Sequence[str]) -> str:
    """Return the map to show first: the last but one from target to source, or the only one there is.

    With rows labelled by the word written, the last decoder layer but one agrees best with human alignments
    (Garg et al. 2019).
    """
    cross = [name for name in names if name.endswith(("cross", "context"))] or list(names)
    return cross[-2] if len(cross) > 1 else cross[-1]
