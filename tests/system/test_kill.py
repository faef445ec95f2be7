"""A training that is killed at any moment leaves a run from which the same command goes on."""

import json
import random
import re
import subprocess
import sys
import time

import pytest
from tests.conftest import TINY

from regard.bundle import load_bundle

STEPS = ["--set", "training.steps=80", "--set", "training.validation_steps=15", "--set", "training.checkpoint_steps=3"]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_command_goes_on_after_sigkill(regard, corpus, tmp_path, seed):
    run = tmp_path / "run"
    command = ["train", *map(str, corpus), "--to", str(run), "--model", "transformer", "--set", "model.n_heads=2"]
    command += [*TINY, "--set", "model.feed_forward=16", *STEPS]
    moments = random.Random(seed)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "regard", *command], stderr=subprocess.DEVNULL)
        wait_for_steps(run, process)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.wait()
    done = regard(*command)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert max(record["step"] for record in records if "step" in record) == 80
    if found := re.search(r"Going on from step (\d+)", done.stderr):
        assert int(found[1]) > 0
    for name in ("best", "last", "checkpoints/step-80"):
        load_bundle(run / name)
    assert load_bundle(run / "last").card["trained"]["step"] == 80
    assert [path for path in run.rglob("*") if ".tmp-" in path.name] == []


def wait_for_steps(run, process) -> None:
    """Wait until the training has written a checkpoint, or has ended."""
    while process.poll() is None and not list(run.glob("checkpoints/step-*")):
        time.sleep(0.02)


def test_a_checkpoint_cut_short_is_not_trusted(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY]
    assert regard(*command).returncode == 0
    weights = tmp_path / "run" / "checkpoints" / "step-12" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    done = regard(*command)
    assert done.returncode == 0, done.stderr
    assert "step-12/model.safetensors" in done.stderr and "An older checkpoint is tried" in done.stderr
    assert "Going on from step 8" in done.stderr
