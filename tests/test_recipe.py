import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import ConfigError
from regard.jobs import JOBS
from regard.models import MODELS
from regard.presets import BUDGET_KEYS, ON_PAIRS, ON_TEXT, PAIRS_LIMITS, TEXT_LIMITS, choose_preset, gpt2
from regard.recipe import (
    LONGEST_VALUE,
    MOST_BYTES,
    SECTIONS,
    Origin,
    checked_content,
    differences,
    make_recipe,
    nested,
    read_recipe,
    read_value,
)
from regard.recipe import unknown as about_unknown

PAIRS, TEXT = JOBS["pairs"], JOBS["text"]
ALL = [(job, preset, family) for job in JOBS for preset in JOBS[job].presets for family in JOBS[job].presets[preset]]


@pytest.mark.parametrize(("job", "preset", "family"), ALL)
def test_every_preset_is_a_valid_recipe_that_survives_toml(job, preset, family, tmp_path):
    recipe = make_recipe(JOBS[job], family, preset, [JOBS[job].presets[preset][family]])
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    content = read_recipe(path)
    sections = {k: v for k, v in content.items() if isinstance(v, dict)}
    again = make_recipe(JOBS[job], content["family"], content["preset"], [sections])
    assert again.to_toml() == recipe.to_toml()
    assert differences(recipe, again) == {}


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
def test_a_preset_that_is_chosen_by_size_has_every_family_of_the_job(job, preset):
    assert set(JOBS[job].presets[preset]) == {name for name, (_, model) in MODELS.items() if job in model.jobs}


@pytest.mark.parametrize(("job", "preset", "family"), ALL)
def test_every_preset_has_a_budget(job, preset, family):
    assert BUDGET_KEYS & JOBS[job].presets[preset][family]["training"].keys()


def test_the_sizes_of_gpt_2_share_all_but_their_sizes():
    small, large = gpt2(12, 768, 12), gpt2(48, 1600, 25)
    sizes = {"n_layers", "width", "n_heads"}
    assert small["training"] == large["training"] and small["tokenizer"] == large["tokenizer"]
    assert {key for key in small["model"] if small["model"][key] != large["model"][key]} == sizes


def test_later_layers_win():
    layers = [{"model": {"width": 64, "n_heads": 2}}, {"model": {"width": 32}}]
    recipe = make_recipe(PAIRS, "transformer", "tiny", layers)
    assert (recipe.model.width, recipe.model.n_heads, recipe.model.feed_forward) == (32, 2, 256)


def test_a_budget_replaces_the_budget_below_it():
    recipe = make_recipe(PAIRS, "transformer", "tiny", [{"training": {"epochs": 9}}, {"training": {"minutes": 3}}])
    assert (recipe.training.epochs, recipe.training.minutes) == (None, 3)
    recipe = make_recipe(PAIRS, "transformer", "tiny", [{"training": {"epochs": 9}}, {"training": {"seed": 3}}])
    assert recipe.training.epochs == 9


def test_layers_are_left_as_they_were():
    layers = [{"training": {"epochs": 9}}, {"training": {"minutes": 3}, "model": {"width": 64}}]
    before = [{section: dict(values) for section, values in layer.items()} for layer in layers]
    make_recipe(PAIRS, "transformer", "tiny", layers)
    assert layers == before


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        make_recipe(
            PAIRS,
            "transformer",
            "tiny",
            [{"model": {"widht": 3}, "training": {"steps": 0}, "decoding": {"beam": "x"}}],
        )
    message = str(caught.value)
    assert "model.widht is not a setting. Did you mean model.width?" in message
    assert "training.steps is 0: input should be greater than or equal to 1." in message
    assert "decoding.beam is 'x'" in message


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"model": {"n_heads": 5}}, r"^model\.n_heads is 5; it must divide width \(128\)\. Try 4\.$"),
        (
            {"training": {"average_checkpoints": 3}},
            r"^training\.average_checkpoints is 3; only keep_checkpoints \(2\) ",
        ),
        ({"decoding": {"beam": 100, "max_target_tokens": 9999}}, r"^decoding\.max_target_tokens is 9,999; with a beam"),
        ({"rules": {"split": 3}}, r"^rules\.split is 3: input should be 1 or 2\.$"),
        (
            {"rules": {"weather": 1}},
            r"^rules\.weather is not a setting\. Known are normalisation, split, passages, prec",
        ),
        ({"start": {"path": "runs/a"}}, r"^start\.weights is .*: field required\.$"),
        (
            {"training": {"steps": "x\x1b[31m\n"}},
            r"^training\.steps is 'x\\x1b\[31m\\n': input should be a valid integer",
        ),
        ({"training": {"a\x1b[31m": 3}}, r"^training\.a\\x1b\[31m is not a setting\. "),
        ({"training": {"minutes": float("nan")}}, r"^training\.minutes is nan: input should be a finite number"),
        ({"weather": {"sun": True}}, r"^weather is not a setting\. Known are family, preset, data"),
    ],
    ids=str,
)
def test_a_problem_is_one_printable_sentence_about_a_setting(layer, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_recipe(PAIRS, "transformer", "tiny", [layer])
    assert str(caught.value).isprintable()


def test_each_job_has_sections_of_its_own():
    with pytest.raises(ConfigError, match=r"data\.documents is not a setting"):
        make_recipe(PAIRS, "gpt", "tiny", [{"data": {"documents": "line"}}])
    assert make_recipe(TEXT, "gpt", "tiny", [{"data": {"documents": "line"}}]).data.documents == "line"
    with pytest.raises(ConfigError, match=r"decoding\.beam is not a setting"):
        make_recipe(TEXT, "gpt", "tiny", [{"decoding": {"beam": 3}}])


def test_settings_are_nested_by_their_section():
    values = {"training.minutes": 1.5, " model.norm ": "post", "tokenizer.joint": False, "model.tied": "none"}
    assert nested(values) == {
        "training": {"minutes": 1.5},
        "model": {"norm": "post", "tied": "none"},
        "tokenizer": {"joint": False},
    }
    assert nested({}) == {}


@pytest.mark.parametrize("name", ["steps", "", "training.", "training"])
def test_a_name_without_a_section_is_refused(name):
    with pytest.raises(
        ConfigError, match=rf"^'{name}' is not a setting; expected section\.key, for example training\.minutes\.$"
    ):
        nested({name: 3})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trainig.steps", r"^trainig\.steps: trainig is not a setting\. Did you mean training\?$"),
        (".steps", r"^\.steps:  is not a setting\. Known are data, tokenizer, model, training, decoding\.$"),
        ("rules.split", r"^rules\.split: rules is not a setting"),
        ("\x1b[31m.a", r"^\\x1b\[31m\.a: \\x1b\[31m is not a setting"),
    ],
)
def test_a_name_of_an_unknown_section_is_refused_with_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message):
        nested({name: 3})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1.5", 1.5), ("15", 15), ("false", False), ('"none"', "none"), ("post", "post"), (" post ", "post")),
        *(("", ""), ("[1, 2]", [1, 2]), ("3 4", "3 4"), ("1\nsteps = 2", "1\nsteps = 2"), ("[" * 900, "[" * 900)),
        ("1e999", float("inf")),
    ],
)
def test_a_value_is_read_as_toml_or_as_text(text, value):
    assert read_value(text) == value


@given(st.text(max_size=40))
def test_no_short_value_is_refused(text):
    """It is TOML's value, or the text itself."""
    try:
        content = tomllib.loads(f"value = {text}")
    except ValueError:
        content = {}
    # Compared as they are printed: a value that is not a number differs from itself.
    assert repr(read_value(text)) == repr(content["value"] if len(content) == 1 else text.strip())


def test_a_value_that_is_too_long_is_refused():
    with pytest.raises(ConfigError, match=r"^x+… has 1,001 characters; a setting may have at most 1,000\.$"):
        read_value("x" * (LONGEST_VALUE + 1))
    assert read_value("x" * LONGEST_VALUE) == "x" * LONGEST_VALUE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model = 3\n", r"r\.toml: model is 3; it must be a section, \[model\], with keys below\.$"),
        ("rules = true\n", r"rules is True; it must be a section"),
        ("[family]\na = 1\n", r"family is \{'a': 1\}; it must be a name in quotes\.$"),
        ("preset = 3\n", r"preset is 3; it must be a name in quotes\.$"),
        ("modell = 3\n", r"r\.toml: modell is not a setting\. Did you mean model\?$"),
        (
            "[weather]\n",
            r"weather is not a setting\. Known are data, tokenizer, model, training, decoding, family, preset",
        ),
        ("model =", r"r\.toml is not a TOML file: .*\.$"),
        ("a = " + "[" * 30_000, r"r\.toml is not a TOML file: "),
        ("a" * (MOST_BYTES + 1), r"r\.toml has more than 65,536 bytes; a recipe is a TOML file of some settings\.$"),
    ],
    ids=lambda x: x[:20],
)
def test_a_recipe_file_that_cannot_be_used_is_named(tmp_path, content, message):
    (tmp_path / "r.toml").write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_recipe(tmp_path / "r.toml")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_recipe_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml does not exist; a recipe is a TOML file\.$"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory\. A recipe is a TOML file\.$"):
        read_recipe(tmp_path)
    (tmp_path / "r.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"r\.toml is not a TOML file: .*utf-8"):
        read_recipe(tmp_path / "r.toml")


def test_what_stands_in_a_recipe_may_be_sections_names_rules_and_a_start():
    content = {name: {} for name in (*SECTIONS, "rules", "start")} | {"family": "rnn", "preset": "tiny"}
    assert checked_content(content, "r.toml") is content


def recipe(**layer):
    return make_recipe(PAIRS, "transformer", "tiny", [{"training": {"epochs": 3}}, layer])


def test_differences_name_every_key():
    assert differences(recipe(), recipe()) == {}
    after = make_recipe(PAIRS, "gpt", "small", [{"training": {"minutes": 4}, "decoding": {"beam": 3}}])
    changed = differences(recipe(), after)
    assert changed["family"] == "transformer -> gpt" and changed["preset"] == "tiny -> small"
    assert changed["training.epochs"] == "3.0 -> not set" and changed["training.minutes"] == "not set -> 4.0"
    assert changed["decoding.beam"] == "5 -> 3"
    assert changed["model.n_layers"] == "not set -> 4" and changed["model.n_encoder_layers"] == "4 -> not set"
    assert "model.width" not in changed and "training.seed" not in changed


def test_another_start_is_a_difference_by_its_path():
    started = recipe().model_copy(update={"start": Origin(path="runs/a", weights="f" * 64)})
    assert differences(recipe(), started) == {"start": "not set -> runs/a"}
    assert differences(started, started) == {}


def test_a_recipe_with_a_start_and_rules_survives_toml():
    layer = {"start": {"path": "runs/größe", "weights": "f" * 64}, "rules": {"split": 1}}
    started = recipe(**layer)
    content = tomllib.loads(started.to_toml())
    assert content["start"] == layer["start"] and content["rules"]["split"] == 1
    again = make_recipe(PAIRS, content.pop("family"), content.pop("preset"), [content])
    assert again.to_toml() == started.to_toml() and differences(again, started) == {}


def test_a_section_with_other_values_leaves_the_recipe_as_it_was():
    before = recipe()
    after = before.with_section("training", precision="float32", seed=9)
    assert differences(before, after) == {"training.precision": "auto -> float32", "training.seed": "1 -> 9"}
    assert before.training.seed == 1


def test_the_nearest_known_key_is_named_if_there_is_one():
    nearest = about_unknown("model.widht", ["width", "n_heads"])
    assert nearest == "model.widht is not a setting. Did you mean model.width?"
    assert about_unknown("zzz", ["width", "n_heads"]) == "zzz is not a setting. Known are width, n_heads."


def test_a_key_of_any_length_is_answered_soon_and_in_short():
    assert len(about_unknown("width" * 100_000, ["width"])) < 200


def test_the_preset_grows_with_the_corpus_and_says_why():
    names = [choose_preset(PAIRS_LIMITS, n, "pairs")[0] for n in (10, 29_000, 100_001, 5_000_000)]
    assert names == ["tiny", "tiny", "small", "base"]
    assert "29,000 pairs" in choose_preset(PAIRS_LIMITS, 29_000, "pairs")[1]
    assert choose_preset(TEXT_LIMITS, 4_000_000, "characters")[0] == "tiny"
    assert "6,000,000 characters" in choose_preset(TEXT_LIMITS, 6_000_000, "characters")[1]
    assert choose_preset(TEXT_LIMITS, 10**12, "characters")[1].startswith(
        "preset base: 1,000,000,000,000 characters are"
    )


@pytest.mark.parametrize(("limits", "presets"), [(PAIRS_LIMITS, ON_PAIRS), (TEXT_LIMITS, ON_TEXT)])
def test_every_preset_that_may_be_chosen_is_there(limits, presets):
    for name, limit in limits:
        assert choose_preset(limits, limit, "pairs")[0] == name in presets
    assert "base" in presets and [limit for _, limit in limits] == sorted(limit for _, limit in limits)
