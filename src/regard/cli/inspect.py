"""`regard inspect`: the attention of a sentence as a page, a picture or data."""

from pathlib import Path

from regard.cli.saying import out, print_text, say
from regard.errors import ConfigError
from regard.face import load
from regard.inspection.explanation import WRITERS
from regard.pipeline import Translator
from regard.runtime import prepare_process


def run_inspect(
    run: Path, text: str, to: Path, target: str | None, beam: int | None, memory: int, force: bool, device: str
) -> None:
    """Translate the sentence and write its attention to a file."""
    # `save` would refuse it as well, but only after all the work.
    if to.suffix.lower() not in WRITERS:
        raise ConfigError(f"--to {to}: the name must end in {', '.join(WRITERS)}.")
    out()
    prepare_process()
    model = load(run, device)
    if isinstance(model, Translator):
        explanation = model.explain(text, target, beam=beam, max_bytes=memory * 2**20)
    elif target is not None or beam is not None:
        raise ConfigError(f"--target and --beam are for translations, and {run} was trained on running text.")
    else:
        explanation = model.explain(text, max_bytes=memory * 2**20)
    explanation.save(to, force=force)
    print_text(explanation.title)
    say(f"Attention written to {to}")
