"""Train on a corpus that is too large for memory, kill and resume the training, and measure its time and memory.

    python benchmarks/large_corpus.py FOLDER --pairs 10000000
    python benchmarks/large_corpus.py FOLDER --pairs 10000000 --text

The script writes the corpus: pairs of random words with a Zipf distribution, where a translation has the corresponding
words of another language in reverse order. A training of 200 steps on the beginning of the corpus, which fits into
memory, comes first: what the large corpus needs in addition is the cost of its size. The training on the large corpus
is killed twice, while it tokenises and while it trains, and resumed. With --text, a language model is trained on the
source side as running text.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

N_WORDS = 30_000
SMALL = 20_000
CHUNK = 10_000
SETTINGS = [
    *("--set", "training.steps=200", "--set", "training.checkpoint_steps=50", "--set", "tokenizer.vocabulary=16000"),
    *("--preset", "tiny", "--set", "training.validation_steps=200"),
]
HELD_OUT = ["--set", "data.validation_pairs=200"]


@dataclass(frozen=True, slots=True)
class Sitting:
    """One call of the command. seconds: wall-clock time; memory: peak of resident memory, in MiB; said: its stderr."""

    seconds: float
    memory: float
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--text", action="store_true", help="train on running text")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    large = [options.folder / f"large.{side}" for side in ("source", "target")]
    if not all(path.exists() for path in large):
        write_corpus(large, options.pairs)
    if options.text:
        text = options.folder / "large.txt"
        text.unlink(missing_ok=True)
        text.hardlink_to(large[0])
        large = [text]
    small = [path.with_stem("small") for path in large]
    for whole, beginning in zip(large, small, strict=True):
        with whole.open("rb") as lines:
            beginning.write_bytes(b"".join(islice(lines, SMALL)))
    size = sum(path.stat().st_size for path in large)
    what = "lines of running text" if options.text else "pairs"
    print(f"{options.pairs:,} {what}, {size / 2**20:,.0f} MiB")

    run = options.folder / f"run-{what.rsplit(maxsplit=1)[-1]}"
    more = [] if options.text else HELD_OUT
    shutil.rmtree(run, ignore_errors=True)
    fitting = sit([*small, "--to", run.with_name(f"fitting-{run.name}"), *more, "--fresh"])
    show(f"{SMALL:,} {what}, in memory", fitting)
    tokenising = [r"tokenising: ([1-9][0-9,]*) of (?!\1 )"]
    show("large: killed while tokenising", sit([*large, "--to", run, *more], kill_at=tokenising))
    show("large: resumed, killed while training", sit([*large, "--to", run, *more], kill_at=["^step 1[0-9]0 "]))
    ended = sit([*large, "--to", run, *more])
    show("large: resumed and finished", ended)
    print(re.search("Continuing from .*", ended.said)[0])  # type: ignore[index]
    shards = sum(path.stat().st_size for path in run.glob("tokens/*/*"))
    print(
        f"{shards / 2**20:,.0f} MiB of shards; {ended.memory - fitting.memory:,.0f} MiB more memory than the small one"
    )


def write_corpus(paths: Sequence[Path], n_pairs: int) -> None:
    """Write a corpus, always the same for the same number of pairs."""
    chance = random.Random(1)
    languages = [[word(chance) for _ in range(N_WORDS)] for _ in range(2)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(N_WORDS)))
    with paths[0].open("w", encoding="ascii") as sources, paths[1].open("w", encoding="ascii") as targets:
        for start in range(0, n_pairs, CHUNK):
            lengths = [chance.randint(3, 20) for _ in range(min(CHUNK, n_pairs - start))]
            drawn = iter(chance.choices(range(N_WORDS), cum_weights=weights, k=sum(lengths)))
            sentences = [list(islice(drawn, length)) for length in lengths]
            sources.writelines(" ".join(languages[0][i] for i in ids) + "\n" for ids in sentences)
            targets.writelines(" ".join(languages[1][i] for i in reversed(ids)) + "\n" for ids in sentences)


def word(chance: random.Random) -> str:
    """Return a word of one to four syllables."""
    syllables = (chance.choice("bcdfghklmnprstvw") + chance.choice("aeiou") for _ in range(chance.randint(1, 4)))
    return "".join(syllables)


def sit(arguments: Sequence[object], kill_at: Sequence[str] = ()) -> Sitting:
    """Run `regard train` to its end, or kill it once it prints a line that matches a pattern."""
    command = [sys.executable, "-m", "regard", "train", *map(str, arguments), *SETTINGS]
    began, said = time.monotonic(), []
    process = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        print(f"    {line}", end="", flush=True)
        if any(re.search(pattern, line) for pattern in kill_at):
            process.send_signal(signal.SIGKILL)
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expected = -signal.SIGKILL if kill_at else 0
    if process.returncode != expected:
        sys.exit(f"regard train ended with {process.returncode}, expected {expected}.")
    return Sitting(time.monotonic() - began, usage.ru_maxrss / 1024, "".join(said))


def show(what: str, sitting: Sitting) -> None:
    """Print the time and the memory of a call."""
    print(f"{what}: {sitting.seconds:,.0f} s, at most {sitting.memory:,.0f} MiB resident", flush=True)


if __name__ == "__main__":
    main()
