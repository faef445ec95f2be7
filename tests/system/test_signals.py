"""A signal ends a command at any moment from its first line on, imports included, and nothing is lost by it."""

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import TINY, as_a_shell_sees_it

ENTRY = [sys.executable, "-c", "import sys; print('on', flush=True); from regard.cli import main; main()"]
"""What the installed command does, with a word beforehand that says that Python is up."""


def started(*arguments: object) -> subprocess.Popen[str]:
    """Start a command, and return when its first line is about to run."""
    command = [*ENTRY, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    return process


@pytest.fixture(scope="module")
def command(corpus) -> list[str]:
    """A training of forty steps, without --to."""
    steps = ["training.steps=40", "training.checkpoint_steps=5", "training.validation_steps=15"]
    return ["train", *map(str, corpus), "--model", "bahdanau", *TINY, *(x for s in steps for x in ("--set", s))]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory) -> tuple[str, float]:
    """The weights that the training leaves when nothing comes between, and how long it takes."""
    run = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    process = started(*command, "--to", run)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return digest(run), time.monotonic() - began


def digest(run: Path) -> str:
    return hashlib.sha256((run / "last" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("n_signals", "seed"), [(4, 0), *(pytest.param(50, seed, marks=pytest.mark.prove) for seed in (1, 2, 3, 4))]
)
def test_a_signal_ends_a_training_and_the_same_command_continues_it(command, whole, tmp_path, n_signals, seed):
    """Two hundred of them in four parts, which may run side by side."""
    expected, seconds = whole
    moments, sent, n_runs = random.Random(seed), 0, 0
    while sent < n_signals:
        run, n_runs = tmp_path / str(n_runs), n_runs + 1
        while True:
            process = started(*command, "--to", run)
            number = moments.choice([signal.SIGINT, signal.SIGTERM])
            if sent < n_signals:
                time.sleep(moments.uniform(0, seconds))
                process.send_signal(number)
            _, err = process.communicate()
            code = as_a_shell_sees_it(process.returncode)
            assert "Traceback" not in err
            if code == 0:
                break
            assert code == 128 + number, err
            sent += 1
        assert digest(run) == expected


VERBS = ["translate", "generate", "evaluate", "inspect", "prove", "demo"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_imports_ends_every_command(trained, written, corpus, tmp_path, verb, number):
    arguments = {
        "translate": [trained],
        "generate": [written],
        "evaluate": [trained, *corpus],
        "inspect": [trained, "The book is red.", "--to", tmp_path / "x.html"],
        "prove": [trained],
        "demo": ["--to", tmp_path / "demo", "--minutes", "9"],
    }[verb]
    for delay in (0.0, 0.15, 0.6):  # before PyTorch is imported, while it is, and behind that on a fast machine
        process = started(verb, *arguments)
        time.sleep(delay)
        process.send_signal(number)
        out, err = process.communicate()
        assert (as_a_shell_sees_it(process.returncode), out) == (128 + number, ""), err


def test_native_code_does_not_make_a_signal_wait(trained, tmp_path):
    text = tmp_path / "long.txt"
    text.write_text("a" * 30_000_000 + "\n")  # the tokenizer takes minutes over one word of so many letters
    process = started("train", text, "--to", tmp_path / "run", "--set", "tokenizer.kind=bpe")
    time.sleep(6)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)  # and not the minutes of the tokenizer
    assert as_a_shell_sees_it(process.returncode) == 143


def test_a_signal_that_the_parent_has_it_ignore_is_ignored(trained):
    program = "trap '' INT; kill -INT $$; exec " + " ".join(f"'{part}'" for part in [*ENTRY, "--version"])
    program = program.replace("print('on', flush=True);", 'print("on", flush=True);').replace("'-c'", "-c")
    process = subprocess.Popen(["bash", "-c", program], stdout=subprocess.PIPE, encoding="utf-8")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 0 and "regard 0." in out
