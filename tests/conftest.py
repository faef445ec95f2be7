"""What holds for every test: one thread each, so that they can run side by side, and no clock."""

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A suite that a shell runs in the background inherits this, and a command that it sends SIGINT would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)

EXACTLY = ("--set", "training.precision=float32")
"""What two trainings need to be compared to the last digits, also where "auto" would choose bfloat16."""

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "here")

TINY = [
    *("--set", "model.width=16", "--set", "tokenizer.vocabulary=300", "--set", "training.batch_tokens=256"),
    *("--set", "training.steps=12", "--set", "training.checkpoint_steps=4", "--set", "training.warmup_steps=2"),
    *EXACTLY,
]
"""Settings with which any family trains in a second or two."""

TINY_TEXT = [
    *("--set", "model.width=16", "--set", "model.n_heads=2", "--set", "model.n_layers=1", "--set", "model.context=32"),
    *("--set", "training.batch_tokens=256", "--set", "training.steps=12", "--set", "training.checkpoint_steps=4"),
    *EXACTLY,
]
"""Settings with which a language model trains in a second or two."""


os.fsync = lambda _: None
"""No test pulls the plug, and waiting for the disk would take half the time of all tests."""

forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload(
    ["pytest", "hypothesis", "torch", "torch._dynamo", "sacrebleu", "matplotlib", "regard.cli.app"]
    + [f"regard.cli.{name}" for name in ("demo", "evaluate", "generate", "inspect", "prove", "train", "translate")]
)
"""Starts processes that have the heavy imports behind them, which take longer than most of the commands."""


def as_a_command(arguments: list[str], streams: list[str]) -> None:
    """Run the command line in this process, with files as standard input, output and error."""
    for number, (path, name) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), strict=True)):
        os.dup2(os.open(path, os.O_RDWR), number)
        setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.argv = ["regard", *arguments]
    from regard.cli import main

    main()


@dataclass
class Running:
    """A command that was started."""

    command: list[str]
    process: BaseProcess
    streams: list[Path]

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end. The return code is negative for a signal that ended it."""
        self.process.join()
        assert self.process.exitcode is not None, "a process that was joined has ended"
        out, err = (stream.read_text(encoding="utf-8") for stream in self.streams[1:])
        return subprocess.CompletedProcess(self.command, self.process.exitcode, out, err)


def as_a_shell_sees_it(returncode: int) -> int:
    """Return the exit code that a shell reports: 130 for a process that SIGINT has ended, 143 for SIGTERM."""
    return 128 - returncode if returncode < 0 else returncode


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Assert that a command ended as a user's mistake does: exit code 2 and one message, which has the given parts."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert sum(line.startswith("regard: ") for line in done.stderr.splitlines()) == 1, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


class Regard:
    """Runs the command line in processes of its own, as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.n_started = folder, 0

    def start(self, *arguments: object, stdin: str = "") -> Running:
        """Start a command."""
        self.n_started += 1
        command = list(map(str, arguments))
        streams = [self.folder / f"{self.n_started}.{name}" for name in ("stdin", "stdout", "stderr")]
        for stream, text in zip(streams, (stdin, "", ""), strict=True):
            stream.write_text(text, encoding="utf-8")
        process = forking.Process(target=as_a_command, args=(command, list(map(str, streams))))
        process.start()
        return Running(command, process, streams)

    def __call__(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.start(*arguments, stdin=stdin).wait()


@pytest.fixture(scope="session")
def regard(tmp_path_factory) -> Regard:
    """The command line."""
    return Regard(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> tuple[Path, Path]:
    """Two line-aligned files of small sentences."""
    folder = tmp_path_factory.mktemp("corpus")
    colours = [("red", "rot"), ("green", "grün"), ("blue", "blau"), ("old", "alt"), ("new", "neu")]
    things = [("house", "Haus"), ("car", "Auto"), ("book", "Buch"), ("bread", "Brot"), ("glass", "Glas")]
    pairs = [(f"The {t} is {c}.", f"Das {u} ist {d}.") for t, u in things for c, d in colours]
    (folder / "a.en").write_text("".join(f"{s}\n" for s, _ in pairs), encoding="utf-8")
    (folder / "a.de").write_text("".join(f"{t}\n" for _, t in pairs), encoding="utf-8")
    return folder / "a.en", folder / "a.de"


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """A file of running text."""
    path = tmp_path_factory.mktemp("book") / "book.txt"
    lines = (f"{who} saw the {what}\n\tand said “{n}”.\n" for n in range(9) for who in "ABC" for what in ("sea", "sky"))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def written(regard, book, tmp_path_factory) -> Path:
    """A run of a tiny language model."""
    run = tmp_path_factory.mktemp("runs") / "text"
    done = regard("train", book, "--to", run, *TINY_TEXT)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="session")
def trained(regard, corpus, tmp_path_factory) -> Path:
    """A run of a tiny model."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    done = regard("train", *corpus, "--to", run, "--model", "bahdanau", *TINY)
    assert done.returncode == 0, done.stderr
    return run
