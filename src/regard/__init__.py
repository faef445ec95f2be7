"""Train, use and inspect sequence models on your own text.

    import regard

    run = regard.train("pairs.tsv", to="runs/mine", settings={"training.minutes": 5})
    translator = regard.load("runs/mine")
    print(translator.translate("A man in a blue shirt."))

Each name is imported on first use: PyTorch takes a second to import, and `regard --help` does not need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regard import display as display
    from regard.errors import RegardError as RegardError
    from regard.evaluation.translation import score_translations as score_translations
    from regard.face import evaluate as evaluate
    from regard.face import evaluate_files as evaluate_files
    from regard.face import load as load
    from regard.face import prove as prove
    from regard.face import train as train
    from regard.inspection.explanation import Explanation as Explanation
    from regard.jobs.run import Run as Run
    from regard.pipeline import TextGenerator as TextGenerator
    from regard.pipeline import Translation as Translation
    from regard.pipeline import Translator as Translator
    from regard.runtime import prepare_process as prepare_process

__version__ = "0.1.0"

_WHERE = {
    "Explanation": "regard.inspection.explanation",
    "RegardError": "regard.errors",
    "Run": "regard.jobs.run",
    "TextGenerator": "regard.pipeline",
    "Translation": "regard.pipeline",
    "Translator": "regard.pipeline",
    "evaluate": "regard.face",
    "evaluate_files": "regard.face",
    "load": "regard.face",
    "prepare_process": "regard.runtime",
    "prove": "regard.face",
    "score_translations": "regard.evaluation.translation",
    "train": "regard.face",
}
"""Name -> the module that has it."""

__all__ = ["__version__", "display", *_WHERE]  # noqa: PLE0604 (they are strings)


def __getattr__(name: str) -> Any:
    if name == "display":
        return import_module("regard.display")
    if name not in _WHERE:
        raise AttributeError(f"module 'regard' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
