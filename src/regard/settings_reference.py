"""Every setting of a recipe in words: its default, the values it may have, and what it means.

All of it is taken from the configs, so that nothing is written twice. Knows no terminal.
"""

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from regard.errors import ConfigError, shown
from regard.jobs import JOBS
from regard.models import MODELS
from regard.recipe import SECTIONS, unknown
from regard.text.tokens.tokenizer import TokenizerConfig
from regard.training.config import TrainingConfig

TYPES = {bool: "true, false", int: "integer", float: "number", str: "text"}
"""How the values of a type are called."""

BOUNDS = {
    "ge": "from {}",
    "gt": "above {}",
    "le": "to {}",
    "lt": "to below {}",
    "multiple_of": "in multiples of {}",
    "max_length": "of at most {} characters",
}
"""How a bound of pydantic is worded."""

HEAD = """\
# Settings

Every setting with its default, the values it may have, and what it means. `regard settings` prints the same, and
`regard settings NAME` a section or a setting. `make docs` generates this page from the code.

- `--model` chooses the family, and `--preset` a set of values for it and for an amount of text. Without them both are
  chosen by the data, and `regard train` reports the choice. A preset changes defaults: the settings of a run are in its
  `recipe.toml`.
- `--recipe FILE.toml` overrides the preset.
- `--set section.key=value` overrides both, and may be repeated.

A recipe contains only what it changes:

```toml
family = "transformer"  # as --model
preset = "tiny"  # as --preset

[model]
dropout_rate = 0.2

[training]
minutes = 20
schedule = "wsd"
```

To change one of its settings:

    regard train pairs.tsv --to RUN --recipe mine.toml --set training.minutes=30

In Python: `regard.train("pairs.tsv", to="RUN", recipe="mine.toml", settings={"training.minutes": 30})`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, in words. default: as it is written in a recipe, or "not set"."""

    section: str
    key: str
    default: str
    values: str
    meaning: str

    @property
    def name(self) -> str:
        """Its full name, such as "training.minutes"."""
        return f"{self.section}.{self.key}"


@dataclass(frozen=True, slots=True)
class Group:
    """The settings that can be in a section together. of: the family, or the data, that they are for; empty for all.

    about: paragraphs that concern several of them.
    """

    section: str
    of: str
    about: tuple[str, ...]
    settings: tuple[Setting, ...]

    @property
    def title(self) -> str:
        return f"{self.section}: {self.of}" if self.of else self.section


def all_settings() -> list[Group]:
    """Return every setting, in the order of a recipe's sections."""
    return [
        *(group("data", job.data, job.title) for job in JOBS.values()),
        group("tokenizer", TokenizerConfig),
        *(group("model", config, family, trained_on(family)) for family, (config, _) in MODELS.items()),
        group("training", TrainingConfig),
        *(group("decoding", job.decoding, job.title) for job in JOBS.values()),
    ]


def find_settings(name: str) -> list[Group]:
    """Return the settings of a section, those of a name such as "training.minutes", or those of a key in any section.

    Raises ConfigError if there is none.
    """
    groups = all_settings()
    if name in SECTIONS:
        return [found for found in groups if found.section == name]
    section, _, key = name.rpartition(".")
    if section and section not in SECTIONS:
        raise ConfigError(f"{shown(name)}: {unknown(section, SECTIONS)}")
    among = [found for found in groups if section in ("", found.section)]
    named = [replace(found, settings=tuple(s for s in found.settings if s.key == key)) for found in among]
    if not any(found.settings for found in named):
        keys = list(dict.fromkeys(s.key for found in among for s in found.settings))
        raise ConfigError(unknown(name, keys if section else [*SECTIONS, *keys]))
    return [found for found in named if found.settings]


def group(section: str, config: type[BaseModel], of: str = "", also: str = "") -> Group:
    """Return the settings of a config. also: a paragraph in addition to its docstring."""
    paragraphs = inspect.cleandoc(config.__doc__ or "").split("\n\n")
    about = tuple(" ".join(paragraph.split()) for paragraph in [*paragraphs, also] if paragraph)
    return Group(section, of, about, tuple(setting(section, *field) for field in config.model_fields.items()))


def setting(section: str, key: str, field: FieldInfo) -> Setting:
    """Return a field of a config in words."""
    default = written(field.get_default(call_default_factory=True))
    return Setting(section, key, default, values_of(field), " ".join((field.description or "").split()))


def trained_on(family: str) -> str:
    """Return a sentence about the data that a family can be trained on."""
    titles = [job.title for job in JOBS.values() if job.name in MODELS[family][1].jobs]
    return f"It is trained on {' or '.join(titles)}."


def written(value: Any) -> str:
    """Return a value as it is written in a recipe."""
    if value is None:
        return "not set"
    # TOML writes these as JSON does, and allows the digits of a number to be grouped.
    return f"{value:_}" if type(value) is int and value >= 100_000 else json.dumps(value)


def values_of(field: FieldInfo) -> str:
    """Return which values a setting may have: their type, or all of them if they are few, and their bounds."""
    found = [(name, getattr(rule, name)) for name in BOUNDS for rule in field.metadata if hasattr(rule, name)]
    return " ".join([type_of(field.annotation), *(BOUNDS[name].format(bound(n)) for name, n in found)])


def type_of(annotation: Any) -> str:
    """Return how the values of a type are called. Its default shows whether a setting may be not set."""
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(type_of(one) for one in get_args(annotation) if one is not NoneType)
    if get_origin(annotation) is Literal:
        return ", ".join(map(written, get_args(annotation)))
    return TYPES[annotation]


def bound(n: float) -> str:
    """Return a bound in short form: a large power of ten or of two as a power."""
    for base in (10, 2):
        if n >= 100_000 and base ** (exponent := round(math.log(n, base))) == n:
            return f"{base}^{exponent}"
    return f"{n:,}"


def as_markdown(groups: Sequence[Group]) -> str:
    """Return settings as a page of the documentation."""
    return "\n\n".join([HEAD, *map(_section, groups)])


def _section(of: Group) -> str:
    rows = [("setting", "default", "values", "meaning"), ("---", "---", "---", "---")]
    rows += [(f"`{s.name}`", s.default, s.values, s.meaning.replace("|", "\\|")) for s in of.settings]
    return "\n\n".join([f"## {of.title}", *of.about, "\n".join(f"| {' | '.join(row)} |" for row in rows)])
