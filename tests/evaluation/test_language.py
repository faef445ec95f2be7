import lzma
import math

import pytest

from regard.errors import DataError
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
    assert "in this text" in alone[0].how and "training text" in knowing[0].how
    assert alone[0].nats_per_character == pytest.approx(nats_alone(text) / len(text))
    assert knowing[0].nats_per_character == pytest.approx(nats_after(text, known) / len(text))
    assert all(b.bits_per_byte < a.bits_per_byte / 2 for a, b in zip(alone, knowing, strict=True))


def test_xz_is_what_the_command_does_but_for_its_container():
    text = "What is well known packs well. " * 30
    (_, xz) = language_scores(1.0, 1, text).floors
    container = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    assert 0 < len(container) - xz.bits_per_byte * len(text) / 8 < 80


def test_an_empty_text_has_no_cost():
    with pytest.raises(DataError, match="The text is empty"):
        language_scores(1.0, 1, "")
