"""Whatever text comes, every family answers each with one line, and holds no more than its budget."""

import os
import random
from pathlib import Path

import pytest
import torch
from tests.contract.test_models import SMALL

from regard.bundle import Bundle
from regard.bundle.card import Card
from regard.decoding import lane
from regard.decoding.engine import MOST_CELLS
from regard.decoding.search import DecodingConfig
from regard.models import MODELS
from regard.pipeline import TextGenerator, Translator
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

FAMILIES = ("rnn", "bahdanau", "transformer", "gpt")
SCRIPTS = (
    "Ein Haus am See.",
    "Дом у озера",
    "湖のほとりの家",
    "호숫가의 집",
    "بيت على البحيرة",
    "झील के किनारे घर",
    "บ้านริมทะเลสาบ",
)
ODD = (
    "",
    " ",
    "\t \u3000",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\x00\x01\x1b[31m",
    "\ufeff",
    "\ud7ff\ue000",
    "a\u0300" * 50,
    "\u202eabc",
    "<s></s>",
    "\ufffd" * 9,
)
TOKENIZER = Tokenizer.train([*SCRIPTS] * 3, TokenizerConfig(kind="bpe"), 600)


def texts(n: int, seed: int) -> list[str]:
    """Return n texts: odd ones, random bytes, words of all scripts, and a few of up to 2,000 tokens."""
    drawn = random.Random(seed)
    words = [word for text in (*SCRIPTS, *flores()) for word in text.split()]

    def one() -> str:
        kind = drawn.random()
        if kind < 0.1:
            return drawn.choice(ODD)
        if kind < 0.2:
            return drawn.randbytes(drawn.randint(1, 60)).decode("utf-8", "replace").translate(NO_LINES)
        if kind < 0.22:
            return " ".join(drawn.choices(words, k=drawn.randint(100, 500)))
        return " ".join(drawn.choices(words, k=drawn.randint(1, 12)))

    return [one() for _ in range(n)]


NO_LINES = dict.fromkeys(map(ord, "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), " ")


def flores() -> list[str]:
    """Return a few lines of each language of FLORES, where the data are."""
    folder = Path(os.environ.get("REGARD_DATA", "/none")) / "flores"
    return [line for path in sorted(folder.glob("flores-dev.*")) for line in path.read_text("utf-8").splitlines()[:20]]


def bundle_of(family: str, job: str) -> Bundle:
    """Return a small random model."""
    name, settings = SMALL[family]
    config, model = MODELS[name]
    torch.manual_seed(1)
    n = TOKENIZER.vocabulary
    return Bundle(
        model(config(**settings), n, n, n_control=TOKENIZER.n_control), name, TOKENIZER, TOKENIZER, Card(job=job)
    )


@pytest.fixture
def most_in_work(monkeypatch) -> list[int]:
    """Collect how many cells a lane may need whenever requests join it."""
    found: list[int] = []
    admit = lane.Lane.admit

    def counted(self, requests):
        admit(self, requests)
        found.append(self.n_active * self.n_rows * self.most_cells)

    monkeypatch.setattr(lane.Lane, "admit", counted)
    return found


@pytest.mark.parametrize("n", [120, pytest.param(2_000, marks=pytest.mark.prove)])
@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_text_has_one_line_of_translation(family, beam, n, most_in_work):
    translator = Translator(bundle_of(family, "pairs"), "cpu", DecodingConfig(beam=beam, max_ratio=0.2, max_extra=4))
    given = texts(n, seed=n + beam)
    found = translator.translate(given)
    assert len(found) == n
    for text, translation in zip(given, found, strict=True):
        assert len((translation.text + "\n").splitlines()) == 1, ascii(text)
        assert translation.problem is None or "tokens" in translation.problem
    assert max(most_in_work) <= MOST_CELLS


@pytest.mark.parametrize("n", [120, pytest.param(2_000, marks=pytest.mark.prove)])
def test_every_prompt_is_continued(n, most_in_work):
    generator = TextGenerator(bundle_of("gpt", "text"), "cpu")
    given = [text for text in texts(n, seed=n) if text and len(TOKENIZER.encode(text)) in range(1, 129)]
    found = generator.generate(given, max_tokens=12, temperature=1.0)
    assert len(found) == len(given) > n / 2 and all(isinstance(text, str) for text in found)
    assert max(most_in_work) <= MOST_CELLS
