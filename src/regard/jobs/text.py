"""Training on running text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from regard.bundle import Bundle
from regard.bundle.card import Card, DataCard
from regard.decoding.sampling import TextDecodingConfig
from regard.decoding.scoring import windows_nll
from regard.display import Display, counted
from regard.errors import ConfigError, DataError
from regard.evaluation.memorisation import longest_copied_span
from regard.jobs.evaluating import evaluate_text
from regard.jobs.given import Given
from regard.jobs.job import Job
from regard.pipeline import TextGenerator
from regard.presets import ON_TEXT, TEXT_LIMITS
from regard.recipe import Recipe
from regard.text.batching.stream import BatchStream
from regard.text.batching.windows import n_written, scoring_windows, text_stream
from regard.text.encoded.documents import encode_passages
from regard.text.encoded.ragged import Tape
from regard.text.encoded.shards import sharded_text
from regard.text.reading.files import TextFile
from regard.text.reading.passages import RULE, Passages
from regard.text.reading.splitting import fingerprint_text, split_by_order
from regard.text.tokens.learning import choose_running, train_running_tokenizer
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.loop import Validate
from regard.training.run import RunFolder
from regard.training.stream import Stream

VALIDATION_TOKENS = 32_768
"""About how many tokens a validation uses, in windows spread evenly over the validation text."""

SAMPLE_TOKENS = 300
SEARCHED = 20_000_000
"""A sample is searched for in at most about this many characters of the training text; a million takes .3 seconds."""

FEW_LINES = 10
"""Two texts of fewer lines may have the same number by chance."""

TURNED = 1.02
"""The ratio of the validation loss to its best above which a warning says that the model begins to overfit."""


class TextConfig(BaseModel):
    """How running text is prepared for training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    documents: Literal["file", "line"] = "file"
    """What counts as a document: the whole file (lines of "<|endoftext|>" divide it), or every line. No training window
    crosses the end of a document.
    """

    validation_share: float = Field(0.1, gt=0, lt=1)
    """The share of the text, at its end, that is held out for validation if no validation data are given; at most ten
    million characters.
    """

    characters_in_memory: int = Field(100_000_000, ge=0, le=10**15)
    """The maximum number of characters whose token ids are kept in memory; those of a longer text are stored in
    files of the run.
    """


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """A text that was read, and others to validate on and to guard, if some were given."""

    data: Given
    text: Passages
    valid: Given | None
    guard: Given | None

    @property
    def size(self) -> int:
        return self.text.n_characters

    def best_by(self) -> tuple[str, str]:
        return "loss", ""

    def languages(self, recipe: Recipe, display: Display) -> dict[str, str]:  # noqa: ARG002
        return {}

    def split(self, recipe: Recipe, display: Display) -> "TextSplit":
        """Return the documents to train on and to validate on; the end of the text if no other was given."""
        config = config_of(recipe)
        if config.documents == "line" and not self.data.is_file:
            raise ConfigError("data.documents is line, but each text from memory is one document. Leave it out.")
        # Read once as a file to know its size, and again where every line is a document, or where an old run continues:
        # passages hold only positions.
        how = config.documents, recipe.rules.passages
        text = self.text if how == ("file", RULE) else self.data.read_text(*how)
        guard = self.guard.read_text(*how) if self.guard else None
        if self.valid is not None:
            return TextSplit(text, self.valid.read_text(*how), guard)
        train, valid = split_by_order(text, config.validation_share)
        display.say(
            f"validation data: none was given, so the last {valid.n_characters:,} characters are held out; the first "
            f"{train.n_characters:,} are trained on"
        )
        return TextSplit(train, valid, guard)


def read(data: Given, valid: Given | None, guard: Given | None, display: Display) -> TextCorpus:
    """Return the text that was given, and say how long it is. Raises DataError if the others are not text."""
    for other, what in ((valid, "validation"), (guard, "guarded")):
        if other is not None and other.job != "text":
            raise DataError(f"The {what} data are pairs; a text is validated on running text, which is one .txt file.")
    text = data.read_text("file")
    documents = f" in {counted(text.n_documents, 'document')}" if text.n_documents > 1 else ""
    display.say(f"training data: {text.n_characters:,} characters of running text{documents}")
    if valid is not None and are_two_sides(data, valid):
        display.say(
            f"warning: {data.files[0]} and {valid.files[0]} have the same number of lines; if they are translations "
            "of each other, give both as data, not one of them as validation data"
        )
    return TextCorpus(data, text, valid, guard)


def are_two_sides(data: Given, valid: Given) -> bool:
    """Return whether two files look like the sides of one corpus: different files with equally many lines."""
    if not all(given.is_file and given.files[0].is_file() for given in (data, valid)):
        return False
    files = [TextFile.at(given.files[0]) for given in (data, valid)]
    n_lines = [sum(block.count(b"\n") for _, block in file.blocks()) for file in files]
    return n_lines[0] == n_lines[1] >= FEW_LINES and data.files != valid.files


@dataclass(frozen=True)  # no slots: a cached property needs a __dict__
class TextSplit:
    """Text to train on, to validate on, and perhaps another that is measured beside it."""

    train: Passages
    valid: Passages
    guard: Passages | None = None

    @cached_property  # it reads the whole text, for the card and again for the shards
    def fingerprint(self) -> str:
        """What identifies the text to train on."""
        return fingerprint_text(self.train)

    def card(self, recipe: Recipe) -> Card:
        return Card(
            job="text",
            data=DataCard(
                fingerprint=self.fingerprint,
                characters=self.train.n_characters,
                documents=self.train.n_documents,
                kind=config_of(recipe).documents,
                validation=fingerprint_text(self.valid),
            ),
            decoding=recipe.decoding.model_dump(),
        )

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        tokenizer, reason = train_running_tokenizer(self.train, recipe.tokenizer)
        return tokenizer, tokenizer, reason

    def settled(self, recipe: Recipe) -> Recipe:
        kind, size = choose_running(self.train.n_characters, recipe.tokenizer)
        return recipe.with_section("tokenizer", kind=kind, vocabulary=size)

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder, display: Display) -> tuple[BatchStream, str]:
        documents = self._encoded(bundle, config_of(recipe), run, display)
        context, training = context_of(bundle), recipe.training
        stream = text_stream(documents, context=context, batch_tokens=training.batch_tokens, seed=training.seed)
        survey = stream.survey
        return stream, (
            f"{documents.ends[-1]:,} tokens in {counted(len(documents.ends), 'document')}; "
            f"{counted(survey.n_batches, 'batch', 'es')} per epoch, windows of {context} tokens, "
            f"{survey.padding:.1%} padding"
        )

    def _encoded(self, bundle: Bundle, config: TextConfig, run: RunFolder, display: Display) -> Tape:
        """Return the text to train on as ids, in memory or, if it is too long, in files of the run."""
        if self.train.n_characters <= config.characters_in_memory:
            return encode_passages(self.train, bundle.target_tokenizer)
        display.say(f"tokens: more than {config.characters_in_memory:,} characters, so they are stored in {run.tokens}")
        with display.counting("tokenising", "characters") as tell:
            return sharded_text(run.tokens, self.train, bundle.target_tokenizer, self.fingerprint, tell)

    def observed(self, stream: Stream, recipe: Recipe, card: Card) -> tuple[Recipe, Card]:  # noqa: ARG002
        return recipe, card

    def validation(self, bundle: Bundle, recipe: Recipe, device: torch.device, display: Display) -> Validate:
        """Return a function from the model to its loss on windows of the validation text.

        It warns once, when the loss has risen from its best.
        """
        measured = measuring(self.valid, bundle, recipe, device)
        guarded = measuring(self.guard, bundle, recipe, device) if self.guard else None
        best_score = bundle.card.trained.best_score  # if this training continues a run
        watch = OverfittingWatch(display, math.inf if best_score is None else -best_score)

        def validate(model: nn.Module) -> dict[str, float]:
            figures = measured(model)
            watch.see(figures["nll"])
            beside = guarded(model) if guarded is not None else {}
            return figures | {f"guard_{name}": value for name, value in beside.items()} | {"score": -figures["nll"]}

        return validate

    def closing(self, run: RunFolder, recipe: Recipe, device: torch.device) -> str:  # noqa: ARG002
        """Return the loss, a sample, and how much of it is copied from the training text."""
        generator = TextGenerator.load(run.path, device)
        trained = generator.bundle.card.trained
        prompt = beginning(self.valid[0], generator)
        sample = generator.generate(prompt, max_tokens=SAMPLE_TOKENS)
        n_searched = int(np.searchsorted(np.cumsum(self.train.sizes), SEARCHED)) + 1
        copied = longest_copied_span(sample, islice(self.train.apart(), n_searched))
        where = f"the first {SEARCHED:,} characters of " * (n_searched < len(self.train))
        best = "and no validation was finite"
        if trained.best_score is not None:
            best = f"best loss on validation {-trained.best_score:.3f} nats per token at step {trained.best_step:,}"
        return (
            f"{best}.\n"
            f"A sample, continuing {prompt or 'nothing'!r}:\n{sample}\n"
            f"Its longest span that also occurs in {where}the training text has "
            f"{counted(len(copied), 'character')}: {copied!r}"
        )


def measuring(
    text: Passages, bundle: Bundle, recipe: Recipe, device: torch.device
) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function from a model to its loss on some windows of a text, spread evenly over it."""
    documents, context = encode_passages(text, bundle.target_tokenizer), context_of(bundle)
    n_windows = sum(1 for _ in scoring_windows(documents, context, context))
    # The windows are made twice, so that only the chosen ones are ever in memory.
    every = max(1, n_windows * context // VALIDATION_TOKENS)
    chosen = list(islice(scoring_windows(documents, context, context), 0, None, every))
    n_tokens = sum(n for _, n in chosen)
    # Over the whole text, while the loss is over the chosen windows: bits per byte are an estimate.
    tokens_per_byte = n_written(documents) / sum(len(passage.encode()) for passage in text)

    def measure(model: Any) -> dict[str, float]:
        nll = windows_nll(model, chosen, recipe.training.batch_tokens, device) / n_tokens
        return {"nll": nll, "bits_per_byte": nll / math.log(2) * tokens_per_byte}

    return measure


def beginning(text: str, generator: TextGenerator) -> str | None:
    """Return the first 40 characters of a text, or fewer so that they fill at most half of the context."""
    n_characters = 40
    while len(generator.tokenizer.encode(text[:n_characters])) > generator.context // 2:
        n_characters //= 2  # ends at the latest at 0, which has no tokens
    return text[:n_characters] or None


class OverfittingWatch:
    """Watches the validation loss, and warns once when it has risen from its best."""

    def __init__(self, display: Display, best: float = math.inf) -> None:
        self._display, self._best, self._warned = display, best, False

    def see(self, nll: float) -> None:
        """Take in a new loss, in nats per token."""
        self._best = min(self._best, nll)  # in this order a loss that is NaN never becomes the best
        if nll > TURNED * self._best and not self._warned:
            self._warned = True
            self._display.say(
                f"warning: the validation loss has risen from {self._best:.3f} to {nll:.3f}: the model begins to "
                "overfit. The best bundle is kept. More text, a higher model.dropout_rate or less training helps."
            )


def context_of(bundle: Bundle) -> int:
    """Return the length of a window in tokens."""
    model: Any = bundle.model
    return int(model.context_length)


def config_of(recipe: Recipe) -> TextConfig:
    """Return the section `data`, which for running text is a TextConfig."""
    assert isinstance(recipe.data, TextConfig), "a recipe for running text has its settings"
    return recipe.data


TEXT = Job(
    name="text",
    title="running text",
    unit="characters",
    default_family="gpt",
    data=TextConfig,
    decoding=TextDecodingConfig,
    presets=ON_TEXT,
    limits=TEXT_LIMITS,
    scores=("loss",),
    read=read,
    user=TextGenerator,
    evaluate=evaluate_text,
    fits="Running text is one .txt file, or texts=... from Python.",
)
