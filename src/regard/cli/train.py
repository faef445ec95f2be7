"""`regard train`: files in, a run out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regard.cli.saying import display, is_first, say
from regard.errors import ConfigError
from regard.face import train
from regard.recipe import read_value
from regard.runtime import prepare_process


def run_train(data: Sequence[Path], to: Path, overrides: Sequence[str], valid: Any, guard: Any, **options: Any) -> None:
    """Train a model, or continue a run that was begun with the same settings and data, and say what comes next."""
    settings = read_overrides(overrides)
    prepare_process()
    run = train(data, to=to, valid=valid or None, guard=guard or None, settings=settings, display=display(), **options)
    if not is_first():
        return
    if run.card.job == "pairs":
        say(f"Next: regard translate {to} FILE  or  regard inspect {to} 'A sentence.' --to page.html")
    else:
        say(f"Next: regard generate {to} --prompt 'Some words'  or  regard evaluate {to} other.txt")


def read_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Return what `--set section.key=value` says, by name; a value is read as TOML, otherwise as plain text."""
    settings = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment[:80]}: expected section.key=value, for example training.minutes=15.")
        settings[name.strip()] = read_value(text)
    return settings
