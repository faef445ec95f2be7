"""The attention page in a real browser. Skipped where no Chromium is installed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from regard.inspection.explanation import END, AttentionMap, Explanation
from regard.inspection.page import render_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOURCE = ["the", "old", "bridge", "near", "town", END]
TARGET = ["die", "alte", "Brücke", "bei", END]
Opener = Callable[[Explanation], "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium was found on PATH; install one to run the browser tests")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: "Browser", tmp_path: Path) -> Iterator[Opener]:
    """Open an explanation from a file; afterwards nothing was fetched and the console is silent."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    requests: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    context.on("console", lambda message: complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    address = (tmp_path / "page.html").as_uri()

    def opened(explanation: Explanation) -> "Page":
        (tmp_path / "page.html").write_text(render_page(explanation), encoding="utf-8")
        page = context.new_page()
        page.goto(address)
        return page

    yield opened
    context.close()
    assert set(requests) == {address}
    assert complaints == []


def random_map(name: str, n_heads: int, seed: int) -> AttentionMap:
    generator = torch.Generator().manual_seed(seed)
    if name.endswith("cross"):
        weights = (3 * torch.randn(n_heads, len(TARGET), len(SOURCE), generator=generator)).softmax(-1)
        return AttentionMap(name, "target", "source", weights)
    if name.startswith("encoder"):
        weights = (3 * torch.randn(n_heads, len(SOURCE), len(SOURCE), generator=generator)).softmax(-1)
        return AttentionMap(name, "source", "source", weights)
    scores = torch.randn(n_heads, len(TARGET), len(TARGET), generator=generator)
    causal = torch.ones(len(TARGET), len(TARGET)).tril().bool()
    return AttentionMap(name, "target", "read", scores.masked_fill(~causal, -torch.inf).softmax(-1))


@pytest.fixture
def deep() -> Explanation:
    names = [
        f"{kind.split('.')[0]}.{n}.{kind.split('.')[1]}"
        for kind in ("encoder.self", "decoder.self", "decoder.cross")
        for n in range(3)
    ]
    maps = [random_map(name, 4, seed) for seed, name in enumerate(names)]
    return Explanation(SOURCE, TARGET, maps, "decoder.1.cross", "three layers of four heads")


@pytest.fixture
def single() -> Explanation:
    return Explanation(SOURCE, TARGET, [random_map("decoder.cross", 1, 0)], "decoder.cross", "one head")


def weights_of(explanation: Explanation, name: str) -> Tensor:
    return next(item.weights for item in explanation.maps if item.name == name)


def matrix(page: "Page") -> Tensor:
    cells = page.locator("#matrix td[data-weight]")
    found = cells.evaluate_all(
        "cells => cells.map(cell => [+cell.dataset.row, +cell.dataset.column, +cell.dataset.weight])"
    )
    weights = torch.zeros(int(max(row for row, _, _ in found)) + 1, int(max(column for _, column, _ in found)) + 1)
    for row, column, weight in found:
        weights[int(row), int(column)] = weight
    return weights


def lit(page: "Page", side: str) -> dict[int, float]:
    """Return the weight that each lit word of a side is shown with, by its index."""
    words = page.locator(f".word.lit[data-{side}-index]")
    found = words.evaluate_all(f"words => words.map(word => [+word.dataset.{side}Index, +word.dataset.weight])")
    return {int(index): weight for index, weight in found}


def assert_shown(page: "Page", expected: Tensor) -> None:
    torch.testing.assert_close(matrix(page), expected, atol=2e-4, rtol=0)


def test_hovering_a_target_word_lights_the_source_words_it_looked_at(open_page: Opener, single: Explanation) -> None:
    page, weights = open_page(single), weights_of(single, "decoder.cross")[0]

    for row in range(len(TARGET)):
        page.hover(f".word[data-target-index='{row}']")
        found = lit(page, "source")
        assert max(found, key=lambda index: found[index]) == int(weights[row].argmax())
        assert lit(page, "target") == {}
        for column, weight in found.items():
            assert weight == pytest.approx(weights[row, column].item(), abs=1e-4)
        assert set(range(len(SOURCE))) - set(found) == {
            column for column, weight in enumerate(weights[row]) if weight < max(0.01, 0.05 * weights[row].max())
        }
        strongest = page.locator(f".word[data-source-index='{int(weights[row].argmax())}']")
        assert strongest.locator("i").text_content() == f"{weights[row].max().item():.2f}"
        assert SOURCE[int(weights[row].argmax())] in (page.text_content("#readout") or "")

    page.hover("h1")
    assert lit(page, "source") == {}


def test_a_stronger_weight_is_lit_more_strongly(open_page: Opener, single: Explanation) -> None:
    page = open_page(single)
    page.hover(".word[data-target-index='0']")
    page.wait_for_timeout(400)  # the colour fades in
    opacity = "getComputedStyle(word).backgroundColor.match(/[0-9.]+/g).at(-1)"
    shades = page.locator(".word.lit").evaluate_all(f"words => words.map(word => [word.dataset.weight, {opacity}])")
    weights = [float(weight) for weight, _ in shades]
    alphas = [float(alpha) for _, alpha in shades]
    assert len(weights) > 1
    assert alphas == pytest.approx(weights, abs=0.02)


def test_hovering_a_source_word_lights_the_target_words_that_looked_at_it(
    open_page: Opener, single: Explanation
) -> None:
    page, weights = open_page(single), weights_of(single, "decoder.cross")[0]
    column = int(weights.max(0).values.argmax())

    page.hover(f".word[data-source-index='{column}']")

    found = lit(page, "target")
    assert max(found, key=lambda index: found[index]) == int(weights[:, column].argmax())
    assert lit(page, "source") == {}


def test_the_keyboard_lights_what_the_pointer_lights(open_page: Opener, single: Explanation) -> None:
    page = open_page(single)
    page.hover(".word[data-target-index='2']")
    pointed = lit(page, "source")
    page.hover("h1")

    page.focus(".word[data-target-index='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert lit(page, "source") == pointed

    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.sourceIndex") == "2"
    assert lit(page, "source") == {}
    page.keyboard.press("Escape")
    page.wait_for_selector(".lit", state="detached")


def test_hovering_the_matrix_lights_the_words(open_page: Opener, single: Explanation) -> None:
    page, weights = open_page(single), weights_of(single, "decoder.cross")[0]
    page.hover("#matrix td[data-row='3'][data-column='1']")
    found = lit(page, "source")
    assert max(found, key=lambda index: found[index]) == int(weights[3].argmax())
    title = page.get_attribute("#matrix td[data-row='3'][data-column='1']", "title")
    assert title == f"bei attended to old: {weights[3, 1].item():.4f}"


def test_the_matrix_is_white_at_one_and_black_at_zero(open_page: Opener) -> None:
    weights = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    item = AttentionMap("decoder.cross", "target", "source", weights)
    page = open_page(Explanation(["a", "b"], ["c", "d"], [item], "decoder.cross", ""))
    colours = page.locator("#matrix td[data-weight]").evaluate_all(
        "cells => cells.map(cell => cell.style.backgroundColor)"
    )
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(64, 64, 64)", "rgb(191, 191, 191)"]
    top = page.locator("#matrix thead th").evaluate_all("labels => labels.map(label => label.textContent)")
    side = page.locator("#matrix tbody th").evaluate_all("labels => labels.map(label => label.textContent)")
    assert (top, side) == (["a", "b"], ["c", "d"])


def test_layer_and_head_change_the_matrix(open_page: Opener, deep: Explanation) -> None:
    page = open_page(deep)
    assert_shown(page, weights_of(deep, "decoder.1.cross").mean(0))

    page.check("input[data-layer='2']", force=True)
    assert_shown(page, weights_of(deep, "decoder.2.cross").mean(0))

    page.check("input[data-head='3']", force=True)
    assert_shown(page, weights_of(deep, "decoder.2.cross")[3])

    page.check("input[data-head='mean']", force=True)
    assert_shown(page, weights_of(deep, "decoder.2.cross").mean(0))


def test_a_small_map_is_shown_large_when_chosen(open_page: Opener, deep: Explanation) -> None:
    page = open_page(deep)
    assert page.locator("#heads button").count() == 12
    small = page.locator("#heads button[aria-label='Layer 1, head 3']")

    small.click()
    assert_shown(page, weights_of(deep, "decoder.0.cross")[2])
    assert page.locator("#heads [aria-pressed='true']").get_attribute("aria-label") == "Layer 1, head 3"

    small.click()
    assert_shown(page, weights_of(deep, "decoder.0.cross").mean(0))


def test_self_attention_can_be_chosen(open_page: Opener, deep: Explanation) -> None:
    page = open_page(deep)
    page.check("input[data-kind='encoder.self']", force=True)
    assert_shown(page, weights_of(deep, "encoder.1.self").mean(0))
    assert page.locator(".word[data-target-index]").count() == len(SOURCE)

    page.check("input[data-kind='decoder.self']", force=True)
    assert_shown(page, weights_of(deep, "decoder.1.self").mean(0))
    read = page.locator("#matrix thead th").evaluate_all("labels => labels.map(label => label.textContent)")
    assert read == ["<start>", *TARGET[:-1]]


def test_one_head_needs_no_choices(open_page: Opener, single: Explanation) -> None:
    page = open_page(single)
    assert page.locator("#choices").is_hidden()
    assert page.locator("#overview").is_hidden()


def test_hostile_words_are_only_words(open_page: Opener) -> None:
    words = ["</script>", "<img src=x onerror=alert(1)>", "<b>"]
    item = AttentionMap("decoder.cross", "target", "source", torch.eye(3)[None])
    page = open_page(Explanation(words, words, [item], "decoder.cross", "</title><script>alert(1)</script>"))
    page.hover(".word[data-target-index='1']")
    assert lit(page, "source") == {1: 1.0}
    assert page.locator(".word[data-source-index] > span").all_text_contents() == words


def test_a_narrow_screen_scrolls_the_matrix_and_not_the_page(open_page: Opener) -> None:
    words = [f"word{n}" for n in range(30)]
    item = AttentionMap("decoder.cross", "target", "source", torch.eye(30)[None])
    page = open_page(Explanation(words, words, [item], "decoder.cross", "thirty words"))
    page.set_viewport_size({"width": 380, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(matrix => matrix.scrollWidth > matrix.clientWidth)(document.getElementById('matrix'))")


def test_a_right_to_left_sentence_starts_on_the_right(open_page: Opener) -> None:
    item = AttentionMap("decoder.cross", "target", "source", torch.eye(2)[None])
    page = open_page(Explanation(["אני", "אוהב"], ["I", "love"], [item], "decoder.cross", ""))
    left = page.locator(".word").evaluate_all("words => words.map(word => word.getBoundingClientRect().left)")
    assert left[0] > left[1]
    assert left[2] < left[3]


def test_running_text_is_looked_into_without_a_source(open_page: Opener) -> None:
    words = ["It", "was", "dark", END]
    weights = torch.eye(4).expand(2, 4, 4)
    maps = [AttentionMap(f"decoder.{i}.context", "target", "context", weights) for i in range(2)]
    page = open_page(Explanation([], words, maps, "decoder.0.context", "It was dark"))
    page.hover(".word[data-target-index='2']")
    assert lit(page, "source") == {2: 1.0}
    assert page.locator(".word[data-source-index] > span").all_text_contents() == ["<start>", "It", "was", "dark"]
    assert torch.equal(matrix(page), torch.eye(4))
