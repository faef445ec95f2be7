"""The same command under `torchrun` trains the same model on several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import TINY

SETTINGS = [
    *("--model", "transformer", "--set", "model.n_heads=2", "--set", "model.feed_forward=16", *TINY),
    *("--set", "model.dropout_rate=0", "--set", "training.steps=50", "--set", "training.batch_tokens=40"),
    *("--set", "training.checkpoint_steps=10", "--set", "training.validation_steps=20"),
    *("--set", "training.keep_checkpoints=9", "--set", "training.average_checkpoints=2"),
    *("--set", "training.ema_decay=0.5", "--set", "training.learning_rate=0.004", "--set", "training.schedule=linear"),
]
"""The rate is low at the end: what AdamW and Muon make of gradients that are nothing but rounding grows with it."""


def start_on_two(*arguments: object) -> subprocess.Popen[str]:
    """Start a command on two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "-m", "regard", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment)


def on_two(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command on two processes."""
    running = start_on_two(*arguments)
    out, err = running.communicate()
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def ended_on_two(number: signal.Signals, corpus: tuple[Path, Path], folder: Path) -> tuple[Path, str]:
    """End a training on two processes in its midst, and return its run and what it said."""
    for run in (folder / f"run-{i}" for i in range(5)):
        running = start_on_two("train", *corpus, "--to", run, *SETTINGS)
        while not (run / "checkpoints" / "step-10").exists():
            assert running.poll() is None, running.communicate()[1]
            time.sleep(0.02)
        running.send_signal(number)
        _, err = running.communicate()
        assert running.returncode != 0
        if number == signal.SIGKILL or not (run / "checkpoints" / "step-50").exists():
            return run, err  # else the machine was busy, and the signal came too late
    pytest.fail("every training was done before the signal reached it")


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
def test_two_processes_train_as_one_does_and_either_continues_where_the_other_stopped(
    regard, corpus, tmp_path, sharded
):
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
    assert "Continuing from step 10." in done.stderr
    assert "begun with threads=1 and processes=1, and continues with threads=1 and processes=2" in done.stderr
    for step in (40, 50):
        subprocess.run(["rm", "-r", changing / "checkpoints" / f"step-{step}"], check=True)
    done = regard("train", *corpus, "--to", changing, *settings)
    assert done.returncode == 0, done.stderr
    assert "Continuing from step 30." in done.stderr
    assert_same_training(changing, alone)


def test_a_mistake_that_the_first_process_finds_ends_both_with_one_message(trained, corpus):
    done = on_two("train", *corpus, "--to", trained, "--model", "bahdanau", *TINY, "--set", "model.width=32")
    assert done.returncode != 0
    assert done.stderr.count("regard: ") == done.stderr.count("was begun with other settings: model.width") == 1
    assert "exitcode  : 2" in done.stderr and "Connection" not in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_both_processes_leaves_a_checkpoint_from_which_one_continues(regard, corpus, tmp_path, number):
    alone = tmp_path / "alone"
    done = regard("train", *corpus, "--to", alone, *SETTINGS)
    assert done.returncode == 0, done.stderr
    run, err = ended_on_two(number, corpus, tmp_path)
    assert ("Stopped at step " in err) == (number == signal.SIGTERM)
    continuing = ["train", *corpus, "--to", run, *SETTINGS]
    done = regard(*continuing)
    while "is in use by process" in done.stderr:  # workers find out by themselves that their launcher is gone
        time.sleep(0.2)
        done = regard(*continuing)
    assert done.returncode == 0, done.stderr
    step = int(done.stderr.partition("Continuing from step ")[2].partition(".")[0])
    found, expected = losses_of(run), losses_of(alone)
    assert found.keys() == expected.keys()
    for key, nll in expected.items():
        if key != ("train", step - step % 10 + 10):  # the mean over what was left of ten steps
            assert abs(found[key] - nll) < 1e-5, key
