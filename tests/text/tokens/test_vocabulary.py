import dataclasses
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.tokens.learnt import KINDS, learnt

from regard.errors import BundleError
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.vocabulary import (
    ALL_BYTES,
    ASCII,
    BYTE_ALPHABET,
    BYTES,
    KEPT,
    LONGEST_PIECE,
    MOST_CONTROL,
    SPECIALS,
    Vocabulary,
    refuse_unfit,
)

LEARNT = {kind: learnt(kind) for kind in KINDS}
each_kind = pytest.mark.parametrize("kind", KINDS)


def with_pieces(vocabulary: Vocabulary, pieces: list[str]) -> Vocabulary:
    """Return a vocabulary with other pieces, and a score for each of them."""
    known = dict(zip(vocabulary.pieces, vocabulary.scores, strict=False))
    scores = [known.get(piece, -9.0) for piece in pieces] if vocabulary.scores else ()
    return dataclasses.replace(vocabulary, pieces=pieces, scores=scores)


def assert_refused(vocabulary: Vocabulary, message: str) -> str:
    with pytest.raises(
        BundleError, match=rf"^f\.json is not a tokenizer of regard: {message}.*Train or copy it again\.$"
    ) as e:
        refuse_unfit(vocabulary, "f.json")
    assert str(e.value).isprintable() and len(str(e.value)) < 400
    return str(e.value)


def test_every_byte_of_every_character_is_a_piece():
    needed = {
        f"<0x{byte:02X}>"
        for code in [*range(0x80, 0xD800), *range(0xE000, 0x10000), *range(0x10000, 0x110000, 0x40)]
        for byte in chr(code).encode()
    }
    assert needed == set(BYTES)
    assert [chr(code) for code in range(128) if chr(code).isprintable()] == ASCII
    assert {"\n", "\t", *ASCII} == set(KEPT)


def test_the_alphabet_of_bytes_is_gpt_2s():
    assert len(BYTE_ALPHABET) == 256 and set(BYTE_ALPHABET.values()) == set(range(256))
    assert (BYTE_ALPHABET["Ġ"], BYTE_ALPHABET["Ċ"], BYTE_ALPHABET["A"]) == (0x20, 0x0A, 0x41)
    assert all(chr(byte) == c for c, byte in BYTE_ALPHABET.items() if ord(c) < 256)


@each_kind
@pytest.mark.parametrize("n_control", [0, 1, 7])
def test_names_are_the_special_ones_the_control_ids_and_the_pieces(kind, n_control):
    vocabulary = learnt(kind, n_control)
    names = vocabulary.names
    assert names[:3] == SPECIALS
    assert names[3 : vocabulary.first_piece] == [f"<control {i}>" for i in range(n_control)]
    assert names[vocabulary.first_piece :] == list(vocabulary.pieces)
    assert len(names) == len(set(names)) == len(vocabulary) == 3 + n_control + len(vocabulary.pieces)


@each_kind
def test_what_was_learnt_fits(kind):
    for vocabulary in (LEARNT[kind], learnt(kind, MOST_CONTROL if kind == "characters" else 9)):
        refuse_unfit(vocabulary, "f.json")
        assert_refused(with_pieces(vocabulary, [*vocabulary.pieces, ""]), "'' is not a valid piece")


@pytest.mark.parametrize("n", [-1, MOST_CONTROL + 1, 10**12])
def test_a_number_of_control_ids_out_of_range_is_refused(n):
    assert_refused(
        dataclasses.replace(LEARNT["bpe"], n_control=n), rf"it reserves {n} control ids; at most 1,024 are allowed"
    )


@each_kind
@pytest.mark.parametrize("piece", ["a", "<pad>", "</s>"])
def test_a_piece_that_stands_twice_is_refused(kind, piece):
    piece = "A" if kind == "running bpe" and piece == "a" else piece
    assert_refused(with_pieces(LEARNT[kind], [*LEARNT[kind].pieces, piece]), rf"the piece '{piece}' occurs twice\.")


def test_a_piece_with_the_name_of_a_control_id_is_refused():
    vocabulary = learnt("bpe", 2)
    assert_refused(with_pieces(vocabulary, [*vocabulary.pieces, "<control 1>"]), "the piece '<control 1>' occurs twice")


@each_kind
def test_a_vocabulary_without_one_of_the_pieces_that_every_text_needs_is_refused(kind):
    vocabulary = LEARNT[kind]
    for missing in vocabulary.base:
        fewer = [piece for piece in vocabulary.pieces if piece != missing]
        assert "it lacks 1 pieces, the first is " in assert_refused(with_pieces(vocabulary, fewer), "it lacks 1 pieces")
    assert_refused(with_pieces(vocabulary, []), f"it lacks {len(vocabulary.base)} pieces, the first is ")


UNFIT = ["", "x" * (LONGEST_PIECE + 1), "a\ud800"]


@each_kind
@pytest.mark.parametrize("piece", UNFIT, ids=["empty", "huge", "surrogate"])
def test_a_piece_that_no_text_could_be_cut_into_is_refused(kind, piece):
    message = "'.* is not a valid piece"
    assert_refused(with_pieces(LEARNT[kind], [*LEARNT[kind].pieces, piece]), message)


@pytest.mark.parametrize("piece", ["\n", "a\nb", "\r", "\t", "\x00", "a\x1b[31m", "\x7f", "\x85", "\u2028", "a\u2029"])
@pytest.mark.parametrize("kind", ["bpe", "unigram", "characters"])
def test_no_piece_of_a_sentence_holds_a_line_end_or_another_control(kind, piece):
    assert_refused(with_pieces(LEARNT[kind], [*LEARNT[kind].pieces, piece]), "'.* is not a valid piece")


@pytest.mark.parametrize("kind", ["bpe", "unigram", "characters"])
def test_no_byte_of_a_sentence_is_a_line_end_or_another_control(kind):
    """The decoder makes a byte of such a piece, so that a model could write more lines than one."""
    for byte in (0x0A, 0x0D, 0x00, 0x1B):
        piece = f"<0x{byte:02X}>"
        assert_refused(with_pieces(LEARNT[kind], [*LEARNT[kind].pieces, piece]), f"'{piece}' is not a valid piece")


def test_the_longest_piece_is_one():
    pieces = LEARNT["bpe"].pieces
    refuse_unfit(with_pieces(LEARNT["bpe"], [*pieces, "-" * LONGEST_PIECE]), "f.json")
    assert_refused(with_pieces(LEARNT["bpe"], [*pieces, "-" * (LONGEST_PIECE + 1)]), "'-.* is not a valid piece")


def test_a_character_outside_the_alphabet_of_bytes_is_none_of_byte_level_bpe():
    assert_refused(
        with_pieces(LEARNT["running bpe"], [*LEARNT["running bpe"].pieces, "a b"]), "'a b' is not a valid piece"
    )


@pytest.mark.parametrize(
    ("kind", "merges", "message"),
    [
        ("characters", [("a", "b")], r"it has 1 merges for \d+ pieces"),
        ("unigram", [("a", "b")], r"it has 1 merges for \d+ pieces"),
        ("running characters", [("a", "b")], r"it has 1 merges for \d+ pieces"),
        ("bpe", [("M", "ä")] * 1000, r"it has 1,000 merges for \d+ pieces"),
        ("bpe", [("q", "q")], r"the merge \('q', 'q'\) has pieces that it lacks"),
        ("bpe", [("qq", "q")], r"the merge \('qq', 'q'\) has pieces that it lacks"),
        ("bpe", [("", "a")], r"the merge \('', 'a'\) has pieces that it lacks"),
        ("bpe", [("<p", "ad>")], "the merge .* has pieces that it lacks"),
        ("running bpe", [("a\x1b", "b")], "the merge .* has pieces that it lacks"),
    ],
)
def test_merges_that_are_not_of_the_pieces_are_refused(kind, merges, message):
    assert_refused(dataclasses.replace(LEARNT[kind], merges=merges), message)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e6, -1e300])
def test_a_score_that_is_no_number_or_too_large_is_refused(score):
    vocabulary = LEARNT["unigram"]
    scores = [*vocabulary.scores[:-1], score]
    assert_refused(dataclasses.replace(vocabulary, scores=scores), "a score is not finite, or too large")


def test_scores_are_one_for_each_piece_of_unigram_and_none_elsewhere():
    n = len(LEARNT["unigram"].pieces)
    assert_refused(
        dataclasses.replace(LEARNT["unigram"], scores=[-1.0] * (n - 1)), f"it has {n - 1} scores for {n} pieces"
    )
    assert_refused(dataclasses.replace(LEARNT["unigram"], scores=[]), f"it has 0 scores for {n} pieces")
    assert_refused(dataclasses.replace(LEARNT["bpe"], scores=[-1.0]), r"it has 1 scores for \d+ pieces")


def test_running_text_is_not_cut_by_unigram():
    """Its pipeline would put a space before the text, which comes back as one more character."""
    pieces = [*ALL_BYTES, *KEPT]
    assert_refused(Vocabulary("unigram", True, 0, pieces, scores=[-1.0] * len(pieces)), "")


def changed(vocabulary: Vocabulary, draw: Random) -> Vocabulary:
    """Return a vocabulary after some changes that somebody might make to its file."""
    pieces = list(vocabulary.pieces)
    letters = [*"aä<>0x A", " ", "\n", "\x00", "€", "</s>", "<0x0A>", "<0xE2>", "<0x41>", "▁", "Ġ", "Ċ"]
    for _ in range(draw.randrange(1, 4)):
        match draw.randrange(4):
            case 0:
                draw.shuffle(pieces)
            case 1:
                pieces.append("".join(draw.choices(letters, k=draw.randrange(1, 4))))
            case 2:
                pieces.pop(draw.randrange(len(pieces)))
            case 3:
                pieces.insert(draw.randrange(len(pieces)), draw.choice(letters) * 2)
    changed = with_pieces(vocabulary, pieces)
    if vocabulary.kind == "bpe":
        short = [piece for piece in pieces if len(piece) == 1]
        more = [(a, b) for a, b in (draw.choices(short, k=2) for _ in range(20)) if a + b in pieces]
        merges = [*draw.sample(list(vocabulary.merges), len(vocabulary.merges) // 2), *more]
        changed = dataclasses.replace(changed, merges=merges)
    if vocabulary.scores:
        changed = dataclasses.replace(changed, scores=[draw.uniform(-1e5, 1e5) for _ in pieces])
    return dataclasses.replace(changed, n_control=draw.choice([0, 3]))


TRAPS = ["</s>", "<pad>", "<control 0>", "<0x41>", "<0xE2>", "<", "▁", "Ġ", "  ", "\n", "Männer", "€", "東", "qq", "aa"]


@pytest.mark.parametrize("kind", KINDS)
@given(draw=st.randoms(use_true_random=False), text=st.text() | st.lists(st.sampled_from(TRAPS)).map("".join))
def test_with_whatever_vocabulary_fits_no_text_is_lost_and_a_sentence_is_one_line(kind, draw, text):
    vocabulary = changed(LEARNT[kind], draw)
    try:
        refuse_unfit(vocabulary, "f.json")
    except BundleError:
        return
    tokenizer = Tokenizer(vocabulary)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == tokenizer.normalise(text)
    assert all(i >= vocabulary.first_piece for i in ids)
    if not vocabulary.running:
        assert "\n" not in "".join(tokenizer.decode([i]) for i in range(len(vocabulary)))
