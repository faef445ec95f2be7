"""What a decoding engine is asked and what it answers, and how its time and memory are measured, alike for all.

Runs in every engine's own environment: only the standard library, and no regard.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PAD, BOS, EOS = 0, 1, 2
WARM_UP = 32

Ids = list[list[int]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be decoded.

    model: the folder that `convert` wrote. ids: sources without EOS, or prompts, which in `text` must be of one length.
    longest: the maximum number of target tokens of each, EOS not counted; in text, how many are written. forced: write
    exactly as many tokens (always so in text). batch_tokens: cells of a batch, each counted once per hypothesis, as in
    regard. one_by_one: a call for every source, with its latency. workers: batches at the same time (CTranslate2,
    regard). texts: the sources before tokenisation, for an engine that is to do it itself (regard).
    """

    model: str
    ids: Ids
    longest: list[int]
    beam: int = 1
    batch_tokens: int = 4096
    length_penalty: float = 1.0
    precision: str = "float32"
    threads: int = 1
    workers: int = 1
    one_by_one: bool = False
    forced: bool = False
    rounds: int = 1
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.longest), "every source has a maximum length"

    def written(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Result:
    """What was decoded: targets without EOS, in the order of the sources.

    seconds: of each round. latencies: of each source, from the last round, if they were decoded one by one. n_tokens:
    target tokens, EOS not counted. peak_mib: of the whole process and of those that it started, each at its own peak;
    loaded_mib: with the model, before the first source.
    """

    ids: Ids
    seconds: list[float]
    n_tokens: int
    peak_mib: float
    loaded_mib: float
    load_seconds: float
    version: str
    latencies: list[float] = field(default_factory=list)


def shape_of(folder: str | Path) -> dict[str, Any]:
    """Return the settings of an exported model."""
    shape: dict[str, Any] = json.loads((Path(folder) / "shape.json").read_text(encoding="utf-8"))
    return shape


def answer(job: Job, version: str, load: Callable[[Job], Callable[[Ids, Sequence[int]], Ids]], path: str) -> None:
    """Decode as the job says and write the result.

    load: returns a function from sources and their maximum lengths to targets.
    """
    began = time.perf_counter()
    decode = load(job)
    load_seconds, loaded = time.perf_counter() - began, memory_mib("VmRSS")
    sources: list[Any] = job.texts or job.ids
    calls = [([source], [most]) for source, most in zip(sources, job.longest, strict=True)]
    if not job.one_by_one:
        calls = [(sources, job.longest)]
        decode(sources[:WARM_UP], job.longest[:WARM_UP])
    else:
        for ids, most in calls[:WARM_UP]:
            decode(ids, most)
    seconds: list[float] = []
    latencies: list[float] = []
    targets: Ids = []
    for _ in range(job.rounds):
        targets, latencies = [], []
        began = time.perf_counter()
        for ids, most in calls:
            start = time.perf_counter()
            targets += decode(ids, most)
            latencies.append(time.perf_counter() - start)
        seconds.append(time.perf_counter() - began)
    n_tokens = sum(map(len, targets))
    latencies = latencies if job.one_by_one else []
    result = Result(targets, seconds, n_tokens, memory_mib("VmHWM"), loaded, load_seconds, version, latencies)
    Path(path).write_text(json.dumps(asdict(result)), encoding="utf-8")


def memory_mib(name: str) -> float:
    """Return the memory of this process and its children now (VmRSS) or at its peak (VmHWM), in MiB.

    Zero where there is no /proc. What several processes share counts in each. Not ru_maxrss: on Linux that starts with
    the memory of the process that started this one.
    """
    tasks = Path("/proc/self/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text(encoding="utf-8").split()]
    statuses = [Path("/proc") / process / "status" for process in ("self", *children)]
    lines = [line for s in statuses if s.exists() for line in s.read_text(encoding="utf-8").splitlines()]
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def batches_by_length(lengths: Sequence[int], beam: int, batch_tokens: int) -> list[list[int]]:
    """Return indices in batches of about batch_tokens cells, longest first, as regard makes them."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or (len(batches[-1]) + 1) * beam * lengths[batches[-1][0]] > batch_tokens:
            batches.append([])
        batches[-1].append(i)
    return batches


def in_batches(job: Job, ids: Ids, longest: Sequence[int], decode: Callable[[Ids, list[int]], Ids]) -> Ids:
    """Return the targets of all sources, decoded in batches, in the order of the sources."""
    targets: Ids = [[] for _ in ids]
    for indices in batches_by_length([len(x) for x in ids], job.beam, job.batch_tokens):
        found = decode([ids[i] for i in indices], [longest[i] for i in indices])
        for i, target in zip(indices, found, strict=True):
            targets[i] = target
    return targets


def before_end(target: list[int]) -> list[int]:
    """Return a target without EOS and padding."""
    return target[: next((i for i, token in enumerate(target) if token in (EOS, PAD)), len(target))]


def main(
    version: str, convert: Callable[[Path], None], load: Callable[[Job], Callable[[Ids, Sequence[int]], Ids]]
) -> None:
    """Do what the command line says: `convert FOLDER`, or `run JOB RESULT`."""
    match sys.argv[1:]:
        case ["convert", folder]:
            convert(Path(folder))
        case ["run", job, result]:
            answer(Job(**json.loads(Path(job).read_text(encoding="utf-8"))), version, load, result)
        case _:
            raise SystemExit("Give `convert FOLDER`, or `run JOB RESULT`.")
