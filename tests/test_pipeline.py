import itertools

import pytest
import torch

from regard.errors import DataError
from regard.inspection.explanation import END
from regard.pipeline import Translator, in_words, spans_of_ids
from regard.text.tokenizer import Tokenizer, TokenizerConfig


@pytest.fixture(scope="module")
def translator(trained) -> Translator:
    return Translator.load(trained, torch.device("cpu"))


def test_lines_come_out_in_order_and_empty_ones_stay_empty(translator):
    texts = ["The book is red.", "", "  ", "The house is green.", "The book is red."]
    translations = [t.text for t in translator.translate(texts)]
    assert translations[1] == translations[2] == ""
    assert translations[0] == translations[4]
    assert [t.text for t in translator.translate(texts[:1])] == translations[:1]


def test_an_explanation_is_of_the_very_translation_in_words(translator):
    text = "The book is red."
    explanation = translator.explain(text)
    assert explanation.source == ["The", "book", "is", "red", ".", END]
    assert explanation.target[-1] == END
    assert explanation.title.endswith(translator.translate([text])[0].text)
    weights = explanation.shown_first().weights
    assert weights.shape == (1, len(explanation.target), len(explanation.source))
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_a_target_that_is_given_is_the_one_explained(translator):
    assert translator.explain("The book is red.", "Das Buch ist rot.").target == ["Das", "Buch", "ist", "rot", ".", END]


def test_an_empty_text_has_nothing_to_explain(translator):
    with pytest.raises(DataError, match="is empty"):
        translator.explain(" \t ")


def test_an_overlong_line_is_named(translator):
    with pytest.raises(DataError, match=r"Line 2 has 10,001 characters"):
        translator.translate(["a", "b" * 10_001])


def test_tokens_of_any_text_belong_to_the_characters_they_spell():
    tokenizer = Tokenizer.train(["Zwölf Boxkämpfer jagen Viktor über den großen Deich."] * 3, TokenizerConfig(), 300)
    for text in ("Zwölf große Deiche", "日本 €", "a"):
        ids = tokenizer.encode(text)
        found, spans = spans_of_ids(tokenizer, ids)
        assert found == text
        assert spans[0][0] == 0 and spans[-1][1] == len(text)
        assert all(a[0] <= b[0] <= a[1] <= b[1] for a, b in itertools.pairwise(spans))
        assert all(a < b or b == 0 for a, b in spans)  # a piece may be the space before the text
        words, index = in_words(found, spans)
        assert len(index) == len(ids) + 1 and index == sorted(index)
        assert words[-1] == END and index[-1] == len(words) - 1
