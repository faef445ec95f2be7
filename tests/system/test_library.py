"""The command line holds no decision: from Python, without it, come the same weights, scores and explanations."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import TINY, TINY_TEXT

PROGRAM = """
import json, sys
import regard
from regard.recipe import read_value

wanted = json.loads(sys.argv[1])
settings = {name: read_value(value) for name, _, value in (s.partition("=") for s in wanted["settings"])}
run = regard.train(wanted["data"], to=wanted["run"], model=wanted["model"], settings=settings)
print(json.dumps({
    "scores": regard.evaluate(run.path, wanted["data"]).as_dict(),
    "explanation": json.loads(run.load().explain(wanted["text"]).to_json()),
    "cli": "regard.cli" in sys.modules,
}))
"""


def sums(run: Path) -> dict[str, str]:
    """Return the sha256 of the weights that a training leaves, and of what it remembers."""
    files = ["last/model.safetensors", "best/model.safetensors", "checkpoints/step-12/train_state.safetensors"]
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in files}


def settings_in(arguments: list[str]) -> list[str]:
    """Return the settings of a command line."""
    return [argument for argument in arguments if "=" in argument]


@pytest.fixture
def library():
    """Run the program above in a process of its own."""

    def run(**wanted: object) -> dict[str, object]:
        command = [sys.executable, "-c", PROGRAM, json.dumps(wanted, default=str)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # it prints nothing by itself
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("job", ["pairs", "text"])
def test_python_and_the_command_line_do_the_same(regard, library, corpus, book, tmp_path, job):
    data, model, options, text = {
        "pairs": (list(corpus), "bahdanau", TINY, "The book is red."),
        "text": ([book], "gpt", TINY_TEXT, "A saw the sea"),
    }[job]
    command, called = tmp_path / "command", tmp_path / "called"
    done = regard("train", *data, "--to", command, "--model", model, *options)
    assert done.returncode == 0, done.stderr
    wanted = {"data": data, "run": called, "model": model, "settings": settings_in(options), "text": text}
    found = library(**wanted)
    assert found["cli"] is False
    expected = sums(command)
    assert sums(called) == expected
    assert (called / "recipe.toml").read_bytes() == (command / "recipe.toml").read_bytes()

    done = regard("evaluate", command, *data, "--json")
    assert found["scores"] == json.loads(done.stdout)
    done = regard("inspect", command, text, "--to", tmp_path / "x.json")
    assert done.returncode == 0, done.stderr
    assert found["explanation"] == json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))

    for run in (command, called):  # as if both had been killed behind the checkpoint before
        shutil.rmtree(run / "checkpoints" / "step-12")
        shutil.rmtree(run / "last")
    done = regard("train", *data, "--to", command, "--model", model, *options)
    assert done.returncode == 0 and "Continuing from step 8" in done.stderr, done.stderr
    library(**wanted)
    assert sums(command) == sums(called) == expected
