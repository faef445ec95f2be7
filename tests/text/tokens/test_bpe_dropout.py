import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.text.tokens.bpe_dropout import Cutter
from regard.text.tokens.normalise import normalise
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

TEXTS = ["Zwei Männer stehen am Herd.", "Eine Frau läuft über die Straße.", "Zwei Männer, eine Frau 東 < </s>"]


TOKENIZER = Tokenizer.train(TEXTS * 20, TokenizerConfig(), 400)


@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(TEXTS))
def test_with_nothing_left_out_a_text_is_cut_as_the_tokenizer_does(text):
    cutter = Cutter(TOKENIZER, 0.0, seed=1)
    assert [i for word in TOKENIZER.words(text) for i in cutter.cut(word)] == TOKENIZER.encode(text)


@given(text=st.sampled_from(TEXTS), rate=st.floats(0, 0.99), seed=st.integers(0, 9))
def test_whatever_is_left_out_the_text_comes_back(text, rate, seed):
    cutter = Cutter(TOKENIZER, rate, seed)
    assert TOKENIZER.decode([i for word in TOKENIZER.words(text) for i in cutter.cut(word)]) == normalise(text)


def test_the_share_of_merges_left_out_is_the_rate():
    word = "".join(TOKENIZER.merges[0])  # of two characters
    cutter = Cutter(TOKENIZER, 0.25, seed=1)
    whole = sum(len(cutter.cut(word)) == 1 for _ in range(4000))
    assert whole == pytest.approx(3000, abs=140)  # five standard deviations
