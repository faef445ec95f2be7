"""`regard evaluate`: scores with their signatures, as a table or as JSON."""

import json as json_format
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from regard.cli.translate import load_translator
from regard.errors import ConfigError
from regard.evaluation.translation import TranslationScores, score_translations
from regard.text.readers import read_lines, read_pairs


def evaluate_run(arguments: Sequence[Path], language: str | None, beam: int | None, device: str, json: bool) -> None:
    """Translate the source side of the data with a run and score it against the target side."""
    if len(arguments) < 2:
        raise ConfigError(
            "evaluate needs a RUN and data: regard evaluate RUN SOURCE REFERENCE, or RUN pairs.tsv, "
            "or --hypothesis FILE --reference FILE."
        )
    run, *data = arguments
    pairs = read_pairs(data)
    translator = load_translator(run, beam, device)
    language = language or translator.bundle.card.get("languages", [None, None])[1]
    translations = [t.text for t in translator.translate(pairs.source)]
    show(score_translations(translations, pairs.target, language=language), f"beam {translator.decoding.beam}", json)


def evaluate_files(
    arguments: Sequence[Path], hypothesis: Path | None, reference: Path | None, language: str | None, json: bool
) -> None:
    """Score a file of translations against a file of references."""
    if hypothesis is None or reference is None or arguments:
        raise ConfigError("--hypothesis FILE and --reference FILE go together, and without a RUN.")
    show(score_translations(read_lines(hypothesis), read_lines(reference), language=language), str(hypothesis), json)


def show(scores: TranslationScores, what: str, json: bool) -> None:
    """Print the scores to stdout."""
    if json:
        print(json_format.dumps(scores.as_dict(), ensure_ascii=False))
        return
    table = Table(title=f"{scores.n_sentences:,} sentences, {what}", title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("signature", overflow="fold")
    for score in scores:
        table.add_row(score.name, f"{score.value:.2f}", score.signature)
    Console().print(table)
