"""`training.compiled` sends a model through torch.compile, in one graph, and trains the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import TINY

WITHOUT_COMPILER = """
from functools import partial
import torch
from regard.cli import main

torch.compile = partial(torch.compile, backend="aot_eager", fullgraph=True)  # the graph, run by PyTorch itself
main()
"""
"""The command, as it is on a machine without Triton or a C++ compiler."""

SETTINGS = [
    *("--set", "model.n_heads=2", "--set", "model.feed_forward=16", *TINY, "--set", "training.steps=3"),
    *("--set", "training.validation_steps=2"),
    *("--set", "model.dropout_rate=0"),
]


def losses_of(run: Path) -> list[float]:
    """Return the losses that were logged."""
    return [json.loads(line)["nll"] for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("family", "layers"),
    [
        pytest.param("transformer", ["n_encoder_layers", "n_decoder_layers"], marks=pytest.mark.prove),
        ("gpt", ["n_layers"]),
    ],
)
def test_a_compiled_model_trains_as_it_is(regard, corpus, tmp_path, family, layers):
    shallow = [part for name in layers for part in ("--set", f"model.{name}=1")]
    command = ["train", *map(str, corpus), "--model", family, *SETTINGS, *shallow]
    done = regard(*command, "--to", tmp_path / "plain")
    assert done.returncode == 0, done.stderr
    arguments = [*command, "--to", str(tmp_path / "compiled"), "--set", "training.compiled=true"]
    compiling = [sys.executable, "-c", WITHOUT_COMPILER, *arguments]
    done = subprocess.run(compiling, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    expected, found = losses_of(tmp_path / "plain"), losses_of(tmp_path / "compiled")
    assert found == pytest.approx(expected, abs=1e-4) and len(found) >= 2
