import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from regard.text.tokens.pipeline import pipeline_of
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

SENTENCES = ["Zwei Männer stehen am Herd.", "Männer über Männer: 3,50 €! <b>fett</b>"] * 4
RUNNING = ["First line.\n\n\tA tab,  two spaces — so.\n" * 6, "Änderung: 東京! <s>x</s>\n" * 3]
TRAPS = [
    "<pad>",
    "</s>",
    "<control 0>",
    "<0xE2>",
    "<",
    "▁",
    " ",
    "Ġ",
    "\u200d",
    "\u0301",
    "€",
    "東",
    "Männer",
    "\n",
    "a",
]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.sampled_from(TRAPS)).map("".join)

TOKENIZERS = {
    **{
        kind: Tokenizer.train(SENTENCES, TokenizerConfig(kind=kind, n_control_ids=3), 320)
        for kind in ("bpe", "unigram", "characters")
    },
    **{f"running {kind}": Tokenizer.train_running(RUNNING, kind, 400, 3) for kind in ("bpe", "characters")},
}


def alone(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """Return the pipeline as it comes back from its own JSON."""
    return tokenizers.Tokenizer.from_str(pipeline_of(tokenizer._vocabulary).to_str())


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=ANY_TEXT)
def test_a_pipeline_stands_alone(kind, text):
    tokenizer = TOKENIZERS[kind]
    text = tokenizer.normalise(text)
    ids = alone(tokenizer).encode(text).ids
    assert ids == tokenizer.encode(text)
    assert alone(tokenizer).decode(ids) == text


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values())
def test_each_name_has_its_id_in_the_pipeline(tokenizer):
    pipeline = pipeline_of(tokenizer._vocabulary)
    names = tokenizer._vocabulary.names
    assert pipeline.get_vocab_size() == len(names)
    assert [pipeline.token_to_id(name) for name in names] == list(range(len(names)))


@pytest.mark.parametrize("text", ["a<b", "<<", "x</s>y", "< a"])
def test_nothing_is_joined_behind_an_angle_bracket(text):
    for tokenizer in TOKENIZERS.values():
        pieces = tokenizer.pieces(tokenizer.encode(text))
        assert not [piece for piece in pieces if "<" in piece and not piece.endswith("<")]


def test_words_lead_with_their_space_and_digits_and_marks_stand_alone():
    pipeline = pipeline_of(TOKENIZERS["bpe"]._vocabulary)
    text = pipeline.normalizer.normalize_str("Zwei Männer: 35,5")
    words = [word for word, _ in pipeline.pre_tokenizer.pre_tokenize_str(text)]
    assert words == [" Zwei", " Männer", ":", " 3", "5", ",", "5"]


def test_joiners_and_accents_stay_inside_a_word():
    pipeline = pipeline_of(TOKENIZERS["bpe"]._vocabulary)
    text = pipeline.normalizer.normalize_str("می\u200cخواهم e\u0323")
    assert len(pipeline.pre_tokenizer.pre_tokenize_str(text)) == 2
