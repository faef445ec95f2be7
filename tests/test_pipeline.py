import itertools
import math
import threading
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CPU, letters, small_bundle

from regard.batch import BOS, EOS, collate, collate_text
from regard.bundle import Bundle, save_bundle
from regard.bundle.card import Card, DataCard
from regard.decoding.sampling import SamplingConfig
from regard.decoding.search import DecodingConfig
from regard.decoding.text import text_request
from regard.errors import BundleError, ConfigError, DataError
from regard.inspection.explanation import END
from regard.models import MODELS
from regard.models.gpt import GPT, GPTConfig
from regard.nn.state import State
from regard.pipeline import TextGenerator, Translator, changed
from regard.pipeline import generator as generators
from regard.pipeline.spans import in_words, spans_of_ids
from regard.pipeline.translator import Translation, distinct
from regard.pipeline.writing import Writing, longest_beginning
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

TEXTS = ["Zwei Männer stehen am Herd.", "Eine Frau läuft über die Straße."]


@pytest.fixture(scope="module")
def translator(trained) -> Translator:
    return Translator.load(trained, torch.device("cpu"))


def small_translator(family: str = "bahdanau", n_control: int = 4, decoding: DecodingConfig | None = None, **settings):
    """Return a translator with random weights that are large enough to matter."""
    config, cls = MODELS[family]
    tokenizer = Tokenizer.train(TEXTS * 4, TokenizerConfig(n_control_ids=n_control), 260)
    torch.manual_seed(3)
    model = cls(config(**config.small().model_dump() | settings), *[tokenizer.vocabulary] * 2, n_control=n_control)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.2
        model.output_weight[EOS] *= 2
    bundle = Bundle(model, family, tokenizer, tokenizer, Card(languages=("de", None)))
    return Translator(bundle, CPU, decoding or DecodingConfig(beam=3, max_extra=4, max_ratio=1.0))


@pytest.fixture(scope="module")
def small() -> Translator:
    return small_translator()


def small_generator(n_control: int = 0, documents: int = 1, **settings) -> TextGenerator:
    """Return a generator of text with random weights that are large enough to matter."""
    tokenizer = Tokenizer.train_running(["the cat sat on the mat. 東京\n" * 4], "characters", 500, n_control)
    torch.manual_seed(5)
    config = GPTConfig(**{"width": 16, "n_heads": 2, "n_layers": 1, "context": 16} | settings)
    model = GPT(config, *[tokenizer.vocabulary] * 2, n_control=n_control)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.5
    card = Card(job="text", data=DataCard(documents=documents), decoding={"max_tokens": 12, "temperature": 1.0})
    return TextGenerator(Bundle(model, "gpt", tokenizer, tokenizer, card), CPU)


def test_lines_come_out_in_order_and_empty_ones_stay_empty(translator):
    texts = ["The book is red.", "", "  ", "The house is green.", "The book is red."]
    translations = [t.text for t in translator.translate(texts)]
    assert translations[1] == translations[2] == ""
    assert translations[0] == translations[4]
    assert [t.text for t in translator.translate(texts[:1])] == translations[:1]


def test_a_single_string_is_one_text(small):
    one = small.translate("Zwei Männer")
    assert one == small.translate(["Zwei Männer"])[0] == small.translate(iter(["Zwei Männer"]))[0]
    assert str(one) == one.text != ""
    assert small.n_best("Zwei Männer") == small.n_best(["Zwei Männer"])[0]
    assert small.translate([]) == small.n_best([]) == []


def test_a_text_of_white_space_has_an_empty_translation(small):
    assert small.translate(" \t").text == "" and small.translate(" \t").problem is None


def test_a_translator_leaves_its_model_and_the_random_numbers_as_they_were(small):
    before = torch.get_rng_state(), {n: p.clone() for n, p in small.bundle.model.named_parameters()}
    small.translate(TEXTS)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(p, before[1][n]) and p.grad is None for n, p in small.bundle.model.named_parameters())


def test_one_that_is_too_long_is_refused_alone_and_has_a_problem_among_several(small):
    long = "b" * 10_001
    with pytest.raises(DataError, match=r"^The text has 10,001 characters; the limit is 10,000\.$"):
        small.translate(long)
    with pytest.raises(DataError, match="has 10,001 characters"):
        small.n_best(long)
    first, second, third = small.translate(["Zwei", long, "Eine"])
    assert (second.text, second.ids, second.log_probability) == ("", [], 0.0)
    assert second.problem == "has 10,001 characters; the limit is 10,000"
    assert [first, third] == small.translate(["Zwei", "Eine"]) and first.problem is third.problem is None
    assert small.n_best([long]) == [[second]]


def test_one_of_too_many_tokens_has_a_problem(small):
    some = replace_decoding(small, max_source_tokens=7)
    text, fits = "ñ" * 4, "Männer"
    assert len(small.bundle.source_tokenizer.encode(text)) > 7 >= len(small.bundle.source_tokenizer.encode(fits))
    with pytest.raises(DataError, match=r"^The text has \d+ tokens; decoding\.max_source_tokens is 7\.$"):
        some.translate(text)
    found = some.translate([text, fits])
    assert found[0].problem is not None and found[1] == some.translate(fits)


def test_one_for_which_a_model_has_learned_no_positions_has_a_problem():
    some = small_translator("gpt", positions="learned", context=12)
    n_tokens = some.bundle.source_tokenizer.encode
    fits = next(text for n in range(1, 12) if len(n_tokens(text := "?" * n)) == 9)
    assert some.translate(fits).problem is None
    with pytest.raises(
        DataError, match=r"^The text has 10 tokens; this model has learned 12 positions, for both sides\.$"
    ):
        some.translate(fits + "?")


def replace_decoding(translator: Translator, **settings) -> Translator:
    return Translator(translator.bundle, CPU, translator.decoding.model_copy(update=settings))


@pytest.mark.parametrize("texts", [["a", 3], ["a", None], [b"a"]])
def test_what_is_no_text_is_refused_with_its_place(small, texts):
    with pytest.raises(DataError, match=rf"text, item {len(texts)} is (int|NoneType|bytes); expected a string\.$"):
        small.translate(texts)
    with pytest.raises(DataError, match=rf"texts, item {len(texts)} is"):
        small_generator().score(texts)


@pytest.mark.parametrize("beam", [1, 2, 8, 40])
def test_translations_come_by_falling_score_and_no_text_twice(small, beam):
    for translations in small.n_best([*TEXTS, "Herd", ""], beam=beam):
        scores = [t.score for t in translations]
        assert scores == sorted(scores, reverse=True) and 1 <= len(translations) <= beam
        assert len({t.text for t in translations}) == len(translations)
        assert small.bundle.target_tokenizer.decode(translations[0].ids) == translations[0].text


def test_of_several_ways_to_cut_a_text_the_best_is_kept(small):
    tokenizer = small.bundle.target_tokenizer
    pieces = tokenizer.encode("Männer")
    other = tokenizer.ids_of([" ", *"Männer"])
    assert pieces != other and tokenizer.decode(other) == "Männer"
    (kept,) = distinct([Translation("Männer", ids, p, p) for ids, p in ((other, -1.0), (pieces, -2.0))])
    assert (kept.ids, kept.score) == (other, -1.0)


def test_as_many_translations_as_asked_for(small):
    everything = small.n_best(TEXTS[0])
    assert 2 <= len(everything) <= 3
    assert small.n_best(TEXTS[0], 2) == everything[:2]
    assert small.n_best(TEXTS, 1) == [[t] for t in small.translate(TEXTS)]


@pytest.mark.parametrize("n", [0, -1, 4])
def test_more_translations_than_the_beam_holds_are_refused(small, n):
    message = (
        rf"^{n} translations per text were requested; with a beam of 3 there are 1 to 3\. Choose another number, or"
    )
    with pytest.raises(ConfigError, match=message):
        small.n_best(TEXTS, n)


@pytest.mark.parametrize(
    ("beam", "message"),
    [
        (0, r"^beam is 0: input should be greater than or equal to 1\.$"),
        (101, r"^beam is 101: input should be less than or equal to 100\.$"),
        ("x", r"^beam is x: input should be a valid integer"),
    ],
)
def test_a_beam_out_of_range_is_refused(small, beam, message):
    with pytest.raises(ConfigError, match=message):
        small.translate("Zwei", beam=beam)


@pytest.mark.parametrize("family", ["rnn", "bahdanau", "transformer", "gpt"])
def test_no_translation_has_a_control_id(family):
    some = small_translator(family)
    with torch.no_grad():
        some.bundle.model.output_weight[3:7] *= 9
    written = {i for found in some.n_best([*TEXTS, "Herd"], beam=4) for t in found for i in t.ids}
    assert written and not written & set(range(7))


def test_a_given_target_costs_what_forward_gives_it(small):
    pairs = [("Zwei Männer", "Eine Frau"), ("Herd", ""), ("", "Herd")]
    for (source, target), found in zip(pairs, small.score(pairs), strict=True):
        ids = small.bundle.target_tokenizer.encode(target)
        batch = collate([small.bundle.source_tokenizer.encode(source)], [ids])
        with torch.no_grad():
            log_p = small.model.logits(small.model.forward(batch))[0].log_softmax(-1)
        assert found.log_probability == pytest.approx(log_p.gather(1, batch.gold[0, :, None]).sum().item(), abs=1e-4)
        assert found.n_tokens == len(ids) + 1
    assert small.score(iter(pairs)) == small.score(pairs)


def test_a_translation_that_ended_costs_what_search_says():
    some = small_translator(decoding=DecodingConfig(beam=1, max_extra=100))
    with torch.no_grad():
        some.bundle.model.output_weight[EOS] *= 3
    t = some.translate(TEXTS[0])
    if some.bundle.target_tokenizer.encode(t.text) == t.ids:
        assert some.score([(TEXTS[0], t.text)])[0].log_probability == pytest.approx(t.log_probability, abs=1e-4)


def test_no_pairs_have_no_scores(small):
    assert small.score([]) == []


def test_several_threads_may_ask_one_translator(small):
    expected, found = small.translate(TEXTS), [None] * 4

    def ask(i: int) -> None:
        found[i] = small.translate(TEXTS)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_translator_says_what_it_is(small):
    n = sum(p.numel() for p in small.bundle.model.parameters())
    assert repr(small) == f"Translator(bahdanau, de -> ?, {n:,} parameters on cpu)"


def test_the_settings_of_the_bundle_are_those_of_its_use():
    assert Translator(small_bundle(decoding={"beam": 7}), "cpu").decoding == DecodingConfig(beam=7)
    assert small_generator().sampling == SamplingConfig(max_tokens=12, temperature=1.0)


@pytest.mark.parametrize(
    ("decoding", "message"),
    [
        ({"beam": 0}, "beam: "),
        ({"colour": "red"}, "colour: "),
        ({"beam": 100, "max_target_tokens": 9999}, "the file: "),
    ],
    ids=str,
)
def test_settings_of_a_bundle_that_cannot_be_used_are_refused(decoding, message):
    with pytest.raises(BundleError, match=f"^The bundle's decoding settings cannot be used: {message}"):
        Translator(small_bundle(decoding=decoding), CPU)


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        Translator(small_bundle(), "tpu")


def test_a_model_for_another_job_is_refused(tmp_path):
    save_bundle(small_bundle(), tmp_path / "pairs")
    save_bundle(small_generator().bundle, tmp_path / "text")
    save_bundle(small_bundle(job="chess\x1b[31m"), tmp_path / "chess")
    with pytest.raises(
        ConfigError, match=r"text was trained on running text, and continues it; it is not a model for pairs"
    ):
        Translator.load(tmp_path / "text")
    with pytest.raises(ConfigError, match=r"pairs was trained to translate; it is not a model for running text\.$"):
        TextGenerator.load(tmp_path / "pairs")
    with pytest.raises(ConfigError, match=r"chess was chess\\x1b\[31m; it is not a model for pairs of sentences\.$"):
        Translator.load(str(tmp_path / "chess"))


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
    for target in (None, "Das Buch"):
        with pytest.raises(DataError, match="The sentence is empty, so there is no attention to show"):
            translator.explain(" \t ", target)
    with pytest.raises(DataError, match="The text is empty, so there is no attention to show"):
        small_generator().explain(" \n ")


def test_an_empty_target_is_explained_by_its_end(small):
    assert small.explain("Zwei", "").target == [END]


def test_a_beam_is_for_a_target_that_is_looked_for(small):
    with pytest.raises(ConfigError, match=r"^A beam is for searching a translation, and a target was given\."):
        small.explain("Zwei", "Eine", beam=2)
    assert small.explain(TEXTS[0], beam=1).title == f"{TEXTS[0]} → {small.translate(TEXTS[0], beam=1).text}"


def test_what_is_too_long_is_not_explained(small):
    with pytest.raises(DataError, match="has 10,001 characters"):
        small.explain("b" * 10_001)
    with pytest.raises(
        DataError, match=r"^The text has \d+ tokens; the model's context has 16, including the mark of "
    ):
        small_generator().explain("the cat sat on the mat")


def test_attention_that_takes_too_much_memory_is_not_computed(small):
    message = r"^The attention of this text needs about \d+ MiB, and 0 MiB are allowed\. Shorten it, or allow"
    with pytest.raises(DataError, match=message):
        small.explain("Zwei Männer", "Eine Frau", max_bytes=100)
    with pytest.raises(DataError, match=message):
        small_generator().explain("the cat", max_bytes=100)
    assert small.explain("Zwei Männer", "Eine Frau", max_bytes=2**20).target


def test_a_family_without_attention_has_nothing_to_look_into():
    with pytest.raises(ConfigError, match=r"^The family rnn has no attention, so there is nothing to inspect\."):
        small_translator("rnn").explain("Zwei", "Eine")


def test_running_text_is_explained_by_the_words_before_each():
    explanation = small_generator().explain("the cat\nsat")
    assert (explanation.source, explanation.target) == ([], ["the", "cat", "sat", END])
    assert explanation.title == "the cat\nsat"


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


def test_control_ids_among_those_that_are_explained_stand_for_no_character():
    tokenizer = letters("größe", n_control=3)
    ids = tokenizer.encode("größe")
    text, spans = spans_of_ids(tokenizer, [3, *ids[:2], 5, *ids[2:]])
    assert text == "größe" and len(spans) == len(ids) + 2 and spans[-1][1] == len(text)


class Told:
    """A model that writes the tokens it was told to, whatever the prompt."""

    jobs = frozenset({"text"})
    context_length, n_positions, never_written = 1000, None, slice(3, 3)

    def __init__(self, tokens: list[int], vocabulary: int) -> None:
        self.tokens, self.output_weight = [*tokens, EOS], torch.eye(vocabulary)

    def to(self, device):
        return self

    def eval(self):
        return self

    def parameters(self):
        return iter([self.output_weight])

    def forward(self, batch, trace=None):
        raise NotImplementedError

    def logits(self, hidden):
        return hidden

    def begin(self, batch):
        state = State(len(batch.source), self.output_weight)
        state.rows["n"] = torch.zeros(len(batch.source), dtype=torch.long)
        return state

    def read(self, ids, state):
        n = state.rows["n"]
        state.rows["n"] = n + 1
        return 100 * self.output_weight[torch.tensor(self.tokens)[n]][:, None]


@pytest.fixture
def writing(monkeypatch):
    """A generator of text whose model writes the bytes of what it is told to, and the prompts that it was given."""
    tokenizer = Tokenizer.train_running(["x"], "bpe", 300)
    prompts = []

    def request(engine, prompt, config):
        prompts.append(prompt)
        return text_request(engine, prompt, config)

    monkeypatch.setattr(generators, "text_request", request)

    def writes(text: str, documents: int | None = 1, n_tokens: int | None = None) -> TextGenerator:
        model = Told(tokenizer.encode(text)[:n_tokens], tokenizer.vocabulary)
        card = Card(job="text", data=DataCard(documents=documents))
        return TextGenerator(Bundle(model, "gpt", tokenizer, tokenizer, card), CPU)

    return writes, prompts


def test_no_piece_of_a_stream_ends_inside_a_character(writing):
    writes, _ = writing
    assert list(writes("a東é👍").generate("x", stream=True)) == ["a", "東", "é", "👍"]
    assert writes("a東é👍").generate("x") == "a東é👍"


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_that_end_inside_a_character_are_marked(writing, stream):
    writes, _ = writing
    assert "".join(writes("東", n_tokens=2).generate("x", stream=stream)) == "\ufffd"


@pytest.mark.parametrize(
    ("stops", "left"),
    [(["cd"], "ab"), (["de", "bc"], "a"), (["fgh"], "abcdef"), (["abcdefg", "f"], "abcde"), (["a"], ""), ("cd", "ab")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_text_however_it_comes(writing, stops, left, stream):
    writes, _ = writing
    assert "".join(writes("abcdef").generate("x", stop=stops, stream=stream)) == left


def test_what_may_begin_a_stop_string_is_held_back(writing):
    writes, _ = writing
    assert list(writes("ab cdx").generate("x", stop=["cde"], stream=True)) == ["a", "b", " ", "cdx"]


@given(text=st.text("ab", max_size=12), stops=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_text_ends_before_the_first_of_its_stop_strings(text, stops):
    tokenizer = Tokenizer.train_running(["x"], "bpe", 300)
    writing = Writing(tokenizer, stops)
    pieces = [writing.add([token]) for token in tokenizer.encode(text)] + [writing.end()]
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    ends = [at + len(stop) for stop in stops if (at := text.find(stop)) >= 0]
    soonest = min(ends, default=None)
    seen = text if soonest is None else text[:soonest]
    expected = min((at for stop in stops if (at := seen.find(stop)) >= 0), default=len(text))
    assert "".join(pieces) == text[:expected] and writing.stopped == bool(found)
    at_once = Writing(tokenizer, stops)
    assert at_once.add(tokenizer.encode(text)) + at_once.end() == text[:expected]
    assert not found or expected <= max(found)


@given(text=st.text("ab", max_size=8), stops=st.lists(st.text("ab", max_size=5), max_size=3))
def test_the_longest_beginning_of_a_stop_string_at_the_end_is_found(text, stops):
    beginnings = [stop[:n] for stop in stops for n in range(1, len(stop))]
    assert longest_beginning(text, stops) == max((len(b) for b in beginnings if text.endswith(b)), default=0)


def test_a_prompt_begins_a_document_only_if_there_were_many(writing):
    writes, prompts = writing
    for documents in (1, None, 2):
        generator = writes("y", documents)
        generator.generate("x")
        generator.generate(None)
        generator.generate()
    x = generator.tokenizer.encode("x")
    assert prompts == [x, [BOS], [BOS]] * 2 + [[BOS, *x], [BOS], [BOS]]


def test_each_of_several_prompts_is_continued(writing):
    writes, prompts = writing
    generator = writes("yes")
    assert generator.generate(iter(["a", "b"]), stop="s") == ["ye", "ye"]
    assert prompts == [generator.tokenizer.encode("a"), generator.tokenizer.encode("b")]
    assert generator.generate([]) == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"prompt": ""},
            DataError,
            r"^The prompt is empty\. Give some text to continue, or no prompt to begin a document\.$",
        ),
        (
            {"prompt": "the cat sat on the mat"},
            DataError,
            r"^The prompt has 22 tokens, and the model's context has 16\.",
        ),
        ({"stop": ["a", ""]}, ConfigError, r"^A stop string is empty, so nothing would be written\."),
        ({"stop": ""}, ConfigError, r"^A stop string is empty"),
        ({"stop": ["a", 3]}, DataError, r"^stop, item 2 is int; expected a string\.$"),
        ({"beam": 3}, ConfigError, r"^beam is not an option of this kind of model\.$"),
        ({"a\x1b[31m": 3}, ConfigError, r"^a\\x1b\[31m is not an option of this kind of model\.$"),
        ({"top_k": 0}, ConfigError, r"^top_k is 0: input should be greater than or equal to 1\.$"),
        (
            {"temperature": 0},
            ConfigError,
            r"^temperature is 0: input should be greater than 0\. For the likeliest token, ",
        ),
        (
            {"top_k": 0, "min_p": 2},
            ConfigError,
            r"^top_k is 0: .*\. min_p is 2: input should be less than or equal to 1\.$",
        ),
        ({"seed": "x" * 999}, ConfigError, r"^seed is x+…: input should be a valid integer"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_at_the_call(arguments, error, message, stream):
    """Also where pieces are yielded later."""
    with pytest.raises(error, match=message):
        small_generator().generate(**{"prompt": "a", "stream": stream} | arguments)


def test_what_is_no_prompt_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"item 2 is int; expected a string\.$"):
        small_generator().generate(["a", 3])
    with pytest.raises(ConfigError, match=r"^stream is for one text, and several were requested\.$"):
        small_generator().generate(["a", "b"], stream=True)


def test_options_are_laid_over_the_settings_of_the_run_and_none_is_none():
    generator = small_generator()
    text = generator.generate("the", seed=4)
    assert (
        text == generator.generate("the", seed=4, max_tokens=None) == generator.generate("the", seed=4, max_tokens=12)
    )
    assert text != generator.generate("the", seed=5)
    assert text == "".join(generator.generate("the", seed=4, stream=True))
    assert 1 <= len(generator.generate("the", max_tokens=3, greedy=True)) <= 3
    assert generator.sampling == SamplingConfig(max_tokens=12, temperature=1.0)


def test_options_are_changed_by_name():
    assert changed(DecodingConfig(), {"beam": 3, "max_extra": None}) == DecodingConfig(beam=3)
    message = r"^decoding\.max_target_tokens is 3,000; with a beam of 100 it may be at most 2,621, so that memory"
    with pytest.raises(ConfigError, match=message):
        changed(DecodingConfig(max_target_tokens=3000), {"beam": 100})


@pytest.mark.parametrize("options", [{"greedy": True}, {"temperature": 3.0}, {"repetition_penalty": 0.1}], ids=str)
def test_a_text_has_no_control_id(options):
    generator = small_generator(n_control=5)
    with torch.no_grad():
        generator.bundle.model.output_weight[3:8] *= 9
    written = []
    whole = generator.tokenizer.token_bytes
    generator.tokenizer.token_bytes = lambda token: written.append(token) or whole(token)
    generator.generate("the", max_tokens=100, **options)
    assert written and not set(written) & set(range(8))


def test_documents_cost_what_steps_give_their_tokens():
    generator = small_generator(n_control=2)
    texts = ["the cat", "a mat."]
    found = generator.score(texts)
    expected, n_tokens = 0.0, 0
    for text in texts:
        ids = [BOS, *generator.tokenizer.encode(text), EOS]
        batch = collate_text([ids])
        with torch.no_grad():
            log_p = generator.model.logits(generator.model.forward(batch))[0].log_softmax(-1)
        expected += log_p.gather(1, batch.gold[0, :, None]).sum().item()
        n_tokens += len(ids) - 1
    assert found.log_probability == pytest.approx(expected, abs=1e-3) and found.n_tokens == n_tokens
    assert generator.score("the cat").n_tokens == 8
    together = [generator.score(text) for text in texts]
    assert sum(s.log_probability for s in together) == pytest.approx(found.log_probability, abs=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 20, 4096])
def test_the_cost_of_a_long_text_does_not_depend_on_the_size_of_batches(batch_tokens):
    generator = small_generator()
    found = generator.score("the cat sat on the mat. " * 5, batch_tokens)
    assert found.n_tokens == 121 and math.isfinite(found.log_probability)
    assert found.log_probability == pytest.approx(
        generator.score("the cat sat on the mat. " * 5).log_probability, abs=1e-3
    )


@pytest.mark.parametrize("texts", ["", [], [""], " \n", [" ", "\t"]])
def test_no_text_has_no_cost(texts):
    with pytest.raises(DataError):
        small_generator().score(texts)


def test_a_generator_says_what_it_is():
    generator = small_generator()
    n = sum(p.numel() for p in generator.bundle.model.parameters())
    assert repr(generator) == f"TextGenerator(gpt, {n:,} parameters on cpu)" and generator.context == 16


@pytest.mark.parametrize("beam", [1, 3])
def test_weights_that_lead_out_of_the_range_of_numbers_are_said(beam):
    translator = small_translator()
    with torch.no_grad():
        translator.model.output_weight.fill_(3e38)
    with pytest.raises(BundleError, match=r"not finite with these weights\. Use another bundle"):
        translator.translate("Eine Frau läuft.", beam=beam)


def test_a_language_model_out_of_the_range_of_numbers_is_said():
    generator = small_generator()
    with torch.no_grad():
        generator.model.output_weight.fill_(3e38)
    with pytest.raises(BundleError, match="The outputs of the model are not finite"):
        generator.generate("the")


def test_a_target_to_explain_is_bounded_as_a_source_is():
    with pytest.raises(DataError, match=r"has 10,001 characters; the limit is 10,000. Shorten it"):
        small_translator().explain("Eine Frau.", "a" * 10_001)
    bounded = small_translator(decoding=DecodingConfig(max_target_tokens=5))
    with pytest.raises(DataError, match=r"The target has \d+ tokens; decoding.max_target_tokens is 5"):
        bounded.explain("Eine Frau.", "Eine Frau läuft über die Straße.")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.translate(None), "text is NoneType; expected strings"),
        (lambda t: t.n_best("a", "3"), "'3' translations per text were requested"),
        (lambda t: t.n_best("a", True), "True translations per text were requested"),
        (lambda t: t.explain(["a"]), "text is list; expected a string"),
        (lambda t: t.explain("a", 0), "target is int; expected a string"),
        (lambda t: t.score(["ab", "cd"]), "pairs, item 1: found str; expected a tuple of two strings"),
        (lambda t: t.score(("A man.", "Ein Mann.")), "pairs, item 1: found str"),
        (
            lambda t: t.score([("a", "x" * 20_000)]),
            "Pair 1 has a side of 20,000 characters",
        ),
        (
            lambda t: t.score([("a", "b"), ("a", "xyzq " * 1_900)]),
            "Pair 2 has .* target tokens",
        ),
    ],
)
def test_what_a_translator_cannot_use_is_named(small, call, message):
    with pytest.raises((ConfigError, DataError), match=message):
        call(small)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.generate(3), "prompt is int; expected strings"),
        (lambda g: g.generate("the", stream=1), "stream is int; expected True or False"),
        (lambda g: g.generate("the", stop=None), "stop is NoneType; expected strings"),
        (lambda g: g.explain(b"x"), "text is bytes; expected a string"),
        (lambda g: g.score(None), "texts is NoneType; expected strings"),
    ],
)
def test_what_a_generator_cannot_use_is_named(call, message):
    with pytest.raises((ConfigError, DataError), match=message):
        call(small_generator())


def test_a_language_of_a_stranger_is_shown_without_its_control_characters():
    translator = small_translator()
    card = translator.bundle.card.model_copy(update={"languages": ("\x1b[31m", "de")})
    shown_by = repr(Translator(replace(translator.bundle, card=card), CPU))
    assert "\x1b" not in shown_by and r"\x1b[31m -> de" in shown_by
