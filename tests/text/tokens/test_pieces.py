from collections import Counter

import pytest
from tokenizers import Tokenizer

from regard.errors import DataError
from regard.text.tokens.pieces import ASCII, BASE, BYTES, SPECIALS, learn

KINDS = ["bpe", "unigram", "characters"]
TEXTS = [
    "the cat sat on the mat",
    "die Katze saß auf der Matte",
    "größer, höher, weiter",
    "<b>fett</b> <pad> </s> <0xE2>",
] * 5


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_tokenizer_every_time(kind):
    assert len({learn(TEXTS, kind, 300).to_str() for _ in range(3)}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_gapless_and_begin_with_the_special_pieces(kind):
    by_id = {i: piece for piece, i in learn(TEXTS, kind, 300).get_vocab().items()}
    assert sorted(by_id) == list(range(len(by_id)))
    assert [by_id[i] for i in range(len(SPECIALS))] == SPECIALS


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_holds_the_base_and_no_more_pieces_than_allowed(kind):
    vocabulary = learn(TEXTS, kind, 260).get_vocab()
    assert set(BASE) <= set(vocabulary)
    assert len(vocabulary) <= 260


@pytest.mark.parametrize("kind", KINDS)
def test_no_learnt_piece_goes_on_behind_an_angle_bracket(kind):
    learnt = set(learn(TEXTS * 20, kind, 400).get_vocab()) - set(BASE)
    assert not [piece for piece in learnt if "<" in piece.rstrip("<")[1:] or piece.lstrip(" ")[1:].count("<")]
    assert not [piece for piece in learnt if "<" in piece and piece.strip() != "<"]


def test_every_byte_of_every_character_is_a_piece():
    needed = {
        f"<0x{byte:02X}>"
        for code in [*range(0x80, 0xD800), *range(0xE000, 0x10000), *range(0x10000, 0x110000, 0x40)]
        for byte in chr(code).encode()
    }
    assert needed == set(BYTES)
    assert [chr(code) for code in range(128) if chr(code).isprintable()] == ASCII


def test_a_character_seen_once_is_served_by_bytes():
    vocabulary = learn(["ä ä ö"], "characters", 300).get_vocab()
    assert "ä" in vocabulary
    assert "ö" not in vocabulary


def test_the_most_frequent_characters_come_first_when_room_is_short():
    text = "ééé ààà üü ßß"
    vocabulary = learn([text], "characters", len(BASE) + 3).get_vocab()
    assert set(vocabulary) - set(BASE) == {"à", "é", "ß"}
    assert Counter(text)["ü"] == Counter(text)["ß"]


def test_a_writing_system_of_thousands_of_characters_leaves_half_the_room_for_words():
    characters = "".join(chr(0x4E00 + i) for i in range(600))
    learnt = set(learn([f"{characters} 東京大学"] * 5, "bpe", 613).get_vocab()) - set(BASE)
    assert sum(len(piece) == 1 for piece in learnt) == 200
    assert sum(len(piece) > 1 for piece in learnt) == 200


def test_bpe_merges_the_most_frequent_pairs_first():
    vocabulary = learn(["abc abc ab ab a"], "bpe", len(BASE) + 3).get_vocab()
    assert set(vocabulary) - set(BASE) == {" a", " ab", " abc"}


def test_the_json_stands_alone():
    alone = Tokenizer.from_str(learn(TEXTS, "bpe", 300).to_str())
    assert alone.decode(alone.encode("the ▁ größte <pad> 東").ids) == "the ▁ größte <pad> 東"


@pytest.mark.parametrize("kind", KINDS)
def test_learning_from_nothing_is_refused(kind):
    with pytest.raises(DataError, match="no text to learn a vocabulary from"):
        learn(["", ""], kind, 300)
