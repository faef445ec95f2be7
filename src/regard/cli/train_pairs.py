"""The corpus of pairs of sentences, for `regard train`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from regard.bundle import Bundle, read_card, run_bundle
from regard.cli import say
from regard.cli.counting import counting
from regard.decoding.search import DecodingConfig
from regard.errors import ConfigError
from regard.evaluation.translation import score_translations
from regard.pipeline import Translator
from regard.recipe import PairsConfig, Recipe
from regard.runtime import Runtime
from regard.text.batching.pairs import pair_stream
from regard.text.batching.stream import BatchStream
from regard.text.encoded.pairs import EncodedPairs, encode_pairs
from regard.text.encoded.segmentations import segment_pairs
from regard.text.encoded.shards import sharded_pairs
from regard.text.reading.pairs import SentencePairs, read_pairs
from regard.text.reading.splitting import fingerprint, hold_out
from regard.text.tokens.learning import train_tokenizers
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.loop import Validate, mean_nll
from regard.training.run import RunFolder

VALIDATION_DECODES = 500
"""Validation sentences that are decoded for BLEU; the loss is taken over all that are short enough."""


@dataclass(frozen=True, slots=True)
class PairsCorpus:
    """The pairs that were read, and those for validation if some were given."""

    pairs: SentencePairs
    valid: SentencePairs | None
    job: ClassVar[str] = "pairs"
    default_family: ClassVar[str] = "transformer"

    @classmethod
    def read(cls, data: Sequence[Path], valid: Sequence[Path]) -> "PairsCorpus":
        """Read the files, and say what became of their lines."""
        pairs = said(data, "training data")
        return cls(pairs, list(said(valid, "validation data")) if valid else None)

    @property
    def size(self) -> int:
        return len(self.pairs)

    def split(self, recipe: Recipe) -> "PairsJob":
        """Return the pairs to train on and to validate on; some are held out if none were given."""
        if self.valid is not None:
            return PairsJob(self.pairs, self.valid)
        train, valid = hold_out(self.pairs, config_of(recipe).validation_pairs, recipe.training.seed)
        say(f"validation data: {len(valid):,} pairs held out at random; give your own with --valid")
        return PairsJob(train, valid)


@dataclass(frozen=True)
class PairsJob:
    """Pairs to train on and to validate on."""

    train: SentencePairs
    valid: SentencePairs

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the pairs to train on."""
        return fingerprint(self.train)

    def card(self, recipe: Recipe) -> dict[str, Any]:
        config = config_of(recipe)
        return {
            "job": "pairs",
            "data": {
                "fingerprint": self.fingerprint,
                "pairs": len(self.train),
                "validation": fingerprint(self.valid),
            },
            "languages": [config.source_language, config.target_language],
            "decoding": recipe.decoding.model_dump(),
        }

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        return train_tokenizers(self.train, recipe.tokenizer)

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder) -> tuple[BatchStream, str]:
        config = config_of(recipe)
        encoded = self.encoded(bundle, config, run, recipe.training.seed)
        dropout = f", BPE dropout {config.bpe_dropout:g}" if config.bpe_dropout else ""
        stream = pair_stream(encoded, batch_tokens=recipe.training.batch_tokens, seed=recipe.training.seed)
        return stream, (
            f"{stream.survey.n_batches:,} batches an epoch, {stream.survey.padding:.1%} padding, "
            f"{encoded.n_dropped:,} pairs over {encoded.max_tokens} tokens left out{dropout}"
        )

    def encoded(self, bundle: Bundle, config: PairsConfig, run: RunFolder, seed: int) -> EncodedPairs:
        """Return the pairs to train on as ids, in memory or, if they are too many, in files of the run.

        Raises ConfigError if BPE dropout is asked for where there is none.
        """
        tokenizers = bundle.source_tokenizer, bundle.target_tokenizer
        fit = len(self.train) <= config.pairs_in_memory
        if config.bpe_dropout and not fit:
            raise ConfigError(
                f"data.bpe_dropout is {config.bpe_dropout:g}, which needs all pairs in memory; there are "
                f"{len(self.train):,}, more than data.pairs_in_memory ({config.pairs_in_memory:,}). Raise that, or "
                "leave BPE dropout out: so many pairs need it less."
            )
        if config.bpe_dropout:
            return segment_pairs(self.train, *tokenizers, config.max_tokens, config.bpe_dropout, seed)
        if fit:
            return encode_pairs(self.train, *tokenizers, config.max_tokens)
        say(f"tokens: more than {config.pairs_in_memory:,} pairs, so they are kept in {run.tokens}")
        with counting("tokenising", "pairs") as tell:
            return sharded_pairs(run.tokens, self.train, *tokenizers, config.max_tokens, self.fingerprint, tell)

    def validation(self, bundle: Bundle, recipe: Recipe, runtime: Runtime) -> Validate:
        """Return a function from the model to its loss, and the BLEU and chrF of its greedy translations."""
        tokenizers, max_tokens = (bundle.source_tokenizer, bundle.target_tokenizer), config_of(recipe).max_tokens
        encoded = encode_pairs(self.valid, *tokenizers, max_tokens)
        if encoded.n_dropped:
            say(
                f"validation data: {encoded.n_dropped:,} of {len(self.valid):,} pairs over {max_tokens} tokens left out"
            )
        stream = pair_stream(encoded, batch_tokens=recipe.training.batch_tokens, seed=0)
        batches = list(stream.epoch(0))
        mean_nll(bundle.model, stream.survey.extremes[:1], runtime.device)  # what is too long is found now
        short = (pair for pair in self.valid if max(map(n_tokens, tokenizers, pair)) <= max_tokens)
        decoded = list(islice(short, VALIDATION_DECODES))
        greedy = DecodingConfig(**{**recipe.decoding.model_dump(), "beam": 1})

        def validate(model: nn.Module) -> dict[str, float]:
            nll = mean_nll(model, batches, runtime.device)
            translations = Translator(bundle, runtime.device, greedy).translate([s for s, _ in decoded])
            scores = score_translations([t.text for t in translations], [t for _, t in decoded])
            return {"nll": nll, "bleu": scores.bleu.value, "chrf": scores.chrf.value, "score": scores.bleu.value}

        return validate

    def closing(self, run: RunFolder, runtime: Runtime) -> str:  # noqa: ARG002
        trained = read_card(run_bundle(run.path))["trained"]
        return (
            f"best BLEU on validation {trained['best_score']:.2f} at step {trained['best_step']:,}.\n"
            f"Next: regard translate {run.path} FILE  or  regard inspect {run.path} 'A sentence.' --to page.html"
        )


def n_tokens(tokenizer: Tokenizer, sentence: str) -> int:
    """Return the length of a sentence in tokens."""
    return len(tokenizer.encode(sentence))


def said(paths: Sequence[Path], what: str) -> SentencePairs:
    """Return the pairs of the files, and say what became of them."""
    pairs = read_pairs(paths)
    say(f"{what}: {pairs.report.summary()}")
    return pairs


def config_of(recipe: Recipe) -> PairsConfig:
    """Return the section `data`, which for pairs is a PairsConfig."""
    assert isinstance(recipe.data, PairsConfig), "a recipe for pairs has their settings"
    return recipe.data
