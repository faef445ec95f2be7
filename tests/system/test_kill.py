"""A training that is ended at any moment leaves a run from which the same command continues to the same weights."""

import hashlib
import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.conftest import TINY, TINY_TEXT, as_a_shell_sees_it

from regard.bundle import load_bundle

STEPS = ["--set", "training.steps=40", "--set", "training.validation_steps=15", "--set", "training.checkpoint_steps=3"]
FAMILIES = ["rnn", "bahdanau", "transformer", "gpt"]


def command_of(family: str, corpus, book) -> list[str]:
    """Return the command that trains a family for 40 steps, without --to."""
    if family == "gpt":
        return ["train", str(book), "--model", family, *TINY_TEXT, *STEPS]
    more = ["--set", "model.n_heads=2", "--set", "model.feed_forward=16"] if family == "transformer" else []
    return ["train", *map(str, corpus), "--model", family, *TINY, *more, *STEPS]


def end_of(run: Path) -> dict[str, str]:
    """Return the sha256 of what a training leaves: weights, optimiser and random numbers of its last step."""
    files = ["last/model.safetensors", "best/model.safetensors", "checkpoints/step-40/train_state.safetensors"]
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in files}


@pytest.fixture(scope="module")
def whole(regard, corpus, book, tmp_path_factory):
    """Return what a family's training leaves when nothing comes between, and how long it takes; each runs once."""
    found: dict[str, tuple[dict[str, str], float]] = {}

    def train(family: str) -> tuple[dict[str, str], float]:
        if family not in found:
            assert regard("--version").returncode == 0  # so that the server which forks is up
            run = tmp_path_factory.mktemp("whole") / family
            began = time.monotonic()
            done = regard(*command_of(family, corpus, book), "--to", run)
            assert done.returncode == 0, done.stderr
            found[family] = end_of(run), time.monotonic() - began
        return found[family]

    return train


@pytest.mark.parametrize("n_kills", [3, pytest.param(50, marks=pytest.mark.prove)])
@pytest.mark.parametrize("family", FAMILIES)
def test_kills_change_nothing(regard, corpus, book, whole, tmp_path, family, n_kills):
    expected, seconds = whole(family)
    moments, n_killed, n_runs = random.Random(family), 0, 0
    while n_killed < n_kills:
        run, n_runs = tmp_path / str(n_runs), n_runs + 1
        command = [*command_of(family, corpus, book), "--to", run]
        while True:
            running = regard.start(*command)
            if n_killed < n_kills:
                time.sleep(moments.uniform(0.1, 1) * seconds)
                running.send(signal.SIGKILL)
            done = running.wait()
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            n_killed += 1
        assert end_of(run) == expected
        assert [path for path in run.rglob("*") if ".tmp-" in path.name] == []
        assert load_bundle(run / "last").card.trained.step == 40


@pytest.mark.parametrize("n_signals", [3, pytest.param(30, marks=pytest.mark.prove)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_saves_and_says_so(regard, corpus, book, whole, tmp_path, number, n_signals):
    expected, seconds = whole("transformer")
    moments, n_ended, n_runs = random.Random(number), 0, 0
    while n_ended < n_signals:
        run, n_runs = tmp_path / str(n_runs), n_runs + 1
        command = [*command_of("transformer", corpus, book), "--to", run]
        while True:
            running = regard.start(*command)
            if n_ended < n_signals:
                time.sleep(moments.uniform(0.2, 1) * seconds)
                running.send(number)
            done = running.wait()
            if done.returncode == 0:
                break
            assert as_a_shell_sees_it(done.returncode) == 128 + number, done.stderr
            n_ended += 1
            if "Stopped at step" in done.stderr:
                step = int(done.stderr.partition("Stopped at step ")[2].partition(".")[0])
                assert step == 0 or (run / "checkpoints" / f"step-{step}").is_dir()
        assert end_of(run) == expected


def test_a_second_training_in_the_same_place_is_refused(regard, corpus, book, tmp_path):
    command = [*command_of("transformer", corpus, book), "--to", tmp_path / "run", "--set", "training.steps=100000"]
    first = regard.start(*command)
    while not list((tmp_path / "run").glob("checkpoints/step-*")):
        assert first.process.is_alive(), first.wait().stderr
        time.sleep(0.02)
    second = regard(*command)
    first.send(signal.SIGTERM)
    ended = first.wait()
    assert second.returncode == 2
    assert f"is in use by process {first.process.pid} on " in second.stderr
    assert as_a_shell_sees_it(ended.returncode) == 143, ended.stderr
    assert "The same call continues from there." in ended.stderr


def test_a_checkpoint_cut_short_is_not_trusted(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY]
    assert regard(*command).returncode == 0
    weights = tmp_path / "run" / "checkpoints" / "step-12" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    done = regard(*command)
    assert done.returncode == 0, done.stderr
    assert "step-12/model.safetensors" in done.stderr and "Trying an older checkpoint" in done.stderr
    assert "Continuing from step 8." in done.stderr


def test_the_log_has_every_step_once_more_at_most(regard, corpus, book, tmp_path):
    command = [*command_of("transformer", corpus, book), "--to", tmp_path / "run"]
    running = regard.start(*command)
    while not list((tmp_path / "run").glob("checkpoints/step-*")):
        assert running.process.is_alive(), running.wait().stderr
        time.sleep(0.02)
    running.send(signal.SIGKILL)
    running.wait()
    assert regard(*command).returncode == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    counts = Counter((record["kind"], record["step"]) for record in records)
    assert counts.keys() == {("train", n) for n in (10, 20, 30, 40)} | {("valid", n) for n in (15, 30, 40)}
    assert max(counts.values()) <= 2
