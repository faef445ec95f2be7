"""The library's API: one function for each command. Nothing is printed unless a display is passed."""

import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from regard.arguments import language_of, path_of
from regard.bundle import load_bundle, run_bundle
from regard.display import Display, Silent
from regard.errors import ConfigError, DataError
from regard.evaluation.language import LanguageScores
from regard.evaluation.translation import TranslationScores, score_translations
from regard.jobs import JOBS
from regard.jobs.given import Data, FileName, Given, given
from regard.jobs.run import Run, load_model
from regard.jobs.settings import named
from regard.jobs.settling import Request
from regard.jobs.training import train_run
from regard.pipeline import TextGenerator, Translator, device_of
from regard.proof import Proof, prove_all
from regard.recipe import nested
from regard.text.reading.lines import read_lines
from regard.training.interrupt import Interrupted
from regard.training.log import OnEvent


def train(
    data: Data | None = None,
    *,
    to: FileName,
    texts: str | Iterable[str] | None = None,
    valid: Data | None = None,
    valid_texts: str | Iterable[str] | None = None,
    guard: Data | None = None,
    guard_texts: str | Iterable[str] | None = None,
    model: str | None = None,
    preset: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    recipe: FileName | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    start: FileName | None = None,
    device: torch.device | str = "auto",
    fresh: bool = False,
    display: Display | None = None,
    on_event: OnEvent | None = None,
) -> Run:
    """Train a model into the directory `to`, or continue the run that is there, and return the run.

    data: pairs of sentences (one .tsv, two files line by line, or tuples of a source and a target), or running text
    (one .txt). texts: running text from memory, one document each. Data from memory are read once and stored in the
    run, which then continues without data. valid, valid_texts: validation data, which are not stored; by default a part
    of the data is held out. guard, guard_texts: data that are measured at each validation and decide nothing.

    model: rnn, bahdanau, transformer or gpt. preset, recipe (a TOML file), settings (`{"training.minutes": 5}`): later
    ones override earlier ones. source_language, target_language: codes such as "de", the same as the settings
    data.source_language and data.target_language; a language that is not given is recognised if that is safe. seed: the
    same as training.seed. start: a run or a bundle whose weights, tokenizer and settings the new run starts with.

    The same call continues the run; so does one with a larger budget. fresh: delete the run's models and checkpoints,
    and start from scratch. display: where progress is shown. on_event: is called with every record of `log.jsonl`; an
    exception from it ends the training, and the next call continues from the newest checkpoint.

    On SIGINT and SIGTERM a checkpoint is saved first. In an interactive session the call then returns the run, with
    `interrupted` set; elsewhere the signal has its usual effect (KeyboardInterrupt for Ctrl-C).

    Raises DataError, ConfigError, BundleError, RunError or TrainingError, each with what to do.
    """
    refuse_no_display(display)
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event is {type(on_event).__name__}; expected a function that takes one record.")
    short = {
        "training.seed": seed,
        "data.source_language": source_language,
        "data.target_language": target_language,
    }
    request = Request(
        to=path_of(to, "to"),
        data=given(data, texts),
        valid=given(valid, valid_texts, "valid", "valid_texts"),
        guard=given(guard, guard_texts, "guard", "guard_texts"),
        names=named(
            model, preset, path_of(recipe, "recipe") if recipe is not None else None, nested(values_of(settings, short))
        ),
        start=path_of(start, "start") if start is not None else None,
        device=device_of(device),
        fresh=fresh,
    )
    try:
        train_run(request, display, on_event)
    except Interrupted as interrupted:
        if not is_interactive():
            signal.raise_signal(interrupted.number)  # as if it had just arrived, for the handler that is set
        # A script gets here, too, if a handler of its own has handled the signal and returned.
        return Run(request.to, interrupted=True)
    return Run(request.to)


def load(path: FileName, device: torch.device | str = "auto") -> Translator | TextGenerator:
    """Load the best model of a run, or the model of a bundle directory, onto a device.

    Returns a `Translator` if it was trained on pairs, a `TextGenerator` if it was trained on running text. Global state
    is not changed: several models can be loaded side by side, and used from several threads.
    Raises BundleError if it cannot be loaded, ConfigError if the device does not exist.
    """
    return load_model(path, device)


def evaluate(
    run: FileName,
    data: Data | None = None,
    *,
    texts: str | Iterable[str] | None = None,
    language: str | None = None,
    beam: int | None = None,
    trained_on: FileName | None = None,
    device: torch.device | str = "auto",
    display: Display | None = None,
) -> TranslationScores | LanguageScores:
    """Return the scores of a run or a bundle on data: BLEU in two forms and chrF, or the cost of running text.

    data, texts: as in `train`. language: of the target, for the tokenisation of BLEU; by default the run's. beam: the
    beam size; by default the run's. trained_on: the training text, so that the baselines of a language model know it,
    too. Raises ConfigError for an option that does not fit the data, and DataError.
    """
    refuse_no_display(display)
    found = given(data, texts)
    if found is None:
        raise DataError("There is nothing to evaluate on. Give data, or texts.")
    run, language = path_of(run, "run"), language_of(language)
    bundle = load_bundle(run_bundle(run))
    if bundle.card.job != found.job:
        was = JOBS[bundle.card.job].title if bundle.card.job in JOBS else bundle.card.job
        raise ConfigError(
            f"{run} was trained on {was}, and the data are {JOBS[found.job].title}. {JOBS[bundle.card.job].fits}"
        )
    options = {
        "language": language,
        "beam": beam,
        "trained_on": Given((path_of(trained_on, "trained_on"),)) if trained_on else None,
    }
    return JOBS[found.job].evaluate(bundle, found, device_of(device), options, display or Silent())


def evaluate_files(hypothesis: FileName, reference: FileName, *, language: str | None = None) -> TranslationScores:
    """Return the scores of a file of translations against a file of references, line by line, without a model."""
    return score_translations(
        read_lines(path_of(hypothesis, "hypothesis")), read_lines(path_of(reference, "reference")), language=language
    )


def prove(
    run: FileName | None = None, *, device: torch.device | str = "auto", display: Display | None = None
) -> list[Proof]:
    """Return the proofs on this machine that every fast path equals its definition, in outputs and gradients.

    run: the run whose model is used; by default a small random model of each family. Raises BundleError if it cannot be
    loaded.
    """
    refuse_no_display(display)
    shown = display or Silent()
    named_model = None
    if run is not None:
        place = path_of(run, "run")
        bundle = load_bundle(run_bundle(place))
        vocabularies = bundle.source_tokenizer.vocabulary, bundle.target_tokenizer.vocabulary
        named_model = f"{place.resolve().name} ({bundle.family})", bundle.model, vocabularies  # "." has no name
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # float32 itself is proven, not TF32
    try:
        return list(prove_all(named_model, device_of(device), shown.say))
    finally:
        torch.set_float32_matmul_precision(precision)


def values_of(settings: Mapping[str, Any] | None, short: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a call, with those given as arguments of their own: `short`, None if not given.

    Raises ConfigError if they contradict each other.
    """
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"settings is {type(settings).__name__}; expected a dict, e.g. {{'training.minutes': 5}}.")
    values = dict(settings or {})
    for name, value in short.items():
        if value is not None and values.setdefault(name, value) != value:
            argument = name.partition(".")[2]
            raise ConfigError(f"{argument} is {value}, and {name} is {values[name]}. Give one of them.")
    return values


def refuse_no_display(display: Display | None) -> None:
    """Raise ConfigError if `display` is not a display."""
    if display is not None and not callable(getattr(display, "say", None)):
        raise ConfigError(f"display is {type(display).__name__}; expected a display, e.g. regard.display.on_stderr().")


def is_interactive() -> bool:
    """Return whether the process is interactive: a notebook, IPython or Python's own prompt."""
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules
