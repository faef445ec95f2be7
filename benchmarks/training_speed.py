"""Target tokens a second in training: regard's tiny models against JoeyNMT's, in turn on the same machine.

JoeyNMT gets the very pieces that regard trains on, written as ids with spaces between them, so sequences, vocabulary
and batch size in tokens are the same. Each round trains both, each in a process of its own; speeds are what each logs
itself (padding left out, EOS counted, validation left out) after its first steps. This process imports neither, so
that a child's peak memory is the child's own.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regard-benchmarks"
SOURCE, TARGET = "en", "de"
JOEYNMT = "2.3.0"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
WARM_UP_STEPS = 20
STEPS_A_RECORD = 10  # regard's; JoeyNMT is told to log as often
FEED_FORWARD, N_HEADS, N_LAYERS, DROPOUT_RATE, LABEL_SMOOTHING = 256, 4, 4, 0.3, 0.1
WIDTHS = {"transformer": 128, "bahdanau": 256}
OURS = {"transformer": [], "bahdanau": [f"model.{name}=256" for name in ("embedding_width", "attention_width")]}


@dataclass(frozen=True, slots=True)
class Corpus:
    """The training text as JoeyNMT reads it. Ids are those of regard; `unknown` is one that no sentence uses.

    operations: what regard's training computes in matrix products for a target token. gemm_rate: what this machine can.
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
    """What one training showed."""

    tokens_per_second: float
    peak_mib: float
    cores: float


def main() -> None:
    """Measure and print."""
    options = arguments()
    joeynmt = joeynmt_python(options.python)
    say(f"One-minute load before the start: {os.getloadavg()[0]:.2f}. Anything else that runs spoils the figures.")
    with tempfile.TemporaryDirectory(prefix="regard-training-speed-") as name:
        work = Path(name)
        say("Warming up: regard, its pieces for JoeyNMT, JoeyNMT.")
        warm = work / "warm"
        regard_run(options, warm, seed=0, steps=WARM_UP_STEPS + STEPS_A_RECORD)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as other:
            corpus = other.submit(write_corpus, warm, options, work / "corpus").result()
        joeynmt_run(options, joeynmt, corpus, work / "joeynmt-warm", seed=0, steps=WARM_UP_STEPS + STEPS_A_RECORD)
        say(header(options, corpus, warm, work / "joeynmt-warm"))
        pairs = []
        for i in range(1, options.rounds + 1):
            a = regard_run(options, work / f"regard-{i}", seed=i, steps=options.regard_steps)
            check_tokenizer(warm, work / f"regard-{i}")
            b = joeynmt_run(options, joeynmt, corpus, work / f"joeynmt-{i}", seed=i, steps=options.joeynmt_steps)
            pairs.append((a, b))
            say(f"round {i}: {a.tokens_per_second:,.0f} against {b.tokens_per_second:,.0f} tokens/s")
    print(table(pairs))
    rate = statistics.median(a.tokens_per_second for a, _ in pairs) * corpus.operations
    print(
        f"regard computes {corpus.operations / 1e6:.2f} M operations a target token in matrix products, "
        f"{rate / 1e9:.1f} GFLOP/s: {rate / corpus.gemm_rate:.0%} of this machine's {corpus.gemm_rate / 1e9:.1f}."
    )


def arguments() -> argparse.Namespace:
    """Return the checked options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of train.en, train.de, val.en, val.de")
    parser.add_argument("--model", choices=WIDTHS, default="transformer", help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each training [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of trainings [%(default)s]")
    parser.add_argument("--regard-steps", type=int, default=180, help="steps of one training [%(default)s]")
    parser.add_argument("--joeynmt-steps", type=int, default=60, help="steps of one training [%(default)s]")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="cells of a batch [%(default)s]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further settings of regard")
    python = sys.executable if sys.version_info[:2] == (3, 11) else "python3.11"
    parser.add_argument("--python", default=python, help="a Python 3.11 for JoeyNMT's environment [%(default)s]")
    options = parser.parse_args()
    missing = [str(path) for path in corpus_files(options.data) if not path.is_file()]
    if missing:
        parser.error(f"{', '.join(missing)} not found. Give the folder of Multi30k's raw text.")
    fewest = WARM_UP_STEPS + STEPS_A_RECORD
    if min(options.regard_steps, options.joeynmt_steps) < fewest or options.rounds < 1:
        parser.error(
            f"at least 1 round and {fewest} steps are needed; the first {WARM_UP_STEPS} steps are not counted."
        )
    return options


def corpus_files(data: Path) -> list[Path]:
    """Return the four files: training source and target, validation source and target."""
    return [data / f"{split}.{language}" for split in ("train", "val") for language in (SOURCE, TARGET)]


def joeynmt_python(python: str) -> Path:
    """Return the Python of JoeyNMT's environment, made here the first time, with the torch that regard uses.

    sentencepiece 0.1.99 and importlib_metadata are what JoeyNMT imports and does not ask for.
    """
    torch = importlib.metadata.version("torch").split("+")[0]
    place = CACHE / f"joeynmt-{JOEYNMT}-torch-{torch}"
    interpreter = place / "bin" / "python"
    if not (place / "complete").exists():
        say(f"Making JoeyNMT's environment in {place} (once; about 1.5 GB).")
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(place)], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet"]
        wheels = ["--extra-index-url", CPU_WHEELS] if sys.platform == "linux" else []
        subprocess.run([*pip, *wheels, f"torch=={torch}"], check=True)
        wanted = [f"joeynmt=={JOEYNMT}", "sentencepiece==0.1.99", "importlib_metadata", f"torch=={torch}"]
        subprocess.run([*pip, *wheels, *wanted], check=True)
        (place / "complete").touch()
    return interpreter


def regard_run(options: argparse.Namespace, place: Path, seed: int, steps: int) -> Run:
    """Train regard's model and return what was measured. Validates once, at the end."""
    files = list(map(str, corpus_files(options.data)))
    settings = [
        f"training.steps={steps}",
        f"training.validation_steps={steps}",
        f"training.batch_tokens={options.batch_tokens}",
        f"training.label_smoothing={LABEL_SMOOTHING}",
        f"model.dropout_rate={DROPOUT_RATE}",
        "decoding.beam=1",
        *OURS[options.model],
        *options.set,
    ]
    command = [sys.executable, "-m", "regard", "train", *files[:2], "--model", options.model, "--preset", "tiny"]
    command += ["--device", "cpu", "--valid", files[2], "--valid", files[3], "--to", str(place), "--seed", str(seed)]
    command += [part for setting in settings for part in ("--set", setting)]
    peak, cores = watch(command, options.threads, place.with_suffix(".log"))
    records = [json.loads(line) for line in (place / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    train = [(r["step"], r["tokens_per_second"]) for r in records if r["kind"] == "train"]
    return Run(mean_speed(train), peak, cores)


def write_corpus(run: Path, options: argparse.Namespace, folder: Path) -> Corpus:
    """Write training and validation text as ids of the run's tokenizer, with the vocabulary that JoeyNMT needs."""
    import torch

    from regard.batch import EOS
    from regard.bundle import load_bundle
    from regard.text.corpus import encode_pairs
    from regard.text.readers import read_pairs

    torch.set_num_threads(options.threads)
    data: Path = options.data
    bundle = load_bundle(run / "last")
    folder.mkdir()
    used: set[int] = set()
    n_pairs, n_tokens = 0, {}
    for split in ("val", "train"):  # the counts that stay are those of train
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
    batches = encode_pairs(pairs[:2000], bundle.source_tokenizer, bundle.target_tokenizer, 256).stream(
        options.batch_tokens, 0
    )
    operations = operations_a_token(bundle.model, list(batches.epoch(0)))
    tokens = n_tokens[SOURCE], n_tokens[TARGET]
    return Corpus(folder, vocabulary, unknown, n_pairs, *tokens, n_parameters, operations, gemm_rate())


def operations_a_token(model: Any, batches: Sequence[Any]) -> float:
    """Return the operations of a target token in matrix products, padding and its products included.

    A product's backward pass is two products of its size, so training is three times the forward pass.
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
    """Return the operations a second of a product of two matrices of 2048 x 2048 in float32, the best of five."""
    import torch

    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds)


def joeynmt_run(options: argparse.Namespace, python: Path, corpus: Corpus, place: Path, seed: int, steps: int) -> Run:
    """Train JoeyNMT's model of the same size on the same ids and return what was measured."""
    settings = joeynmt_settings(options, corpus, place, seed, steps)
    recipe = place.with_suffix(".yaml")
    recipe.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    command = [str(python), "-I", "-m", "joeynmt", "train", str(recipe), "--skip-test"]
    peak, cores = watch(command, options.threads, place.with_suffix(".log"))
    log = (place / "train.log").read_text(encoding="utf-8")
    records = re.findall(r"Step:\s+(\d+),.*Tokens per Sec:\s+(\d+)", log)
    return Run(mean_speed([(int(step), float(speed)) for step, speed in records]), peak, cores)


def joeynmt_settings(options: argparse.Namespace, corpus: Corpus, place: Path, seed: int, steps: int) -> dict[str, Any]:
    """Return JoeyNMT's settings. Its own "plateau" schedule does not start on this torch; a validation never comes."""
    vocabulary = str(corpus.folder / "vocabulary.txt")
    symbols: dict[str, Any] = {"unk_token": str(corpus.unknown), "pad_token": "0", "bos_token": "1", "eos_token": "2"}
    symbols |= {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}  # JoeyNMT puts its symbols first, in this order
    side = {"level": "word", "voc_file": vocabulary}
    files = {"train": str(corpus.folder / "train"), "dev": str(corpus.folder / "val"), "dataset_type": "plain"}
    encoder, decoder = joeynmt_stacks(options.model)
    training = {"optimizer": "adamw", "adam_betas": [0.9, 0.98], "learning_rate": 0.005, "learning_rate_min": 0.0}
    training |= {"scheduling": "warmupinversesquareroot", "learning_rate_warmup": 400, "clip_grad_norm": 1.0}
    training |= {"label_smoothing": LABEL_SMOOTHING, "normalization": "tokens"}
    training |= {"batch_size": options.batch_tokens, "batch_type": "token", "epochs": 1_000_000, "updates": steps}
    training |= {"logging_freq": STEPS_A_RECORD, "validation_freq": STEPS_A_RECORD * 1_000_000}
    return {
        "name": "tiny",
        "joeynmt_version": JOEYNMT,
        "model_dir": str(place),
        "use_cuda": False,
        "random_seed": seed,
        "data": {**files, "special_symbols": symbols, "src": {"lang": SOURCE, **side}, "trg": {"lang": TARGET, **side}},
        "model": {"tied_embeddings": True, "tied_softmax": True, "encoder": encoder, "decoder": decoder},
        "training": training,
        "testing": {},
    }


def joeynmt_stacks(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return JoeyNMT's settings for its encoder and its decoder."""
    width = WIDTHS[model]
    both: dict[str, Any] = {"hidden_size": width, "dropout": DROPOUT_RATE}
    both["embeddings"] = {"embedding_dim": width, "scale": model == "transformer", "dropout": DROPOUT_RATE}
    if model == "transformer":
        both |= {"type": "transformer", "num_layers": N_LAYERS, "num_heads": N_HEADS, "ff_size": FEED_FORWARD}
        return both | {"layer_norm": "pre"}, both | {"layer_norm": "pre"}
    both |= {"type": "recurrent", "rnn_type": "gru", "num_layers": 1}
    attention = {"attention": "bahdanau", "input_feeding": True, "init_hidden": "bridge"}
    return both | {"bidirectional": True}, both | attention | {"hidden_dropout": DROPOUT_RATE}


def watch(command: Sequence[str], n_threads: int, log: Path) -> tuple[float, float]:
    """Run a command on so many threads and return its peak memory in MiB and how many cores it kept busy."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(n_threads))
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **threads})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{tail}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
    return peak, (usage.ru_utime + usage.ru_stime) / (time.monotonic() - began)


def mean_speed(records: Sequence[tuple[int, float]]) -> float:
    """Return the speed over all records (last step, tokens a second since the record before) after the warm-up.

    Steps hold about equally many tokens, so the mean that counts is that of the times: the harmonic one.
    """
    starts = [0, *(step for step, _ in records)]
    kept = [
        (step - start, speed) for start, (step, speed) in zip(starts, records, strict=False) if start >= WARM_UP_STEPS
    ]
    return statistics.harmonic_mean([speed for _, speed in kept], weights=[n_steps for n_steps, _ in kept])


def check_tokenizer(first: Path, run: Path) -> None:
    """Stop if a run has trained on other pieces than JoeyNMT was given."""
    if (first / "last/tokenizer.json").read_bytes() != (run / "last/tokenizer.json").read_bytes():
        raise SystemExit("regard's tokenizer differs from run to run, so the two trainers do not see the same pieces.")


def header(options: argparse.Namespace, corpus: Corpus, regard: Path, joeynmt: Path) -> str:
    """Return what is measured, on what."""
    recipe = tomllib.loads((regard / "recipe.toml").read_text(encoding="utf-8"))
    found = re.search(r"Total params: (\d+)", (joeynmt / "train.log").read_text(encoding="utf-8"))
    assert found, "JoeyNMT logs its number of parameters"
    sections = "\n".join(f"  {name}: {json.dumps(recipe.get(name))}" for name in ("model", "training", "tokenizer"))
    return (
        f"{options.threads} threads, {platform.platform()}, torch {importlib.metadata.version('torch')}\n"
        f"{corpus.n_pairs:,} pairs, {corpus.vocabulary:,} pieces, {corpus.source_tokens:,} source and "
        f"{corpus.target_tokens:,} target tokens an epoch; batches of {options.batch_tokens:,} cells\n"
        f"regard: {corpus.regard_parameters:,} parameters\n{sections}\nJoeyNMT {JOEYNMT}: {int(found[1]):,} parameters"
    )


def table(pairs: Sequence[tuple[Run, Run]]) -> str:
    """Return every round and the medians."""
    form = "{:<8}{:>10}{:>10}{:>8}{:>12}{:>13}{:>14}{:>15}".format
    names = ("round", "regard", "JoeyNMT", "ratio", "regard MiB", "JoeyNMT MiB", "regard cores", "JoeyNMT cores")
    figures = []
    for a, b in pairs:
        ratio = a.tokens_per_second / b.tokens_per_second
        figures.append((a.tokens_per_second, b.tokens_per_second, ratio, a.peak_mib, b.peak_mib, a.cores, b.cores))
    medians = [statistics.median(column) for column in zip(*figures, strict=True)]
    rows = [form(*names)]
    for name, line in (*enumerate(figures, start=1), ("median", medians)):
        rows.append(form(name, *(f"{x:,.0f}" if i in (0, 1, 3, 4) else f"{x:.2f}" for i, x in enumerate(line))))
    ratios = [line[2] for line in figures]
    rows.append(
        f"Target tokens a second in training; the ratio pair by pair is {min(ratios):.2f} to {max(ratios):.2f}."
    )
    return "\n".join(rows)


def say(message: str) -> None:
    """Print to stderr at once."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
