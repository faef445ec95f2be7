"""The corpus of running text, for `regard train`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regard.bundle import Bundle
from regard.cli import say
from regard.cli.counting import counting
from regard.decoding.sampling import SamplingConfig
from regard.decoding.scoring import windows_nll
from regard.errors import DataError
from regard.evaluation.memorisation import longest_copied_span
from regard.pipeline import TextGenerator
from regard.recipe import Recipe, TextConfig
from regard.runtime import Runtime
from regard.text.batching.stream import BatchStream
from regard.text.batching.windows import n_written, scoring_windows, text_stream
from regard.text.encoded.documents import encode_passages
from regard.text.encoded.ragged import Tape
from regard.text.encoded.shards import sharded_text
from regard.text.reading.passages import Passages
from regard.text.reading.splitting import fingerprint_text, split_by_order
from regard.text.tokens.learning import train_running_tokenizer
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.loop import Validate
from regard.training.run import RunFolder

VALIDATION_TOKENS = 32_768
"""About how many tokens a validation looks at, in windows spread evenly over the validation text."""

SAMPLE = SamplingConfig(max_tokens=300)
SEARCHED = 20_000_000
"""In about so many characters of the training text at most a sample is looked for; each million takes .3 seconds."""

TURNED = 1.02
"""The validation loss over its best at which a warning says that the model begins to learn the text by heart."""


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """A text that was read, and another for validation if one was given."""

    path: Path
    text: Passages
    valid: Path | None
    job: ClassVar[str] = "text"
    default_family: ClassVar[str] = "gpt"

    @classmethod
    def read(cls, path: Path, valid: Sequence[Path]) -> "TextCorpus":
        """Read the file, and say how long the text is. Raises DataError if it is no text."""
        if len(valid) > 1 or (valid and valid[0].suffix.lower() != ".txt"):
            raise DataError(f"--valid {' '.join(map(str, valid))}: a text is validated on one .txt file.")
        text = Passages.read(path, "file")
        say(f"training data: {text.n_characters:,} characters of running text")
        return cls(path, text, valid[0] if valid else None)

    @property
    def size(self) -> int:
        return self.text.n_characters

    def split(self, recipe: Recipe) -> "TextJob":
        """Return the documents to train on and to validate on; the end of the text if no other was given."""
        config = config_of(recipe)
        text = self.text if config.documents == "file" else Passages.read(self.path, config.documents)
        if self.valid is not None:
            return TextJob(text, Passages.read(self.valid, config.documents))
        train, valid = split_by_order(text, config.validation_share)
        say(
            f"validation data: the last {valid.n_characters:,} characters; the first {train.n_characters:,} are "
            "trained on; give other text with --valid"
        )
        return TextJob(train, valid)


@dataclass(frozen=True)
class TextJob:
    """Text to train on and to validate on."""

    train: Passages
    valid: Passages

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the text to train on."""
        return fingerprint_text(self.train)

    def card(self, recipe: Recipe) -> dict[str, Any]:
        return {
            "job": "text",
            "data": {
                "fingerprint": self.fingerprint,
                "characters": self.train.n_characters,
                "documents": self.train.n_documents,
                "kind": config_of(recipe).documents,
                "validation": fingerprint_text(self.valid),
            },
            "decoding": recipe.decoding.model_dump(),
        }

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        tokenizer, reason = train_running_tokenizer(self.train, recipe.tokenizer)
        return tokenizer, tokenizer, reason

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder) -> tuple[BatchStream, str]:
        documents = self.encoded(bundle, config_of(recipe), run)
        context, training = context_of(bundle), recipe.training
        stream = text_stream(documents, context=context, batch_tokens=training.batch_tokens, seed=training.seed)
        survey = stream.survey
        return stream, (
            f"{documents.ends[-1]:,} tokens in {len(documents.ends):,} document{'s' * (len(documents.ends) > 1)}; "
            f"{survey.n_batches:,} batches an epoch, windows of {context} tokens, {survey.padding:.1%} padding"
        )

    def encoded(self, bundle: Bundle, config: TextConfig, run: RunFolder) -> Tape:
        """Return the text to train on as ids, in memory or, if it is too long, in files of the run."""
        if self.train.n_characters <= config.characters_in_memory:
            return encode_passages(self.train, bundle.target_tokenizer)
        say(f"tokens: more than {config.characters_in_memory:,} characters, so they are kept in {run.tokens}")
        with counting("tokenising", "characters") as tell:
            return sharded_text(run.tokens, self.train, bundle.target_tokenizer, self.fingerprint, tell)

    def validation(self, bundle: Bundle, recipe: Recipe, runtime: Runtime) -> Validate:
        """Return a function from the model to its loss on windows of the validation text.

        It says so, once, when the loss has turned upwards.
        """
        documents, context = encode_passages(self.valid, bundle.target_tokenizer), context_of(bundle)
        n_windows = sum(1 for _ in scoring_windows(documents, context, context))
        every = max(1, n_windows * context // VALIDATION_TOKENS)
        chosen = list(islice(scoring_windows(documents, context, context), 0, None, every))
        n_tokens = sum(n for _, n in chosen)
        tokens_a_byte = n_written(documents) / sum(len(text.encode()) for text in self.valid)
        best_score = bundle.card.get("trained", {}).get("best_score")  # if this training goes on with a run
        watch = OverfittingWatch(math.inf if best_score is None else -best_score)

        def validate(model: Any) -> dict[str, float]:
            nll = windows_nll(model, chosen, recipe.training.batch_tokens, runtime.device) / n_tokens
            watch.see(nll)
            return {"nll": nll, "bits_per_byte": nll / math.log(2) * tokens_a_byte, "score": -nll}

        return validate

    def closing(self, run: RunFolder, runtime: Runtime) -> str:
        """Return the last words: the loss, a sample, and how much of it is copied from the training text."""
        generator = TextGenerator.load(run.path, runtime.device)
        trained = generator.bundle.card["trained"]
        prompt = beginning(self.valid[0], generator)
        sample = "".join(generator.generate(prompt, SAMPLE))
        n_searched = int(np.searchsorted(np.cumsum(self.train.sizes), SEARCHED)) + 1
        copied = longest_copied_span(sample, islice(self.train.apart(), n_searched))
        where = f"the first {SEARCHED:,} characters of " * (n_searched < len(self.train))
        return (
            f"best loss on validation {-trained['best_score']:.3f} nats a token at step {trained['best_step']:,}.\n"
            f"A sample, going on from {prompt or 'nothing'!r}:\n{sample}\n"
            f"Its longest span that stands in {where}the training text has {len(copied)} characters: {copied!r}\n"
            f"Next: regard generate {run.path} --prompt 'Some words'  or  regard evaluate {run.path} other.txt"
        )


def beginning(text: str, generator: TextGenerator) -> str | None:
    """Return the first 40 characters of a text, or fewer so that they fill half of the context at most."""
    n_characters = 40
    while len(generator.tokenizer.encode(text[:n_characters])) > context_of(generator.bundle) // 2:
        n_characters //= 2
    return text[:n_characters] or None


class OverfittingWatch:
    """Watches the loss on validation, and warns once when it has turned upwards from the best."""

    def __init__(self, best: float = math.inf) -> None:
        self._best, self._warned = best, False

    def see(self, nll: float) -> None:
        """Take notice of a loss, in nats a token."""
        self._best = min(self._best, nll)
        if nll > TURNED * self._best and not self._warned:
            self._warned = True
            say(
                f"warning: the loss on validation has turned, from {self._best:.3f} to {nll:.3f}: the model begins to "
                "learn the text by heart. The best bundle is kept. More text, more model.dropout_rate or less training "
                "helps."
            )


def context_of(bundle: Bundle) -> int:
    """Return the length of a window in tokens."""
    model: Any = bundle.model
    return int(model.config.context)


def config_of(recipe: Recipe) -> TextConfig:
    """Return the section `data`, which for running text is a TextConfig."""
    assert isinstance(recipe.data, TextConfig), "a recipe for running text has its settings"
    return recipe.data
