import json
import re
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regard.inspection.explanation import AttentionMap, Explanation
from regard.inspection.page import json_in_html, render_page

HOSTILE = [
    "</script>",
    "<script>alert(1)</script>",
    "<!--",
    "-->",
    "]]>",
    '"',
    "\\",
    "&lt;",
    "\u2028",
    "__DATA__",
    "__TITLE__",
]


class Elements(HTMLParser):
    """Reads a page as a browser does and keeps the text of every element of two kinds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.headings: list[str] = []
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open = tag
        if tag == "script":
            self.scripts.append("")
        if tag == "h1":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            self.scripts[-1] += data
        if self.open == "h1":
            self.headings[-1] += data


def explanation(words: list[str], title: str = "a title") -> Explanation:
    weights = torch.full((1, len(words), len(words)), 1 / len(words))
    return Explanation(
        words, words, [AttentionMap("decoder.cross", "target", "source", weights)], "decoder.cross", title
    )


@pytest.mark.parametrize("word", HOSTILE)
def test_no_word_breaks_out_of_the_page(word: str) -> None:
    shown = explanation([word, "b"], title=word)

    found = Elements(render_page(shown))

    data, program = found.scripts
    assert json.loads(data) == json.loads(shown.to_json())
    assert found.headings == [word]
    assert program == Elements(render_page(explanation(["a", "b"]))).scripts[1]


@given(st.text(max_size=20))
def test_json_in_html_means_the_same_and_holds_no_markup(text: str) -> None:
    escaped = json_in_html(json.dumps([text], ensure_ascii=False))
    assert json.loads(escaped) == [text]
    assert not set(escaped) & set("<>&")


def test_an_empty_title_becomes_a_word() -> None:
    assert Elements(render_page(explanation(["a"], title=""))).headings == ["Attention"]


def test_the_page_fetches_nothing() -> None:
    page = render_page(explanation(["a", "b"]))
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|fetch\(|import\(""", page)
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_the_page_says_which_word_labels_a_row() -> None:
    assert "labelled by the word <em>written</em> at that step" in render_page(explanation(["a"]))
