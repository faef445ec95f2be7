import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from regard.batch import BOS, EOS, PAD
from regard.errors import BundleError
from regard.text.tokens import file
from regard.text.tokens.normalise import normalise
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

GERMAN = ["Zwei Männer stehen am Herd.", "Eine Frau läuft über die Straße.", "Männer über Männer: 3,50 €!"] * 4
ENGLISH = ["Two men stand at the stove.", "A woman walks across the street.", "Men above men: 3.50 €!"] * 4
PAIRS = list(zip(ENGLISH, GERMAN, strict=True))
TRAPS = [
    "<pad>",
    "<s>",
    "</s>",
    "<0x41>",
    "<0xE2>",
    "<",
    "▁",
    " ",
    "Ġ",
    "\u200d",
    "\u0301",
    "€",
    "東京",
    "👩‍👧",
    "Männer",
]
ANY_TEXT = st.one_of(st.text(st.characters()), st.lists(st.sampled_from(TRAPS)).map("".join))


def trained(kind: str) -> Tokenizer:
    return Tokenizer.train(GERMAN + ENGLISH, TokenizerConfig(kind=kind), 320)


TRAINED = {kind: trained(kind) for kind in ("bpe", "unigram", "characters")}
each_kind = pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED.keys())


@each_kind
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_any_text_comes_back_exactly_as_normalised(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalise(text)


@each_kind
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_no_text_is_encoded_to_special_ids(tokenizer, text):
    assert not {PAD, BOS, EOS} & set(tokenizer.encode(text))


@each_kind
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_offsets_point_at_what_each_piece_stands_for(tokenizer, text):
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    normalised = tokenizer.normalise(text)
    for piece, (start, end) in zip(tokenizer.pieces(ids), offsets, strict=True):
        covered = normalised[start:end]
        if piece.startswith("<0x"):
            assert int(piece[3:5], 16) in covered.encode() and len(covered) == 1
        else:
            assert covered == piece or (start == 0 and f" {covered}" == piece)


@each_kind
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_offsets_leave_no_character_out(tokenizer, text):
    _, offsets = tokenizer.encode_with_offsets(text)
    assert {i for start, end in offsets for i in range(start, end)} == set(range(len(tokenizer.normalise(text))))


@each_kind
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_ids_stand_for_bytes_that_join_to_the_text_behind_one_space(tokenizer, text):
    joined = b"".join(tokenizer.token_bytes(i) for i in tokenizer.encode(text)).decode()
    assert joined.removeprefix(" ") == tokenizer.normalise(text)
    assert tokenizer.token_bytes(EOS) == b""


def test_a_kind_that_is_not_given_is_bpe():
    given_kind = Tokenizer.train(ENGLISH, TokenizerConfig(kind="bpe"), 300)
    assert Tokenizer.train(ENGLISH, TokenizerConfig(), 300).encode_many(GERMAN) == given_kind.encode_many(GERMAN)


@each_kind
def test_encoding_many_equals_encoding_one_by_one(tokenizer):
    texts = ["", *TRAPS, *GERMAN]
    assert tokenizer.encode_many(texts) == [tokenizer.encode(text) for text in texts]


@each_kind
def test_decoding_leaves_special_ids_out(tokenizer):
    ids = tokenizer.encode("Männer")
    assert tokenizer.decode([BOS, *ids, EOS, PAD, PAD]) == "Männer"
    assert tokenizer.decode([BOS, EOS]) == tokenizer.decode([]) == ""


@each_kind
@given(data=st.data())
@settings(deadline=None)
def test_whatever_ids_a_model_writes_are_one_line(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocabulary - 1)))
    assert "\n" not in tokenizer.decode(ids)


def test_bytes_that_are_no_character_become_the_replacement_character():
    tokenizer = TRAINED["bpe"]
    first, *_ = tokenizer.encode("東")[1:]
    assert tokenizer.decode([first]) == "\ufffd"


def test_a_known_word_is_one_piece_also_at_the_start():
    tokenizer = TRAINED["bpe"]
    assert tokenizer.pieces(tokenizer.encode("Männer Männer")) == [" Männer", " Männer"]


def test_digits_and_marks_are_pieces_of_their_own():
    tokenizer = TRAINED["bpe"]
    assert tokenizer.pieces(tokenizer.encode("3,50")) == [" 3", ",", "5", "0"]


def test_a_text_of_100_000_letters_without_a_space_comes_back():
    text = "Männer" * 20_000
    assert all(tokenizer.decode(tokenizer.encode(text)) == text for tokenizer in TRAINED.values())


def test_an_id_outside_the_vocabulary_is_our_own_mistake():
    with pytest.raises(AssertionError, match="outside the vocabulary"):
        TRAINED["bpe"].pieces([10_000])


@each_kind
def test_a_saved_tokenizer_is_read_as_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.read((tmp_path / "tokenizer.json").read_bytes(), "tokenizer.json")
    assert (again.vocabulary, again.kind, again.n_control) == (tokenizer.vocabulary, tokenizer.kind, 32)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode_many(TRAPS + GERMAN) == tokenizer.encode_many(TRAPS + GERMAN)
    assert [again.decode(tokenizer.encode(text)) for text in TRAPS] == [normalise(text) for text in TRAPS]
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff", b"[1, 2]"])
def test_a_damaged_file_is_refused(damage):
    with pytest.raises(BundleError, match=r"here/t\.json is not a tokenizer, or is damaged"):
        Tokenizer.read(damage, "here/t.json")


@pytest.mark.parametrize("piece", ["<0xC3>", "a"])
def test_a_tokenizer_that_could_meet_unknown_characters_is_refused(piece, tmp_path):
    TRAINED["characters"].save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["pieces"].remove(piece)
    with pytest.raises(BundleError, match=f"lacks 1 pieces, the first is '{piece}'"):
        Tokenizer.read(json.dumps(content).encode(), "tokenizer.json")


CONTROLLED = {
    **{kind: Tokenizer.train(GERMAN, TokenizerConfig(kind=kind, n_control_ids=5), 320) for kind in TRAINED},
    **{f"running {kind}": Tokenizer.train_running(GERMAN, kind, 400, 5) for kind in ("bpe", "characters")},
}


@pytest.mark.parametrize("tokenizer", CONTROLLED.values(), ids=CONTROLLED.keys())
@given(text=st.text(st.characters()) | st.lists(st.sampled_from([*TRAPS, "<control 0>", "<control 4>"])).map("".join))
@settings(deadline=None)
def test_no_text_is_encoded_to_a_control_id_and_it_still_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert not set(range(EOS + 1 + tokenizer.n_control)) & set(ids)
    assert tokenizer.decode(ids) == tokenizer.normalise(text)
    assert tokenizer.encode_with_offsets(text)[0] == tokenizer.encode_many([text])[0] == ids


@pytest.mark.parametrize("tokenizer", CONTROLLED.values(), ids=CONTROLLED.keys())
def test_a_control_id_stands_for_no_text(tokenizer):
    ids = tokenizer.encode("Männer über")
    mixed = [j for i, token in enumerate(ids) for j in (3 + i % 5, token)]
    assert tokenizer.decode([*mixed, 7]) == tokenizer.decode(ids) == "Männer über"
    assert tokenizer.decode([3, 4, 5, 6, 7]) == ""
    assert [tokenizer.token_bytes(i) for i in range(8)] == [b""] * 8
    assert tokenizer.pieces([3, 7]) == ["<control 0>", "<control 4>"]


@pytest.mark.parametrize("tokenizer", CONTROLLED.values(), ids=CONTROLLED.keys())
def test_control_ids_are_read_again(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.json")
    again = Tokenizer.read((tmp_path / "t.json").read_bytes(), "t.json")
    assert again.n_control == tokenizer.n_control == 5
    assert again.encode_many(TRAPS) == tokenizer.encode_many(TRAPS)


def test_a_tokenizer_says_what_it_is():
    assert repr(TRAINED["bpe"]) == f"Tokenizer({TRAINED['bpe'].vocabulary} bpe pieces of sentences)"
    assert repr(CONTROLLED["running characters"]).endswith(" characters pieces of running text)")


def test_tokenizers_that_differ_have_other_fingerprints():
    found = [tokenizer.fingerprint for tokenizer in [*TRAINED.values(), *CONTROLLED.values()]]
    assert len(set(found)) == len(found) and {len(name) for name in found} == {16}


@pytest.mark.parametrize(
    "settings",
    [{"vocabulary": 100}, {"kind": "sentences"}, {"size": 4000}, {"n_control_ids": 1025}, {"n_control_ids": -1}],
)
def test_settings_out_of_range_or_unknown_are_refused(settings):
    with pytest.raises(ValidationError):
        TokenizerConfig(**settings)


@each_kind
def test_a_source_is_understood_alike_with_and_without_no_break_spaces(tokenizer):
    sources = tokenizer.for_sources()
    assert sources.encode("10\u00a0km\u202f!") == sources.encode("10 km !") == tokenizer.encode("10 km !")
    assert tokenizer.decode(tokenizer.encode("10\u00a0km\u202f!")) == "10\u00a0km\u202f!"
    assert sources.shares(tokenizer) and not sources.shares(Tokenizer.train(ENGLISH, TokenizerConfig(), 300))


def test_a_tokenizer_of_the_first_rule_keeps_it():
    first = Tokenizer.train(ENGLISH, TokenizerConfig(), 300, rule=1)
    assert first.normalise("a\u200bb\u00a0c") == "a\u200bb c"
    assert Tokenizer.read(file.written(first._vocabulary).encode(), "it").normalise("a\u200bb") == "a\u200bb"


def test_characters_that_are_no_pieces_are_named():
    tokenizer = Tokenizer.train(ENGLISH, TokenizerConfig(), 300)
    assert tokenizer.unknown_characters("a ☃ and ж, ☃") == ["☃", "ж"]
