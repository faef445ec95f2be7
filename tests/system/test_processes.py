"""The same command under `torchrun` trains the same model on several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import TINY

SETTINGS = [
    *("--model", "transformer", "--set", "model.n_heads=2", "--set", "model.feed_forward=16", *TINY),
    *("--set", "model.dropout_rate=0", "--set", "training.steps=50", "--set", "training.batch_tokens=40"),
    *("--set", "training.checkpoint_steps=10", "--set", "training.validation_steps=20"),
    *("--set", "training.keep_checkpoints=9", "--set", "training.average_checkpoints=2"),
    *("--set", "training.ema_decay=0.5"),
]


def on_two(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command on two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "-m", "regard", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)


def losses_of(run: Path) -> dict[tuple[str, int], float]:
    """Return the losses that were logged, by kind and step."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {(record["kind"], record["step"]): record["nll"] for record in records}


def assert_same_training(ours: Path, theirs: Path) -> None:
    """Check that every loss that was logged is the same, to what sums in another order leave."""
    expected, found = losses_of(theirs), losses_of(ours)
    assert found.keys() == expected.keys() and {("train", 50), ("valid", 20), ("valid", 50)} < found.keys()
    for key, nll in expected.items():
        assert abs(found[key] - nll) < 1e-5, key


@pytest.mark.parametrize("sharded", [False, True], ids=["DDP", "FSDP2"])
def test_two_processes_train_as_one_does_and_either_goes_on_where_the_other_stopped(regard, corpus, tmp_path, sharded):
    alone, together, changing = tmp_path / "alone", tmp_path / "together", tmp_path / "changing"
    settings = [*SETTINGS, "--set", f"training.sharded={str(sharded).lower()}"]
    done = regard("train", *corpus, "--to", alone, *settings)
    assert done.returncode == 0, done.stderr
    done = on_two("train", *corpus, "--to", together, *settings, "--set", "data.pairs_in_memory=0")
    assert done.returncode == 0, done.stderr
    assert len(list(together.glob("tokens/shard-*"))) == 1
    assert done.stderr.count("training data:") == done.stderr.count("Done: 50 steps") == 1
    assert_same_training(together, alone)

    changing.mkdir()
    for path in (alone / "recipe.toml", alone / "best", alone / "checkpoints" / "step-10"):
        target = changing / path.relative_to(alone)
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", path, target], check=True)
    lines = (alone / "log.jsonl").read_text().splitlines(keepends=True)
    (changing / "log.jsonl").write_text(lines[0])
    done = on_two("train", *corpus, "--to", changing, *settings)
    assert done.returncode == 0, done.stderr
    assert "Going on from step 10" in done.stderr
    assert "begun with threads=1 and processes=1, and goes on with threads=1 and processes=2" in done.stderr
    for step in (40, 50):
        subprocess.run(["rm", "-r", changing / "checkpoints" / f"step-{step}"], check=True)
    done = regard("train", *corpus, "--to", changing, *settings)
    assert done.returncode == 0, done.stderr
    assert "Going on from step 30" in done.stderr
    assert_same_training(changing, alone)
