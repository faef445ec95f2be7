"""The directory of a run: what lies in it, whose it is, and where a training can go on.

RUN/recipe.toml     the settings, fully resolved
RUN/log.jsonl       one JSON object a line: kind "train" or "valid"
RUN/best, RUN/last  bundles
RUN/checkpoints     step-N: a bundle plus the state of the training; never overwritten, the newest few are kept
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load, save

from regard.bundle import Bundle, load_bundle, read_extra, save_bundle
from regard.errors import BundleError, RunError
from regard.training.optimiser import Optimiser
from regard.training.progress import Progress

CHECKPOINTS_KEPT = 2
UNFINISHED_RECIPE = ".recipe.toml.tmp"
TENSORS, NUMBERS = "train_state.safetensors", "train_state.json"


class RunFolder:
    """The directory that `--to` named."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.log = path / "log.jsonl"
        self.best, self.last = path / "best", path / "last"
        self.checkpoints = path / "checkpoints"

    def check(self) -> None:
        """Raise RunError if the directory is a file or holds something else than a run."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; --to needs a directory for the run. Choose another name.")
        if self.path.is_dir() and not self.recipe.exists() and (found := self._contents()):
            raise RunError(
                f"{self.path} exists and is not a run of regard (it holds {', '.join(found[:3])} and no recipe.toml). "
                "Nothing was changed. Choose another directory for --to."
            )

    def claim(self, fresh: bool, recipe: str) -> None:
        """Make the directory if it is not there and put the recipe into it, whole or not at all.

        fresh: delete what the directory holds of an older run. Raises RunError as `check` does.
        """
        self.check()
        if fresh:
            for path in (self.best, self.last, self.checkpoints, self.path / ".best.old", self.path / ".last.old"):
                shutil.rmtree(path, ignore_errors=True)
            self.log.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        unfinished = self.path / UNFINISHED_RECIPE
        unfinished.write_text(recipe, encoding="utf-8", newline="\n")
        unfinished.replace(self.recipe)

    def _contents(self) -> list[str]:
        """Return the names in the directory, without what a killed start may have left."""
        return sorted(path.name for path in self.path.iterdir() if path.name != UNFINISHED_RECIPE)

    def steps(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        found = (p for p in self.checkpoints.glob("step-*") if p.name.removeprefix("step-").isdigit())
        return sorted(found, key=lambda p: -int(p.name.removeprefix("step-")))

    def newest(self, warn: Callable[[str], None]) -> tuple[Path, Bundle] | None:
        """Return the newest checkpoint that is whole, with its bundle; each damaged one is named in a warning."""
        for path in self.steps():
            try:
                bundle = load_bundle(path)
                if read_extra(path, TENSORS) is not None and read_extra(path, NUMBERS) is not None:
                    return path, bundle
                warn(f"{path} has no state of the training; an older checkpoint is tried.")
            except BundleError as error:
                warn(f"{error} An older checkpoint is tried.")
        return None

    def save_checkpoint(self, bundle: Bundle, optimiser: Optimiser, progress: Progress) -> None:
        """Write the checkpoint of this step and `last`, then let go of the oldest."""
        tensors = {**optimiser.tensors(), "random": torch.get_rng_state()}
        extra = {TENSORS: save(tensors), NUMBERS: json.dumps(progress.as_dict()).encode()}
        save_bundle(bundle, self.checkpoints / f"step-{progress.step}", extra=extra)
        save_bundle(bundle, self.last)
        for path in self.steps()[CHECKPOINTS_KEPT:]:
            shutil.rmtree(path)


def restore(checkpoint: Path, optimiser: Optimiser) -> Progress:
    """Give the optimisers and torch's random numbers the state of a checkpoint and return where it stands."""
    tensors, numbers = read_extra(checkpoint, TENSORS), read_extra(checkpoint, NUMBERS)
    assert tensors is not None and numbers is not None, "`newest` returns only checkpoints with a state"
    state = load(tensors)
    torch.set_rng_state(state.pop("random"))
    optimiser.restore(state)
    return Progress(**json.loads(numbers))
