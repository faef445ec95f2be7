"""Measure the speed of training and translation beside other programs, by how their threads wait for each other.

    python benchmarks/beside_others.py DATA [--busy 0 1 2] [--rounds 3] [--seconds 20]

The Transformer, preset tiny, in float32, with as many threads as there are cores, is trained on the first 4,000 pairs
of DATA/train.en and train.de. The next 500 sentences are translated with the weights after twenty steps. Beside them
run --busy processes that only compute. The table shows target tokens per second and sentences per second: the median of
all rounds, and all rounds in brackets. The ways to wait are that of the command (regard/waiting.py); awake, OpenMP's
default; asleep (OMP_WAIT_POLICY=PASSIVE); and one thread, which waits for no other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

BUSY = "while True: pass"
COMMAND = "import regard.cli; regard.cli.main()"
WITHOUT_A_WATCH = f"import regard.runtime; regard.runtime.sleep_beside_others = lambda: None; {COMMAND}"
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "as the command": (COMMAND, {}),
    "awake": (WITHOUT_A_WATCH, {}),
    "asleep": (WITHOUT_A_WATCH, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "one thread": (COMMAND, {"OMP_NUM_THREADS": "1"}),
}
N_PAIRS, N_SENTENCES = 4_000, 500


def started(way: str, words: list[str | Path], source: Path | None = None) -> subprocess.Popen[bytes]:
    code, environment = WAYS[way]
    stdin = source.open("rb") if source else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def training_words(folder: Path, run: Path, steps: int) -> list[str | Path]:
    settings = [f"training.steps={steps}", "training.precision=float32", "training.validation_steps=100000"]
    words = ["train", folder / "pairs.tsv", "--to", run, "--preset", "tiny"]
    return [*words, *(word for setting in settings for word in ("--set", setting))]


def training_speed(folder: Path, way: str, seconds: float) -> float:
    """Return the target tokens per second of a training, measured after its first record for that many seconds."""
    run = folder / f"run-{time.monotonic_ns()}"
    log = run / "log.jsonl"

    def records() -> list[dict[str, float]]:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [record for record in map(json.loads, lines) if record["kind"] == "train"]

    process = started(way, training_words(folder, run, 100_000))
    try:
        n_before = len(wait_for(records, 1))
        time.sleep(seconds)
        found = wait_for(records, n_before + 1)[n_before - 1 :]
    finally:
        process.kill()
        process.wait()
    taken = [after["seconds"] - before["seconds"] for before, after in pairwise(found)]
    n_tokens = (record["tokens_per_second"] * s for record, s in zip(found[1:], taken, strict=True))
    return sum(n_tokens) / sum(taken)


def wait_for(records: Callable[[], list[dict[str, float]]], n: int) -> list[dict[str, float]]:
    """Return all records once there are n of them."""
    while len(found := records()) < n:
        time.sleep(0.1)
    return found


def translation_speed(folder: Path, way: str) -> float:
    """Return the sentences per second of a whole command, its start included."""
    begun = time.perf_counter()
    process = started(way, ["translate", folder / "model"], folder / "sentences.txt")
    if process.wait():
        sys.exit("The translation failed.")
    return N_SENTENCES / (time.perf_counter() - begun)


def prepare(folder: Path, data: Path) -> None:
    """Write the pairs, the sentences, and a run of twenty steps."""
    sides = [(data / f"train.{side}").open(encoding="utf-8") for side in ("en", "de")]
    lines = [f"{source.strip()}\t{target.strip()}\n" for source, target in zip(*sides, strict=True)]
    (folder / "pairs.tsv").write_text("".join(lines[:N_PAIRS]), encoding="utf-8")
    sentences = (line.split("\t")[0] + "\n" for line in lines[N_PAIRS : N_PAIRS + N_SENTENCES])
    (folder / "sentences.txt").write_text("".join(sentences), encoding="utf-8")
    if started("as the command", training_words(folder, folder / "model", 20)).wait():
        sys.exit("The training failed.")


@contextmanager
def beside(n_busy: int) -> Iterator[None]:
    """Run n_busy processes that only compute."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n_busy)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def shown(speeds: list[float]) -> str:
    return f"{statistics.median(speeds):,.0f} ({'; '.join(f'{speed:,.0f}' for speed in speeds)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, options.data)
        measures = {
            "training": lambda way: training_speed(folder, way, options.seconds),
            "translation": lambda way: translation_speed(folder, way),
        }
        print(f"| | {' | '.join(options.ways)} |\n{'|---' * (len(options.ways) + 1)}|")
        for name, measure in measures.items():
            for n_busy in options.busy:
                with beside(n_busy):
                    rounds = [[measure(way) for way in options.ways] for _ in range(options.rounds)]
                cells = " | ".join(shown(list(speeds)) for speeds in zip(*rounds, strict=True))
                print(f"| {name}, {n_busy} beside it | {cells} |", flush=True)


if __name__ == "__main__":
    main()
