"""A picture of one attention map, drawn by matplotlib. It knows no page and computes no weights."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from regard.errors import MissingExtraError
from regard.inspection.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL, DPI = 0.34, 200  # inches per side of a cell, dots per inch
MOST_PIXELS = 8_000  # per side; longer sentences are drawn smaller
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Nirmala UI",
    "WenQuanYi Zen Hei",
)
"""Fonts tried in this order for each character, if they are installed."""
CAPTIONS = {
    "target": "Each row is labelled by the word written at that step.",
    "source": "Each row is the word being encoded.",
}


METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": "regard"},
    "svg": {"Date": None, "Title": "regard"},
}
"""Names the program that wrote the file. Without a date, the same picture gives the same file."""


def drawn(explanation: Explanation, kind: Literal["png", "svg"]) -> bytes:
    """Return the map that is shown first, averaged over its heads, as the content of a file.

    Bahdanau et al. 2014, figure 3: source words along the top, target words down the side, white is 1.
    Raises MissingExtraError without matplotlib.
    """
    file = BytesIO()
    with _settings():
        figure = _figure(explanation)
        dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
        figure.savefig(file, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=0.15, metadata=METADATA[kind])
    return file.getvalue()


def figure_of(explanation: Explanation) -> "Figure":
    """Return the picture as a figure of matplotlib. Raises MissingExtraError without it."""
    with _settings():
        return _figure(explanation)


@contextmanager
def _settings() -> Iterator[None]:
    """Set fonts, and how text is stored in a file, while the block runs."""
    try:
        import matplotlib
        from matplotlib import font_manager
    except ImportError as error:
        raise MissingExtraError("Drawing a picture of attention", "plot") from error
    known = {font.name for font in font_manager.fontManager.ttflist}
    settings: Any = {
        "font.family": [name for name in FONTS if name in known] or ["sans-serif"],
        "svg.fonttype": "none",  # text stays text: it can be searched, and the viewer's fonts shape every script
        "svg.hashsalt": "regard",  # names of elements are random without it
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A character that no font here has is a box in the .png; in the .svg it is text for the viewer's fonts.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def _figure(explanation: Explanation) -> "Figure":
    # Without pyplot, which would choose a backend and keep the figure for the whole process.
    from matplotlib.figure import Figure

    item = explanation.shown_first()
    columns, rows = explanation.labels(item.columns), explanation.labels(item.rows)
    figure = Figure(figsize=(CELL * len(columns), CELL * len(rows)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))  # words are outside; the tight box includes them
    axes.imshow(item.weights.mean(0).tolist(), cmap="gray", vmin=0.0, vmax=1.0, aspect="equal", interpolation="nearest")
    _label(axes, rows, columns)
    heads = item.weights.shape[0]
    caption = f"{CAPTIONS[item.rows]} White is 1, black is 0. {item.name}" + (
        f", mean of {heads} heads" if heads > 1 else ""
    )
    axes.annotate(
        caption,
        (0.5, 0.0),
        xycoords="axes fraction",
        xytext=(0, -10),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=6,
        color="#666666",
        parse_math=False,
    )
    return figure


def _label(axes: "Axes", rows: list[str], columns: list[str]) -> None:
    """Write the words on both axes as they are: a dollar sign starts no formula."""
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=10, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, fontsize=10, parse_math=False)
    axes.tick_params(length=0, pad=5)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
