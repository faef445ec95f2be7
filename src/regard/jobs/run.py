"""A run as an object: the paths of its parts, its progress, its log, and its model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from regard.arguments import path_of
from regard.bundle import load_bundle, read_card, run_bundle
from regard.bundle.card import Card
from regard.display import Record
from regard.errors import BundleError, RunError, shown
from regard.jobs import JOBS
from regard.jobs.settings import recipe_of_run
from regard.pipeline import TextGenerator, Translator, device_of
from regard.recipe import Recipe
from regard.training.run import RunFolder


@dataclass(frozen=True)
class Run:
    """The directory of a training. interrupted: whether it was interrupted before its budget was used up."""

    path: Path
    interrupted: bool = False

    @classmethod
    def at(cls, path: str | PathLike[str]) -> "Run":
        """Return the run in a directory. Raises RunError if there is none."""
        run = cls(path_of(path, "path"))
        if not run._folder.path.is_dir() or run._folder.recipe_text() is None:
            raise RunError(f"{run.path} is not a run: it has no recipe.toml. Give the directory that a training made.")
        return run

    # Everything is read anew each time: a training may be running in the directory.
    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self.path)

    @property
    def best(self) -> Path:
        """The bundle of the best validation."""
        return self._folder.best

    @property
    def last(self) -> Path:
        """The bundle of the last checkpoint."""
        return self._folder.last

    @property
    def log(self) -> Path:
        """The file of the log, one JSON object per line."""
        return self._folder.log

    @property
    def recipe(self) -> Recipe:
        """The settings, fully resolved. Raises RunError if they cannot be read."""
        recipe = recipe_of_run(self._folder)
        if recipe is None:
            raise RunError(f"{self.path} has no recipe.toml yet.")
        return recipe

    @property
    def card(self) -> Card:
        """The card of the last checkpoint's model. Raises BundleError if there is none."""
        return read_card(self.last)

    @property
    def steps(self) -> int:
        """How many updates were made."""
        return self.card.trained.step

    @property
    def minutes(self) -> float:
        """How long was trained, over all sessions."""
        return self.card.trained.seconds / 60

    @property
    def best_score(self) -> float | None:
        """The highest score of a validation; None if none was finite."""
        return read_card(run_bundle(self.path)).trained.best_score

    @property
    def validation(self) -> dict[str, float | None]:
        """The figures of the best validation, by name."""
        return dict(read_card(run_bundle(self.path)).validation)

    def events(self) -> list[Record]:
        """Return every record of the log, in order. Raises RunError if it cannot be read."""
        try:
            return list(_records(self.log))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            # Invalid UTF-8 and JSON are ValueErrors; too deeply nested brackets are a RecursionError.
            raise RunError(f"{self.log} cannot be read: {shown(error, 200)}. Remove the line, or the file.") from error

    def load(self, device: torch.device | str = "auto") -> Translator | TextGenerator:
        """Load the best model. Raises BundleError if there is none yet."""
        return load_model(self.path, device)

    def __fspath__(self) -> str:
        """A run can be passed wherever its directory can: `regard.load(run)`."""
        return str(self.path)

    def __repr__(self) -> str:
        try:
            trained = self.card.trained
        except BundleError:
            return f"Run({str(self.path)!r}, nothing saved yet)"
        score = "" if trained.best_score is None else f", best score {trained.best_score:.2f}"
        ended = ", interrupted" if self.interrupted else ""
        return f"Run({str(self.path)!r}, {trained.step:,} steps in {trained.seconds / 60:.1f} minutes{score}{ended})"


def load_model(path: str | PathLike[str], device: torch.device | str = "auto") -> Translator | TextGenerator:
    """Load the model of a run or a bundle: a translator or a text generator, depending on its training data.

    Raises BundleError if it cannot be loaded, ConfigError if the device does not exist.
    """
    place = device_of(device)  # first, since a large bundle takes a while to read
    bundle = load_bundle(run_bundle(path_of(path, "path")))
    if bundle.card.job not in JOBS:
        raise BundleError(f"{path} was trained for a job unknown to this release. Use the release that wrote it.")
    user: Any = JOBS[bundle.card.job].user
    model: Translator | TextGenerator = user(bundle, place)
    return model


def _records(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):  # the last one may be half written
                yield json.loads(line)
