import tomllib
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from regard.errors import ConfigError
from regard.jobs import JOBS
from regard.models import MODELS
from regard.recipe import SECTIONS, make_recipe, read_value
from regard.settings_reference import BOUNDS, HEAD, all_settings, as_markdown, bound, find_settings, group
from regard.text.tokens.tokenizer import TokenizerConfig
from regard.training.config import TrainingConfig

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

JOBS_AND_FAMILIES = [(job, family) for job in JOBS for family in MODELS if job in MODELS[family][1].jobs]
CONFIGS = [
    *(config for job in JOBS.values() for config in (job.data, job.decoding)),
    *(config for config, _ in MODELS.values()),
    *(TokenizerConfig, TrainingConfig),
]


class Fields(BaseModel):
    """What several fields share.

    In two paragraphs.
    """

    model_config = {"use_attribute_docstrings": True}

    plain: int = 3
    """One meaning,
    on two lines.
    """

    between: int = Field(2_000_000, ge=0, le=10**9, multiple_of=2)
    below: float = Field(0.5, ge=0, lt=1)
    above: float = Field(1.0, gt=0)
    both: float | None = Field(None, gt=0.001, lt=2**24)
    choice: Literal["a", "b"] | None = "a"
    switch: bool = False
    words: str | None = Field(None, max_length=32)


def test_the_page_of_the_docs_is_current():
    assert PAGE.read_text(encoding="utf-8") == as_markdown(all_settings()) + "\n", "`make docs` writes it anew"


def test_a_field_is_said_in_words():
    found = group("training", Fields)
    assert found.about == ("What several fields share.", "In two paragraphs.")
    assert [(s.name, s.default, s.values) for s in found.settings] == [
        ("training.plain", "3", "integer"),
        ("training.between", "2_000_000", "integer from 0 to 10^9 in multiples of 2"),
        ("training.below", "0.5", "number from 0 to below 1"),
        ("training.above", "1.0", "number above 0"),
        ("training.both", "not set", "number above 0.001 to below 2^24"),
        ("training.choice", '"a"', '"a", "b"'),
        ("training.switch", "false", "true, false"),
        ("training.words", "not set", "text of at most 32 characters"),
    ]
    assert [s.meaning for s in found.settings] == ["One meaning, on two lines.", *[""] * 7]


@pytest.mark.parametrize(
    ("n", "words"),
    [
        *((0, "0"), (0.001, "0.001"), (1024, "1,024"), (10**4, "10,000"), (131_073, "131,073")),
        *((2**17, "2^17"), (2**63, "2^63"), (10**15, "10^15"), (2_000_000, "2,000,000")),
    ],
)
def test_a_large_power_is_said_as_one(n, words):
    assert bound(n) == words


@pytest.mark.parametrize("found", all_settings(), ids=lambda found: found.title)
def test_every_setting_has_a_meaning_that_is_a_sentence(found):
    assert found.about and all(paragraph.endswith(".") for paragraph in found.about)
    wrong = [s.name for s in found.settings if not (s.meaning[:1].isupper() and s.meaning.endswith("."))]
    assert not wrong, "a docstring below each setting says what it means"


@pytest.mark.parametrize(("job", "family"), JOBS_AND_FAMILIES)
def test_every_setting_of_every_recipe_is_there_with_its_default(job, family):
    recipe = make_recipe(JOBS[job], family, "tiny", [])
    of = {"", family, JOBS[job].title}
    found = [s for one in all_settings() if one.of in of for s in one.settings]
    values = {f"{section}.{key}": value for section in SECTIONS for key, value in getattr(recipe, section)}
    assert list(values) == [s.name for s in found]
    # A default can be copied into a recipe as it stands.
    written = {s.name: None if s.default == "not set" else read_value(s.default) for s in found}
    assert written == values


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_bound_is_shown(config):
    for said, field in zip(group("training", config).settings, config.model_fields.values(), strict=True):
        for rule in field.metadata:
            limits = [getattr(rule, name) for name in BOUNDS if hasattr(rule, name)]
            assert limits, f"{said.key} has a rule that is not said: {rule}"
            assert all(bound(limit) in said.values for limit in limits)


def test_settings_are_found_by_section_by_name_and_by_key():
    titles = [found.title for found in find_settings("decoding")]
    assert titles == ["decoding: pairs of sentences", "decoding: running text"]
    (found,) = find_settings("training")
    assert "minutes" in [s.key for s in found.settings]
    for name in ("training.minutes", "minutes"):
        (found,) = find_settings(name)
        assert found.title == "training" and [s.name for s in found.settings] == ["training.minutes"]
    assert [found.of for found in find_settings("model.width")] == list(MODELS)
    assert [s.name for found in find_settings("batch_tokens") for s in found.settings] == [
        "training.batch_tokens",
        "decoding.batch_tokens",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training.minuts", r"^training\.minuts is not a setting\. Did you mean training\.minutes\?$"),
        ("minuts", r"^minuts is not a setting\. Did you mean minutes\?$"),
        ("trainig", r"^trainig is not a setting\. Did you mean training\?$"),
        ("trainig.minutes", r"^trainig\.minutes: trainig is not a setting\. Did you mean training\?$"),
        ("tokenizer.xyz", r"^tokenizer\.xyz is not a setting\. Known are kind, vocabulary, joint, n_control_ids\.$"),
        ("training.", r"^training\. is not a setting\. Known are steps, epochs, minutes, "),
        ("a\x1b[31m", r"^a\\x1b\[31m is not a setting\. "),
    ],
    ids=ascii,
)
def test_a_name_that_is_unknown_is_refused_with_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message):
        find_settings(name)


def test_the_example_of_the_page_is_a_recipe():
    content = tomllib.loads(HEAD.split("```toml\n")[1].split("```")[0])
    sections = {name: value for name, value in content.items() if name in SECTIONS}
    recipe = make_recipe(JOBS["pairs"], content["family"], content["preset"], [sections])
    assert (recipe.model.dropout_rate, recipe.training.minutes) == (0.2, 20)
