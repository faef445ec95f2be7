"""`regard evaluate`: scores with their signatures, as a table or as JSON."""

import json as json_format
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from regard.cli import say
from regard.cli.translate import load_translator
from regard.errors import ConfigError
from regard.evaluation.language import LanguageScores, language_scores
from regard.evaluation.translation import TranslationScores, score_translations
from regard.pipeline import TextGenerator
from regard.runtime import prepare_runtime
from regard.text.reading.lines import read_lines
from regard.text.reading.pairs import read_pairs
from regard.text.reading.passages import Passages


def evaluate_run(
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
    run, *data = arguments
    if len(data) == 1 and data[0].suffix.lower() == ".txt":
        if beam is not None or language is not None:
            raise ConfigError(f"--beam and --language are for translations, and {data[0]} is running text.")
        evaluate_text(run, data[0], trained_on, device, json)
    elif trained_on is not None:
        raise ConfigError("--trained-on is for running text: regard evaluate RUN text.txt --trained-on book.txt.")
    else:
        evaluate_pairs(run, data, language, beam, device, json)


def evaluate_text(run: Path, path: Path, trained_on: Path | None, device: str, json: bool) -> None:
    """Print what a text costs a language model, beside what it costs without one."""
    generator = TextGenerator.load(run, prepare_runtime(device).device)
    kind = generator.bundle.card["data"]["kind"]
    text = Passages.read(path, kind)
    known = "".join(Passages.read(trained_on, kind).apart()) if trained_on else None
    nats, n_tokens = generator.nll(text.documents())
    scores = language_scores(nats, n_tokens, "".join(text.apart()), known)
    print(json_format.dumps(scores.as_dict(), ensure_ascii=False)) if json else show_language(scores, str(path))


def show_language(scores: LanguageScores, what: str) -> None:
    """Print a table of the model's cost beside its floors."""
    size = f"{scores.n_characters:,} characters, {scores.n_bytes:,} bytes, {scores.n_tokens:,} tokens"
    table = Table(title=f"{escape(what)}: {size}", title_justify="left")
    for column in ("", "bits a byte", "nats a character", "nats a token", "perplexity"):
        table.add_column(column, justify="right" if column else "left")
    rates = f"{scores.bits_per_byte:.4f}", f"{scores.nats_per_character:.4f}"
    table.add_row("this model", *rates, f"{scores.nats_per_token:.4f}", f"{scores.perplexity:.3f}")
    for floor in scores.floors:
        table.add_row(f"{floor.name}, {floor.how}", f"{floor.bits_per_byte:.4f}", f"{floor.nats_per_character:.4f}")
    Console().print(table)


def evaluate_pairs(
    run: Path, data: Sequence[Path], language: str | None, beam: int | None, device: str, json: bool
) -> None:
    """Translate the source side of the data with a run and score it against the target side."""
    pairs = read_pairs(data)
    if pairs.report.dropped:
        say(f"test data: {pairs.report.summary()}")
    sources, targets = zip(*pairs, strict=True)
    translator = load_translator(run, beam, device)
    language = language or translator.bundle.card.get("languages", [None, None])[1]
    translations = [t.text for t in translator.translate(sources)]
    show(score_translations(translations, targets, language=language), f"beam {translator.decoding.beam}", json)


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
    table = Table(title=f"{scores.n_sentences:,} sentences, {escape(what)}", title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("signature", overflow="fold")
    for score in scores:
        table.add_row(score.name, f"{score.value:.2f}", score.signature)
    Console().print(table)
