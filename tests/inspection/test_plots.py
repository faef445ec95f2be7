import sys
from io import BytesIO
from xml.etree import ElementTree

import pytest
import torch

from regard.errors import MissingExtraError
from regard.inspection.explanation import END, AttentionMap, Explanation
from regard.inspection.plots import CELL, DPI, drawn, figure_of

SVG = "{http://www.w3.org/2000/svg}"


def explanation(source: list[str], target: list[str]) -> Explanation:
    weights = torch.eye(max(len(source), len(target)))[None, : len(target), : len(source)]
    item = AttentionMap("decoder.cross", "target", "source", weights)
    return Explanation(source, target, [item], "decoder.cross", "")


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_png_is_a_png_and_white_is_one() -> None:
    from matplotlib import image

    png = drawn(explanation(["a", "b", END], ["c", "d", END]), "png")

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = image.imread(BytesIO(png))[..., :3].mean(-1)
    black_rows, black_columns = (pixels < 0.02).any(1).nonzero()[0], (pixels < 0.02).any(0).nonzero()[0]
    bottom, right, cell = black_rows[-1], black_columns[-1], CELL * DPI  # words stand only above and to the left
    centres = [
        [pixels[int(bottom - (2.5 - i) * cell), int(right - (2.5 - j) * cell)] for j in range(3)] for i in range(3)
    ]
    assert centres == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_svg_holds_the_words_as_text_in_order() -> None:
    found = texts(drawn(explanation(["the", "house", END], ["la", "maison", END]), "svg"))

    assert found[:6] == ["the", "house", END, "la", "maison", END]
    assert "labelled by the word written at that step" in found[6]


def test_a_figure_can_be_drawn_in_further() -> None:
    figure = figure_of(explanation(["the", "house", END], ["la", END]))

    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["the", "house", END]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["la", END]
    axes.set_title("mine")
    figure.savefig(BytesIO())


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawn(explanation(["a"], ["b"]), "svg")
    figure_of(explanation(["a"], ["b"]))
    assert dict(matplotlib.rcParams) == before


def test_the_mean_over_the_heads_is_drawn_and_said() -> None:
    weights = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]]])
    item = AttentionMap("decoder.0.cross", "target", "source", weights)
    figure = figure_of(Explanation(["a", "b"], ["c"], [item], "decoder.0.cross", ""))
    (image,) = figure.axes[0].get_images()
    assert image.get_array().tolist() == [[0.5, 0.5]]
    assert figure.axes[0].texts[0].get_text().endswith("decoder.0.cross, mean of 3 heads")


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_picture_is_the_same_file(kind: str) -> None:
    one, two = (drawn(explanation(["a", "b"], ["c"]), kind) for _ in range(2))
    assert one == two


def test_words_are_drawn_as_they_are() -> None:
    words = ["$x$", r"$\frac{", "</text>", "日", "\U000e0001"]
    drawn(explanation(words, ["a"]), "png")
    assert texts(drawn(explanation(words, ["a"]), "svg"))[:4] == words[:4]


def test_a_long_sentence_still_fits_a_picture() -> None:
    header = drawn(explanation(["a"], ["word"] * 150), "png")[:24]
    assert 7_500 < int.from_bytes(header[20:24], "big") < 9_000


@pytest.mark.parametrize("draw", [figure_of, lambda explained: drawn(explained, "png")])
def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, draw) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"Drawing a picture of attention .*regard\[plot\]"):
        draw(explanation(["a"], ["b"]))
