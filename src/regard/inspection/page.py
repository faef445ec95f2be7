"""One self-contained HTML page of an explanation. It knows escaping; how things look is in page.html."""

import html
from importlib import resources

from regard.inspection.explanation import Explanation

TITLE, DATA = "__TITLE__", "__DATA__"


def render_page(explanation: Explanation) -> str:
    """Return a page that works offline, opened as a file: nothing in it is fetched from anywhere."""
    template = resources.files("regard.inspection").joinpath("page.html").read_text(encoding="utf-8")
    # Split before the user's text is inserted: a word or a title may look like a placeholder.
    before, after = template.split(DATA)
    before = before.replace(TITLE, html.escape(explanation.title or "Attention"))
    return before + json_in_html(explanation.to_json()) + after


def json_in_html(text: str) -> str:
    """Return JSON that means the same and is safe inside a script element, whatever its strings say."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
