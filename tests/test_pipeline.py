import itertools
from types import SimpleNamespace

import pytest
import torch

from regard import pipeline
from regard.batch import BOS
from regard.bundle import Bundle
from regard.errors import DataError
from regard.inspection.explanation import END
from regard.pipeline import TextGenerator, Translator, in_words, spans_of_ids
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig


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


@pytest.fixture
def writing(monkeypatch):
    """A generator of text whose model writes the bytes of what it is told to."""
    tokenizer = Tokenizer.train_running(["x"], "bpe", 300)
    model = SimpleNamespace(config=SimpleNamespace(context=1000), to=lambda _: model, eval=lambda: model)
    bundle = Bundle(model, "gpt", tokenizer, tokenizer, {"job": "text", "data": {"documents": 1}})
    prompts = []

    def writes(text: str) -> TextGenerator:
        def told(_model, prompt, _config, _device):
            prompts.append(prompt)
            return ((i, 0.0) for i in tokenizer.encode(text))

        monkeypatch.setattr(pipeline, "generate", told)
        return TextGenerator(bundle, torch.device("cpu"))

    return writes, prompts


def test_no_piece_of_a_stream_ends_inside_a_character(writing):
    writes, _ = writing
    assert list(writes("a東é👍").generate("x")) == ["a", "東", "é", "👍"]


def test_bytes_that_end_inside_a_character_are_marked(writing, monkeypatch):
    writes, _ = writing
    generator = writes("東")
    whole = pipeline.generate
    monkeypatch.setattr(pipeline, "generate", lambda *arguments: list(whole(*arguments))[:2])
    assert "".join(generator.generate("x")) == "\ufffd"


@pytest.mark.parametrize(
    ("stops", "left"),
    [(["cd"], "ab"), (["de", "bc"], "a"), (["fgh"], "abcdef"), (["abcdefg", "f"], "abcde"), (["a"], "")],
)
def test_a_stop_string_ends_the_text_however_it_comes(writing, stops, left):
    writes, _ = writing
    assert "".join(writes("abcdef").generate("x", stop=stops)) == left


def test_what_may_begin_a_stop_string_is_held_back(writing):
    writes, _ = writing
    assert list(writes("ab cdx").generate("x", stop=["cde"])) == ["a", "b", " ", "cdx"]


def test_a_prompt_begins_a_document_only_if_there_were_many(writing):
    writes, prompts = writing
    generator = writes("y")
    list(generator.generate("x"))
    list(generator.generate(None))
    generator.bundle.card["data"]["documents"] = 2
    list(generator.generate("x"))
    x = generator.tokenizer.encode("x")
    assert prompts == [x, [BOS], [BOS, *x]]


def test_an_empty_prompt_is_refused(writing):
    with pytest.raises(DataError, match="The prompt is empty"):
        list(writing[0]("y").generate(""))
