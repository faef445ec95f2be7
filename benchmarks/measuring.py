"""What all measured trainers share: the text, the measurement of time and memory, and the mean of the speeds."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE, TARGET = "en", "de"
WARM_UP_STEPS = 20
VOCABULARY = 4000
STEPS_A_RECORD = 10  # regard's; the others are set to log as often
FEED_FORWARD, N_HEADS, N_LAYERS, DROPOUT_RATE, LABEL_SMOOTHING = 256, 4, 4, 0.3, 0.1
WIDTHS = {"transformer": 128, "bahdanau": 256}


@dataclass(frozen=True, slots=True)
class Corpus:
    """The training text, written as regard's ids with spaces between them. unknown: an id that no sentence uses.

    operations: of regard's training, in matrix products, per target token. gemm_rate: operations per second of a large
    matrix product on this machine.
    """

    folder: Path
    vocabulary: int
    unknown: int
    n_pairs: int
    source_tokens: int
    target_tokens: int
    regard_parameters: int
    operations: float
    gemm_rate: float


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured of one training. cores: CPU time by wall time."""

    tokens_per_second: float
    peak_mib: float
    cores: float


def watch(command: Sequence[str], n_threads: int, log: Path) -> tuple[float, float]:
    """Run a command on n_threads threads and return its peak memory in MiB and how many cores it kept busy."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(n_threads))
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **threads})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:])
        raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{tail}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
    return peak, (usage.ru_utime + usage.ru_stime) / (time.monotonic() - began)


def mean_speed(records: Sequence[tuple[int, float]]) -> float:
    """Return the mean speed of all records (last step, tokens per second since the previous record) after the warm-up.

    All steps have about the same number of tokens, so times have to be averaged: this is the harmonic mean of speeds.
    """
    starts = [0, *(step for step, _ in records)]
    kept = [
        (step - start, speed) for start, (step, speed) in zip(starts, records, strict=False) if start >= WARM_UP_STEPS
    ]
    return statistics.harmonic_mean([speed for _, speed in kept], weights=[n_steps for n_steps, _ in kept])


def say(message: str) -> None:
    """Print to stderr, without buffering."""
    print(message, file=sys.stderr, flush=True)
