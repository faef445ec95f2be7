"""Every template against pairs that were proof-read by hand, a dozen of each.

`proofread.tsv` holds template, number, English and German; the number seeds the generator of the pair.
A change of the lexicon draws other pairs. Then run `python tests/samples/test_templates.py`, which writes it anew,
and read every changed line of its diff as a teacher of German would: that reading is the test.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from regard.samples.templates_joined import JOINED
from regard.samples.templates_simple import SIMPLE

TEMPLATES = {make.__name__: make for make, _ in [*SIMPLE, *JOINED]}
PROOFREAD = Path(__file__).with_name("proofread.tsv")
N_EACH = 12


def draw(name: str, number: int) -> tuple[str, str]:
    return TEMPLATES[name](Random(f"{name} {number}"))


def proofread(name: str) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in PROOFREAD.read_text(encoding="utf-8").splitlines()]
    return [(english, german) for template, _, english, german in rows if template == name]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_gives_what_was_proof_read(name: str) -> None:
    assert [draw(name, number) for number in range(N_EACH)] == proofread(name)


# Our German in the order of the words: what must stand in pairs of each template, whatever was drawn.
@pytest.mark.parametrize(
    ("name", "english", "german"),
    [
        ("because_of_it", " because ", ", weil "),
        ("that", " that ", ", dass "),
        ("who_did", " who ", ", "),
        ("in_order_to", " to ", ", um "),
        ("done_already", " already ", " schon "),
        ("compared", " than ", " als "),
        ("living", " for ", " seit "),
        ("existing", "there ", " gibt es "),
    ],
)
def test_a_template_keeps_its_frame(name: str, english: str, german: str) -> None:
    rng = Random(5)
    for _ in range(200):
        pair = TEMPLATES[name](rng)
        assert english in pair[0]
        assert german in pair[1]


if __name__ == "__main__":
    lines = [f"{name}\t{number}\t" + "\t".join(draw(name, number)) for name in TEMPLATES for number in range(N_EACH)]
    PROOFREAD.write_text("\n".join(lines) + "\n", encoding="utf-8")
