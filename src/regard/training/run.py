"""The directory of a run: what lies in it, whose it is, and where a training can go on.

RUN/recipe.toml     the settings, fully resolved
RUN/log.jsonl       one JSON object a line: kind "train" or "valid"
RUN/best, RUN/last  bundles
RUN/checkpoints     step-N: a bundle plus the state of the training; never overwritten, the newest few are kept
RUN/tokens          shards of ids, of a corpus that is too large for memory
RUN/.lock           held while a training runs; RUN/.owner.json says whose it is
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load, save
from torch import Tensor

from regard.bundle import MANIFEST, Bundle, load_bundle, read_card, read_extra, save_bundle
from regard.errors import BundleError, RunError
from regard.replacing import standing, sync
from regard.training.optimiser import Optimiser
from regard.training.progress import Progress
from regard.training.randomness import set_random_state

UNFINISHED_RECIPE, LOCK, OWNER = ".recipe.toml.tmp", ".lock", ".owner.json"
TENSORS, NUMBERS = "train_state.safetensors", "train_state.json"


class RunFolder:
    """The directory that `--to` named."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.log = path / "log.jsonl"
        self.best, self.last = path / "best", path / "last"
        self.checkpoints = path / "checkpoints"
        self.tokens = path / "tokens"

    def check(self) -> None:
        """Raise RunError if the directory is a file or holds something else than a run."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; --to needs a directory for the run. Choose another name.")
        if self.path.is_dir() and not self._is_run() and (found := self._contents()):
            raise RunError(
                f"{self.path} exists and is not a run of regard (it holds {', '.join(found[:3])}). "
                "Nothing was changed. Choose another directory for --to."
            )

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keep every other training out of the directory while the block runs; it is made if it is not there.

        What killed saves have left in it is removed. Raises RunError if another one is in, which it names, or as
        `check` does.
        """
        self.check()
        is_new = not self.path.exists()
        lock, owner = FileLock(self.path / LOCK, timeout=0), self.path / OWNER
        whose = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            owner.write_text(json.dumps(whose), encoding="utf-8")
            for folder in (self.path, self.checkpoints, self.tokens):
                for unfinished in folder.glob(".*.tmp-*"):
                    shutil.rmtree(unfinished)
        except Timeout:
            raise RunError(f"{self.path} is being trained by {_described(owner)}. Wait, or choose another.") from None
        except OSError as error:
            raise RunError(f"{self.path} cannot be used: {error.strerror}. Choose another directory.") from error
        try:
            yield
        finally:
            owner.unlink(missing_ok=True)
            if is_new and not self.recipe.exists():  # nothing came of it
                with suppress(OSError):  # it holds half a recipe, which the next start replaces
                    (self.path / LOCK).unlink(missing_ok=True)  # before it is free, or another might have taken it
                    self.path.rmdir()
            lock.release()

    def claim(self, fresh: bool, recipe: str) -> None:
        """Make the directory if it is not there and put the recipe into it, whole or not at all.

        fresh: delete what the directory holds of an older run. Raises RunError as `check` does.
        """
        self.check()
        try:
            if fresh:
                aside = self.path / ".best.old", self.path / ".last.old"
                for path in (self.best, self.last, *aside, *self.checkpoints.glob("*")):
                    shutil.rmtree(path, ignore_errors=True)
                self.log.unlink(missing_ok=True)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            if not self.recipe.exists() or self.recipe.read_bytes() != recipe.encode():
                unfinished = self.path / UNFINISHED_RECIPE
                unfinished.write_text(recipe, encoding="utf-8", newline="\n")
                sync(unfinished)
                unfinished.replace(self.recipe)
            for path in (self.path, self.path.parent):
                sync(path)
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be written: {error.strerror}. Free the way, or choose another."
            ) from error

    def _is_run(self) -> bool:
        """Return whether the directory holds a run, and not a recipe alone, which may be its user's own."""
        return self.recipe.exists() and any(path.is_dir() for path in (self.checkpoints, self.last, self.best))

    def _contents(self) -> list[str]:
        """Return the names in the directory, without what a killed start may have left."""
        ours = [UNFINISHED_RECIPE, LOCK, OWNER, self.tokens.name]
        if self.checkpoints.is_dir() and not any(self.checkpoints.iterdir()):
            ours.append(self.checkpoints.name)
        return sorted(p.name for p in self.path.iterdir() if p.name not in ours)

    def steps(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        found = (path for path in self.checkpoints.glob("step-*") if path.name.removeprefix("step-").isdigit())
        return sorted(found, key=step_of, reverse=True)

    def whole(self, warn: Callable[[str], None]) -> Iterator[tuple[Path, Bundle]]:
        """Yield the checkpoints that are whole, newest first, with their bundles; each damaged one is warned of."""
        for path in self.steps():
            try:
                bundle = load_bundle(path)
                if read_extra(path, TENSORS) is not None and read_extra(path, NUMBERS) is not None:
                    yield path, bundle
                else:
                    warn(f"{path} has no state of the training; an older checkpoint is tried.")
            except BundleError as error:
                warn(f"{error} An older checkpoint is tried.")
            except OSError as error:
                warn(f"{path} cannot be read: {error.strerror}. An older checkpoint is tried.")

    def newest(self, warn: Callable[[str], None]) -> tuple[Path, Bundle] | None:
        """Return the newest checkpoint that is whole, with its bundle, as `whole` does."""
        return next(self.whole(warn), None)

    def card_of_last(self) -> dict[str, Any] | None:
        """Return what is known of the model in `last`, or else in `best`. Raises BundleError if it cannot be loaded."""
        there = [path for path in (self.last, self.best) if standing(path, MANIFEST).is_dir()]
        return load_bundle(there[0]).card if there else None

    def save_best(self, bundle: Bundle) -> None:
        """Write `best`, unless a better one stands there: before a kill, a run came further than its checkpoints."""
        with suppress(BundleError, OSError):  # there is none, or it is damaged
            if read_card(self.best)["validation"]["score"] > bundle.card["validation"]["score"]:
                return
        save_bundle(bundle, self.best)

    def save_checkpoint(
        self, bundle: Bundle, tensors: dict[str, Tensor], progress: Progress, keep: int, every: int = 1
    ) -> None:
        """Write `last` and the checkpoint of this step, then let go of all but the newest `keep`.

        In this order, since a run goes on from its checkpoints: killed between the two, it would leave `last` behind.
        tensors: what the optimisers remember, and as random.0 and so on the state of each process's random numbers.
        every: a checkpoint of any other step, where a signal came, stays only until the next, and takes nobody's place.
        """
        damaged = [path for path in self.steps() if step_of(path) >= progress.step]  # or it would have gone on there
        extra = {TENSORS: save(tensors), NUMBERS: json.dumps(progress.as_dict()).encode()}
        self._remove(damaged)
        save_bundle(bundle, self.last)
        save_bundle(bundle, self.checkpoints / f"step-{progress.step}", extra=extra)
        past = [path for path in self.steps() if step_of(path) < progress.step]
        kept = [path for path in past if step_of(path) % every == 0][: keep - 1]
        self._remove(path for path in past if path not in kept)

    def _remove(self, checkpoints: Iterable[Path]) -> None:
        for path in checkpoints:
            with suppress(OSError):  # the next save tries again
                shutil.rmtree(path)


def step_of(checkpoint: Path) -> int:
    """Return the step whose checkpoint lies in a directory."""
    return int(checkpoint.name.removeprefix("step-"))


def _described(owner: Path) -> str:
    """Return whose a run is, in words."""
    try:
        whose = json.loads(owner.read_bytes())
        return f"process {whose['process']} on {whose['host']}, since {whose['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def restore(checkpoint: Path, optimiser: Optimiser, device: torch.device, rank: int = 0) -> Progress:
    """Give the optimisers and torch's random numbers the state of a checkpoint and return where it stands.

    A process that the checkpoint knows nothing of, since there were fewer then, keeps its random numbers.
    """
    tensors, numbers = read_extra(checkpoint, TENSORS), read_extra(checkpoint, NUMBERS)
    assert tensors is not None and numbers is not None, "`newest` returns only checkpoints with a state"
    state = load(tensors)
    random = {name: state.pop(name) for name in list(state) if name.startswith("random.")}
    if (mine := random.get(f"random.{rank}")) is not None:
        set_random_state(mine, device)
    optimiser.restore(state)
    values = json.loads(numbers)
    if "window" in values:  # as runs of the first format say
        values["pool"] = values.pop("window")
    return Progress(**values)
