"""`regard inspect`: the attention of a sentence as a page, a picture or data."""

import sys
from collections.abc import Callable
from pathlib import Path

from regard.bundle import load_bundle, run_bundle
from regard.cli import say
from regard.cli.translate import with_beam
from regard.errors import ConfigError, RunError
from regard.inspection.explanation import Explanation, to_json
from regard.inspection.page import render_page
from regard.inspection.plots import draw
from regard.pipeline import TextGenerator, Translator
from regard.runtime import prepare_runtime

WRITERS: dict[str, Callable[[Explanation, Path], None]] = {
    ".html": lambda explanation, path: write(path, render_page(explanation)),
    ".json": lambda explanation, path: write(path, to_json(explanation) + "\n"),
    ".png": draw,
    ".svg": draw,
}


def run_inspect(run: Path, text: str, to: Path, target: str | None, beam: int | None, device: str) -> None:
    """Translate the sentence and write what it attended to."""
    writer = WRITERS.get(to.suffix.lower())
    if writer is None:
        raise ConfigError(f"--to {to}: the name must end in {', '.join(WRITERS)}.")
    if not to.parent.is_dir():
        raise RunError(f"--to {to}: there is no directory {to.parent}. Make it first.")
    explanation = explain(run, text, target, beam, device)
    try:
        writer(explanation, to)
    except OSError as error:
        raise RunError(f"--to {to} cannot be written: {error.strerror}. Choose another name.") from error
    sys.stdout.buffer.write(f"{explanation.title}\n".encode())
    sys.stdout.flush()
    say(f"Attention written to {to}")


def explain(run: Path, text: str, target: str | None, beam: int | None, device: str) -> Explanation:
    """Return the explanation of a translation, or of running text if the run was trained on that."""
    if target is not None and beam is not None:
        raise ConfigError(
            "--beam is for a translation that is looked for, and --target gives one. Leave one of them out."
        )
    bundle, place = load_bundle(run_bundle(run)), prepare_runtime(device).device
    if bundle.card.get("job") != "text":
        return with_beam(Translator(bundle, place), beam).explain(text, target)
    if target is not None or beam is not None:
        raise ConfigError(f"--target and --beam are for translations, and {run} was trained on running text.")
    return TextGenerator(bundle, place).explain(text)


def write(path: Path, content: str) -> None:
    """Write text as UTF-8."""
    path.write_text(content, encoding="utf-8", newline="\n")
