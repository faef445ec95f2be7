import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from regard.errors import ConfigError, MissingExtraError
from regard.inspection.explanation import END, AttentionMap, Explanation
from regard.inspection.plots import CELL, DPI, draw

SVG = "{http://www.w3.org/2000/svg}"


def explanation(source: list[str], target: list[str]) -> Explanation:
    weights = torch.eye(max(len(source), len(target)))[None, : len(target), : len(source)]
    item = AttentionMap("decoder.cross", "target", "source", weights)
    return Explanation(source, target, [item], "decoder.cross", "")


def texts(path: Path) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ElementTree.parse(path).iter(f"{SVG}text")]


def test_png_is_a_png_and_white_is_one(tmp_path: Path) -> None:
    from matplotlib import image

    path = tmp_path / "attention.png"
    draw(explanation(["a", "b", END], ["c", "d", END]), path)

    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = image.imread(path)[..., :3].mean(-1)
    black_rows, black_columns = (pixels < 0.02).any(1).nonzero()[0], (pixels < 0.02).any(0).nonzero()[0]
    bottom, right, cell = black_rows[-1], black_columns[-1], CELL * DPI  # words stand only above and to the left
    centres = [
        [pixels[int(bottom - (2.5 - i) * cell), int(right - (2.5 - j) * cell)] for j in range(3)] for i in range(3)
    ]
    assert centres == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_svg_holds_the_words_as_text_in_order(tmp_path: Path) -> None:
    path = tmp_path / "attention.SVG"
    draw(explanation(["the", "house", END], ["la", "maison", END]), path)

    found = texts(path)

    assert found[:6] == ["the", "house", END, "la", "maison", END]
    assert "labelled by the word written at that step" in found[6]


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw(explanation(["a", "b"], ["c"]), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_words_are_drawn_as_they_are(tmp_path: Path) -> None:
    words = ["$x$", r"$\frac{", "</text>", "日", "\U000e0001"]
    draw(explanation(words, ["a"]), tmp_path / "attention.svg")
    draw(explanation(words, ["a"]), tmp_path / "attention.png")
    assert texts(tmp_path / "attention.svg")[:4] == words[:4]


def test_a_long_sentence_still_fits_a_picture(tmp_path: Path) -> None:
    draw(explanation(["a"], ["word"] * 150), tmp_path / "attention.png")
    header = (tmp_path / "attention.png").read_bytes()[:24]
    assert 7_500 < int.from_bytes(header[20:24], "big") < 9_000


@pytest.mark.parametrize(("name", "found"), [("attention.gif", ".gif"), ("attention", "nothing")])
def test_another_ending_is_refused(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} ends in {found}; a picture is written as .png or .svg"):
        draw(explanation(["a"], ["b"]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_matplotlib_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"Drawing a picture of attention .*regard\[plot\]"):
        draw(explanation(["a"], ["b"]), tmp_path / "attention.png")
