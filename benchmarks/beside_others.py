"""How fast is a training while other programs compute, by how its threads wait for each other?

    python benchmarks/beside_others.py DATA [--spin 300000 20000 1000] [--busy 0 1 2] [--rounds 2]

The Transformer, preset tiny, on the first 4,000 pairs of DATA/train.en and train.de, in float32 and as many threads as
there are cores; beside it so many processes that do nothing but compute. GOMP_SPINCOUNT says how often a thread of
OpenMP looks before it sleeps; 300,000 is its own default, 0 is OMP_WAIT_POLICY=PASSIVE. Target tokens a second (the
median record), every setting in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

BUSY = "while True: pass"
N_PAIRS = 4_000
SECONDS = 20


def tokens_per_second(folder: Path, spin: int, n_busy: int, threads: int | None) -> float | None:
    """Return the median speed of a training of some seconds, or None if it made fewer than ten steps in them."""
    environment = {**os.environ, "GOMP_SPINCOUNT": str(spin)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    run = folder / f"run-{time.monotonic_ns()}"
    settings = ["training.steps=100000", "training.precision=float32", "training.validation_steps=100000"]
    command = [sys.executable, "-m", "regard", "train", folder / "pairs.tsv", "--to", run, "--preset", "tiny"]
    command += [word for setting in settings for word in ("--set", setting)]
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n_busy)]
    process = subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.DEVNULL)
    try:
        while not (run / "log.jsonl").exists():
            time.sleep(0.2)
        time.sleep(SECONDS)
    finally:
        process.kill()
        process.wait()
        for other in busy:
            other.kill()
            other.wait()
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    speeds = [record["tokens_per_second"] for record in map(json.loads, lines) if record["kind"] == "train"]
    return statistics.median(speeds[1:] or speeds) if speeds else None


def shown(speeds: Sequence[float | None]) -> str:
    """Return the speeds of all rounds."""
    return "; ".join("under 10 steps" if speed is None else f"{speed:,.0f}" for speed in speeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--spin", nargs="+", type=int, default=[300_000, 20_000, 1_000])
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, help="threads of the training; as many as there are cores by default")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sides = [(options.data / f"train.{side}").open(encoding="utf-8") for side in ("en", "de")]
        pairs = islice(zip(*sides, strict=True), N_PAIRS)
        lines = (f"{source.strip()}\t{target.strip()}\n" for source, target in pairs)
        (folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
        print("| busy processes | " + " | ".join(f"{spin:,}" for spin in options.spin) + " |")
        print("|---" * (len(options.spin) + 1) + "|")
        for n_busy in options.busy:
            found: dict[int, list[float | None]] = {spin: [] for spin in options.spin}
            for _ in range(options.rounds):
                for spin in options.spin:
                    found[spin].append(tokens_per_second(folder, spin, n_busy, options.threads))
            print(f"| {n_busy} | " + " | ".join(shown(found[spin]) for spin in options.spin) + " |", flush=True)


if __name__ == "__main__":
    main()
