import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tests.fakes import CPU, Heard, small_bundle

from regard.bundle import Bundle, save_bundle
from regard.bundle.card import Card, Progress
from regard.decoding.scoring import TextScore
from regard.errors import ConfigError, DataError
from regard.evaluation.translation import score_translations
from regard.jobs import JOBS
from regard.jobs import pairs as module
from regard.jobs.evaluating import evaluate_pairs as evaluate
from regard.jobs.evaluating import look_swapped, refuse_others
from regard.jobs.given import Given, given
from regard.jobs.pairs import PAIRS, PairsConfig, PairsSplit, n_tokens, read, scored
from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.pipeline import Translator
from regard.recipe import Recipe, make_recipe
from regard.text.batching.pairs import pair_stream
from regard.text.encoded.pairs import encode_pairs
from regard.text.encoded.segmentations import SegmentedPairs
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.training.loop import mean_nll
from regard.training.run import RunFolder

COLOURS = [("red", "rot"), ("green", "grün"), ("blue", "blau"), ("old", "alt"), ("new", "neu")]
ROWS = [(f"The {s} is {c}.", f"Das {t} ist {d}.") for s, t in [("car", "Auto"), ("book", "Buch")] for c, d in COLOURS]


def recipe(**layer) -> Recipe:
    """Return a recipe in which the score is settled."""
    small = {"training": {"steps": 3, "batch_tokens": 64, "best_by": "bleu"}}
    return make_recipe(PAIRS, "bahdanau", "tiny", [small, layer])


def bundle(kind: str = "bpe") -> Bundle:
    tokenizer = Tokenizer.train([text for row in ROWS for text in row], TokenizerConfig(kind=kind), 300)
    torch.manual_seed(1)
    config = BahdanauConfig(width=8, embedding_width=8, attention_width=8)
    model = Bahdanau(config, tokenizer.vocabulary, tokenizer.vocabulary).eval()
    return Bundle(model, "bahdanau", tokenizer, tokenizer, Card())


def test_the_job_is_known_by_its_name_and_decides_by_bleu():
    assert JOBS["pairs"] is PAIRS and PAIRS.scores[0] == "bleu"
    assert PAIRS.user is Translator and PAIRS.data is PairsConfig


def test_what_became_of_the_lines_is_said_of_all_data():
    display = Heard()
    corpus = read(given([*ROWS, ("", "x")], None), given(ROWS[:2], None), given(ROWS[:3], None), display)
    assert display.said == [
        "training data: 11 pairs read, 10 kept, 1 dropped (1 empty).",
        "validation data: 2 pairs read, 2 kept, none dropped.",
        "guarded data: 3 pairs read, 3 kept, none dropped.",
    ]
    assert (corpus.size, list(corpus.pairs), corpus.valid, corpus.guard) == (10, ROWS, ROWS[:2], ROWS[:3])


@pytest.mark.parametrize(
    ("targets", "best_by", "reason"),
    [
        (["das ist ein Haus"] * 3 + ["ja"], "bleu", "by BLEU (13a tokenisation); ties by the loss"),
        (["Haus", "das Haus", "ein Haus da", "das ist ein Haus"], "chrf", "by chrF, since most targets have fewer"),
        (["我们的学校是很大的", "他们也在这里"] * 30, "bleu", "by BLEU (zh tokenisation)"),
    ],
)
def test_the_score_that_decides_suits_the_targets(targets, best_by, reason):
    rows = [(f"source {i}", target) for i, target in enumerate(targets)]
    found, said = read(given(rows, None), None, None, Heard()).best_by()
    assert found == best_by and said.startswith(reason)


def test_languages_are_recognised_where_that_is_safe_and_none_was_given():
    german = "Das ist nicht so einfach, wie es auf den ersten Blick für die meisten von uns aussieht, und wir sind da."
    rows = [(f"{i}", german) for i in range(30)]
    corpus, display = read(given(rows, None), None, None, Heard()), Heard()
    assert corpus.languages(recipe(), display) == {"target_language": "de"}
    assert corpus.languages(recipe(data={"source_language": "en", "target_language": "nl"}), display) == {}
    assert display.said == ["languages: not known -> de (recognised)", "languages: en -> nl"]


def test_a_first_pair_that_names_columns_is_noticed():
    display = Heard()
    read(given([("English", "German"), *ROWS], None), None, None, display)
    assert display.said[1] == (
        "warning: training data: line 1, 'English' and 'German', looks like column names, but counts as a pair"
    )


def test_how_long_targets_may_be_and_how_long_sources_were_is_seen_in_training(monkeypatch):
    made = bundle()
    rows = [("car", "car car car car car car car car car car car car car car car car car car car car")] * 3
    split, settings = PairsSplit(rows, rows), recipe()
    stream, _ = split.stream(made, settings, RunFolder(Path("none")), Heard())
    longest, n_target = (max(len(made.target_tokenizer.encode(row[i])) for row in rows) for i in (0, 1))
    seen, card = split.observed(stream, settings, made.card)
    assert seen.decoding.max_ratio == round(1.25 * (n_target + 1 - 10) / (longest + 1), 1) > 2
    assert (card.longest_source, card.decoding["max_ratio"]) == (longest, seen.decoding.max_ratio)
    asked = recipe(decoding={"max_ratio": 3.5})
    assert split.observed(stream, asked, made.card)[0] == asked


def test_sides_that_are_swapped_are_noticed(monkeypatch):
    translator = Translator(bundle(), CPU)
    costs = {("a", "b"): -9.0, ("b", "a"): -2.0}
    monkeypatch.setattr(Translator, "score", lambda self, pairs: [TextScore(costs[pair], 2) for pair in pairs])
    assert look_swapped(translator, [("a", "b")]) and not look_swapped(translator, [("b", "a")])


def test_validation_data_that_is_given_is_taken():
    corpus, display = read(given(ROWS, None), given(ROWS[:2], None), None, Heard()), Heard()
    split = corpus.split(recipe(), display)
    assert (list(split.train), list(split.valid), split.guard) == (ROWS, ROWS[:2], None)
    (warning,) = display.said
    assert warning == (
        "warning: 2 of 2 validation pairs have a source that is also in the training data, so their score says little "
        "about new text"
    )


def test_copies_of_pairs_that_are_held_out_are_trained_on_nowhere():
    rows = [pair for i in range(4) for pair in [*ROWS, *((source, f"{target} {i}") for source, target in ROWS)]]
    corpus, display = read(given(rows, None), None, None, Heard()), Heard()
    split = corpus.split(recipe(), display)
    held = {source for source, _ in split.valid}
    assert len(split.valid) == 1 and held.isdisjoint(source for source, _ in split.train)
    assert len(split.train) == len(rows) - 8
    repeated, held_out = display.said
    assert repeated == f"training data: {len(rows) - 50} repeated pairs, kept"
    assert held_out.endswith("1 random pair held out; 7 more with the same sources are left out of training")


def test_without_validation_data_some_is_held_out_and_said():
    corpus, display = read(given(ROWS, None), None, None, Heard()), Heard()
    split = corpus.split(recipe(), display)
    assert sorted([*split.train, *split.valid]) == sorted(ROWS) and len(split.valid) == 1
    assert display.said == ["validation data: none was given; 1 random pair held out"]
    again = corpus.split(recipe(training={"seed": 2}), Heard())
    assert len(again.valid) == 1 and corpus.split(recipe(), Heard()).valid == split.valid


def test_the_card_identifies_the_data_and_says_how_the_model_is_used():
    layer = {"data": {"source_language": "en", "target_language": "de"}, "decoding": {"beam": 3}}
    split = PairsSplit(ROWS[:8], ROWS[8:])
    card = split.card(recipe(**layer))
    assert (card.job, card.languages, card.data.pairs, card.decoding["beam"]) == ("pairs", ("en", "de"), 8, 3)
    assert card.data.fingerprint == split.fingerprint
    others = [PairsSplit(ROWS[1:9], ROWS[8:]), PairsSplit(ROWS[:8], ROWS[9:])]
    assert all(other.card(recipe(**layer)).data != card.data for other in others)
    assert PairsSplit(ROWS[:8], ROWS[8:], ROWS[:1]).card(recipe(**layer)) == card


@pytest.mark.parametrize(
    ("settings", "kind", "size"),
    [({}, "bpe", 1000), ({"kind": "unigram", "vocabulary": 300}, "unigram", 300)],
)
def test_a_settled_recipe_says_what_was_chosen_for_the_tokenizers(settings, kind, size):
    settled = PairsSplit(ROWS, ROWS).settled(recipe(tokenizer=settings))
    assert (settled.tokenizer.kind, settled.tokenizer.vocabulary) == (kind, size)


def test_batches_are_of_all_pairs_that_are_short_enough_and_that_is_said(tmp_path):
    long = [("car " * 50, "Auto")]
    split = PairsSplit([*ROWS, *long], ROWS)
    stream, said = split.stream(bundle(), recipe(data={"max_tokens": 40}), RunFolder(tmp_path / "run"), Heard())
    assert sum(len(batch.source) for batch in stream.epoch(0)) == len(ROWS)
    assert said.endswith("1 pair over 40 tokens left out")
    assert said.startswith("1 batch per epoch, ") and stream.survey.n_batches == 1


def test_more_pairs_than_fit_into_memory_are_kept_in_files_of_the_run(tmp_path):
    display, run, made = Heard(), RunFolder(tmp_path / "run"), bundle()
    split = PairsSplit(ROWS, ROWS)
    there, _ = split.stream(made, recipe(data={"pairs_in_memory": 9}), run, display)
    here, _ = split.stream(made, recipe(data={"pairs_in_memory": 10}), RunFolder(tmp_path / "none"), Heard())
    assert display.said == [f"tokens: more than 9 pairs, so they are stored in {run.tokens}"]
    assert run.tokens.is_dir() and not (tmp_path / "none").exists()
    for a, b in zip(there.epoch(1), here.epoch(1), strict=True):
        assert torch.equal(a.source, b.source) and torch.equal(a.gold, b.gold)


def test_bpe_dropout_needs_all_pairs_in_memory_and_a_tokenizer_with_merges(tmp_path):
    split, run = PairsSplit(ROWS, ROWS), RunFolder(tmp_path / "run")
    stream, said = split.stream(bundle(), recipe(data={"bpe_dropout": 0.1}), run, Heard())
    assert said.endswith(", BPE dropout 0.1") and isinstance(split._encoded(*arguments(run)), SegmentedPairs)
    epochs = [sorted(row.tolist() for batch in stream.epoch(epoch) for row in batch.source) for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    message = (
        r"^data\.bpe_dropout is 0\.1, which needs all pairs in memory; there are 10, more than data\.pairs_in_memory"
    )
    with pytest.raises(ConfigError, match=message):
        split.stream(bundle(), recipe(data={"bpe_dropout": 0.1, "pairs_in_memory": 9}), run, Heard())
    with pytest.raises(ConfigError, match="the tokenizer has no merges to leave out"):
        split.stream(bundle("characters"), recipe(data={"bpe_dropout": 0.1}), run, Heard())


def arguments(run: RunFolder) -> tuple:
    return bundle(), PairsConfig(bpe_dropout=0.1), run, 1, Heard()


def test_a_validation_measures_the_loss_and_greedy_translations():
    made, settings = bundle(), recipe(decoding={"beam": 3})
    validate = PairsSplit(ROWS, ROWS[:4]).validation(made, settings, CPU, Heard())
    figures = validate(made.model)
    greedy = Translator(made, CPU, settings.decoding.model_copy(update={"beam": 1}))
    texts = [t.text for t in greedy.translate([source for source, _ in ROWS[:4]])]
    scores = score_translations(texts, [target for _, target in ROWS[:4]])
    encoded = encode_pairs(ROWS[:4], made.source_tokenizer, made.target_tokenizer, 256)
    nll = mean_nll(made.model, pair_stream(encoded, batch_tokens=16, seed=5).epoch(0), CPU)
    bleu = scores.bleu.value
    assert figures == {
        "nll": pytest.approx(nll),
        "bleu": bleu,
        "chrf": scores.chrf.value,
        "score": bleu,
        "tie": -figures["nll"],
    }


def test_guarded_data_is_measured_beside_it_and_decides_nothing():
    made = bundle()
    alone = PairsSplit(ROWS, ROWS[:4]).validation(made, recipe(), CPU, Heard())(made.model)
    guarded = PairsSplit(ROWS, ROWS[:4], ROWS[6:]).validation(made, recipe(), CPU, Heard())(made.model)
    other = PairsSplit(ROWS, ROWS[6:]).validation(made, recipe(), CPU, Heard())(made.model)
    assert {name: value for name, value in guarded.items() if not name.startswith("guard_")} == alone
    assert {f"guard_{name}": value for name, value in other.items() if name not in ("score", "tie")} == {
        name: value for name, value in guarded.items() if name.startswith("guard_")
    }


def test_pairs_of_a_validation_that_are_too_long_are_left_out_and_said():
    made, display = bundle(), Heard()
    rows = [*ROWS[:3], ("car " * 50, "Auto"), ("car", "Auto " * 50)]
    figures = PairsSplit(ROWS, rows).validation(made, recipe(data={"max_tokens": 40}), CPU, display)(made.model)
    assert display.said == ["validation data: 2 of 5 pairs over 40 tokens left out"]
    expected = PairsSplit(ROWS, ROWS[:3]).validation(made, recipe(data={"max_tokens": 40}), CPU, Heard())(made.model)
    assert figures == expected


def test_no_more_than_so_many_sentences_are_translated(monkeypatch):
    monkeypatch.setattr(module, "VALIDATION_DECODES", 2)
    translated = []
    whole = Translator.translate
    monkeypatch.setattr(Translator, "translate", lambda self, texts: translated.append(texts) or whole(self, texts))
    made = bundle()
    PairsSplit(ROWS, ROWS).validation(made, recipe(), CPU, Heard())(made.model)
    assert translated == [[source for source, _ in ROWS[:2]]]


def test_a_validation_of_nothing_but_long_pairs_is_refused_before_the_training():
    made = bundle()
    with pytest.raises(DataError, match="All 1 pairs have more than 3 tokens"):
        PairsSplit(ROWS, ROWS[:1]).validation(made, recipe(data={"max_tokens": 3}), CPU, Heard())


@pytest.mark.parametrize(("by", "score"), [("bleu", 3.0), ("chrf", 5.0), ("loss", -2.0)])
def test_the_score_is_what_the_recipe_says(by, score):
    figures = {"nll": 2.0, "bleu": 3.0, "chrf": 5.0}
    assert scored(figures, recipe(training={"best_by": by})) == {"score": score, "tie": -2.0}


@pytest.mark.parametrize("nll", [math.nan, math.inf])
@pytest.mark.parametrize("by", ["bleu", "chrf", "loss"])
def test_a_loss_that_is_not_finite_makes_every_score_so(by, nll):
    assert math.isnan(scored({"nll": nll, "bleu": 3.0, "chrf": 5.0}, recipe(training={"best_by": by}))["score"])


@pytest.mark.parametrize(
    ("by", "best", "said"),
    [
        *(
            ("bleu", 31.236, "best BLEU on validation 31.24 at step 1,200."),
            ("chrf", 5.0, "best chrF on validation 5.00"),
        ),
        *(
            ("loss", -1.5, "best loss on validation 1.50 at step 1,200."),
            ("bleu", None, "and no validation was finite."),
        ),
    ],
)
def test_the_last_words_are_the_best_score_as_it_is_called(tmp_path, by, best, said):
    made = small_bundle(trained=Progress(best_score=best, best_step=1200))
    save_bundle(made, tmp_path / "run" / "last")
    words = PairsSplit(ROWS, ROWS).closing(RunFolder(tmp_path / "run"), recipe(training={"best_by": by}), CPU)
    assert words.startswith(said)


def test_tokens_of_a_sentence_are_counted():
    tokenizer = bundle().source_tokenizer
    assert n_tokens(tokenizer, ROWS[0][0]) == len(tokenizer.encode(ROWS[0][0]))


def test_a_bundle_is_evaluated_on_its_translations(tmp_path):
    made, display = bundle(), Heard()
    scores = evaluate(made, given([*ROWS, ("", "x")], None), CPU, {"beam": 2, "language": None}, display)
    texts = [t.text for t in Translator(made, CPU).translate([source for source, _ in ROWS], beam=2)]
    expected = score_translations(texts, [target for _, target in ROWS])
    assert (scores.how, scores.n_sentences) == ("beam 2", 10)
    assert scores.bleu == expected.bleu and scores.chrf == expected.chrf
    assert display.said[0] == "test data: 11 pairs read, 10 kept, 1 dropped (1 empty)."
    assert display.said[1].startswith("note: the target language is not known; name it (language)")
    assert evaluate(made, given(ROWS, None), CPU, {}, Heard()).how == "beam 5"


def test_the_language_is_that_of_the_bundle_unless_another_is_named():
    made = replace(bundle(), card=Card(languages=("en", "de")))
    for options, code in (({}, "de"), ({"language": "fr"}, "fr")):
        scores = evaluate(made, given(ROWS[:2], None), CPU, options, Heard())
        assert scores.bleu_literature.name == f"BLEU, lower-cased, Moses {code}"


@pytest.mark.parametrize(("named", "code"), [("German", "de"), ("xx", None), (None, None)])
def test_a_bundle_of_an_earlier_release_may_name_its_language_in_any_way(named, code):
    made = replace(bundle(), card=Card(languages=("en", named)))
    scores = evaluate(made, given(ROWS[:2], None), CPU, {}, Heard())
    assert (scores.bleu_literature.name if scores.bleu_literature else None) == (
        f"BLEU, lower-cased, Moses {code}" if code else None
    )


def test_a_pair_that_cannot_be_translated_counts_as_an_empty_translation_and_is_said():
    made, display = replace(bundle(), card=Card(decoding={"max_source_tokens": 30})), Heard()
    rows = [ROWS[0], ("q" * 31, "Auto"), ROWS[1], ("q" * 32, "Buch")]
    scores = evaluate(made, given(rows, None), CPU, {"beam": 1}, display)
    warning, _ = display.said
    assert warning.startswith("warning: pair 2 has ") and warning.endswith(
        "it counts as an empty translation (2 in all)"
    )
    texts = [t.text for t in Translator(made, CPU).translate([source for source, _ in rows], beam=1)]
    assert texts[1] == texts[3] == ""
    assert scores.bleu == score_translations(texts, [target for _, target in rows]).bleu


def test_options_for_other_data_are_refused():
    with pytest.raises(
        ConfigError, match=r"^The text that a model was trained on is for running text, and the data are pai"
    ):
        evaluate(bundle(), given(ROWS, None), CPU, {"trained_on": Given((Path("a.txt"),)), "beam": 2}, Heard())
    for name in ("beam", "language"):
        with pytest.raises(ConfigError, match=r"is for translations, and the data are text\. Leave it out\.$"):
            refuse_others({name: 3, "trained_on": None}, ("trained_on",), "text")
    refuse_others({"beam": None}, (), "text")


@pytest.mark.parametrize(
    "settings",
    [
        *(
            {"max_tokens": 0},
            {"validation_pairs": 0},
            {"pairs_in_memory": -1},
            {"bpe_dropout": 1.0},
            {"documents": "file"},
        ),
        *({"bpe_dropout": float("nan")}, {"source_language": "x" * 33}),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        PairsConfig(**settings)
