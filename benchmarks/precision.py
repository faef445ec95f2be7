"""Compare the speed of training in bfloat16 and float32 on this machine, for the table in `regard/runtime.py`.

    python benchmarks/precision.py [--families transformer gpt ...] [--widths 64 96 128 256 512] [--rounds 3]

Small models are trained on random ids (forward pass, backward pass and update), in both precisions in turn. The table
shows the target tokens per second of each and their ratio. The line above it shows the processor's instructions and the
speed of a large matrix product.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from regard.batch import Batch, collate, collate_text
from regard.models import MODELS
from regard.runtime import bfloat16_instructions, prepare_process
from regard.training.config import TrainingConfig
from regard.training.gradients import Gradients
from regard.training.optimiser import Optimiser
from regard.training.processes import ALONE

VOCABULARY, LENGTH, CELLS, STEPS = 4_000, 16, 2_048, 6


def settings_of(family: str, width: int) -> dict[str, Any]:
    """Return the settings of a model of a given width."""
    match family:
        case "rnn":
            return {"width": width, "embedding_width": width}
        case "bahdanau":
            return {"width": width, "embedding_width": width, "attention_width": width}
        case "transformer":
            return {"width": width, "feed_forward": 2 * width, "n_heads": max(1, width // 32)}
    return {"width": width, "n_heads": max(1, width // 32)}


def batches(family: str) -> Iterator[Batch]:
    """Yield batches of random ids, endlessly."""
    random = torch.Generator().manual_seed(1)
    while True:
        rows = torch.randint(3, VOCABULARY, (CELLS // LENGTH, LENGTH), generator=random).tolist()
        yield collate_text([[1, *row] for row in rows]) if family == "gpt" else collate(rows, rows)


def tokens_per_second(family: str, width: int, precision: str) -> float:
    """Return the target tokens per second of a training."""
    torch.manual_seed(1)
    config, model_class = MODELS[family]
    model = model_class(config(**settings_of(family, width)), VOCABULARY, VOCABULARY).train()
    training = TrainingConfig(steps=100, precision=precision)
    gradients = Gradients(model, training, torch.device("cpu"), ALONE)
    optimiser = Optimiser(model, training)
    n_tokens, began = 0, 0.0
    for step, batch in enumerate(batches(family)):
        if step == 2:
            n_tokens, began = 0, time.perf_counter()
        if step == STEPS + 2:
            return n_tokens / (time.perf_counter() - began)
        n_tokens += gradients.add(batch).n_tokens
        optimiser.step(1.0)
    raise AssertionError("batches never end")


def gemm_rate(dtype: torch.dtype) -> float:
    """Return the speed of a product of two matrices of 2048 x 2048, in GFLOP/s."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    a @ b
    began = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * 2048**3 / (time.perf_counter() - began) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=list(MODELS))
    parser.add_argument("--widths", nargs="+", type=int, default=[64, 96, 128, 192, 256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    prepare_process()
    rates = ", ".join(f"{gemm_rate(dtype):.0f} {dtype}" for dtype in (torch.float32, torch.bfloat16))
    print(f"{bfloat16_instructions()}, {torch.get_num_threads()} threads of {os.cpu_count()}; GFLOP/s: {rates}")
    print("| family | width | float32 | bfloat16 | ratio |\n|---|---|---|---|---|")
    for family in options.families:
        for width in options.widths:
            pairs = [
                [tokens_per_second(family, width, precision) for precision in ("float32", "bfloat16")]
                for _ in range(options.rounds)
            ]
            single, half = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"| {family} | {width} | {single:,.0f} | {half:,.0f} | {ratio:.2f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
