"""Compare the speed of regard's decoding with that of other engines, all with the same weights.

    python benchmarks/decoding.py --bundle BUNDLE --sources FILE [--only tiny base gpt10 gpt124 length] [--rounds 3]
    python benchmarks/decoding.py --bundle BUNDLE --sources FILE --bleu --references FILE

--bundle: a trained Transformer (in docs/results.md the preset tiny). The sections are

    tiny     that model, greedily and with a beam of 5: the file, and its first sentences one at a time
    base     a random Transformer of base size that writes as many tokens as its sources have, with a beam of 4
    gpt10    a random GPT of 10.7 million parameters: prompts of 16 tokens, 1 or 16 of them, continued by 128 tokens
    gpt124   the same with a random GPT of the size of GPT-2 small
    length   what a token of regard's costs at different positions of a text of 1,000 tokens

Every engine runs in a process of its own, in turn with the others. The best round counts, with the best of two workers
of one thread, one of two threads, and one of one thread. Only decoding is timed: no start, and no tokenisation unless
--texts is given, which measures only tiny, with only regard and CTranslate2. --bleu measures no time but the quality of
each precision.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from decoding_jobs import Job
from decoding_models import base_pairs, gpt2_text, random_ids
from decoding_regard import Regard
from decoding_table import ENGINES, Entrant, Row, Task, converted, measured, show, written
from measuring import say
from precision import gemm_rate

from regard.bundle import Bundle, load_bundle, save_bundle
from regard.decoding.search import DecodingConfig
from regard.pipeline.translator import Translator
from regard.runtime import bfloat16_instructions

N_ONE_BY_ONE, N_BASE = 200, 300
N_READ, N_WRITTEN = 16, 128
POSITIONS, WINDOW = (10, 50, 100, 200, 400, 600, 800, 1000), 20
GPTS: dict[str, tuple[int, int, int, int]] = {"gpt10": (384, 6, 6, 256), "gpt124": (768, 12, 12, 50257)}
"""Width, layers, heads, vocabulary."""

OURS = ("float32", "bfloat16", "int8")

PAIRS: list[Entrant] = [("ctranslate2", "float32"), ("ctranslate2", "int8")]
TRAINERS: list[Entrant] = [("transformers", "float32"), ("joeynmt", "float32")]
TEXT: list[Entrant] = [
    *PAIRS,
    ("transformers", "float32"),
    ("transformers", "bfloat16"),
    ("llama.cpp", "float32"),
    ("llama.cpp", "q8_0"),
]


def entrants_of(options: argparse.Namespace, others: Sequence[Entrant]) -> list[Entrant]:
    """Return the engines to measure, in the order in which they run."""
    entrants = [*(("regard", precision) for precision in OURS), *others]
    return [entrant for entrant in entrants if entrant[0] in options.engines]


def lines_of(path: Path, n: int | None) -> list[str]:
    """Return the first lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()[:n]


def measure_tiny(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Task, list[Row]]]:
    """Yield what was measured with the trained model."""
    lines = lines_of(options.sources, options.n)
    tokenizer = load_bundle(options.bundle).source_tokenizer
    entrants = entrants_of(options, PAIRS if options.texts else [*PAIRS, *TRAINERS])
    models = converted(options.bundle, engines_in(entrants), folder)
    for beam in (1, 5):
        for one_by_one in (False, True):
            texts = lines[:N_ONE_BY_ONE] if one_by_one else lines
            ids = tokenizer.encode_many(texts)
            longest = [DecodingConfig(beam=beam).longest(len(source)) for source in ids]
            name = f"tiny{' with tokenisation' * options.texts}, {words_for(beam, one_by_one, len(ids))}"
            task = Task(name, ids, longest, beam, one_by_one)
            if options.texts:
                task = Task(name, ids, longest, beam, one_by_one, texts=texts, tokenizer=tokenizer)
            yield task, measured(task, entrants, models, options.rounds)


def measure_base(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Task, list[Row]]]:
    """Yield what was measured with a random Transformer of base size."""
    ids = load_bundle(options.bundle).source_tokenizer.encode_many(lines_of(options.sources, options.n or N_BASE))
    entrants = entrants_of(options, PAIRS)
    models = converted(saved(base_pairs(options.bundle), folder / "base"), engines_in(entrants), folder)
    mean = round(sum(map(len, ids)) / len(ids))
    for beam in (1, 4):
        # CTranslate2 has one maximum length for a whole call, and no target ends before.
        task = Task(f"base, {words_for(beam, False, len(ids))}", ids, [mean] * len(ids), beam)
        yield task, measured(task, entrants, models, options.rounds)
        few = ids[: N_ONE_BY_ONE // 2]
        task = Task(f"base, {words_for(beam, True, len(few))}", few, [len(source) for source in few], beam, True)
        yield task, measured(task, entrants, models, options.rounds)


def measure_gpt(options: argparse.Namespace, folder: Path, name: str) -> Iterator[tuple[Task, list[Row]]]:
    """Yield what was measured with a random GPT."""
    bundle = gpt2_text(*GPTS[name])
    entrants = entrants_of(options, TEXT)
    models = converted(saved(bundle, folder / name), engines_in(entrants), folder)
    for n in (1, 16):
        ids = random_ids(bundle.source_tokenizer.vocabulary, 3, [N_READ] * n)
        title = f"{name}, {n} prompt{'s' * (n > 1)} of {N_READ} tokens continued by {options.new}"
        task = Task(title, ids, [options.new] * n, n_calls=3)
        yield task, measured(task, entrants, models, options.rounds)


def measure_length(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Print and return what a token costs by its position, in microseconds."""
    engine = Regard()
    engine.convert(saved(gpt2_text(*GPTS["gpt10"]), folder / "length"), folder / "regard")
    longest = POSITIONS[-1] + WINDOW // 2
    best: dict[tuple[str, int], list[float]] = {}
    for n in range(options.rounds):
        for threads in (1, 2):
            for precision in OURS:
                say(f"length, round {n + 1}: {precision}, {threads} thread{'s' * (threads > 1)}")
                job = Job(str(folder / "regard"), [[50]], [longest], precision=precision, threads=threads)
                seconds = engine.token_seconds(job)
                around = [seconds[p - WINDOW // 2 : p + WINDOW // 2] for p in POSITIONS]
                means = [1e6 * sum(window) / len(window) for window in around]
                before = best.get((precision, threads), means)
                best[precision, threads] = [min(pair) for pair in zip(means, before, strict=True)]
    columns = ["precision", "threads", *map(str, POSITIONS), "last by first"]
    print(f"\n### gpt10, microseconds per token by position, 1 prompt\n\n| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for (precision, threads), means in best.items():
        cells = [precision, str(threads), *(f"{mean:,.0f}" for mean in means), f"{means[-1] / means[0]:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    return [
        {"task": "length", "precision": precision, "threads": threads, "positions": POSITIONS, "microseconds": means}
        for (precision, threads), means in best.items()
    ]


def words_for(beam: int, one_by_one: bool, n: int) -> str:
    """Return how a file is decoded."""
    search = "greedy" if beam == 1 else f"beam {beam}"
    return f"{search}, {n} sentences{' one at a time' if one_by_one else ''}"


def engines_in(entrants: Sequence[Entrant]) -> list[str]:
    """Return the engines, each once."""
    return list(dict.fromkeys(engine for engine, _ in entrants))


def saved(bundle: Bundle, place: Path) -> Path:
    """Write a bundle and return where it is."""
    n = sum(parameter.numel() for parameter in bundle.model.parameters())
    say(f"{place.name}: {n / 1e6:.1f} million parameters, {bundle.target_tokenizer.vocabulary:,} ids")
    save_bundle(bundle, place)
    return place


def show_machine() -> dict[str, Any]:
    """Print and return what the times depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    rates: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        for n in (1, 2):
            torch.set_num_threads(n)
            rate = max(gemm_rate(dtype) for _ in range(3))
            rates[f"{str(dtype).removeprefix('torch.')}, {n} thread{'s' * (n > 1)}"] = rate
    about: dict[str, Any] = {
        "processor": processor or platform.processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    about |= {"bfloat16": bfloat16_instructions(), "gflops": rates}
    speeds = "; ".join(f"{name}: {rate:,.0f}" for name, rate in rates.items())
    print(f"{about['processor']}, {about['cores']} cores, instructions for bfloat16: {about['bfloat16']}; ", end="")
    print(f"torch {about['torch']}\nGFLOP/s of a product of 2048 x 2048: {speeds}", flush=True)
    return about


def show_bleu(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return BLEU (13a, cased) by precision and beam."""
    from sacrebleu.metrics.bleu import BLEU

    sources, references = lines_of(options.sources, options.n), lines_of(options.references, options.n)
    bundle = load_bundle(options.bundle)
    rows: list[dict[str, Any]] = []
    print("| precision | beam | BLEU | targets equal to float32 |\n|---|---|---|---|")
    for beam in (1, 5):
        exact: list[str] = []
        for precision in OURS:
            config = DecodingConfig(beam=beam, precision=cast(Any, precision))
            found = [str(t) for t in Translator(bundle, "cpu", config).translate(sources)]
            exact = exact or found
            score = BLEU(tokenize="13a").corpus_score(found, [references]).score
            n_same = sum(a == b for a, b in zip(found, exact, strict=True))
            print(f"| {precision} | {beam} | {score:.2f} | {n_same} of {len(found)} |", flush=True)
            rows.append({"task": "bleu", "precision": precision, "beam": beam, "bleu": score, "n_same": n_same})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections = ["tiny", "base", *GPTS, "length"]
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sections, default=sections)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, help="only the first so many sentences")
    parser.add_argument("--new", type=int, default=N_WRITTEN, help="tokens by which a prompt is continued")
    parser.add_argument("--texts", action="store_true", help="include tokenisation (only tiny)")
    parser.add_argument("--bleu", action="store_true")
    parser.add_argument("--references", type=Path)
    parser.add_argument("--to", type=Path, metavar="FILE", help="write everything as JSON, too")
    options = parser.parse_args()
    if options.bleu and options.references is None:
        parser.error("--bleu needs --references")
    if options.texts:
        options.only, options.engines = ["tiny"], [e for e in options.engines if e in ("regard", "ctranslate2")]
    rows: list[dict[str, Any]] = []
    answer = {"machine": {} if options.bleu else show_machine(), "rows": rows}
    if options.bleu:
        rows += show_bleu(options)
    for section in [] if options.bleu else options.only:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            if section == "length":
                rows += measure_length(options, folder)
                continue
            measure = {"tiny": measure_tiny, "base": measure_base}.get(section)
            tasks = measure(options, folder) if measure else measure_gpt(options, folder, section)
            for task, found in tasks:
                show(task, found)
                rows += written(found)
                save(answer, options.to)
    save(answer, options.to)


def save(answer: dict[str, Any], place: Path | None) -> None:
    """Write what was measured so far, if a file is given."""
    if place is not None:
        place.write_text(json.dumps(answer, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
