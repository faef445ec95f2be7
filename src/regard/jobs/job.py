"""What a job is: everything that differs between training on pairs of sentences and on running text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from pydantic import BaseModel

from regard.bundle import Bundle
from regard.bundle.card import Card
from regard.display import Display
from regard.jobs.given import Given
from regard.presets import Settings
from regard.recipe import Recipe
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.loop import Validate
from regard.training.run import RunFolder
from regard.training.stream import Stream


class Split(Protocol):
    """A corpus that is ready: what is trained on, what is validated on, and what is guarded."""

    def card(self, recipe: Recipe) -> Card:
        """Return what a bundle's card says of the data; its part "data" identifies it."""
        ...

    def tokenizers(self, recipe: Recipe) -> tuple[Tokenizer, Tokenizer, str]:
        """Return new tokenizers for both sides, and a sentence about them."""
        ...

    def settled(self, recipe: Recipe) -> Recipe:
        """Return the recipe with what was chosen for the tokenizers by the size of the corpus."""
        ...

    def stream(self, bundle: Bundle, recipe: Recipe, run: RunFolder, display: Display) -> tuple[Stream, str]:
        """Return the batches to train on, and a sentence about them. What is too large is stored in the run."""
        ...

    def observed(self, stream: Stream, recipe: Recipe, card: Card) -> tuple[Recipe, Card]:
        """Return recipe and card with what was measured on the items of the stream."""
        ...

    def validation(self, bundle: Bundle, recipe: Recipe, device: torch.device, display: Display) -> Validate:
        """Return the function that validates the model during training."""
        ...

    def closing(self, run: RunFolder, recipe: Recipe, device: torch.device) -> str:
        """Return in words how well the training went, with a sample if it writes text."""
        ...


class Corpus(Protocol):
    """A corpus that was read, before the settings are known."""

    # It chooses the preset, so it has to be known without a recipe.
    @property
    def size(self) -> int:
        """Return the number of pairs, or of characters."""
        ...

    def best_by(self) -> tuple[str, str]:
        """Return the score that should select the best model on this corpus, and the reason in words, if any."""
        ...

    def languages(self, recipe: Recipe, display: Display) -> dict[str, str]:
        """Return, as settings, the recognised languages that the recipe does not name, and report them."""
        ...

    def split(self, recipe: Recipe, display: Display) -> Split:
        """Return the corpus with validation data set apart."""
        ...


class Reader(Protocol):
    """Reads a corpus, and says how many of its lines were used."""

    def __call__(self, data: Given, valid: Given | None, guard: Given | None, display: Display) -> Corpus: ...


class Evaluator(Protocol):
    """Scores a bundle on data."""

    def __call__(
        self, bundle: Bundle, data: Given, device: torch.device, options: Mapping[str, Any], display: Display
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of corpus, and what is done with it.

    title: what it is called in a sentence. unit: what its size is counted in. data, decoding: the sections of a recipe
    that belong to it. presets: name -> family -> settings. limits: the largest size for which a preset is chosen.
    scores: those that can select the best model, the usual one first. user: the class that uses a bundle.
    """

    name: str
    title: str
    unit: str
    default_family: str
    data: type[BaseModel]
    decoding: type[BaseModel]
    presets: Mapping[str, Mapping[str, Settings]]
    limits: tuple[tuple[str, int], ...]
    scores: tuple[str, ...]
    read: Reader
    user: Any
    evaluate: Evaluator
    fits: str  # for messages: the form in which such data are given
