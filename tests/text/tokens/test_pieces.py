from collections import Counter

import pytest

from regard.errors import DataError
from regard.text.tokens.pieces import learn
from regard.text.tokens.vocabulary import ASCII, BYTES, SPECIALS, refuse_unfit

KINDS = ["bpe", "unigram", "characters"]
TEXTS = [
    "the cat sat on the mat",
    "die Katze saß auf der Matte",
    "größer, höher, weiter",
    "<b>fett</b> <pad> </s> <0xE2>",
] * 5
BASE = [*BYTES, *ASCII]
LEAST = len(SPECIALS) + len(BASE)
"""Pieces that every vocabulary holds, and the size of one with no others."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_vocabulary_every_time(kind):
    first, *others = (learn(TEXTS, kind, 300, 0) for _ in range(3))
    assert others == [first, first]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_gapless_and_begin_with_the_special_pieces(kind):
    vocabulary = learn(TEXTS, kind, 300, 2)
    assert len(vocabulary.names) == len(set(vocabulary.names)) == len(vocabulary)
    assert vocabulary.names[: len(SPECIALS)] == SPECIALS


@pytest.mark.parametrize("n_control", [0, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_holds_the_base_and_no_more_ids_than_allowed(kind, n_control):
    vocabulary = learn(TEXTS, kind, 260, n_control)
    assert set(BASE) <= set(vocabulary.pieces)
    assert len(vocabulary) <= 260
    refuse_unfit(vocabulary, "what was learnt")


@pytest.mark.parametrize("kind", KINDS)
def test_control_ids_take_room_and_change_no_piece(kind):
    plain, controlled = learn(TEXTS, kind, 260, 0), learn(TEXTS, kind, 267, 7)
    assert (controlled.n_control, len(controlled)) == (7, len(plain) + 7)
    assert (controlled.pieces, controlled.merges, controlled.scores) == (plain.pieces, plain.merges, plain.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_no_learnt_piece_goes_on_behind_an_angle_bracket(kind):
    learnt = set(learn(TEXTS * 20, kind, 400, 0).pieces) - set(BASE)
    assert not [piece for piece in learnt if "<" in piece.rstrip("<")[1:] or piece.lstrip(" ")[1:].count("<")]
    assert not [piece for piece in learnt if "<" in piece and piece.strip() != "<"]


def test_only_unigram_has_scores_and_only_bpe_has_merges():
    found = {kind: learn(TEXTS, kind, 300, 0) for kind in KINDS}
    assert {kind for kind, vocabulary in found.items() if vocabulary.merges} == {"bpe"}
    assert {kind for kind, vocabulary in found.items() if vocabulary.scores} == {"unigram"}
    assert len(found["unigram"].scores) == len(found["unigram"].pieces)


def test_a_character_seen_once_is_served_by_bytes():
    pieces = learn(["ä ä ö"], "characters", 300, 0).pieces
    assert "ä" in pieces
    assert "ö" not in pieces


def test_the_most_frequent_characters_come_first_when_room_is_short():
    text = "ééé ààà üü ßß"
    pieces = learn([text], "characters", LEAST + 3, 0).pieces
    assert set(pieces) - set(BASE) == {"à", "é", "ß"}
    assert Counter(text)["ü"] == Counter(text)["ß"]


def test_a_writing_system_of_thousands_of_characters_leaves_half_the_room_for_words():
    characters = "".join(chr(0x4E00 + i) for i in range(600))
    learnt = set(learn([f"{characters} 東京大学"] * 5, "bpe", LEAST + 400, 0).pieces) - set(BASE)
    assert sum(len(piece) == 1 for piece in learnt) == 200
    assert sum(len(piece) > 1 for piece in learnt) == 200


def test_bpe_merges_the_most_frequent_pairs_first():
    vocabulary = learn(["abc abc ab ab a"], "bpe", LEAST + 3, 0)
    assert set(vocabulary.pieces) - set(BASE) == {" a", " ab", " abc"}
    assert vocabulary.merges == [(" ", "a"), (" a", "b"), (" ab", "c")]


@pytest.mark.parametrize("kind", KINDS)
def test_learning_from_nothing_is_refused(kind):
    with pytest.raises(DataError, match="no text to learn a vocabulary from: every line is empty"):
        learn(["", ""], kind, 300, 0)
