"""Compare the training speed of regard's tiny models with that of other trainers, in turn on the same machine.

The other trainers get the pieces that regard trains on, written as ids with spaces between them, so sequences,
vocabulary and batch size in tokens are the same. Each round trains with every trainer, each in its own process. Speeds
are in target tokens per second, as each trainer logs them (without padding and validation, with EOS), after its first
steps. This process imports none of the trainers, so that the peak memory of a child is its own.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from measuring import (
    DROPOUT_RATE,
    LABEL_SMOOTHING,
    SOURCE,
    STEPS_A_RECORD,
    TARGET,
    VOCABULARY,
    WARM_UP_STEPS,
    WIDTHS,
    Corpus,
    Run,
    mean_speed,
    say,
    watch,
)
from rivals import RIVALS

OURS = {"transformer": [], "bahdanau": [f"model.{name}=256" for name in ("embedding_width", "attention_width")]}


def main() -> None:
    """Measure and print."""
    options = arguments()
    rivals = [RIVALS[name](options.python) for name in options.against or ["joeynmt"]]
    ours = {"regard": [], "float32": ["training.precision=float32"]} if options.float32 else {"regard": []}
    say(f"One-minute load before the start: {os.getloadavg()[0]:.2f}. Other running programs distort the figures.")
    with tempfile.TemporaryDirectory(prefix="regard-training-speed-") as name:
        work = Path(name)
        say("Warming up every trainer, and writing the text as ids.")
        warm, fewest = work / "warm", WARM_UP_STEPS + STEPS_A_RECORD
        regard_run(options, warm, seed=0, steps=fewest)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as other:
            corpus = other.submit(write_corpus, warm, options, work / "corpus").result()
        for rival in rivals:
            rival.train(options, corpus, work / f"{rival.name}-0", seed=0, steps=fewest)
        say(header(options, corpus, warm))
        for rival in rivals:
            log = rival.log(work / f"{rival.name}-0")
            say(f"{rival.name} {rival.version}: {rival.n_parameters(log):,} parameters")
        rounds = []
        for i in range(1, options.rounds + 1):
            runs = []
            for name, more in ours.items():
                place = work / f"{name}-{i}"
                runs.append(regard_run(options, place, seed=i, steps=options.regard_steps, more=more))
                check_tokenizer(warm, place)
            places = {rival: work / f"{rival.name}-{i}" for rival in rivals}
            runs += [
                rival.train(options, corpus, place, seed=i, steps=options.steps) for rival, place in places.items()
            ]
            rounds.append(runs)
            say(f"round {i}: " + ", ".join(f"{run.tokens_per_second:,.0f}" for run in runs) + " tokens/s")
    print(table([*ours, *(rival.name for rival in rivals)], rounds))
    rate = statistics.median(runs[0].tokens_per_second for runs in rounds) * corpus.operations
    print(
        f"regard computes {corpus.operations / 1e6:.2f} M operations per target token in matrix products, or "
        f"{rate / 1e9:.1f} GFLOP/s: {rate / corpus.gemm_rate:.0%} of the {corpus.gemm_rate / 1e9:.1f} that this "
        "machine reaches in float32."
    )


def arguments() -> argparse.Namespace:
    """Return the options of the command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="directory with train.en, train.de, val.en, val.de")
    parser.add_argument("--model", choices=WIDTHS, default="transformer", help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each training [%(default)s]")
    processes = "processes of a training of regard, which share its threads [%(default)s]"
    parser.add_argument("--processes", type=int, default=1, help=processes)
    parser.add_argument("--rounds", type=int, default=5, help="trainings of each trainer [%(default)s]")
    parser.add_argument("--regard-steps", type=int, default=180, help="steps of a training of regard [%(default)s]")
    parser.add_argument("--steps", type=int, default=60, help="steps of a training of another trainer [%(default)s]")
    against = {"choices": list(RIVALS), "help": "another trainer; may be repeated [joeynmt]"}
    parser.add_argument("--against", action="append", **against)
    parser.add_argument("--float32", action="store_true", help="also train regard in float32, as the others do")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens and padding of a batch [%(default)s]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further settings of regard")
    python = sys.executable if sys.version_info[:2] == (3, 11) else "python3.11"
    parser.add_argument("--python", default=python, help="Python 3.11 for the environments of the others [%(default)s]")
    options = parser.parse_args()
    missing = [str(path) for path in corpus_files(options.data) if not path.is_file()]
    if missing:
        parser.error(f"{', '.join(missing)} not found. Give the directory of Multi30k's raw text.")
    fewest = WARM_UP_STEPS + STEPS_A_RECORD
    if min(options.regard_steps, options.steps) < fewest or options.rounds < 1:
        parser.error(
            f"at least 1 round and {fewest} steps are needed, since the first {WARM_UP_STEPS} steps are not counted."
        )
    if options.processes < 1 or options.threads % options.processes:
        parser.error(f"{options.threads} threads cannot be divided among {options.processes} processes.")
    for name in options.against or []:
        if options.model not in RIVALS[name].models:
            parser.error(f"{RIVALS[name].name} can be compared only with --model {' or '.join(RIVALS[name].models)}.")
    return options


def corpus_files(data: Path) -> list[Path]:
    """Return the four files: training source and target, validation source and target."""
    return [data / f"{split}.{language}" for split in ("train", "val") for language in (SOURCE, TARGET)]


def regard_run(options: argparse.Namespace, place: Path, seed: int, steps: int, more: Sequence[str] = ()) -> Run:
    """Train with regard and return what was measured. It validates once, at the end."""
    files = list(map(str, corpus_files(options.data)))
    settings = [
        f"training.steps={steps}",
        f"training.validation_steps={steps}",
        f"training.batch_tokens={options.batch_tokens}",
        f"training.label_smoothing={LABEL_SMOOTHING}",
        f"model.dropout_rate={DROPOUT_RATE}",
        f"tokenizer.vocabulary={VOCABULARY}",
        "decoding.beam=1",
        *OURS[options.model],
        *options.set,
        *more,
    ]
    command = [sys.executable, "-m"]
    if options.processes > 1:
        command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(options.processes), "-m"]
    command += ["regard", "train", *files[:2], "--model", options.model, "--preset", "tiny"]
    command += ["--device", "cpu", "--valid", files[2], "--valid", files[3], "--to", str(place), "--seed", str(seed)]
    command += [part for setting in settings for part in ("--set", setting)]
    peak, cores = watch(command, options.threads // options.processes, place.with_suffix(".log"))
    records = [json.loads(line) for line in (place / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    train = [(r["step"], r["tokens_per_second"]) for r in records if r["kind"] == "train"]
    return Run(mean_speed(train), peak * options.processes, cores)


def write_corpus(run: Path, options: argparse.Namespace, folder: Path) -> Corpus:
    """Write the training and validation text as ids of the run's tokenizer, and a vocabulary of these ids."""
    import torch

    from regard.batch import EOS
    from regard.bundle import load_bundle
    from regard.text.batching.pairs import pair_stream
    from regard.text.encoded.pairs import encode_pairs
    from regard.text.reading.pairs import read_pairs

    torch.set_num_threads(options.threads)
    data: Path = options.data
    bundle = load_bundle(run / "last")
    folder.mkdir()
    used: set[int] = set()
    n_pairs, n_tokens = 0, {}
    for split in ("val", "train"):  # the last counts are those of train
        pairs = read_pairs([data / f"{split}.{SOURCE}", data / f"{split}.{TARGET}"])
        n_pairs = len(pairs)
        sources, targets = zip(*pairs, strict=True)
        sides = ((SOURCE, bundle.source_tokenizer, sources), (TARGET, bundle.target_tokenizer, targets))
        for language, tokenizer, texts in sides:
            rows = tokenizer.encode_many(texts)
            used.update(*rows)
            n_tokens[language] = sum(len(row) + 1 for row in rows)
            lines = "".join(" ".join(map(str, row)) + "\n" for row in rows)
            (folder / f"{split}.{language}").write_text(lines, encoding="ascii")
    vocabulary = bundle.target_tokenizer.vocabulary
    pieces = range(EOS + 1, vocabulary)
    unknown = next((i for i in pieces if i not in used), vocabulary)
    (folder / "vocabulary.txt").write_text("".join(f"{i}\n" for i in pieces if i != unknown), encoding="ascii")
    n_parameters = sum(p.numel() for p in bundle.model.parameters())
    encoded = encode_pairs(pairs[:2000], bundle.source_tokenizer, bundle.target_tokenizer, 256)
    batches = pair_stream(encoded, batch_tokens=options.batch_tokens, seed=0)
    operations = operations_a_token(bundle.model, list(batches.epoch(0)))
    tokens = n_tokens[SOURCE], n_tokens[TARGET]
    return Corpus(folder, vocabulary, unknown, n_pairs, *tokens, n_parameters, operations, gemm_rate())


def operations_a_token(model: Any, batches: Sequence[Any]) -> float:
    """Return the operations per target token in matrix products, those of padding included.

    The backward pass of a product is two products of its size, so training costs three times the forward pass.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    n_tokens = sum(int(batch.target_keep.sum()) for batch in batches)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for batch in batches:
            model(batch)
    vocabulary, width = model.output_weight.shape
    return 3 * (counter.get_total_flops() / n_tokens + 2 * vocabulary * width)


def gemm_rate() -> float:
    """Return the operations per second of a product of two matrices of 2048 x 2048 in float32, the best of five."""
    import torch

    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds)


def check_tokenizer(first: Path, run: Path) -> None:
    """Exit if a run was trained with other pieces than the other trainers were given."""
    if (first / "last/tokenizer.json").read_bytes() != (run / "last/tokenizer.json").read_bytes():
        raise SystemExit("regard's tokenizer differs between runs, so the trainers do not use the same pieces.")


def header(options: argparse.Namespace, corpus: Corpus, regard: Path) -> str:
    """Return what is measured, and on which machine."""
    recipe = tomllib.loads((regard / "recipe.toml").read_text(encoding="utf-8"))
    sections = "\n".join(f"  {name}: {json.dumps(recipe.get(name))}" for name in ("model", "training", "tokenizer"))
    return (
        f"{options.threads} threads, {platform.platform()}, torch {importlib.metadata.version('torch')}\n"
        f"regard: {options.processes} process(es), {corpus.regard_parameters:,} parameters\n{sections}\n"
        f"{corpus.n_pairs:,} pairs, {corpus.vocabulary:,} pieces, {corpus.source_tokens:,} source and "
        f"{corpus.target_tokens:,} target tokens per epoch; batches of {options.batch_tokens:,} cells"
    )


def table(names: Sequence[str], rounds: Sequence[Sequence[Run]]) -> str:
    """Return all rounds and their medians: target tokens per second, ratios of regard to the others, memory, cores."""
    form = ("{:<8}" + "{:>12}" * (4 * len(names) - 1)).format
    others = [f"{names[0]}/{name}"[:11] for name in names[1:]]
    titles = [*names, *others, *(f"{name} MiB" for name in names), *(f"{name} cores"[:11] for name in names)]
    figures = []
    for runs in rounds:
        speeds = [run.tokens_per_second for run in runs]
        ratios = [speeds[0] / speed for speed in speeds[1:]]
        figures.append([*speeds, *ratios, *(run.peak_mib for run in runs), *(run.cores for run in runs)])
    medians = [statistics.median(column) for column in zip(*figures, strict=True)]
    rows = [form("round", *titles)]
    for name, line in (*enumerate(figures, start=1), ("median", medians)):
        rows.append(form(name, *(f"{x:,.0f}" if x >= 100 else f"{x:.2f}" for x in line)))
    return "\n".join(rows)


if __name__ == "__main__":
    main()
