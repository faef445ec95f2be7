"""The library's face: one call for everything that a command does. Nothing is printed unless a display is handed in."""

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
    recipe: FileName | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    start: FileName | None = None,
    device: torch.device | str = "auto",
    fresh: bool = False,
    display: Display | None = None,
    on_event: OnEvent | None = None,
) -> Run:
    """Train a model into the directory `to`, or continue a run that stands there, and return the run.

    data: pairs of sentences: one .tsv, two files line by line, or tuples of a source and a target. Or running text: one
    .txt. texts: running text from memory, a document each. What is no file is read once and kept in the run; without
    data, a run that holds its own continues. valid, valid_texts: what to validate on, which is not kept; else some is
    held out. guard, guard_texts: what is measured beside it and decides nothing.

    model: rnn, bahdanau, transformer or gpt. preset, recipe (a TOML file), settings (`{"training.minutes": 5}`): later
    ones over earlier ones. seed: the same as the setting training.seed. start: a run or a bundle whose weights,
    tokenizer and settings the new run begins with.

    The same call again continues; so does one with a larger budget. fresh: delete what the run has learnt and start
    anew. display: where progress is shown. on_event: gets every record that `log.jsonl` gets; what it raises ends the
    training, which continues from its newest checkpoint when it is called again.

    SIGINT and SIGTERM save a checkpoint first. Then in an interactive session the call returns the run, which says that
    it was interrupted; elsewhere the signal takes its usual course (KeyboardInterrupt for Ctrl-C).

    Raises DataError, ConfigError, BundleError, RunError or TrainingError, each with what to do.
    """
    refuse_no_display(display)
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event is {type(on_event).__name__}; expected a function of one record.")
    request = Request(
        to=path_of(to, "to"),
        data=given(data, texts),
        valid=given(valid, valid_texts, "valid", "valid_texts"),
        guard=given(guard, guard_texts, "guard", "guard_texts"),
        names=named(
            model, preset, path_of(recipe, "recipe") if recipe is not None else None, nested(values_of(settings, seed))
        ),
        start=path_of(start, "start") if start is not None else None,
        device=device_of(device),
        fresh=fresh,
    )
    try:
        train_run(request, display, on_event)
    except Interrupted as interrupted:
        if not is_interactive():
            signal.raise_signal(interrupted.number)  # as if it had come just now, to whoever handles it
        # Reached in a script, too, if a handler of its own has heard the signal and let it go on.
        return Run(request.to, interrupted=True)
    return Run(request.to)


def load(path: FileName, device: torch.device | str = "auto") -> Translator | TextGenerator:
    """Return the model of a run (its best one) or of a bundle directory, at work on a device.

    A `Translator` if it was trained on pairs, a `TextGenerator` if it was trained on running text. No state of the
    process is changed: several models live side by side and answer from several threads.
    Raises BundleError if it cannot be loaded, ConfigError if the device is not there.
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
    """Return the scores of a run or a bundle on data: BLEU in two forms and chrF, or what running text costs.

    data, texts: as in `train`. language: the target's, for the tokenisation of the literature's BLEU; the run's where
    none is given. beam: hypotheses kept; the run's where none is given. trained_on: the training text, which the floors
    of a language model then know. Raises ConfigError for an option that does not fit the data, and DataError.
    """
    refuse_no_display(display)
    found = given(data, texts)
    if found is None:
        raise DataError("There is nothing to evaluate on. Give data, or texts.")
    run, language = path_of(run, "run"), language_of(language)
    bundle = load_bundle(run_bundle(run))
    if bundle.card.job != found.job:
        was = JOBS[bundle.card.job].title if bundle.card.job in JOBS else bundle.card.job
        raise ConfigError(f"{run} was trained on {was}, and the data are {JOBS[found.job].title}.")
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
    """Return the proofs on this machine that every fast path equals its definition, outputs and gradients.

    run: whose model is proven; a small one of each family where none is given. Raises BundleError if it cannot be
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
    torch.set_float32_matmul_precision("highest")  # float32 is to be proven as such, and not as TF32
    try:
        return list(prove_all(named_model, device_of(device), shown.say))
    finally:
        torch.set_float32_matmul_precision(precision)


def values_of(settings: Mapping[str, Any] | None, seed: int | None) -> dict[str, Any]:
    """Return the settings that a call names, its seed among them. Raises ConfigError if they contradict each other."""
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"settings is {type(settings).__name__}; expected a dict, as {{'training.minutes': 5}}.")
    values = dict(settings or {})
    if seed is not None and values.setdefault("training.seed", seed) != seed:
        raise ConfigError(f"seed is {seed}, and training.seed is {values['training.seed']}. Give one of them.")
    return values


def refuse_no_display(display: Display | None) -> None:
    """Raise ConfigError if something else was handed in as a display."""
    if display is not None and not callable(getattr(display, "say", None)):
        raise ConfigError(f"display is {type(display).__name__}; expected a display, as regard.display.on_stderr().")


def is_interactive() -> bool:
    """Return whether somebody types at this process: in a notebook, in IPython or at Python's own prompt."""
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules
