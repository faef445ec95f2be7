import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tests.fakes import CPU, Heard

from regard.batch import collate_text
from regard.bundle import Bundle, save_bundle
from regard.bundle.card import Card, DataCard, Progress
from regard.errors import ConfigError, DataError
from regard.jobs import JOBS
from regard.jobs import text as module
from regard.jobs.evaluating import evaluate_text as evaluate
from regard.jobs.given import Given, given
from regard.jobs.text import TEXT, OverfittingWatch, TextConfig, TextSplit, beginning, context_of, read
from regard.models.gpt import GPT, GPTConfig
from regard.pipeline import TextGenerator
from regard.recipe import Recipe, make_recipe
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.run import RunFolder

CAT = "the cat sat on the mat. " * 8


def recipe(**layer) -> Recipe:
    return make_recipe(TEXT, "gpt", "tiny", [TEXT.presets["tiny"]["gpt"], {"training": {"batch_tokens": 64}}, layer])


def bundle(text: str, n_control: int = 0, card: Card | None = None, **settings) -> Bundle:
    tokenizer = Tokenizer.train_running([text], "characters", 1000, n_control)
    torch.manual_seed(1)
    model = GPT(
        GPTConfig(**{"width": 8, "n_heads": 2, "n_layers": 1, "context": 16, "tied": True} | settings),
        *[tokenizer.vocabulary] * 2,
        n_control=n_control,
    )
    card = card or Card(job="text", data=DataCard(documents=1))
    return Bundle(model.eval(), "gpt", tokenizer, tokenizer, card)


def whole(text: str) -> TextSplit:
    """Return a split that is trained on and validated on the same text."""
    return TextSplit(*[Passages.of([text])] * 2)


def test_the_job_is_known_by_its_name_and_decides_by_the_loss():
    assert JOBS["text"] is TEXT and TEXT.scores == ("loss",)
    assert TEXT.user is TextGenerator and TEXT.data is TextConfig


def test_a_loss_that_turns_is_warned_of_once():
    display = Heard()
    watch = OverfittingWatch(display)
    for nll in (2.0, 1.5, 1.52):
        watch.see(nll)
    assert display.said == []
    for nll in (1.54, 1.7):
        watch.see(nll)
    (warning,) = display.said
    assert warning.startswith("warning: the validation loss has risen from 1.500 to 1.540: the model begins to overfit")


def test_a_loss_that_is_no_number_is_not_warned_of_as_turned():
    display = Heard()
    watch = OverfittingWatch(display)
    for nll in (math.nan, 1.5, math.nan, 1.51):
        watch.see(nll)
    assert display.said == []
    watch.see(1.6)
    assert len(display.said) == 1 and "from 1.500 to 1.600" in display.said[0]


def test_a_loss_that_turned_before_the_training_was_stopped_is_warned_of_after():
    display = Heard()
    made = bundle(CAT, card=Card(job="text", trained=Progress(best_score=-1.5)))
    whole(CAT).validation(made, recipe(), CPU, display)(made.model)
    (warning,) = display.said
    assert "has risen from 1.500 to 6." in warning


def test_a_sample_begins_with_what_fits_half_the_context():
    generator = TextGenerator(bundle("abc " * 30), CPU)
    assert beginning("abc " * 30, generator) == "abc a"  # 40, 20 and 10 characters are more than 8 tokens
    generator = TextGenerator(bundle("abc " * 30, context=100), CPU)
    assert beginning("abc " * 30, generator) == "abc " * 10
    assert beginning("", generator) is None


@torch.no_grad()
@pytest.mark.parametrize("n_control", [0, 4])
def test_the_loss_on_validation_is_that_of_windows_side_by_side(n_control):
    made = bundle(CAT, n_control)
    figures = whole(CAT).validation(made, recipe(), CPU, Heard())(made.model)
    ids = [1, *made.target_tokenizer.encode(CAT), 2]
    nll = 0.0
    for start in range(0, len(ids) - 1, 16):
        row = ids[max(0, min(start, len(ids) - 17)) : start + 17]
        hidden = made.model(collate_text([row]))[0]
        log_p = made.model.logits(hidden).log_softmax(-1)
        scored = min(16, len(ids) - 1 - start)
        nll -= sum(float(log_p[i, row[i + 1]]) for i in range(len(row) - 1 - scored, len(row) - 1))
    assert abs(figures["nll"] - nll / (len(ids) - 1)) < 1e-5
    assert figures["score"] == -figures["nll"]
    assert abs(figures["bits_per_byte"] - nll / 0.6931471805599453 / len(CAT)) < 1e-4


def test_guarded_text_is_measured_beside_it_and_decides_nothing():
    made, other = bundle(CAT), Passages.of(["a mat sat on a cat. " * 5])
    text = Passages.of([CAT])
    alone = TextSplit(text, text).validation(made, recipe(), CPU, Heard())(made.model)
    guarded = TextSplit(text, text, other).validation(made, recipe(), CPU, Heard())(made.model)
    of_it = TextSplit(text, other).validation(made, recipe(), CPU, Heard())(made.model)
    assert guarded == alone | {f"guard_{name}": of_it[name] for name in ("nll", "bits_per_byte")}


def test_of_a_long_validation_text_windows_spread_evenly_over_it_are_measured(monkeypatch):
    monkeypatch.setattr(module, "VALIDATION_TOKENS", 64)
    made, seen = bundle(CAT), []
    monkeypatch.setattr(module, "windows_nll", lambda model, windows, *_: seen.append(windows) or 1.0)
    text = "".join(chr(97 + i % 26) for i in range(1000))
    TextSplit(*[Passages.of([text])] * 2).validation(made, recipe(), CPU, Heard())(made.model)
    n_windows = len(seen[0])
    assert 3 <= n_windows <= 5
    starts = [made.target_tokenizer.decode(ids[1:2]) for ids, _ in seen[0]]
    every = 16 * 15  # of 63 windows of 16 tokens every 15th
    assert starts[1:] == [text[i * every : i * every + 1] for i in range(1, n_windows)]


def test_the_length_of_the_text_is_said():
    display = Heard()
    corpus = read(given(None, [CAT, "ä"]), None, None, display)
    assert corpus.size == len(CAT) + 1
    assert display.said == [f"training data: {len(CAT) + 1} characters of running text in 2 documents"]


@pytest.mark.parametrize("which", ["valid", "guard"])
def test_pairs_do_not_validate_a_text(which):
    what = {"valid": "validation", "guard": "guarded"}[which]
    others = {"valid": None, "guard": None} | {which: given([("a", "b")], None)}
    with pytest.raises(
        DataError, match=rf"^The {what} data are pairs; a text is validated on running text, which is one"
    ):
        read(given(None, CAT), others["valid"], others["guard"], Heard())


def test_without_validation_text_the_end_is_held_out_and_said():
    corpus, display = read(given(None, CAT), None, None, Heard()), Heard()
    split = corpus.split(recipe(data={"validation_share": 0.25}), display)
    n = len(CAT)
    assert "".join(split.train) + "".join(split.valid) == CAT and split.valid.n_characters == n // 4
    held = f"validation data: none was given, so the last {n // 4} characters are held out"
    assert display.said == [f"{held}; the first {n - n // 4} are trained on"]


def test_other_texts_are_validated_on_and_guarded_where_they_are_given():
    corpus, display = read(given(None, CAT), given(None, "valid"), given(None, "guard"), Heard()), Heard()
    split = corpus.split(recipe(), display)
    assert [*map("".join, (split.train, split.valid, split.guard))] == [CAT, "valid", "guard"] and display.said == []


@pytest.mark.parametrize(("kind", "documents"), [("file", ["one\ntwo\n"]), ("line", ["one", "two"])])
def test_documents_are_cut_as_the_recipe_says(tmp_path, kind, documents):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    corpus = read(*[given(tmp_path / "a.txt", None)] * 3, Heard())
    split = corpus.split(recipe(data={"documents": kind}), Heard())
    assert split.train.documents() == split.valid.documents() == split.guard.documents() == documents
    assert split.card(recipe(data={"documents": kind})).data.kind == kind


def test_the_card_identifies_the_text_and_says_how_the_model_is_used():
    split = TextSplit(Passages.of(["one", "two"]), Passages.of(["three"]))
    card = split.card(recipe(decoding={"temperature": 0.5}))
    assert (card.job, card.data.characters, card.data.documents, card.decoding["temperature"]) == ("text", 6, 2, 0.5)
    assert card.data.fingerprint == split.fingerprint
    others = [(["onetwo"], ["three"]), (["one", "two"], ["thre"]), (["one", "tw"], ["three"])]
    for train, valid in others:
        assert TextSplit(Passages.of(train), Passages.of(valid)).card(recipe()).data != card.data
    guarded = TextSplit(Passages.of(["one", "two"]), Passages.of(["three"]), Passages.of(["four"]))
    assert guarded.card(recipe(decoding={"temperature": 0.5})) == card


def test_a_settled_recipe_says_what_was_chosen_for_the_tokenizer():
    settled = whole(CAT).settled(recipe())
    assert (settled.tokenizer.kind, settled.tokenizer.vocabulary) == ("characters", 10_000)
    settled = whole(CAT).settled(recipe(tokenizer={"kind": "bpe", "vocabulary": 400}))
    assert (settled.tokenizer.kind, settled.tokenizer.vocabulary) == ("bpe", 400)


def test_one_tokenizer_serves_both_sides():
    source, target, reason = whole(CAT).tokenizers(recipe(tokenizer={"n_control_ids": 3}))
    assert source is target and source.running and source.n_control == 3 and "characters" in reason


def test_a_text_longer_than_fits_into_memory_is_kept_in_files_of_the_run(tmp_path):
    display, run, made = Heard(), RunFolder(tmp_path / "run"), bundle(CAT)
    there, said = whole(CAT).stream(made, recipe(data={"characters_in_memory": 10}), run, display)
    here, _ = whole(CAT).stream(made, recipe(), RunFolder(tmp_path / "none"), Heard())
    assert display.said == [f"tokens: more than 10 characters, so they are stored in {run.tokens}"]
    assert run.tokens.is_dir() and not (tmp_path / "none").exists()
    for a, b in zip(there.epoch(1), here.epoch(1), strict=True):
        assert torch.equal(a.target, b.target) and torch.equal(a.gold, b.gold)
    assert said.startswith(f"{len(CAT) + 2:,} tokens in 1 document; ") and "windows of 16 tokens" in said


def test_several_documents_are_counted(tmp_path):
    split = TextSplit(Passages.of([CAT, CAT]), Passages.of([CAT]))
    _, said = split.stream(bundle(CAT), recipe(), RunFolder(tmp_path / "run"), Heard())
    assert said.startswith(f"{2 * len(CAT) + 4:,} tokens in 2 documents; ")


def test_a_window_has_the_length_of_the_context():
    assert context_of(bundle(CAT, context=23)) == 23


def test_the_last_words_are_the_loss_a_sample_and_what_of_it_is_copied(tmp_path):
    made = bundle(
        CAT, card=Card(job="text", data=DataCard(documents=1), trained=Progress(best_score=-1.5, best_step=1200))
    )
    save_bundle(made, tmp_path / "run" / "best")
    words = whole(CAT).closing(RunFolder(tmp_path / "run"), recipe(), CPU)
    generator = TextGenerator(made, CPU)
    prompt = beginning(CAT, generator)
    lines = words.split("\n", 2)
    assert lines[0] == "best loss on validation 1.500 nats per token at step 1,200."
    assert lines[1] == f"A sample, continuing {prompt!r}:"
    sample = generator.generate(prompt, max_tokens=module.SAMPLE_TOKENS)
    assert lines[2].startswith(f"{sample}\nIts longest span that also occurs in the training text has ")


def test_where_no_validation_was_finite_the_last_words_say_so(tmp_path):
    save_bundle(bundle(CAT), tmp_path / "run" / "last")
    words = whole(CAT).closing(RunFolder(tmp_path / "run"), recipe(), CPU)
    assert words.startswith("and no validation was finite.\n")


def test_a_sample_is_looked_for_in_the_beginning_of_a_very_long_text(tmp_path, monkeypatch):
    from regard.text.reading import passages

    monkeypatch.setattr(module, "SEARCHED", 100)
    monkeypatch.setattr(passages, "LENGTH", 30)
    save_bundle(bundle(CAT), tmp_path / "run" / "best")
    text = CAT.replace(". ", ".\n")
    words = whole(text).closing(RunFolder(tmp_path / "run"), recipe(), CPU)
    assert "Its longest span that also occurs in the first 100 characters of the training text has " in words


def test_a_bundle_is_evaluated_on_what_a_text_costs_it():
    made, display = bundle(CAT, card=Card(job="text", data=DataCard(documents=2))), Heard()
    scores = evaluate(made, given(None, ["the cat", "a mat"]), CPU, {}, display)
    cost = TextGenerator(made, CPU).score(["the cat", "a mat"])
    assert scores.nats_per_token == pytest.approx(-cost.log_probability / cost.n_tokens)
    assert (scores.n_tokens, scores.n_characters) == (7 + 5 + 2, 7 + 5 + 1)
    assert display.said == ["test data: 12 characters of running text"]
    assert {floor.how for floor in scores.floors} == {"knowing only the text so far"}


def test_the_floors_know_the_text_that_the_model_was_trained_on_if_they_are_told(tmp_path):
    (tmp_path / "train.txt").write_text(CAT)
    options = {"trained_on": Given((tmp_path / "train.txt",)), "beam": None, "language": None}
    scores = evaluate(bundle(CAT), given(None, CAT), CPU, options, Heard())
    assert {floor.how for floor in scores.floors} == {"knowing the training text"}
    alone = evaluate(bundle(CAT), given(None, CAT), CPU, {}, Heard())
    assert all(a.bits_per_byte < b.bits_per_byte for a, b in zip(scores.floors, alone.floors, strict=True))


def test_a_text_is_cut_into_documents_as_the_model_was_trained(tmp_path):
    (tmp_path / "a.txt").write_text("the cat\na mat\n")
    lines = bundle(CAT, card=Card(job="text", data=DataCard(documents=9, kind="line")))
    of_file = bundle(CAT, card=Card(job="text", data=DataCard(documents=1, kind="file")))
    found = [evaluate(made, given(tmp_path / "a.txt", None), CPU, {}, Heard()).n_tokens for made in (lines, of_file)]
    assert found == [7 + 5 + 2, 7 + 5 + 2 + 1]


def test_options_for_other_data_are_refused():
    with pytest.raises(
        ConfigError, match=r"^A beam is for translations, and the data are running text\. Leave it out\.$"
    ):
        evaluate(bundle(CAT), given(None, CAT), CPU, {"beam": 3}, Heard())
    with pytest.raises(
        ConfigError, match=r"^trained_on is the text that the model was trained on, one \.txt file; pairs"
    ):
        evaluate(bundle(CAT), given(None, CAT), CPU, {"trained_on": Given((Path("a.tsv"),))}, Heard())


@pytest.mark.parametrize(
    "settings",
    [
        {"documents": "page"},
        {"validation_share": 0.0},
        {"validation_share": 1.0},
        {"characters_in_memory": -1},
        {"max_tokens": 3},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        TextConfig(**settings)
