"""The directory of a run: its contents, its lock, and the checkpoints from which a training can continue.

RUN/recipe.toml     the settings, fully resolved
RUN/log.jsonl       one JSON object per line: kind "train", "valid" or "skipped"
RUN/best, RUN/last  bundles
RUN/checkpoints     step-N: a bundle plus the state of the training; never overwritten, the newest few are kept
RUN/data            a corpus that was passed in from Python and has no file of its own
RUN/tokens          shards of ids, of a corpus that is too large for memory
RUN/.lock           held while a training runs; RUN/.owner.json names the process
"""

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from regard.bundle import Bundle, load_bundle, read_card, save_bundle
from regard.bundle.card import Card
from regard.bundle.files import MANIFEST, opened
from regard.errors import BundleError, RunError, shown
from regard.replacing import real, standing, sync
from regard.training.config import TrainingConfig
from regard.training.optimiser import Optimiser
from regard.training.state import TrainState, most_bytes, read_state, refuse_unfit

UNFINISHED_RECIPE, LOCK, OWNER = ".recipe.toml.tmp", ".lock", ".owner.json"
MOST_RECIPE_BYTES = 2**16

LONGEST_NAME = 200
"""The maximum length of a run's name in bytes. Most file systems allow 255, and temporary names are longer."""

Warn = Callable[[str], None]

# No leading zero, so that a step has only one directory; 18 digits stay below 2**63 (`Progress.step`).
_CHECKPOINT = re.compile(r"step-(0|[1-9][0-9]{0,17})", re.ASCII)
_SHARD = re.compile(r"\.?shard-[0-9]{5}", re.ASCII)


class RunFolder:
    """The directory of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.log = path / "log.jsonl"
        self.best, self.last = path / "best", path / "last"
        self.checkpoints = path / "checkpoints"
        self.data, self.tokens = path / "data", path / "tokens"

    def check(self) -> None:
        """Raise RunError if the name cannot be used, or if the path is a file or a directory with other contents."""
        self._check_name()
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; a run needs a directory. Choose another name.")
        if not self.path.is_dir():
            return
        self._check_parts()
        if not self._is_run() and (found := self._contents()):
            raise RunError(
                f"{self.path} exists and is not a run of regard (it holds {', '.join(map(shown, found[:3]))}). "
                "Nothing was changed. Choose another directory."
            )

    def _check_parts(self) -> None:
        """Raise RunError if a part of the run is a link, or is a file instead of a directory or the reverse."""
        files = self.recipe, self.path / UNFINISHED_RECIPE, self.log, self.path / LOCK, self.path / OWNER
        folders = [self.best, self.last, self.checkpoints, self.data, self.tokens]
        if self.checkpoints.is_dir() and not self.checkpoints.is_symlink():
            folders += [path for path in self.checkpoints.iterdir() if _CHECKPOINT.fullmatch(path.name)]
        advice = "Remove it, or choose another directory."
        for path in (*files, *folders):
            if path.is_symlink():  # writing would follow it to wherever it points
                raise RunError(f"{path} is a link; a run must contain its files. {advice}")
            if path.exists() and not (path.is_dir() if path in folders else path.is_file()):
                wanted = "directory" if path in folders else "file"
                raise RunError(f"{path} is not a {wanted}, but a run needs one there. {advice}")

    def _check_name(self) -> None:
        name = self.path.name or real(self.path).name  # "." has no name of its own
        try:
            os.fspath(self.path.absolute()).encode()
        except UnicodeEncodeError:
            raise RunError(
                f"The path {os.fspath(self.path)!r} is not UTF-8, so files cannot store it. Choose another path."
            ) from None
        if (n_bytes := len(name.encode())) > LONGEST_NAME:
            raise RunError(
                f"The name {shown(name)} has {n_bytes} bytes; at most {LONGEST_NAME} are allowed. Choose a shorter one."
            )
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:  # ValueError for a NUL in the name
            raise RunError(f"{shown(self.path)} cannot be used: {error}. Choose another directory.") from error

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Lock the directory against other trainings while the block runs; it is created if it does not exist.

        What killed saves have left in it is removed. Raises RunError if another training holds the lock, naming it, or
        as `check` does.
        """
        self.check()
        is_new = not self.path.exists()
        lock, owner = FileLock(self.path / LOCK, timeout=0), self.path / OWNER
        whose = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            owner.write_text(json.dumps(whose), encoding="utf-8")
            # Under the lock no other process saves, so these were left by killed ones.
            for folder in (self.path, self.checkpoints, self.tokens):
                for unfinished in folder.glob(".*.tmp-*"):
                    if unfinished.is_dir() and not unfinished.is_symlink():
                        shutil.rmtree(unfinished)
                    else:
                        unfinished.unlink()
        except Timeout:
            raise RunError(f"{self.path} is in use by {_described(owner)}. Wait, or choose another run.") from None
        except OSError as error:
            self._leave(lock, is_new)
            way = "Free space" if error.errno == errno.ENOSPC else "Choose another directory"
            raise RunError(f"{self.path} cannot be used: {error.strerror}. {way}.") from error
        try:
            yield
        finally:
            self._leave(lock, is_new)

    def _leave(self, lock: FileLock, is_new: bool) -> None:
        """Release the directory; a new one is removed if no run was created in it."""
        with suppress(OSError):  # if the directory could not be created, there is none
            (self.path / OWNER).unlink()
        if is_new and not self.recipe.exists():
            with suppress(OSError):  # it may hold an unfinished recipe, which the next start replaces
                (self.path / LOCK).unlink(missing_ok=True)  # before the release: then another may take it
                self.path.rmdir()
        lock.release()

    def claim(self, fresh: bool, recipe: str) -> None:
        """Create the directory if it does not exist, and write the recipe into it, complete or not at all.

        fresh: delete the models, checkpoints and log of an older run there. Raises RunError as `check` does.
        """
        self.check()
        try:
            if fresh:
                # What a killed process has set aside is deleted, too: `standing` would find the old model there. Tokens
                # stay, since a shard records what it was made from.
                aside = self.path / ".best.old", self.path / ".last.old"
                for path in (self.best, self.last, *aside, *self.checkpoints.glob("*")):
                    shutil.rmtree(path, ignore_errors=True)
                self.log.unlink(missing_ok=True)
            # Before the recipe, which alone would be taken for the user's own file (`_is_run`).
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            if not self.recipe.exists() or self.recipe.read_bytes() != recipe.encode():
                unfinished = self.path / UNFINISHED_RECIPE
                unfinished.write_text(recipe, encoding="utf-8", newline="\n")
                sync(unfinished)
                unfinished.replace(self.recipe)
            # A rename survives a power failure once its directory is synced.
            for path in (self.path, self.path.parent):
                sync(path)
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}. Choose another directory.") from error

    def recipe_text(self) -> str | None:
        """Return the settings that the run was started with, or None if it was not started. Raises RunError."""
        if not self._is_run():
            return None
        try:
            with opened(self.recipe) as file:
                content = file.read(MOST_RECIPE_BYTES + 1)
            if len(content) > MOST_RECIPE_BYTES:
                raise RunError(f"{self.recipe} has more than {MOST_RECIPE_BYTES:,} bytes, so regard did not write it.")
            return content.decode("utf-8")
        except (OSError, UnicodeDecodeError, BundleError) as error:
            raise RunError(f"{self.recipe} cannot be read: {error}. Restore it from a copy.", ways=["fresh"]) from error

    def _is_run(self) -> bool:
        """Return whether the directory holds a run. A recipe alone does not count: it may be the user's own file."""
        return self.recipe.exists() and any(path.is_dir() for path in (self.checkpoints, self.last, self.best))

    def _contents(self) -> list[str]:
        """Return the names in the directory, without what a killed start may have left."""
        ours = [UNFINISHED_RECIPE, LOCK, OWNER]
        if self.checkpoints.is_dir() and not any(self.checkpoints.iterdir()):
            ours.append(self.checkpoints.name)
        if self.tokens.is_dir() and all(_SHARD.match(path.name) for path in self.tokens.iterdir()):
            ours.append(self.tokens.name)
        return sorted(p.name for p in self.path.iterdir() if p.name not in ours and ".tmp-" not in p.name)

    def steps(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        if not self.checkpoints.is_dir():
            return []
        found = (path for path in self.checkpoints.iterdir() if _CHECKPOINT.fullmatch(path.name))
        return sorted((path for path in found if path.is_dir() and not path.is_symlink()), key=step_of, reverse=True)

    def bundles(self, warn: Warn) -> Iterator[tuple[Path, Bundle]]:
        """Yield the checkpoints whose models are intact, newest first, with their bundles; warn of the others."""
        for path in self.steps():
            try:
                yield path, load_bundle(path)
            except BundleError as error:
                warn(f"{error.message} Trying an older checkpoint.")
            except OSError as error:
                warn(f"{path} cannot be read: {error.strerror}. Trying an older checkpoint.")

    def newest(self, config: TrainingConfig, warn: Warn) -> tuple[Path, Bundle, TrainState] | None:
        """Return the newest checkpoint that a training with these settings can continue, with its bundle and state."""
        for path, bundle in self.bundles(warn):
            try:
                optimiser = Optimiser(bundle.model, config)  # only for the shapes of its state
                state = read_state(path, most_bytes(optimiser))
                if state is not None:
                    refuse_unfit(state, optimiser, path)
                    return path, bundle, state
                warn(f"{path} has no training state. Trying an older checkpoint.")
            except BundleError as error:
                warn(f"{error.message} Trying an older checkpoint.")
            except OSError as error:
                warn(f"{path} cannot be read: {error.strerror}. Trying an older checkpoint.")
        return None

    def card_of_last(self) -> Card | None:
        """Return the card of the model in `last`, otherwise in `best`. Raises BundleError if it cannot be loaded."""
        there = [path for path in (self.last, self.best) if standing(path, MANIFEST).is_dir()]
        return load_bundle(there[0]).card if there else None

    def save_best(self, bundle: Bundle) -> None:
        """Write `best`, unless the existing one is better: a killed run may have got further than its checkpoints."""
        with suppress(BundleError, OSError):  # there is none, or it is damaged
            before, now = read_card(self.best).validation.get("score"), bundle.card.validation.get("score")
            if before is not None and now is not None and before > now:
                return
        save_bundle(bundle, self.best)

    def save_checkpoint(self, bundle: Bundle, state: TrainState, keep: int, every: int = 1) -> None:
        """Write `last` and the checkpoint of this step, then delete all but the newest `keep` checkpoints.

        `last` comes first, since a run continues from its checkpoints: killed between the two in the other order, it
        would leave `last` behind. every: a checkpoint at a step that is not a multiple of it, saved because of a
        signal, is kept only until the next one and is not counted then.
        """
        step = state.progress.step
        damaged = [path for path in self.steps() if step_of(path) >= step]  # or it would have continued from them
        extra = state.files()  # before anything is removed, so that nothing is lost if this fails
        self._remove(damaged)
        save_bundle(bundle, self.last)
        save_bundle(bundle, self.checkpoints / f"step-{step}", extra=extra)
        past = [path for path in self.steps() if step_of(path) < step]
        kept = [path for path in past if step_of(path) % every == 0][: keep - 1]
        self._remove(path for path in past if path not in kept)

    def _remove(self, checkpoints: Iterable[Path]) -> None:
        for path in checkpoints:
            with suppress(OSError):  # the next save tries again
                shutil.rmtree(path)


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint's directory."""
    return int(checkpoint.name.removeprefix("step-"))


def _described(owner: Path) -> str:
    """Return in words which process owns a run."""
    try:
        with owner.open("rb") as file:
            whose = json.loads(file.read(MOST_RECIPE_BYTES))
        return shown(f"process {whose['process']} on {whose['host']}, since {whose['since']}", 200)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # it may be half written at this moment
        return "another process"
