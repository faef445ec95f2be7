"""Measure several engines on the same sources, in turn, and show them side by side."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from decoding_jobs import Ids, Job, Result
from decoding_peers import PEERS, Peer
from decoding_regard import Regard
from measuring import say

from regard.text.tokens.tokenizer import Tokenizer

ENGINES: dict[str, type[Regard] | type[Peer]] = {"regard": Regard, **PEERS}

LAYOUTS = ((2, 1), (1, 2), (1, 1))
"""How an engine may use two cores: workers, each with so many threads. Each engine is shown at its best."""

SAME = {"bfloat16": "float32", "q8_0": "int8"}
"""The precision of CTranslate2 with which another one is compared."""


@dataclass(frozen=True, slots=True)
class Task:
    """What all engines are asked. tokenizer: of the texts, if tokenisation is to be included.

    n_calls: how often a process decodes everything; the best time counts.
    """

    name: str
    ids: Ids
    longest: list[int]
    beam: int = 1
    one_by_one: bool = False
    n_calls: int = 1
    texts: list[str] = field(default_factory=list)
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of an engine in one precision, with its best layout.

    seconds: the best of all rounds, for all sources, or the median for one. spread: by how much of it the slowest round
    was slower. regard_factor: how many times as long it takes as regard in the same precision; ctranslate2_factor: how
    many times as long CTranslate2 takes as this. n_same: targets equal to regard's in float32.
    """

    task: str
    engine: str
    version: str
    precision: str
    layout: str
    seconds: float
    spread: float
    tokens_per_second: float
    sentences_per_second: float
    peak_mib: float
    n_same: int
    n_sources: int
    all_seconds: dict[str, list[float]]
    ctranslate2_factor: float | None = None
    regard_factor: float | None = None


Entrant = tuple[str, str]
"""The name of an engine, and a precision."""


def converted(bundle: Path, engines: Sequence[str], folder: Path) -> dict[str, Path]:
    """Return the folders of a bundle's model in the formats of engines."""
    places = {engine: folder / engine for engine in engines}
    for engine, place in places.items():
        say(f"Converting {bundle.name} for {engine}.")
        ENGINES[engine]().convert(bundle, place)
    return places


def measured(task: Task, entrants: Sequence[Entrant], models: Mapping[str, Path], n_rounds: int) -> list[Row]:
    """Return a row for each engine and precision; the rounds of all are interleaved."""
    results: dict[Entrant, dict[str, list[Result]]] = {entrant: {} for entrant in entrants}
    for n in range(n_rounds):
        for entrant in entrants:
            engine, precision = entrant
            for workers, threads in layouts_of(engine, task):
                layout = f"{workers}x{threads}"
                say(f"{task.name}, round {n + 1}: {engine} {precision} {layout}")
                job = job_of(task, engine, str(models[engine]), precision)
                result = ENGINES[engine]().run(replace(job, workers=workers, threads=threads))
                results[entrant].setdefault(layout, []).append(with_tokenisation(task, engine, result))
    reference = results.get(("regard", "float32")) or results[entrants[0]]
    expected = next(iter(reference.values()))[0].ids
    rows = [row_of(task, entrant, of_layouts, expected) for entrant, of_layouts in results.items()]
    seconds = {(row.engine, row.precision): row.seconds for row in rows}
    return [with_factors(row, seconds) for row in rows]


def job_of(task: Task, engine: str, model: str, precision: str) -> Job:
    """Return a task as an engine's job: only regard tokenises in its own process."""
    return Job(
        model=model,
        ids=task.ids,
        longest=task.longest,
        beam=task.beam,
        precision=precision,
        one_by_one=task.one_by_one,
        rounds=task.n_calls,
        texts=task.texts if engine == "regard" else [],
    )


def layouts_of(engine: str, task: Task) -> list[tuple[int, int]]:
    """Return how an engine may use two cores: several workers need several sources at the same time."""
    alone = task.one_by_one or len(task.ids) == 1 or not ENGINES[engine].has_workers
    return [(workers, threads) for workers, threads in LAYOUTS if workers == 1 or not alone]


def with_tokenisation(task: Task, engine: str, result: Result) -> Result:
    """Return a result with the time added that regard's tokenizer takes for another engine, measured now."""
    if task.tokenizer is None or engine == "regard":
        return result
    if not task.one_by_one:
        began = time.perf_counter()
        task.tokenizer.encode_many(task.texts)
        for ids in result.ids:
            task.tokenizer.decode(ids)
        taken = time.perf_counter() - began
        return replace(result, seconds=[seconds + taken for seconds in result.seconds])
    latencies = []
    for text, ids, seconds in zip(task.texts, result.ids, result.latencies, strict=True):
        began = time.perf_counter()
        task.tokenizer.encode(text)
        task.tokenizer.decode(ids)
        latencies.append(seconds + time.perf_counter() - began)
    return replace(result, latencies=latencies, seconds=[sum(latencies)])


def seconds_of(task: Task, result: Result) -> float:
    """Return what is compared: the median latency, or the time for all sources."""
    return statistics.median(result.latencies) if task.one_by_one else min(result.seconds)


def row_of(task: Task, entrant: Entrant, results: Mapping[str, Sequence[Result]], expected: Ids) -> Row:
    """Return the row of the layout that was fastest in any round."""
    seconds = {layout: [seconds_of(task, result) for result in rounds] for layout, rounds in results.items()}
    best = min(seconds, key=lambda layout: min(seconds[layout]))
    fastest = min(results[best], key=lambda result: seconds_of(task, result))
    total, least = min(fastest.seconds), min(seconds[best])
    return Row(
        task=task.name,
        engine=entrant[0],
        version=fastest.version,
        precision=entrant[1],
        layout=best,
        seconds=least,
        spread=max(seconds[best]) / least - 1,
        tokens_per_second=fastest.n_tokens / total,
        sentences_per_second=len(task.ids) / total,
        peak_mib=max(result.peak_mib for result in results[best]),
        n_same=sum(found == own for found, own in zip(fastest.ids, expected, strict=True)),
        n_sources=len(task.ids),
        all_seconds=seconds,
    )


def with_factors(row: Row, seconds: Mapping[Entrant, float]) -> Row:
    """Return a row with how it stands beside CTranslate2 and regard, where these were measured."""
    precision = SAME.get(row.precision, row.precision)
    theirs = seconds.get(("ctranslate2", precision))
    ours = seconds.get(("regard", row.precision)) or seconds.get(("regard", precision))
    return replace(
        row,
        ctranslate2_factor=theirs / row.seconds if theirs else None,
        regard_factor=row.seconds / ours if ours and row.engine != "regard" else None,
    )


def show(task: Task, rows: Sequence[Row]) -> None:
    """Print the rows of a task as a table."""
    time_column = "median ms" if task.one_by_one else "seconds"
    columns = ["engine", "precision", "workers x threads", time_column, "spread", "tokens/s", "sentences/s", "peak MiB"]
    columns += ["times CTranslate2's speed", "regard is faster by", "targets equal"]
    print(f"\n### {task.name}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for row in rows:
        shown_time = f"{row.seconds * 1000:.2f}" if task.one_by_one else f"{row.seconds:.3f}"
        cells = [f"{row.engine} {row.version}", row.precision, row.layout, shown_time, f"+{row.spread:.0%}"]
        cells += [f"{row.tokens_per_second:,.0f}", f"{row.sentences_per_second:,.1f}", f"{row.peak_mib:,.0f}"]
        cells += [f"{x:.2f}" if x else "" for x in (row.ctranslate2_factor, row.regard_factor)]
        print(f"| {' | '.join([*cells, f'{row.n_same} of {row.n_sources}'])} |", flush=True)


def written(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as they are written to a file."""
    return [asdict(row) for row in rows]
