import pytest

from regard.cli.train import read_overrides
from regard.errors import ConfigError
from regard.recipe import nested


def test_overrides_are_read_as_toml_or_as_text():
    settings = read_overrides(
        ["training.minutes=1.5", " model.norm = post", "tokenizer.joint=false", 'model.tied="none"', "data.name=a=b"]
    )
    assert settings == {
        "training.minutes": 1.5,
        "model.norm": "post",
        "tokenizer.joint": False,
        "model.tied": "none",
        "data.name": "a=b",
    }


def test_the_last_of_two_overrides_wins():
    assert read_overrides(["training.steps=1", "training.steps=2"]) == {"training.steps": 2}


def test_an_override_without_a_value_is_refused():
    message = r"^--set training\.steps: expected section\.key=value, for example training\.minutes=15\.$"
    with pytest.raises(ConfigError, match=message):
        read_overrides(["training.minutes=3", "training.steps"])


@pytest.mark.parametrize("bad", ["steps=3", "=3", "training.=3"])
def test_an_override_without_a_section_or_a_key_is_refused(bad):
    with pytest.raises(ConfigError, match=r"is not a setting; expected section\.key"):
        nested(read_overrides([bad]))


def test_what_is_refused_is_shown_in_short():
    with pytest.raises(ConfigError) as caught:
        read_overrides(["y" * 100_000])
    assert len(str(caught.value)) < 200
