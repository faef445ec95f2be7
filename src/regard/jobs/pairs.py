"""Training on pairs of sentences."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from regard.bundle import Bundle, read_card, run_bundle
from regard.bundle.card import Card, DataCard
from regard.decoding.search import LEAST_RATIO, DecodingConfig
from regard.display import Display, counted
from regard.errors import ConfigError, DataError
from regard.evaluation.translation import (
    bleu_tokenisation,
    n_bleu_tokens,
    quick_scores,
)
from regard.jobs.evaluating import evaluate_pairs
from regard.jobs.given import Given
from regard.jobs.job import Job
from regard.pipeline import Translator
from regard.presets import ON_PAIRS, PAIRS_LIMITS
from regard.recipe import Recipe
from regard.text.batching.pairs import pair_stream
from regard.text.batching.stream import BatchStream
from regard.text.encoded.pairs import EncodedPairs, encode_pairs
from regard.text.encoded.segmentations import segment_pairs
from regard.text.encoded.shards import sharded_pairs
from regard.text.languages import recognise
from regard.text.reading.pairs import Pair, Pairs, SentencePairs, names_columns, pairs_of
from regard.text.reading.splitting import Keys, fingerprint, hold_out, hold_out_distinct
from regard.text.tokens.learning import choose_vocabulary, train_tokenizers
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.loop import Validate, mean_nll
from regard.training.run import RunFolder
from regard.training.stream import Stream

VALIDATION_DECODES = 500
"""Validation sentences that are decoded for BLEU; the loss is computed over all that are short enough."""

SEEN, PLACES = 2000, 10
"""Pairs by which the languages are recognised and the score is chosen, and in how many places they are read."""
BLEU_WORDS = 4
"""The longest n-grams that BLEU counts."""


class PairsConfig(BaseModel):
    """How pairs are prepared for training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    source_language: str | None = Field(None, max_length=32)
    """The language of the sources, a code such as "en"."""

    target_language: str | None = Field(None, max_length=32)
    """The language of the targets, a code such as "de"; the tokenisation of BLEU depends on it."""

    max_tokens: int = Field(256, ge=1, le=2**16)
    """The maximum number of tokens of a side; longer pairs are left out, and their number is reported."""

    validation_pairs: int = Field(1000, ge=1, le=10**9)
    """The number of pairs that are held out for validation if no validation data are given; at most a tenth of all."""

    pairs_in_memory: int = Field(2_000_000, ge=0, le=10**12)
    """The maximum number of pairs whose token ids are kept in memory; those of a larger corpus are stored
    in files of the run.
    """

    bpe_dropout: float = Field(0.0, ge=0, lt=1)
    """The share of BPE merges that are left out at random in training (Provilkov et al. 2020); all pairs must fit into
    memory.
    """


@dataclass(frozen=True, slots=True)
class PairsCorpus:
    """The pairs that were read, and those to validate on and to guard, if some were given."""

    pairs: Pairs
    valid: SentencePairs | None
    guard: SentencePairs | None

    @property
    def size(self) -> int:
        return len(self.pairs)

    def best_by(self) -> tuple[str, str]:
        """Return chrF if most targets are too short for BLEU, which counts 4-grams of words; otherwise BLEU."""
        targets = [target for _, target in self.valid or self._sample()]
        tokenisation = bleu_tokenisation(targets)
        n_short = sum(n < BLEU_WORDS for n in n_bleu_tokens(targets, tokenisation))
        if 2 * n_short > len(targets):
            return "chrf", f"by chrF, since most targets have fewer than {BLEU_WORDS} words; ties by the loss"
        return "bleu", f"by BLEU ({tokenisation} tokenisation); ties by the loss"

    def _sample(self) -> list[Pair]:
        """Return some pairs from several places: a corpus may be sorted, or begin with something else."""
        starts = range(0, len(self.pairs), -(-len(self.pairs) // PLACES))
        return [pair for start in starts for pair in self.pairs[start : start + SEEN // PLACES]]

    def languages(self, recipe: Recipe, display: Display) -> dict[str, str]:
        config, sides, found = config_of(recipe), zip(*self._sample(), strict=True), {}
        for name, side in zip(("source_language", "target_language"), sides, strict=True):
            if getattr(config, name) is None and (code := recognise(side)):
                found[name] = code
        named = {name: getattr(config, name) for name in ("source_language", "target_language")}
        said = [
            code or (f"{found[name]} (recognised)" if name in found else "not known") for name, code in named.items()
        ]
        display.say(f"languages: {' -> '.join(said)}")
        return found

    def split(self, recipe: Recipe, display: Display) -> "PairsSplit":
        """Return the pairs to train on and to validate on; some are held out if none were given."""
        pairs = self.pairs
        if recipe.rules.normalisation == 1:
            pairs = pairs_of(pairs.items, rule=1)  # a side that is empty by one rule may not be by another
        if recipe.rules.split == 1:
            if self.valid is not None:
                return PairsSplit(pairs, self.valid, self.guard)
            # By the seed of the run, so that a run that continues holds out the same pairs.
            return PairsSplit(*hold_out(pairs, config_of(recipe).validation_pairs, recipe.training.seed), self.guard)
        keys = Keys.of(pairs)
        if keys.n_repeated:
            display.say(f"training data: {counted(keys.n_repeated, 'repeated pair')}, kept")
        if self.valid is not None:
            if n_known := keys.n_known(Keys.of(self.valid)):
                display.say(
                    f"warning: {n_known:,} of {len(self.valid):,} validation pairs have a source that is also in the "
                    "training data, so their score says little about new text"
                )
            return PairsSplit(pairs, self.valid, self.guard)
        train, valid = hold_out_distinct(pairs, keys, config_of(recipe).validation_pairs, recipe.training.seed)
        left_out = len(pairs) - len(train) - len(valid)
        also = f"; {left_out:,} more with the same sources are left out of training" if left_out else ""
        display.say(f"validation data: none was given; {counted(len(valid), 'random pair')} held out{also}")
        return PairsSplit(train, valid, self.guard)


def read(data: Given, valid: Given | None, guard: Given | None, display: Display) -> PairsCorpus:
    """Return the pairs that were given, and say how many of their lines were used."""

    def said(given: Given, what: str) -> Pairs:
        if given.job != "pairs":
            raise DataError(f"The {what} are running text, but the training data are pairs of sentences. {PAIRS.fits}")
        pairs = given.read_pairs()
        display.say(f"{what}: {pairs.report.summary()}")
        if names_columns(pairs[0]):
            columns = " and ".join(map(repr, pairs[0]))
            display.say(f"warning: {what}: line 1, {columns}, looks like column names, but counts as a pair")
        return pairs

    pairs = said(data, "training data")
    held = list(said(valid, "validation data")) if valid else None
    return PairsCorpus(pairs, held, list(said(guard, "guarded data")) if guard else None)


@dataclass(frozen=True)  # no slots: a cached property needs a __dict__
class PairsSplit:
    """Pairs to train on, to validate on, and perhaps others that are measured beside them."""

    train: SentencePairs
    valid: SentencePairs
    guard: SentencePairs | None = None

    @cached_property  # it reads the whole corpus, for the card and again for the shards
    def fingerprint(self) -> str:
        """What identifies the pairs to train on."""
        return fingerprint(self.train)

    def card(self, recipe: Recipe) -> Card:
        config = config_of(recipe)
        return Card(
            job="pairs",
            data=DataCard(fingerprint=self.fingerprint, pairs=len(self.train), validation=fingerprint(self.valid)),
            languages=(config.source_language, config.target_language),
            decoding=recipe.decoding.model_dump(),
        )

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        return train_tokenizers(self.train, recipe.tokenizer, recipe.rules.normalisation)

    def settled(self, recipe: Recipe) -> Recipe:
        # The choices of `train_tokenizers` once more, for the recipe that the run stores.
        size = recipe.tokenizer.vocabulary or choose_vocabulary(len(self.train))
        return recipe.with_section("tokenizer", kind=recipe.tokenizer.kind or "bpe", vocabulary=size)

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder, display: Display) -> tuple[BatchStream, str]:
        config = config_of(recipe)
        encoded = self._encoded(bundle, config, run, recipe.training.seed, display)
        dropout = f", BPE dropout {config.bpe_dropout:g}" if config.bpe_dropout else ""
        stream = pair_stream(encoded, batch_tokens=recipe.training.batch_tokens, seed=recipe.training.seed)
        return stream, (
            f"{counted(stream.survey.n_batches, 'batch', 'es')} per epoch, {stream.survey.padding:.1%} padding, "
            f"{counted(encoded.n_dropped, 'pair')} over {encoded.max_tokens} tokens left out{dropout}"
        )

    def _encoded(
        self, bundle: Bundle, config: PairsConfig, run: RunFolder, seed: int, display: Display
    ) -> EncodedPairs:
        """Return the pairs to train on as ids, in memory or, if they are too many, in files of the run.

        Raises ConfigError if BPE dropout is set and the pairs are too many for it.
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
        display.say(f"tokens: more than {config.pairs_in_memory:,} pairs, so they are stored in {run.tokens}")
        with display.counting("tokenising", "pairs") as tell:
            return sharded_pairs(run.tokens, self.train, *tokenizers, config.max_tokens, self.fingerprint, tell)

    def observed(self, stream: Stream, recipe: Recipe, card: Card) -> tuple[Recipe, Card]:
        """Return the recipe with the greatest length of a target, and the card with the longest source."""
        items = cast(BatchStream, stream).items_of(0)
        assert isinstance(items, EncodedPairs), "pairs are trained on"
        longest, ratio = items.extent
        if recipe.decoding.max_ratio is None:  # type: ignore[attr-defined]
            recipe = recipe.with_section("decoding", max_ratio=max(LEAST_RATIO, ratio))
        return recipe, card.model_copy(update={"longest_source": longest, "decoding": recipe.decoding.model_dump()})

    def validation(self, bundle: Bundle, recipe: Recipe, device: torch.device, display: Display) -> Validate:
        """Return a function from the model to its loss, and the BLEU and chrF of its greedy translations."""
        measured = measuring(self.valid, "validation data", bundle, recipe, device, display)
        guarded = measuring(self.guard, "guarded data", bundle, recipe, device, display) if self.guard else None

        def validate(model: nn.Module) -> dict[str, float]:
            figures = measured(model)
            beside = guarded(model) if guarded is not None else {}
            return figures | {f"guard_{name}": value for name, value in beside.items()} | scored(figures, recipe)

        return validate

    def closing(self, run: RunFolder, recipe: Recipe, device: torch.device) -> str:  # noqa: ARG002
        trained = read_card(run_bundle(run.path)).trained  # of the best model, perhaps of an earlier sitting
        if trained.best_score is None:
            return "and no validation was finite."
        # The highest score is the best, so that of a loss is its negative.
        name, sign = {"bleu": ("BLEU", 1), "chrf": ("chrF", 1), "loss": ("loss", -1)}[recipe.training.best_by]
        return f"best {name} on validation {sign * trained.best_score:.2f} at step {trained.best_step:,}."


def measuring(
    pairs: SentencePairs, what: str, bundle: Bundle, recipe: Recipe, device: torch.device, display: Display
) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function from a model to its loss, BLEU and chrF on these pairs."""
    tokenizers, max_tokens = (bundle.source_tokenizer, bundle.target_tokenizer), config_of(recipe).max_tokens
    encoded = encode_pairs(pairs, *tokenizers, max_tokens)
    if encoded.n_dropped:
        display.say(f"{what}: {encoded.n_dropped:,} of {len(pairs):,} pairs over {max_tokens} tokens left out")
    stream = pair_stream(encoded, batch_tokens=recipe.training.batch_tokens, seed=0)  # any seed: only the sum counts
    batches = list(stream.epoch(0))
    mean_nll(bundle.model, stream.survey.extremes[:1], device)  # what is too long is found now, not after an epoch
    # A generator, so that only the sentences that are decoded are tokenised again.
    short = (pair for pair in pairs if max(map(n_tokens, tokenizers, pair)) <= max_tokens)
    decoded = list(islice(short, VALIDATION_DECODES))
    greedy = DecodingConfig(**{**recipe.decoding.model_dump(), "beam": 1})
    references, tokenisation = [target for _, target in decoded], "13a"
    if recipe.rules.score > 1:
        # Normalised as translations are; otherwise a combining accent would count as a mistake.
        references = [bundle.target_tokenizer.normalise(reference) for reference in references]
        tokenisation = bleu_tokenisation(references, config_of(recipe).target_language)

    def measure(model: nn.Module) -> dict[str, float]:
        nll = mean_nll(model, batches, device)
        translations = Translator(bundle, device, greedy).translate([source for source, _ in decoded])
        return {"nll": nll} | quick_scores([t.text for t in translations], references, tokenisation)

    return measure


def scored(figures: Mapping[str, float], recipe: Recipe) -> dict[str, float]:
    """Return the score that selects the best model; it is NaN if the loss is not finite."""
    by = recipe.training.best_by
    if not math.isfinite(figures["nll"]):
        # Translations of such a model still have a BLEU, by which it could become the best.
        return {"score": math.nan}
    score = {"score": -figures["nll"] if by == "loss" else figures[by]}
    return score | ({"tie": -figures["nll"]} if recipe.rules.score > 1 else {})


def n_tokens(tokenizer: Tokenizer, sentence: str) -> int:
    """Return the length of a sentence in tokens."""
    return len(tokenizer.encode(sentence))


def config_of(recipe: Recipe) -> PairsConfig:
    """Return the section `data`, which for pairs is a PairsConfig."""
    assert isinstance(recipe.data, PairsConfig), "a recipe for pairs has their settings"
    return recipe.data


PAIRS = Job(
    name="pairs",
    title="pairs of sentences",
    unit="pairs",
    default_family="transformer",
    data=PairsConfig,
    decoding=DecodingConfig,
    presets=ON_PAIRS,
    limits=PAIRS_LIMITS,
    scores=("bleu", "chrf", "loss"),
    read=read,
    user=Translator,
    evaluate=evaluate_pairs,
    fits="Pairs are two files, line by line, one .tsv, or tuples of two strings.",
)
