"""A save that fails or is cut off, at any of its operations on the disk, leaves a whole checkpoint and no debris."""

import errno
import io
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import forking

import regard.bundle
from regard.bundle import Bundle, load_bundle
from regard.bundle.card import Card, Progress
from regard.errors import RunError
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.training.config import TrainingConfig
from regard.training.optimiser import Optimiser
from regard.training.randomness import random_state
from regard.training.run import RunFolder
from regard.training.state import TrainState, restore

SMALL = TransformerConfig(width=4, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=4)
CPU = torch.device("cpu")
CONFIG = TrainingConfig(ema_decay=0.5)
WRITING = ("open", "write", "mkdir", "save_file", "fsync")


def save(run: RunFolder, step: int) -> None:
    """Save a checkpoint whose weights are all equal to the step."""
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, float(step))
    bundle = Bundle(model, "transformer", tokenizer, tokenizer, Card())
    state = TrainState(Progress(step=step), Optimiser(model, CONFIG).tensors(), {0: random_state(CPU)})
    run.save_checkpoint(bundle, state, keep=2)


def watch_the_disk(before: Callable[[str], None]) -> None:
    """Have `before` called with the name of every operation on the disk, before it happens."""

    class Watched(io.FileIO):
        def write(self, data) -> int:
            before("write")
            return super().write(data)

    plain_open = io.open

    def watched_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **rest):
        if "w" not in mode:
            return plain_open(file, mode, buffering, encoding, errors, newline, **rest)
        before("open")
        raw = io.BufferedWriter(Watched(os.fspath(file), "w"))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding, errors, newline)

    def watched(plain, name: str):
        def operation(*args, **rest):
            before(name)
            return plain(*args, **rest)

        return operation

    io.open = watched_open
    places = [(os, name) for name in ("fsync", "rename", "replace", "mkdir")]
    for module, name in [*places, (regard.bundle, "save_file"), (shutil, "rmtree")]:
        setattr(module, name, watched(getattr(module, name), name))


def save_with_fault(path: Path, fault: int, how: str, log: Path) -> None:
    """Save step 20; at operation number `fault` the process dies, the disk is full for good, or fails this once."""
    done = os.open(log, os.O_CREAT | os.O_WRONLY)
    n_done = 0

    def before(name: str) -> None:
        nonlocal n_done
        n_done += 1
        os.write(done, f"{name}\n".encode())
        if n_done == fault and how == "dies":
            os._exit(9)
        if n_done >= fault and how == "is full" and name in WRITING:
            raise OSError(errno.ENOSPC, "No space left on device")
        if n_done == fault and how == "fails":
            raise OSError(errno.EIO, "Input/output error")

    watch_the_disk(before)
    try:
        save(RunFolder(path), 20)
    except RunError as error:
        os._exit(2 if "cannot be written" in str(error) else 3)
    os._exit(0)


def run_with_fault(path: Path, fault: int, how: str) -> tuple[int | None, list[str]]:
    """Return how a process that saves ended, and the operations it came to."""
    log = path.parent / "operations"
    log.unlink(missing_ok=True)
    process = forking.Process(target=save_with_fault, args=(path, fault, how, log))
    process.start()
    process.join()
    return process.exitcode, log.read_text().split()


@pytest.fixture
def started(tmp_path) -> RunFolder:
    """A run with checkpoints of steps 5 and 10, so that a third one also removes one."""
    run = RunFolder(tmp_path / "run")
    run.claim(fresh=False, recipe="")
    save(run, 5)
    save(run, 10)
    return run


def newest_step(run: RunFolder) -> int:
    """Return the step of the newest whole checkpoint, after making sure that all of it is of that step."""
    found = run.newest(CONFIG, lambda _: None)
    assert found is not None
    path, bundle, state = found
    step = restore(state, Optimiser(bundle.model, CONFIG), CPU).step
    assert all((p == step).all() for p in bundle.model.parameters())
    assert path.name == f"step-{step}"
    return step


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.prove)])
@pytest.mark.parametrize("how", ["dies", "is full", "fails"])
def test_a_fault_at_any_operation_loses_nothing(started, how, every):
    exitcode, operations = run_with_fault(started.path, 0, "no fault")
    assert exitcode == 0 and newest_step(started) == 20
    assert set(operations) >= {"open", "write", "fsync", "rename", "mkdir", "save_file", "rmtree"}
    assert operations.count("write") >= 10 and operations.count("fsync") >= 16, "two bundles, every file of them"
    before = started.path.with_name("before")
    shutil.rmtree(started.path)
    started.claim(fresh=False, recipe="")
    save(started, 5)
    save(started, 10)
    shutil.copytree(started.path, before)
    for fault, name in list(enumerate(operations, start=1))[::every]:
        shutil.rmtree(started.path)
        shutil.copytree(before, started.path)
        exitcode, _ = run_with_fault(started.path, fault, how)
        newest = newest_step(started)
        last = {float(x) for p in load_bundle(started.last).model.parameters() for x in p.detach().unique()}
        assert newest in (10, 20) and last in ({newest}, {20}), (fault, name)
        if how == "dies":
            assert exitcode == 9, (fault, name)
        elif how == "is full" and name in WRITING:
            assert exitcode == 2, (fault, name)
        if how != "dies":
            left = [p.name for p in started.path.rglob(".*") if ".tmp-" in p.name]
            assert left == [] or name == "rmtree", (fault, name)
        with started.owned():
            save(started, 30)
        assert newest_step(started) == 30
        assert [p.name for p in started.path.rglob(".*") if p.name != ".lock"] == [], (fault, name)


def flip_a_bit(content: bytes, moments: random.Random) -> bytes:
    at, bit = moments.randrange(len(content)), moments.randrange(8)
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def cut_short(content: bytes, moments: random.Random) -> bytes:
    return content[: moments.randrange(len(content))]


@pytest.mark.parametrize(
    ("damage", "n"),
    [
        (flip_a_bit, 60),
        (cut_short, 20),
        pytest.param(flip_a_bit, 1000, marks=pytest.mark.prove),
        pytest.param(cut_short, 200, marks=pytest.mark.prove),
    ],
)
def test_no_damaged_file_loads_silently(started, damage, n):
    moments = random.Random(3)
    files = sorted((started.checkpoints / "step-10").iterdir())
    for _ in range(n):
        path = moments.choice(files)
        content = path.read_bytes()
        path.write_bytes(damage(content, moments))
        assert newest_step(started) == 5, path.name
        path.write_bytes(content)
    assert newest_step(started) == 10
