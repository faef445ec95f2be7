import pytest

from regard.pipeline.notes import loops, notes_on
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

TOKENIZER = Tokenizer.train(["a cat sat on the mat 12", "a cat sat on the mat 12"], TokenizerConfig(), 300)


def notes(source: str, target: list[int], translation: str = "x", longest_source: int | None = 9, longest: int = 50):
    ids = TOKENIZER.encode(source)
    return list(notes_on((source, ids), (translation, target), TOKENIZER, longest_source, longest))


def test_a_usual_translation_has_no_note():
    assert notes("a cat", [9, 10, 11]) == []


def test_a_source_longer_than_any_in_training_is_noted():
    assert notes("cat " * 20, [9]) == ["has 20 tokens, more than any sentence in training (9)"]
    assert notes("cat " * 20, [9], longest_source=None) == []


def test_characters_that_training_had_not_are_named():
    assert notes("a ☃ cat ☃ ж", [9], longest_source=None) == ["has characters that were not in the training data: ☃, ж"]
    assert notes("".join(map(chr, range(0x400, 0x408))), [9], longest_source=None) == [
        "has characters that were not in the training data: Ѐ, Ё, Ђ, Ѓ, Є and 3 more"
    ]


def test_a_translation_that_was_cut_is_noted():
    assert notes("a cat", list(range(50))) == ["has a translation that was cut at 50 tokens"]
    assert notes("", []) == []


def test_a_translation_that_repeats_itself_is_noted_unless_the_source_does():
    assert notes("a cat", [7, 8] * 6) == ["has a translation that repeats itself"]
    assert notes("cat " * 12, [7, 8] * 6, longest_source=None) == []


def test_numbers_that_were_lost_are_named():
    assert notes("a cat 12", [9], "eine Katze") == ["has numbers that are missing from its translation: 12"]


@pytest.mark.parametrize(
    ("ids", "does"),
    [([], False), ([1, 2, 3] * 3, False), ([1, 2, 3] * 4, True), ([5] * 8, False), ([5] * 9, True), (range(90), False)],
)
def test_a_loop_is_the_same_several_times_in_a_row(ids, does):
    assert loops(list(ids)) is does
