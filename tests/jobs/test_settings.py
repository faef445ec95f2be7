from pathlib import Path

import pytest
from tests.fakes import CPU, Heard, letters, small_bundle

from regard.bundle import Bundle
from regard.bundle.card import Card
from regard.errors import ConfigError, RunError
from regard.jobs import JOBS, settings
from regard.jobs.settings import (
    BUDGET,
    CONSEQUENCES,
    HARMLESS,
    Named,
    as_begun,
    automatic,
    checked,
    continued,
    named,
    new_recipe,
    preset_of,
    recipe_from,
    recipe_of_run,
    refuse_changes,
    refuse_family,
    resolved,
)
from regard.models import MODELS
from regard.models.gpt import GPT, GPTConfig
from regard.presets import Settings
from regard.recipe import Origin, Recipe, differences, make_recipe, nested
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.run import RunFolder

PAIRS, TEXT = JOBS["pairs"], JOBS["text"]
NOTHING = Named(None, None, ({}, {}))


def names(family: str | None = None, preset: str | None = None, file: Settings | None = None, **settings) -> Named:
    """Return what a call names: settings by section, over those of a file."""
    return Named(family, preset, (file or {}, settings))


def tiny(**layer) -> Recipe:
    """Return the recipe of a new run on a few pairs, everything resolved."""
    recipe, _ = new_recipe(names(**layer), PAIRS, 100)
    return recipe.with_section("training", best_by="bleu", precision="float32")


def begun(tmp_path: Path, recipe: Recipe | str) -> RunFolder:
    """Return a run that was begun with a recipe."""
    run = RunFolder(tmp_path / "run")
    run.claim(fresh=False, recipe=recipe if isinstance(recipe, str) else recipe.to_toml())
    return run


def same(one: Recipe, other: Recipe) -> bool:
    return one.to_toml() == other.to_toml()


def test_a_call_names_a_file_and_over_it_single_settings(tmp_path):
    (tmp_path / "r.toml").write_text('family = "rnn"\npreset = "small"\n[model]\nwidth = 9\n[rules]\nsplit = 1\n')
    found = named(None, None, tmp_path / "r.toml", {"model": {"width": 10}})
    assert found == Named("rnn", "small", ({"model": {"width": 9}, "rules": {"split": 1}}, {"model": {"width": 10}}))
    assert named("gpt", "base", tmp_path / "r.toml", {}).family == "gpt"
    assert named("gpt", "base", tmp_path / "r.toml", {}).preset == "base"
    assert named(None, None, None, {}) == NOTHING


def test_a_recipe_cannot_bring_the_weights_that_its_run_began_with(tmp_path):
    (tmp_path / "r.toml").write_text('[start]\npath = "runs/a"\nweights = "f"\n')
    with pytest.raises(ConfigError, match=r"which a recipe does not contain\. Remove its section \[start\]"):
        named(None, None, tmp_path / "r.toml", {})


def test_a_training_without_an_end_is_refused():
    for layer in ({"steps": None}, {"epochs": None, "minutes": None}):
        with pytest.raises(ConfigError, match="The training has no budget"):
            checked(make_recipe(JOBS["pairs"], "rnn", "tiny", [{"training": layer}]))


@pytest.mark.parametrize("by", ["call", "file"])
def test_an_unknown_family_is_refused_with_the_nearest(tmp_path, by):
    (tmp_path / "r.toml").write_text('family = "transformers"\n' if by == "file" else "")
    with pytest.raises(ConfigError, match=r"^model: transformers is not a family\. Did you mean transformer\?$"):
        named("transformers" if by == "call" else None, None, tmp_path / "r.toml", {})


@pytest.mark.parametrize(
    ("job", "size", "preset", "family"),
    [
        *((PAIRS, 29_000, "tiny", "transformer"), (PAIRS, 200_000, "small", "transformer")),
        *((TEXT, 10**6, "tiny", "gpt"), (TEXT, 10**9, "base", "gpt")),
    ],
)
def test_a_new_run_takes_the_preset_for_the_size_of_its_corpus(job, size, preset, family):
    recipe, reason = new_recipe(NOTHING, job, size)
    assert (recipe.preset, recipe.family) == (preset, family)
    assert reason.startswith(f"preset {preset}: {size:,} {job.unit}")
    assert same(recipe, make_recipe(job, family, preset, [job.presets[preset][family]]))


def test_a_preset_that_is_asked_for_is_taken_and_single_settings_win():
    recipe, reason = new_recipe(
        names("rnn", "small", file={"model": {"width": 9, "n_layers": 3}}, model={"width": 10}), PAIRS, 100
    )
    assert (recipe.family, recipe.preset, recipe.model.width, recipe.model.n_layers) == ("rnn", "small", 10, 3)
    assert reason == "preset small, as requested"


@pytest.mark.parametrize(
    ("preset", "family", "job", "message"),
    [
        (
            "quick",
            None,
            PAIRS,
            r"^preset: quick is for running text, not for pairs of sentences\. Known are tiny, thorough, small, base,",
        ),
        (
            "paper",
            None,
            TEXT,
            r"^preset: paper is for pairs of sentences, not for running text\. Known are quick, tiny, thorough",
        ),
        ("smal", None, PAIRS, r"^preset: smal is not a preset\. Did you mean small\?$"),
        ("zzz\x1b[31m", None, PAIRS, r"^preset: zzz\\x1b\[31m is not a preset\. Known are tiny"),
        (
            "thorough",
            "gpt",
            PAIRS,
            r"^preset thorough is for bahdanau and transformer, not for gpt\. Choose another preset",
        ),
        (
            None,
            "rnn",
            TEXT,
            r"^rnn is trained on pairs of sentences, and these data are running text\. Choose model gpt, or",
        ),
    ],
)
def test_a_preset_or_a_family_that_does_not_fit_is_refused(preset, family, job, message):
    with pytest.raises(ConfigError, match=message) as caught:
        new_recipe(names(family, preset), job, 100)
    assert str(caught.value).isprintable()


def test_every_preset_of_a_job_is_had_by_its_name():
    for job in JOBS.values():
        for preset, families in job.presets.items():
            for family, expected in families.items():
                assert preset_of(preset, family, job) is expected


def test_every_family_can_do_a_job_and_is_refused_for_others():
    for job in JOBS.values():
        for family, (_, model) in MODELS.items():
            if job.name in model.jobs:
                refuse_family(family, job)
            else:
                with pytest.raises(ConfigError, match=f"^{family} is trained on .*, and these data are {job.title}"):
                    refuse_family(family, job)


@pytest.mark.parametrize("family", MODELS)
def test_a_model_with_a_loop_over_positions_is_not_compiled(family):
    recipe = make_recipe(PAIRS, family, "tiny", [{"training": {"compiled": True, "steps": 1}}])
    if MODELS[family][1].in_one_graph:
        assert checked(recipe) is recipe
    else:
        with pytest.raises(
            ConfigError, match=rf"^training\.compiled is true, and {family} has a loop over positions, wh"
        ):
            checked(recipe)


def test_a_resolved_recipe_has_nothing_automatic_and_says_why(monkeypatch):
    display = Heard()
    asked = []
    monkeypatch.setattr(
        settings, "choose_precision", lambda *arguments: asked.append(arguments) or ("bfloat16", "faster")
    )
    recipe = resolved(make_recipe(PAIRS, "rnn", "tiny", [{"model": {"width": 9}}]), PAIRS, CPU, display)
    assert (recipe.training.precision, recipe.training.best_by) == ("bfloat16", "bleu")
    assert asked == [(CPU, 9, False)] and display.said == ["precision: faster"]
    assert "auto" not in recipe.to_toml()
    assert resolved(recipe, PAIRS, CPU, display) is recipe and len(display.said) == 1
    assert resolved(make_recipe(TEXT, "gpt", "tiny", []), TEXT, CPU, display).training.best_by == "loss"


def test_bfloat16_where_there_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(settings, "has_bfloat16", lambda device: False)
    with pytest.raises(ConfigError, match=r"precision is bfloat16, which this cpu does not support\. Use float32\.$"):
        resolved(
            tiny(training={"precision": "bfloat16"}).with_section("training", precision="bfloat16"), PAIRS, CPU, Heard()
        )


def test_a_score_that_the_job_does_not_have_is_refused():
    recipe = make_recipe(TEXT, "gpt", "tiny", [{"training": {"best_by": "bleu"}}])
    with pytest.raises(
        ConfigError, match=r"^training\.best_by is bleu; models of running text are measured by loss\.$"
    ):
        resolved(recipe, TEXT, CPU, Heard())
    assert resolved(tiny().with_section("training", best_by="chrf"), PAIRS, CPU, Heard()).training.best_by == "chrf"


@pytest.mark.parametrize(
    ("job", "preset", "family"),
    [(job, preset, family) for job in JOBS.values() for preset in job.presets for family in job.presets[preset]],
    ids=lambda x: getattr(x, "name", x),
)
def test_the_recipe_of_a_run_comes_back_from_its_file(tmp_path, job, preset, family):
    recipe = make_recipe(job, family, preset, [job.presets[preset][family]])
    found = recipe_of_run(begun(tmp_path, recipe))
    assert same(found, recipe) and isinstance(found.data, job.data)


def test_a_run_that_was_not_begun_has_no_recipe(tmp_path):
    assert recipe_of_run(RunFolder(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("model =", "Invalid value"),
        ('preset = "tiny"\n', "it has no 'family'"),
        ('family = "perceiver"\npreset = "tiny"\n', "family: perceiver is not a family"),
        ('family = "rnn"\npreset = "tiny"\n[model]\nwidth = -1\n', "model.width is -1"),
        ('family = "rnn"\npreset = "tiny"\n[decoding]\nbeam = 3\ngreedy = true\n', "its job is not known"),
        ('family = "rnn"\npreset = "tiny"\n[weather]\nsun = 1\n', "weather is not a setting"),
        ('family = "rnn"\npreset = "tiny"\n[rules]\nsplit = 3\n', "rules.split is 3"),
        ("a = " + "[" * 30_000, ""),
    ],
    ids=lambda x: x[:40],
)
def test_a_recipe_of_a_run_that_cannot_be_used_is_said_with_what_to_do(tmp_path, toml, problem):
    run = begun(tmp_path, toml)
    with pytest.raises(
        RunError, match=rf"recipe\.toml cannot be used: .*{problem}.* Restore it from a copy\."
    ) as caught:
        recipe_of_run(run)
    assert caught.value.ways == ("fresh",) and str(caught.value).isprintable()


def test_a_run_of_the_first_format_had_no_control_ids_whatever_is_usual_today():
    assert as_begun({"tokenizer": {"kind": "bpe"}})["tokenizer"] == {"kind": "bpe", "n_control_ids": 0}
    begun = as_begun({})
    assert begun["tokenizer"] == {"n_control_ids": 0} and set(begun["rules"].values()) == {1}
    assert begun["training"] == {"warmup_share": None, "most_validations": None}
    today = {"rules": {"split": 1}, "tokenizer": {"kind": "bpe"}}
    assert as_begun(today) == {"rules": {"split": 1}, "tokenizer": {"kind": "bpe"}}


def test_a_run_continues_with_its_own_settings_whatever_is_chosen_today(monkeypatch):
    before = tiny(training={"minutes": 3}, model={"width": 64})
    monkeypatch.setattr(settings, "choose_preset", lambda *_: pytest.fail("nothing is chosen anew"))
    assert same(continued(before, NOTHING, PAIRS), before)


def test_what_a_call_names_is_laid_over_the_settings_of_the_run():
    before = tiny(model={"width": 64})
    after = continued(before, names(file={"decoding": {"beam": 2}}, training={"minutes": 9}), PAIRS)
    changed = differences(before, after)
    assert changed.pop("decoding.beam") == "5 -> 2" and changed.pop("training.minutes") == "not set -> 9.0"
    assert changed.pop("training.epochs") == "24.0 -> not set" and changed == {}


def test_what_is_named_automatic_stays_as_the_run_has_chosen_it():
    before = tiny()
    after = continued(before, names(training={"precision": "auto", "best_by": "auto"}), PAIRS)
    assert same(after, before)
    assert automatic({"precision": "auto", "steps": 3}, {"training": {"precision": "bfloat16"}}, "training") == {
        "steps": 3
    }
    assert automatic({"precision": "auto"}, {"training": {}}, "training") == {"precision": "auto"}


def test_another_family_begins_from_its_own_defaults_and_is_a_difference():
    after = continued(tiny(), names("rnn"), PAIRS)
    assert after.family == "rnn" and "family" in differences(tiny(), after)


def test_where_a_run_was_begun_from_stays_known():
    started = tiny().model_copy(update={"start": Origin(path="runs/a", weights="f" * 64)})
    assert same(continued(started, NOTHING, PAIRS), started)


def test_settings_that_change_the_course_of_the_weights_are_refused_all_at_once(tmp_path):
    run, before, display = begun(tmp_path, tiny()), tiny(), Heard()
    after = continued(before, names(model={"width": 64}, training={"seed": 9, "minutes": 3}), PAIRS)
    message = (
        r"run was begun with other settings: model\.width: 128 -> 64; training\.seed: 1 -> 9\. Give the same settings"
    )
    with pytest.raises(ConfigError, match=message) as caught:
        refuse_changes(before, after, run, display)
    assert caught.value.ways == ("start", "fresh") and display.said == []


def test_another_family_is_refused_without_all_that_follows_from_it(tmp_path):
    after = continued(tiny(), names("rnn"), PAIRS)
    with pytest.raises(ConfigError, match=r"was begun with other settings: family: transformer -> rnn\. Give the same"):
        refuse_changes(tiny(), after, begun(tmp_path, tiny()), Heard())


def test_settings_that_change_nothing_of_it_are_said(tmp_path):
    run, before, display = begun(tmp_path, tiny()), tiny(), Heard()
    changes = {"training.minutes": 3, "training.checkpoint_steps": 7, "decoding.beam": 2, "data.target_language": "de"}
    after = continued(before, Named(None, None, (nested(changes),)), PAIRS)
    refuse_changes(before, after, run, display)
    assert display.said == [
        f"note: data.target_language: not set -> de; {CONSEQUENCES['data.target_language']}",
        "note: decoding.beam: 5 -> 2; models that are saved from now on have it, existing ones do not",
        f"note: training.checkpoint_steps: 200 -> 7; {CONSEQUENCES['training.checkpoint_steps']}",
        "note: training.epochs: 24.0 -> not set",
        "note: training.minutes: not set -> 3.0",
    ]


def test_without_a_change_nothing_is_said(tmp_path):
    display = Heard()
    refuse_changes(tiny(), tiny(), begun(tmp_path, tiny()), display)
    assert display.said == []


def test_every_setting_that_may_change_is_one():
    for job in JOBS.values():
        recipe = make_recipe(job, job.default_family, "tiny", [])
        known = {
            f"{s}.{key}" for s in ("data", "training", "decoding") for key in type(getattr(recipe, s)).model_fields
        }
        others = {name for name in HARMLESS if name.startswith("data.")}
        assert (HARMLESS | BUDGET) - others <= known and CONSEQUENCES.keys() <= HARMLESS
    every = {f"data.{key}" for job in JOBS.values() for key in job.data.model_fields}
    assert {name for name in HARMLESS if name.startswith("data.")} <= every


def parent(**card) -> Bundle:
    return small_bundle(letters(n_control=3), **card)


def test_model_and_tokenizer_are_the_parents_and_the_rest_is_of_a_preset():
    made = parent()
    recipe, reason = recipe_from(NOTHING, PAIRS, made, None, 200_000)
    assert recipe.model == made.model.config and recipe.family == "transformer" and recipe.preset == "small"
    assert (recipe.tokenizer.kind, recipe.tokenizer.joint, recipe.tokenizer.n_control_ids) == ("characters", True, 3)
    assert recipe.training.batch_tokens == PAIRS.presets["small"]["transformer"]["training"]["batch_tokens"]
    assert reason == "training as in preset small"


def test_everything_else_is_as_in_the_run_that_it_starts_from():
    made = parent()
    before = make_recipe(
        PAIRS,
        "transformer",
        "tiny",
        [{"model": made.model.config.model_dump()}, {"training": {"seed": 7, "epochs": 3}}],
    )
    recipe, reason = recipe_from(names(training={"minutes": 2}), PAIRS, made, before, 200_000)
    assert (recipe.preset, recipe.training.seed, recipe.training.minutes, recipe.training.epochs) == (
        "tiny",
        7,
        2,
        None,
    )
    assert reason == "settings as in the run that it starts from"
    other, reason = recipe_from(names(preset="small"), PAIRS, made, before, 100)
    assert (other.preset, other.training.seed, reason) == ("small", 1, "training as in preset small")
    same_one, _ = recipe_from(names(preset="tiny"), PAIRS, made, before, 100)
    assert same_one.training.seed == 7


def test_what_changes_how_a_model_learns_may_be_another():
    recipe, _ = recipe_from(names(model={"dropout_rate": 0.45}), PAIRS, parent(), None, 100)
    assert recipe.model.dropout_rate == 0.45


def test_a_vocabulary_smaller_than_any_that_can_be_asked_for_is_taken_over():
    tokenizer = letters()
    assert tokenizer.vocabulary < 256
    recipe, _ = recipe_from(NOTHING, PAIRS, small_bundle(tokenizer), None, 100)
    assert recipe.tokenizer.vocabulary == 256


def test_what_a_model_is_cannot_change():
    layer = {"model": {"width": 16}, "tokenizer": {"kind": "bpe", "n_control_ids": 0}}
    message = (
        r"^These settings cannot change when a model's weights are taken over: model\.width is 16, the model's is 8; "
        r"tokenizer\.kind is bpe, the model's is characters; tokenizer\.n_control_ids is 0, the model's is 3\. Leave "
    )
    with pytest.raises(ConfigError, match=message):
        recipe_from(names(**layer), PAIRS, parent(), None, 100)


def test_another_family_than_the_parents_is_refused():
    with pytest.raises(
        ConfigError, match=r"^The model to start from is transformer, not rnn\. Leave the family out\.$"
    ):
        recipe_from(names("rnn"), PAIRS, parent(), None, 100)
    assert recipe_from(names("transformer"), PAIRS, parent(), None, 100)[0].family == "transformer"


def test_a_parent_of_another_job_is_refused():
    message = r"^The model to start from was trained on running text, and these data are pairs of sentences\.$"
    with pytest.raises(ConfigError, match=message):
        recipe_from(NOTHING, PAIRS, parent(job="text"), None, 100)


def test_a_parent_of_a_job_that_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match=r"The model to start from was trained on .*chess"):
        recipe_from(NOTHING, PAIRS, parent(job="chess"), None, 100)


def test_a_text_model_is_taken_over_for_text():
    tokenizer = Tokenizer.train_running(["the cat sat"], "characters", 500)
    model = GPT(GPTConfig(width=8, n_heads=2, n_layers=1), *[tokenizer.vocabulary] * 2)
    made = Bundle(model, "gpt", tokenizer, tokenizer, Card(job="text"))
    recipe, _ = recipe_from(NOTHING, TEXT, made, None, 100)
    assert recipe.model == model.config and recipe.tokenizer.kind == "characters"
