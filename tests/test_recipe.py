import tomllib

import pytest

from regard.errors import ConfigError
from regard.models import MODELS
from regard.presets import PRESETS, choose_preset
from regard.recipe import differences, make_recipe, read_overrides, read_recipe

ALL = [(job, preset, family) for job in PRESETS for preset in PRESETS[job] for family in PRESETS[job][preset]]


@pytest.mark.parametrize(("job", "preset", "family"), ALL)
def test_every_preset_is_a_valid_recipe_that_survives_toml(job, preset, family, tmp_path):
    recipe = make_recipe(job, family, preset, [PRESETS[job][preset][family]])
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    content = read_recipe(path)
    sections = {k: v for k, v in content.items() if isinstance(v, dict)}
    again = make_recipe(job, content["family"], content["preset"], [sections])
    assert again.to_toml() == recipe.to_toml()


@pytest.mark.parametrize("job", PRESETS)
@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
def test_a_preset_that_is_chosen_by_size_has_every_family_of_the_job(job, preset):
    assert set(PRESETS[job][preset]) == {name for name, (_, model) in MODELS.items() if job in model.jobs}


def test_later_layers_win():
    recipe = make_recipe(
        "pairs", "transformer", "tiny", [{"model": {"width": 64}}, {"model": {"width": 32, "n_heads": 2}}]
    )
    assert (recipe.model.width, recipe.model.n_heads, recipe.model.feed_forward) == (32, 2, 256)


def test_a_budget_replaces_the_budget_below_it():
    recipe = make_recipe("pairs", "transformer", "tiny", [{"training": {"epochs": 9}}, {"training": {"minutes": 3}}])
    assert (recipe.training.epochs, recipe.training.minutes) == (None, 3)
    recipe = make_recipe("pairs", "transformer", "tiny", [{"training": {"epochs": 9}}, {"training": {"seed": 3}}])
    assert recipe.training.epochs == 9


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        make_recipe(
            "pairs",
            "transformer",
            "tiny",
            [{"model": {"widht": 3}, "training": {"steps": 0}, "decoding": {"beam": "x"}}],
        )
    message = str(caught.value)
    assert "model.widht is not a setting. Did you mean width?" in message
    assert "training.steps is 0: input should be greater than or equal to 1." in message
    assert "decoding.beam is 'x'" in message


def test_overrides_are_read_as_toml_or_as_text():
    settings = read_overrides(["training.minutes=1.5", "model.norm=post", "tokenizer.joint=false", 'model.tied="none"'])
    assert settings == {
        "training": {"minutes": 1.5},
        "model": {"norm": "post", "tied": "none"},
        "tokenizer": {"joint": False},
    }


@pytest.mark.parametrize("bad", ["steps=3", "training.steps", "=3", "training.=3"])
def test_an_override_of_another_form_is_refused(bad):
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        read_overrides([bad])


def test_a_recipe_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_text("model = 3\n")
    with pytest.raises(ConfigError, match=r"model is 3; it must be a section, \[model\]"):
        read_recipe(tmp_path / "r.toml")


def test_differences_name_every_key():
    before = tomllib.loads('family = "a"\n[model]\nwidth = 3\n[training]\nsteps = 1\n')
    after = tomllib.loads('family = "b"\n[model]\nwidth = 4\nn_heads = 2\n[training]\nsteps = 1\n')
    assert differences(before, after) == ["family: a -> b", "model.n_heads: not set -> 2", "model.width: 3 -> 4"]


def test_the_preset_grows_with_the_corpus_and_says_why():
    names = [choose_preset("pairs", n)[0] for n in (10, 29_000, 100_001, 5_000_000)]
    assert names == ["tiny", "tiny", "small", "base"]
    assert "29,000 pairs" in choose_preset("pairs", 29_000)[1]
    assert choose_preset("text", 4_000_000)[0] == "tiny"
    assert "6,000,000 characters" in choose_preset("text", 6_000_000)[1]
