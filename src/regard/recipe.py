"""One settings file: the sections of a recipe, where their values come from, and what is wrong with them.

Values are laid over one another: the preset for the corpus, a TOML file, `--set section.key=value`. Knows how a value
is written; what it means stands beside the module that owns the section.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from regard.decoding.sampling import SamplingConfig
from regard.decoding.search import DecodingConfig
from regard.errors import ConfigError
from regard.models import MODELS
from regard.presets import BUDGET_KEYS
from regard.text.tokens.tokenizer import TokenizerConfig
from regard.training.config import TrainingConfig

Settings = dict[str, dict[str, Any]]


class PairsConfig(BaseModel):
    """What is done with pairs before they are trained on.

    Languages are codes such as "de"; the target's chooses the tokenisation of the literature's BLEU. Pairs with more
    than max_tokens tokens on a side are left out. Without validation data, validation_pairs are held out. The ids of a
    corpus of more than pairs_in_memory are kept in files of the run. bpe_dropout: share of the merges of BPE that are
    left out at random in training (Provilkov et al. 2020).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source_language: str | None = None
    target_language: str | None = None
    max_tokens: int = Field(256, ge=1)
    validation_pairs: int = Field(1000, ge=1)
    pairs_in_memory: int = Field(2_000_000, ge=0)
    bpe_dropout: float = Field(0.0, ge=0, lt=1)


class TextConfig(BaseModel):
    """What is done with running text before it is trained on.

    documents: what one is, the whole file (lines of "<|endoftext|>" divide it) or every line. No window of the training
    crosses the end of one. Without validation data, the last validation_share of the text is held out, or ten million
    characters if that is less. The ids of a text of more than characters_in_memory are kept in files of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    documents: Literal["file", "line"] = "file"
    validation_share: float = Field(0.1, gt=0, lt=1)
    characters_in_memory: int = Field(100_000_000, ge=0)


class Recipe(BaseModel):
    """The settings of a run. `model` is the config of the family, `data` and `decoding` are those of the job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    preset: str
    data: BaseModel
    tokenizer: TokenizerConfig
    model: BaseModel
    training: TrainingConfig
    decoding: BaseModel

    def to_toml(self) -> str:
        """Return the recipe as a file that gives the same recipe again; keys without a value are left out."""
        sections = {name: getattr(self, name).model_dump(exclude_none=True) for name in SECTIONS}
        return tomli_w.dumps({"family": self.family, "preset": self.preset, **sections})


OF_JOB: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "pairs": (PairsConfig, DecodingConfig),
    "text": (TextConfig, SamplingConfig),
}
"""Job -> the sections `data` and `decoding`."""

SECTIONS = ("data", "tokenizer", "model", "training", "decoding")


def make_recipe(job: str, family: str, preset: str, layers: Sequence[Settings]) -> Recipe:
    """Return the recipe that the layers give, later ones over earlier ones.

    A layer that sets one of training.steps, .epochs and .minutes replaces the budget of the layers below it.
    Raises ConfigError with every unknown key and every value out of range.
    """
    merged: Settings = {name: {} for name in SECTIONS}
    for layer in layers:
        if BUDGET_KEYS & layer.get("training", {}).keys():
            merged["training"] = {k: v for k, v in merged["training"].items() if k not in BUDGET_KEYS}
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)
    data, decoding = OF_JOB[job]
    fitting = create_model(
        "FittingRecipe", __base__=Recipe, model=(MODELS[family][0], ...), data=(data, ...), decoding=(decoding, ...)
    )
    try:
        return fitting.model_validate({"family": family, "preset": preset, **merged})
    except ValidationError as error:
        raise ConfigError(" ".join(_problem(details, fitting) for details in error.errors())) from error


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the content of a recipe file: sections, and perhaps `family` and `preset`.

    Raises ConfigError if it cannot be read or is not TOML, or if a key stands outside the sections.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; --recipe needs a TOML file.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. --recipe needs a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}.") from error
    for key, value in content.items():
        if key not in SECTIONS and key not in ("family", "preset"):
            raise ConfigError(f"{path}: {unknown(key, [*SECTIONS, 'family', 'preset'])}")
        if key in SECTIONS and not isinstance(value, dict):
            raise ConfigError(f"{path}: {key} is {value!r}; it must be a section, [{key}], with keys below it.")
        if key not in SECTIONS and not isinstance(value, str):
            raise ConfigError(f"{path}: {key} is {value!r}; it must be a name in quotes.")
    return content


def read_overrides(assignments: Sequence[str]) -> Settings:
    """Return what `--set section.key=value` says; a value is read as TOML, or else as plain text."""
    settings: Settings = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (equals and dot and key):
            raise ConfigError(f"--set {assignment}: expected section.key=value, for example training.minutes=15.")
        if section not in SECTIONS:
            raise ConfigError(f"--set {assignment}: {unknown(section, SECTIONS)}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        settings.setdefault(section, {})[key] = value
    return settings


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what changed between two recipes as read from TOML, one `section.key: before -> after` each."""
    changed = []
    for section in ("family", *SECTIONS):
        old, new = before.get(section, {}), after.get(section, {})
        if not isinstance(old, dict) or not isinstance(new, dict):
            old, new = {"": old}, {"": new}
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                name = f"{section}.{key}".rstrip(".")
                changed.append(f"{name}: {old.get(key, 'not set')} -> {new.get(key, 'not set')}")
    return changed


def unknown(key: str, known: Sequence[str]) -> str:
    """Return a sentence about an unknown key, with the nearest known one."""
    nearest = difflib.get_close_matches(key.rpartition(".")[2], known, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Known are {', '.join(known)}."
    return f"{key} is not a setting. {hint}"


def _problem(details: Any, recipe: type[Recipe]) -> str:
    """Return one sentence about one thing that pydantic found wrong."""
    path = [str(part) for part in details["loc"]]
    name = ".".join(path)
    if details["type"] == "extra_forbidden":
        section = recipe.model_fields[path[0]].annotation if len(path) > 1 else recipe
        assert isinstance(section, type) and issubclass(section, BaseModel)
        return unknown(name, list(section.model_fields))
    if details["type"] == "value_error":
        return f"{name}.{details['ctx']['error']}" if path else str(details["ctx"]["error"])
    return f"{name} is {details['input']!r}: {details['msg'][0].lower()}{details['msg'][1:]}."
