"""One settings file: the sections of a recipe, where their values come from, and what is wrong with them.

Later values override earlier ones: a preset, a TOML file, single settings. Knows how a value is written; what it means
is defined in the module that owns the section. A run stores its recipe fully resolved, with the version of every rule
that was applied, so that a later release with other rules still continues it as it was begun.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from regard.errors import ConfigError, shown
from regard.models import MODELS
from regard.presets import BUDGET_KEYS, Settings
from regard.text.tokens.tokenizer import TokenizerConfig
from regard.training.config import TrainingConfig

SECTIONS = ("data", "tokenizer", "model", "training", "decoding")
NAMES = ("family", "preset")

MOST_BYTES = 2**16
"""How large a recipe file may be."""

LONGEST_VALUE = 1000
"""The maximum length, in characters, of a value that is given outside a recipe file."""


class Rules(BaseModel):
    """The version of each rule that chose or cut something without being a setting.

    normalisation: of text before it is cut into pieces. split: which pairs, or which part of a text, are held out.
    passages: where a long text is cut. precision: the table that chooses it. budget: how warm-up and intervals follow
    from it. score: which one selects the best model, and how it is computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # Literals, so that a run of a later release with another rule is refused, and not continued by ours.
    normalisation: Literal[1, 2] = 2
    split: Literal[1, 2] = 2
    passages: Literal[1, 2] = 2
    precision: Literal[1] = 1
    budget: Literal[1, 2] = 2
    score: Literal[1, 2] = 2


class Origin(BaseModel):
    """The model that a run was begun from. weights: their sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str
    weights: str


class Sections(Protocol):
    """The sections of a recipe that belong to a job."""

    @property
    def data(self) -> type[BaseModel]: ...

    @property
    def decoding(self) -> type[BaseModel]: ...


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
    rules: Rules = Rules()
    start: Origin | None = None

    def to_toml(self) -> str:
        """Return the recipe as TOML from which the same recipe is read; keys without a value are left out."""
        sections = {name: getattr(self, name).model_dump(exclude_none=True) for name in (*SECTIONS, "rules")}
        start = {"start": self.start.model_dump()} if self.start else {}
        return tomli_w.dumps({"family": self.family, "preset": self.preset, **sections, **start})

    def with_section(self, section: str, **values: Any) -> "Recipe":
        """Return the recipe with other values in a section."""
        return self.model_copy(update={section: getattr(self, section).model_copy(update=values)})


def make_recipe(sections: Sections, family: str, preset: str, layers: Sequence[Mapping[str, Any]]) -> Recipe:
    """Return the recipe that the layers give; later ones override earlier ones.

    A layer that sets one of training.steps, .epochs and .minutes replaces the budget of the layers below it.
    Raises ConfigError with every unknown key and every value out of range.
    """
    merged: dict[str, Any] = {name: {} for name in SECTIONS}
    for layer in layers:
        if BUDGET_KEYS & layer.get("training", {}).keys():
            merged["training"] = {k: v for k, v in merged["training"].items() if k not in BUDGET_KEYS}
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)  # `rules` and `start` are in a run's recipe only
    fitting = create_model(
        "FittingRecipe",
        __base__=Recipe,
        model=(MODELS[family][0], ...),
        data=(sections.data, ...),
        decoding=(sections.decoding, ...),
    )
    try:
        recipe = fitting.model_validate({"family": family, "preset": preset, **merged}, strict=True)
        return Recipe(**dict(recipe))  # of a class that other processes can unpickle
    except ValidationError as error:
        raise ConfigError(" ".join(_problem(details, fitting) for details in error.errors())) from error


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the content of a recipe file: sections, and perhaps `family` and `preset`.

    Raises ConfigError if it cannot be read or is not TOML, or if a key is outside the sections.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; a recipe is a TOML file.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. A recipe is a TOML file.") from error
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes; a recipe is a TOML file of some settings.")
    try:
        content = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # Invalid UTF-8 and TOML are ValueErrors; too deeply nested brackets are a RecursionError.
        raise ConfigError(f"{path} is not a TOML file: {shown(error, 200)}.") from error
    return checked_content(content, str(path))


def checked_content(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the content of a recipe file. Raises ConfigError if a key is outside the sections."""
    known = [*SECTIONS, *NAMES, "rules", "start"]  # the last two are in the recipe.toml of a run
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{name}: {unknown(key, known)}")
        if key not in NAMES and not isinstance(value, dict):
            raise ConfigError(f"{name}: {key} is {shown(repr(value))}; it must be a section, [{key}], with keys below.")
        if key in NAMES and not isinstance(value, str):
            raise ConfigError(f"{name}: {key} is {shown(repr(value))}; it must be a name in quotes.")
    return content


def nested(settings: Mapping[str, Any]) -> Settings:
    """Return settings named "section.key" by section. Raises ConfigError for a name that has no section."""
    found: Settings = {}
    for name, value in settings.items():
        section, dot, key = name.strip().partition(".")
        if not (dot and key):
            raise ConfigError(f"{shown(name)!r} is not a setting; expected section.key, for example training.minutes.")
        # `rules` and `start` are refused, too: they say how a run was begun, and cannot be set.
        if section not in SECTIONS:
            raise ConfigError(f"{shown(name)}: {unknown(section, SECTIONS)}")
        found.setdefault(section, {})[key] = value
    return found


def read_value(text: str) -> Any:
    """Return a value, read as TOML or otherwise as plain text. Raises ConfigError if it is too long."""
    if len(text) > LONGEST_VALUE:
        raise ConfigError(f"{shown(text)} has {len(text):,} characters; a setting may have at most {LONGEST_VALUE:,}.")
    try:
        content = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return content["value"] if len(content) == 1 else text.strip()  # a newline in it may set more keys


def differences(before: Recipe, after: Recipe) -> dict[str, str]:
    """Return what changed between two recipes of a job, by name: "before -> after"."""
    changed = {}
    for name in (*NAMES, "start"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            changed[name] = f"{_said(old)} -> {_said(new)}"
    for section in (*SECTIONS, "rules"):
        old, new = getattr(before, section).model_dump(), getattr(after, section).model_dump()
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                changed[f"{section}.{key}"] = f"{_said(old.get(key))} -> {_said(new.get(key))}"
    return changed


def _said(value: Any) -> str:
    if isinstance(value, Origin):
        return value.path
    return "not set" if value is None else str(value)


def unknown(key: str, known: Sequence[str], what: str = "a setting") -> str:
    """Return a sentence about an unknown name, with the nearest known one."""
    # Cut, since difflib's time grows with the square of the length, and keys may have any.
    nearest = difflib.get_close_matches(key.rpartition(".")[2][:100], known, n=1, cutoff=0.5)
    section = key.rpartition(".")[0]
    hint = f"Did you mean {section}.{nearest[0]}?".replace(" .", " ") if nearest else f"Known are {', '.join(known)}."
    return f"{shown(key)} is not {what}. {hint}"


def _problem(details: Any, recipe: type[Recipe]) -> str:
    """Return one sentence about one thing that pydantic found wrong."""
    path = [str(part) for part in details["loc"]]
    name = ".".join(path)
    if details["type"] == "extra_forbidden":
        section = recipe
        if len(path) > 1:
            section = Origin if path[0] == "start" else recipe.model_fields[path[0]].annotation  # type: ignore[assignment]
        return unknown(name, list(section.model_fields))
    if details["type"] == "value_error":  # of our validators, whose messages begin with the setting's name
        return f"{name}.{details['ctx']['error']}" if path else str(details["ctx"]["error"])
    return f"{name} is {shown(repr(details['input']))}: {details['msg'][0].lower()}{details['msg'][1:]}."
