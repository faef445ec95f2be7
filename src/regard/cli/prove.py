"""`regard prove`: every rung and every fast path against its definition, as a table of errors."""

import json as json_format
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regard.cli.saying import display, out, print_text, say
from regard.face import prove
from regard.pipeline import device_of
from regard.proof import TOLERANCE, Proof


def run_prove(run: Path | None, device: str, json: bool) -> None:
    """Print every proof; the exit code is 1 if one of them fails."""
    out()  # a closed stdout is reported before the proofs
    say(f"Proving on {device_of(device).type}: outputs and gradients.")
    proofs = prove(run, device=device, display=display())
    failed = [proof for proof in proofs if not proof.holds]
    if json:
        print_text(json_format.dumps({"proofs": [proof.as_dict() for proof in proofs], "holds": not failed}))
    else:
        print_table(proofs)
    say(f"{len(proofs) - len(failed)} of {len(proofs)} hold." if failed else f"All {len(proofs)} hold.")
    if failed:
        sys.exit(1)


def print_table(proofs: Sequence[Proof]) -> None:
    """Print each proof's largest difference, absolute and relative to the largest magnitude; green holds, red fails."""
    stated = ", ".join(f"{str(dtype).removeprefix('torch.')} {tolerance:g}" for dtype, tolerance in TOLERANCE.items())
    table = Table(title=f"Tolerance (relative): {stated}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("what must be equal")
    for column in ("precision", "outputs", "relative", "gradients", "relative", ""):
        table.add_column(column, justify="right")
    for proof in proofs:
        errors = [proof.outputs] if proof.gradients is None else [proof.outputs, proof.gradients]
        figures = [f"{figure:.1e}" for error in errors for figure in (error.absolute, error.relative)]
        figures += [""] * (4 - len(figures))  # what is only decoded has no gradients
        verdict = "[green]holds[/]" if proof.holds else "[red]FAILS[/]"
        table.add_row(escape(proof.name), proof.precision, *figures, verdict)
    console = Console()
    if not console.is_terminal:
        console.width = 132  # in a file or a pipe every proof has one line
    console.print(table)
