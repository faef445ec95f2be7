"""`regard evaluate`: scores with their signatures, as a table or as JSON."""

import json as json_format
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regard.cli.saying import display, out, print_text
from regard.errors import ConfigError
from regard.evaluation.language import LanguageScores
from regard.evaluation.translation import TranslationScores
from regard.face import evaluate, evaluate_files
from regard.runtime import prepare_process


def run_evaluate(
    arguments: Sequence[Path],
    language: str | None,
    beam: int | None,
    trained_on: Path | None,
    device: str,
    json: bool,
) -> None:
    """Score a run on pairs, or on the running text of one .txt."""
    if len(arguments) < 2:
        raise ConfigError(
            "evaluate needs a RUN and data: regard evaluate RUN SOURCE REFERENCE, or RUN pairs.tsv, "
            "or RUN text.txt for a language model, or --hypothesis FILE --reference FILE."
        )
    prepare_process()
    out()  # a closed stdout is reported before the work
    run, *data = arguments
    options = {"language": language, "beam": beam, "trained_on": trained_on, "device": device}
    scores = evaluate(run, data, display=display(), **options)  # type: ignore[arg-type]
    show(scores, str(data[0]), json)


def run_evaluate_files(
    arguments: Sequence[Path], hypothesis: Path | None, reference: Path | None, language: str | None, json: bool
) -> None:
    """Score a file of translations against a file of references."""
    if hypothesis is None or reference is None or arguments:
        raise ConfigError("--hypothesis FILE and --reference FILE must be given together, and without a RUN.")
    out()
    show(evaluate_files(hypothesis, reference, language=language), str(hypothesis), json)


def show(scores: TranslationScores | LanguageScores, what: str, json: bool) -> None:
    """Print scores to stdout."""
    if json:
        print_text(json_format.dumps(scores.as_dict(), ensure_ascii=False))
    elif isinstance(scores, TranslationScores):
        show_translation(scores, scores.how or what)
    else:
        show_language(scores, what)


def show_language(scores: LanguageScores, what: str) -> None:
    """Print a table of the model's cost beside the baselines."""
    size = f"{scores.n_characters:,} characters, {scores.n_bytes:,} bytes, {scores.n_tokens:,} tokens"
    table = Table(title=f"{escape(what)}: {size}", title_justify="left")  # brackets in a name are not markup
    for column in ("", "bits per byte", "nats per character", "nats per token", "perplexity"):
        table.add_column(column, justify="right" if column else "left")
    rates = f"{scores.bits_per_byte:.4f}", f"{scores.nats_per_character:.4f}"
    table.add_row("this model", *rates, f"{scores.nats_per_token:.4f}", f"{scores.perplexity:.3f}")
    for floor in scores.floors:
        table.add_row(f"{floor.name}, {floor.how}", f"{floor.bits_per_byte:.4f}", f"{floor.nats_per_character:.4f}")
    Console().print(table)


def show_translation(scores: TranslationScores, what: str) -> None:
    """Print a table of scores with their signatures."""
    table = Table(title=f"{scores.n_sentences:,} sentences, {escape(what)}", title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("signature", overflow="fold")
    for score in scores:
        table.add_row(score.name, f"{score.value:.2f}", score.signature)
    if scores.n_numbers:
        kept = scores.n_numbers_kept / scores.n_numbers
        table.add_row("numbers kept", f"{kept:.1%}", f"{scores.n_numbers_kept:,} of {scores.n_numbers:,}")
    Console().print(table)
