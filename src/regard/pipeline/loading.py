"""What the use of a bundle needs: a bundle for the right job, a device, and settings that a call may override."""

from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from regard.bundle import Bundle, load_bundle, run_bundle
from regard.bundle.files import first_problem
from regard.errors import BundleError, ConfigError, shown
from regard.runtime import choose_device

Settings = TypeVar("Settings", bound=BaseModel)


def load_for(job: str, directory: Path) -> Bundle:
    """Return the bundle of a run or a bundle directory. Raises ConfigError if it was trained for another job."""
    bundle = load_bundle(run_bundle(directory))
    if (found := bundle.card.job) != job:
        what = {"text": "trained on running text, and continues it", "pairs": "trained to translate"}
        raise ConfigError(f"{directory} was {what.get(found, shown(found))}; it is not a model for {WANTED[job]}.")
    return bundle


WANTED = {"text": "running text", "pairs": "pairs of sentences"}
"""What a job's models are for, in words."""


def settings_of(bundle: Bundle, config: type[Settings]) -> Settings:
    """Return the decoding settings of a bundle. Raises BundleError if they cannot be used."""
    try:
        return config.model_validate(bundle.card.decoding)
    except ValidationError as error:
        raise BundleError(f"The bundle's decoding settings cannot be used: {first_problem(error)}.") from error


def changed(config: Settings, options: dict[str, Any]) -> Settings:
    """Return settings overridden by the given options. Raises ConfigError with all that are unknown or do not fit."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        # Built anew, since a copy with other values would not be validated.
        return type(config).model_validate(config.model_dump() | given, strict=True)
    except ValidationError as error:
        raise ConfigError(" ".join(map(_problem, error.errors()))) from error


def _problem(details: Any) -> str:
    """Return one sentence about an option that does not fit."""
    if not details["loc"]:
        return f"decoding.{details['ctx']['error']}"
    name = shown(details["loc"][0])
    if details["type"] == "extra_forbidden":
        return f"{name} is not an option of this kind of model."
    hint = " For the likeliest token, use greedy." if name == "temperature" else ""
    return f"{name} is {shown(details['input'])}: {details['msg'][0].lower()}{details['msg'][1:]}.{hint}"


def device_of(device: torch.device | str) -> torch.device:
    """Return a device by its name, or as it is. Raises ConfigError if it does not exist."""
    return device if isinstance(device, torch.device) else choose_device(device)


def n_parameters(bundle: Bundle) -> str:
    """Return how many parameters a model has, in words."""
    return f"{sum(p.numel() for p in bundle.model.parameters()):,} parameters"
