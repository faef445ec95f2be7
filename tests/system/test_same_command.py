"""The same command gives the same weights, whatever else the machine does: nothing is decided by a clock."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest


@pytest.fixture
def busy():
    """As many processes that only compute as there are processors."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("busy")
@pytest.mark.prove
def test_on_a_loaded_machine_too(corpus, tmp_path):
    """Default settings but for the budget: two threads and more, the precision and the tokenizer of our own choice."""
    lines = (side.read_text(encoding="utf-8").splitlines() for side in corpus)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{a}\t{b}\n" for a, b in zip(*lines, strict=True)) * 8, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}

    def weights_of(run: Path) -> tuple[str, str]:
        command = [sys.executable, "-m", "regard", "train", str(pairs), "--to", str(run), "--set", "training.steps=6"]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return tuple(sha256((run / part / "model.safetensors").read_bytes()).hexdigest() for part in ("best", "last"))

    assert len({weights_of(tmp_path / str(n)) for n in range(4)}) == 1
