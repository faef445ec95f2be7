import json
import lzma
import math
import random

import pytest

from regard.errors import DataError
from regard.evaluation import language
from regard.evaluation.language import language_scores
from regard.evaluation.ngram import nats_after, nats_alone


def test_rates_worked_by_hand():
    scores = language_scores(nats=8 * math.log(2), n_tokens=4, text="äbc")
    assert (scores.n_characters, scores.n_bytes, scores.n_tokens) == (3, 4, 4)
    assert scores.bits_per_byte == pytest.approx(2)
    assert scores.nats_per_token == pytest.approx(2 * math.log(2)) and scores.perplexity == pytest.approx(4)
    assert scores.nats_per_character == pytest.approx(8 / 3 * math.log(2))


def test_floors_know_the_training_text_if_it_is_given():
    known, text = "the cat sat on the mat. " * 40, "the mat sat on the cat. "
    alone, knowing = language_scores(1.0, 1, text).floors, language_scores(1.0, 1, text, known).floors
    assert [floor.name for floor in alone] == ["5-gram of characters", "xz -9e"]
    assert "so far" in alone[0].how and "training text" in knowing[0].how
    assert alone[0].nats_per_character == pytest.approx(nats_alone(text) / len(text))
    assert knowing[0].nats_per_character == pytest.approx(nats_after(text, known) / len(text))
    assert all(b.bits_per_byte < a.bits_per_byte / 2 for a, b in zip(alone, knowing, strict=True))


def test_of_a_long_training_text_the_floors_know_the_end(monkeypatch):
    monkeypatch.setattr(language, "KNOWN", 1000)
    known, text = "the cat sat on the mat. " * 40, "the mat sat on the cat. "
    found, expected = (language_scores(1.0, 1, text, x).floors for x in ("zzz" + "x" * 5000 + known, "x" * 40 + known))
    assert [(a.bits_per_byte, a.nats_per_character) for a in found] == [
        (b.bits_per_byte, b.nats_per_character) for b in expected
    ]
    assert found[0].how == "knowing the last 1,000 characters of the training text"


def text_of_words(n_words: int, seed: int) -> str:
    """Return words of a small language in random order: it packs, but not to nothing."""
    generator = random.Random(seed)
    words = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 9))) for _ in range(500)]
    return " ".join(generator.choices(words, k=n_words))


@pytest.mark.parametrize("text", ["What is well known packs well. " * 30, text_of_words(4_000, seed=1)])
def test_xz_costs_what_the_command_writes_but_for_its_container(text):
    (_, xz) = language_scores(1.0, 1, text).floors
    container = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    assert 30 < len(container) - xz.bits_per_byte * len(text) / 8 < 80


def test_xz_with_a_training_text_costs_what_the_text_adds_behind_it():
    known, text = text_of_words(2_000, seed=1), text_of_words(1_000, seed=1)[::-1]
    (_, xz) = language_scores(1.0, 1, text, known).floors
    packed = [len(lzma.compress(t.encode(), preset=9 | lzma.PRESET_EXTREME)) for t in (known + text, known)]
    assert xz.bits_per_byte * len(text) / 8 == pytest.approx(packed[0] - packed[1], abs=4)  # a container is in fours


def test_the_two_rates_of_a_floor_are_of_one_cost():
    text = "Über Öl läßt sich reden. " * 4
    for floor in language_scores(1.0, 1, text).floors:
        nats = floor.bits_per_byte * math.log(2) * len(text.encode())
        assert floor.nats_per_character * len(text) == pytest.approx(nats)


def test_an_empty_training_text_is_none():
    assert language_scores(1.0, 1, "a text", "") == language_scores(1.0, 1, "a text")


def test_scores_are_written_as_json_with_their_floors():
    scores = language_scores(3.0, 2, "a text")
    written = json.loads(json.dumps(scores.as_dict()))
    assert written["nats_per_token"] == 1.5 and written["n_characters"] == 6
    assert [(floor["name"], floor["bits_per_byte"]) for floor in written["floors"]] == [
        (floor.name, floor.bits_per_byte) for floor in scores.floors
    ]


def test_an_empty_text_has_no_cost():
    with pytest.raises(DataError, match="The text is empty"):
        language_scores(1.0, 1, "")
