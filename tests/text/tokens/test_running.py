import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading import passages
from regard.text.reading.passages import Passages
from regard.text.tokens.learning import train_running_tokenizer
from regard.text.tokens.normalise import normalise_running
from regard.text.tokens.running import learn_running
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.text.tokens.vocabulary import ALL_BYTES, KEPT, SPECIALS, refuse_unfit

TEXT = [
    "First line.\n\n\tA tab,  two spaces, and a dash — so.\n" * 6,
    "Änderung über alles: 東京, 東京! <s>x</s>\n" * 3,
]
TRAPS = [
    "<pad>",
    "<s>",
    "</s>",
    "<0x41>",
    "<0x0A>",
    "Ġ",
    "Ċ",
    "\n",
    "\t",
    "  ",
    "\u200d",
    "\u0301",
    "東",
    "👩‍👧",
    "\x00",
    "e",
]
ANY_TEXT = st.one_of(st.text(st.characters()), st.lists(st.sampled_from(TRAPS)).map("".join))

TRAINED = {kind: Tokenizer.train_running(TEXT, kind, 400) for kind in ("bpe", "characters")}
each_kind = pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED.keys())


@each_kind
@given(text=ANY_TEXT)
def test_any_text_comes_back_exactly_but_for_its_line_ends(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == normalise_running(text)
    assert not {0, 1, 2} & set(ids)


@each_kind
@given(text=ANY_TEXT)
def test_ids_stand_for_bytes_that_join_to_the_text(tokenizer, text):
    joined = b"".join(tokenizer.token_bytes(i) for i in tokenizer.encode(text))
    assert joined == normalise_running(text).encode()


@each_kind
@given(text=ANY_TEXT)
def test_offsets_point_at_what_each_piece_stands_for(tokenizer, text):
    ids, offsets = tokenizer.encode_with_offsets(text)
    normal = normalise_running(text)
    for i, (start, end) in zip(ids, offsets, strict=True):
        assert tokenizer.token_bytes(i) in normal[start:end].encode()


def test_line_ends_are_one_character_and_nothing_else_changes():
    assert normalise_running("a\r\nb\rc\n\n  \td e\u0301") == "a\nb\nc\n\n  \td e\u0301"
    assert normalise_running("\ud800") == "?"


def test_special_ids_have_no_bytes():
    assert [TRAINED["bpe"].token_bytes(i) for i in (0, 1, 2)] == [b""] * 3


@each_kind
def test_saved_and_read_is_the_same_and_known_as_running(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.json")
    again = Tokenizer.read((tmp_path / "t.json").read_bytes(), "t.json")
    assert again.running and again.kind == tokenizer.kind
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(TEXT[1]) == tokenizer.encode(TEXT[1])


def test_sentences_are_not_running_text():
    assert not Tokenizer.train(["Ċa Ċa"], TokenizerConfig(), 300).running


@each_kind
def test_the_same_texts_give_the_same_tokenizer_every_time(tokenizer):
    kind = next(kind for kind, trained in TRAINED.items() if trained is tokenizer)
    first, *others = (learn_running(TEXT, kind, 400, 0) for _ in range(3))
    assert others == [first, first]
    refuse_unfit(first, "what was learnt")


@pytest.mark.parametrize("kind", TRAINED)
def test_control_ids_take_room_and_change_no_piece(kind):
    plain, controlled = learn_running(TEXT, kind, 400, 0), learn_running(TEXT, kind, 407, 7)
    assert (controlled.n_control, len(controlled)) == (7, len(plain) + 7)
    assert (controlled.pieces, controlled.merges) == (plain.pieces, plain.merges)


@pytest.mark.parametrize("kind", TRAINED)
def test_texts_are_read_once(kind):
    assert learn_running(iter(["", *TEXT]), kind, 400, 0) == learn_running(TEXT, kind, 400, 0)


@each_kind
def test_special_pieces_come_first_and_no_other_piece_but_one_holds_an_angle_bracket(tokenizer):
    pieces = tokenizer.pieces(range(tokenizer.vocabulary))
    assert pieces[:3] == SPECIALS
    assert [piece for piece in pieces[3:] if "<" in piece and piece not in ALL_BYTES] == ["<"]


def test_characters_seen_twice_are_pieces_and_all_others_bytes():
    tokenizer = Tokenizer.train_running(["ää ö"], "characters", 1000)
    assert tokenizer.pieces(tokenizer.encode("ä~\n\tö")) == ["ä", "~", "\n", "\t", "<0xC3>", "<0xB6>"]


def test_when_room_is_short_the_most_frequent_characters_have_it():
    n_base = len(SPECIALS) + len(ALL_BYTES) + len(KEPT)
    tokenizer = Tokenizer.train_running(["ééé àà üüü ßß"], "characters", n_base + 3)
    assert tokenizer.pieces(range(n_base, tokenizer.vocabulary)) == ["é", "ü", "ß"]


def test_byte_level_bpe_merges_the_most_frequent_pairs_first():
    tokenizer = Tokenizer.train_running(["abc\nabc\nab\nab\na"], "bpe", 3 + 256 + 2)
    assert tokenizer.pieces(range(3 + 256, tokenizer.vocabulary)) == ["ab", "abc"]


@each_kind
def test_a_text_written_token_by_token_never_shows_half_a_character(tokenizer):
    text = "東京 — ä\n"
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts = [decoder.decode(tokenizer.token_bytes(i)) for i in tokenizer.encode(text)]
    assert "".join(parts) == text and not decoder.getstate()[0]


@each_kind
def test_decoding_leaves_special_ids_out_and_marks_broken_characters(tokenizer):
    assert tokenizer.decode([1, *tokenizer.encode("\n東"), 2, 0]) == "\n東"
    first = tokenizer.encode("ø")[0]  # not in the text, so two bytes
    assert tokenizer.decode([first]) == "\ufffd"


@each_kind
def test_encoding_many_equals_encoding_one_by_one(tokenizer):
    assert tokenizer.encode_many(["", *TRAPS, *TEXT]) == [tokenizer.encode(text) for text in ["", *TRAPS, *TEXT]]


@each_kind
@given(text=st.lists(st.sampled_from([*TRAPS, "ab", " ", ".", "1", "'s", "\x1c", "\x85", "\u2028"])).map("".join))
def test_a_text_is_encoded_in_passages_as_it_is_as_a_whole(tokenizer, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "LENGTH", 1)
        patch.setattr(passages, "MOST_BACK", 1000)  # only at white space
        parts = list(Passages.of([f"{text}."]))
    assert "".join(parts) == normalise_running(f"{text}.")
    assert [i for part in parts for i in tokenizer.encode(part)] == tokenizer.encode(f"{text}.")


@pytest.mark.parametrize("kind", TRAINED)
def test_learning_from_nothing_is_refused(kind):
    with pytest.raises(DataError, match="every document is empty"):
        train_running_tokenizer([""], TokenizerConfig(kind=kind))
