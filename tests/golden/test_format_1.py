"""Runs of the first format load, continue to the weights they were on their way to, and answer as they did."""

import json
import shutil
from pathlib import Path

import pytest

import regard

GOLDEN = Path(__file__).parent / "format-1"

LOSSES = {"pairs": 0.40281184514363605, "text": 4.7101826728144776}
"""On validation after 60 steps, as the revision that began the runs logged it when it went on itself."""

TRANSLATIONS = {"The book is red.": "Das Buch ist alt.", "The glass is blue.": "Das Buch ist blau.", "": ""}


@pytest.fixture(params=LOSSES)
def run(request, tmp_path) -> Path:
    """A copy of a golden run."""
    shutil.copytree(GOLDEN / request.param, tmp_path / request.param)
    return tmp_path / request.param


def data_of(run: Path) -> Path:
    return GOLDEN / {"pairs": "pairs.tsv", "text": "book.txt"}[run.name]


def test_a_run_continues_to_where_it_was_going(run):
    said = []
    ended = regard.train(data_of(run), to=run, display=Saying(said))
    assert any("Continuing from step 40" in line for line in said)
    assert ended.steps == 60
    loss = [event["nll"] for event in ended.events() if event["kind"] == "valid"][-1]
    assert loss == pytest.approx(LOSSES[run.name], rel=1e-3)  # other processors round otherwise
    assert json.loads((run / "last" / "manifest.json").read_text())["format"] == 2


def test_a_run_of_pairs_translates_as_it_did():
    translator = regard.load(GOLDEN / "pairs", "cpu")
    assert [t.text for t in translator.translate(TRANSLATIONS)] == list(TRANSLATIONS.values())
    scores = regard.evaluate(GOLDEN / "pairs", GOLDEN / "pairs.tsv", device="cpu")
    assert scores.bleu.value == pytest.approx(42.90123500321728)


def test_a_run_of_text_costs_what_it_did():
    scores = regard.evaluate(GOLDEN / "text", GOLDEN / "book.txt", device="cpu")
    assert scores.nats_per_token == pytest.approx(4.664316767708998, rel=1e-5)


def test_other_settings_than_those_it_was_begun_with_are_refused(run):
    with pytest.raises(regard.RegardError, match=r"begun with other settings: model\.width: 16 -> 32"):
        regard.train(data_of(run), to=run, settings={"model.width": 32})


def test_other_data_than_it_was_begun_with_is_refused(run, tmp_path):
    other = tmp_path / data_of(run).name
    other.write_text(data_of(run).read_text(encoding="utf-8") * 2, encoding="utf-8")
    with pytest.raises(regard.RegardError, match="begun with other data"):
        regard.train(other, to=run)


def test_a_larger_budget_goes_further(run):
    ended = regard.train(data_of(run), to=run, settings={"training.steps": 70})
    assert ended.steps == 70
    assert ended.recipe.training.steps == 70


class Saying(regard.display.Silent):
    """Keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def say(self, message: str) -> None:
        self.said.append(message)
