"""`regard prove`: every rung and every fast path against its definition, as a table of errors."""

import json as json_format
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regard.bundle import load_bundle, run_bundle
from regard.cli import say
from regard.models import MODELS
from regard.proof import (
    TOLERANCE,
    VOCABULARY,
    Error,
    Proof,
    prove_kernels,
    prove_ladder,
    prove_model,
    small_model,
)
from regard.runtime import prepare_runtime


def run_prove(run: Path | None, device: str, json: bool) -> None:
    """Print every proof; the exit code is 1 if one of them fails."""
    runtime = prepare_runtime(device)
    torch.set_float32_matmul_precision("highest")  # float32 is to be proven as such, and not as TF32
    say(f"Proving on {runtime.device.type}: outputs and gradients.")
    proofs: list[Proof] = []
    for result in prove_all(run, runtime.device):
        if isinstance(result, str):
            say(result)
        else:
            proofs.append(result)
    failed = [proof for proof in proofs if not proof.holds]
    if json:
        print(json_format.dumps({"proofs": [as_dict(proof) for proof in proofs], "holds": not failed}))
    else:
        print_table(proofs)
    say(f"{len(proofs) - len(failed)} of {len(proofs)} hold." if failed else f"All {len(proofs)} hold.")
    if failed:
        sys.exit(1)


def prove_all(run: Path | None, device: torch.device) -> Iterator[Proof | str]:
    """Yield all proofs: of the ladder, of the kernels, and of the run's model or a small one of each family.

    Raises BundleError if the run has no bundle that can be loaded, before anything is proven.
    """
    bundle = None if run is None else load_bundle(run_bundle(run))
    say("The ladder ...")
    yield from prove_ladder(device)
    say("The kernels ...")
    yield from prove_kernels(device)
    if bundle is None or run is None:
        for family in MODELS:
            say(f"A small {family} ...")
            yield from prove_model(family, small_model(family), (VOCABULARY, VOCABULARY), device)
        return
    say(f"{run} ...")
    vocabularies = bundle.source_tokenizer.vocabulary, bundle.target_tokenizer.vocabulary
    yield from prove_model(f"{run.resolve().name} ({bundle.family})", bundle.model, vocabularies, device)


def print_table(proofs: list[Proof]) -> None:
    """Print the proofs: largest difference, absolute and over the largest magnitude; green holds, red does not."""
    stated = ", ".join(f"{dtype_name(dtype)} {tolerance:g}" for dtype, tolerance in TOLERANCE.items())
    table = Table(title=f"Tolerance (relative): {stated}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("what must be equal")
    for column in ("precision", "outputs", "relative", "gradients", "relative", ""):
        table.add_column(column, justify="right")
    for proof in proofs:
        figures = (proof.outputs.absolute, proof.outputs.relative, proof.gradients.absolute, proof.gradients.relative)
        verdict = "[green]holds[/]" if proof.holds else "[red]FAILS[/]"
        table.add_row(escape(proof.name), dtype_name(proof.dtype), *(f"{figure:.1e}" for figure in figures), verdict)
    console = Console()
    if not console.is_terminal:
        console.width = 132  # in a file or a pipe every proof has one line
    console.print(table)


def as_dict(proof: Proof) -> dict[str, Any]:
    """Return a proof as JSON has it; null is an error that is no number."""

    def figures(error: Error) -> dict[str, float | None]:
        named = {"absolute": error.absolute, "relative": error.relative}
        return {name: figure if math.isfinite(figure) else None for name, figure in named.items()}

    return {
        "name": proof.name,
        "dtype": dtype_name(proof.dtype),
        "outputs": figures(proof.outputs),
        "gradients": figures(proof.gradients),
        "tolerance": proof.tolerance,
        "holds": proof.holds,
    }


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a precision, such as "float32"."""
    return str(dtype).removeprefix("torch.")
