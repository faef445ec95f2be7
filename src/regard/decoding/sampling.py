"""How a token is drawn: the settings, and the rules in their order."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from regard.batch import BOS, PAD
from regard.decoding.rules import (
    min_p,
    penalise_occurrences,
    penalise_repetition,
    temperature,
    top_k,
    top_p,
    typical,
)
from regard.nn.linear import Precision


class TextDecodingConfig(BaseModel):
    """How the next token of running text is drawn.

    Applied in this order: `repetition_penalty`, `presence_penalty` and `frequency_penalty`, `temperature`, `top_k`,
    `typical_p`, `top_p`, `min_p`. Then a token is drawn from those that are left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    max_tokens: int = Field(256, ge=1, le=2**20)
    """The maximum number of tokens that are generated."""

    greedy: bool = False
    """Whether the most likely token is always taken instead of drawing one, after the penalties."""

    temperature: float = Field(0.8, gt=0)
    """What the logits are divided by: above 1 unlikely tokens are drawn more often, below 1 less often."""

    top_k: int | None = Field(None, ge=1, le=2**31)
    """The number of most likely tokens from which one is drawn (Fan et al. 2018); not set, from all."""

    top_p: float | None = Field(None, gt=0, le=1)
    """A token is drawn from the smallest set of most likely tokens with at least this total probability (Holtzman et
    al. 2020); not set, from all.
    """

    min_p: float | None = Field(None, ge=0, le=1)
    """The share of the most likely token's probability below which tokens are left out (Nguyen et al. 2024); not set,
    none is.
    """

    repetition_penalty: float = Field(1.0, gt=0)
    """The factor by which the logits of tokens in the prompt and in the text so far are reduced (Keskar et al. 2019);
    1 is no penalty, and below 1 such tokens become more likely.
    """

    seed: int = Field(0, ge=0, lt=2**63)
    """The seed of the random draws: the same seed gives the same text."""

    typical_p: float | None = Field(None, gt=0, le=1)
    """A token is drawn from the smallest set with at least this total probability of those whose information is closest
    to the entropy (Meister et al. 2023); not set, from all.
    """

    presence_penalty: float = Field(0.0, ge=-100, le=100)
    """What is subtracted from the logits of tokens that were generated already; below 0 they become more likely."""

    frequency_penalty: float = Field(0.0, ge=-100, le=100)
    """What is subtracted from the logit of a token for each time that it was generated already."""

    precision: Precision = "float32"
    """The precision of products: "bfloat16" or "int8" is faster on many processors, and rounds (docs/results.md)."""


def from_json(value: Any) -> Any:
    """Return what JSON can only say otherwise: a tuple for a list, and ids for the digits of a dictionary's keys."""
    if isinstance(value, dict):
        return {int(k) if isinstance(k, str) and k.isascii() and k.isdigit() else k: v for k, v in value.items()}
    return tuple(value) if isinstance(value, list) else value


TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class SamplingConfig(TextDecodingConfig):
    """How the next token of one text is drawn: the settings of a run, and those that concern single tokens.

    `logit_bias` is applied after the penalties. A run has no settings for single tokens: its recipe and its card would
    need lists.
    """

    logit_bias: Annotated[dict[TokenId, float], BeforeValidator(from_json)] = Field(default_factory=dict)
    """What is added to the logits of tokens, by their ids."""

    stop_tokens: Annotated[tuple[TokenId, ...], BeforeValidator(from_json)] = ()
    """The ids of tokens before which the text ends."""

    @property
    def penalises(self) -> bool:
        """Whether any rule changes which token is the likeliest."""
        return (self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0) or bool(
            self.logit_bias
        )


MOST_SAMPLES = 10_000
"""The maximum number of samples of one text."""


def reseeded(config: SamplingConfig, i: int) -> SamplingConfig:
    """Return the settings of sample i: its seed is i more."""
    return config.model_copy(update={"seed": (config.seed + i) % 2**63})


def rules_of(config: SamplingConfig) -> SamplingConfig:
    """Return settings in which only the rules differ: rows with equal ones are computed together."""
    return config.model_copy(update={"seed": 0, "max_tokens": 1, "stop_tokens": ()})


def draw(
    logits: Float[Tensor, "R V"],
    texts: Sequence[Sequence[int]],
    written: Sequence[Sequence[int]],
    config: SamplingConfig,
    random: Sequence[torch.Generator],
) -> Int[Tensor, " R"]:
    """Return one token per row by the rules. texts: all of each row; written: what was generated of it."""
    logits = logits.clone()  # the log-probability of the token is the model's own
    logits[:, [PAD, BOS]] = float("-inf")  # never written, though they have a probability
    if config.repetition_penalty != 1:
        logits = penalise_repetition(logits, side_by_side(texts, logits.device), config.repetition_penalty)
    if config.presence_penalty or config.frequency_penalty:
        logits = penalise_occurrences(logits, written, config.presence_penalty, config.frequency_penalty)
    for token, bias in config.logit_bias.items():
        logits[:, token] += bias
    if config.greedy:
        return logits.argmax(-1)
    logits = temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = top_k(logits, config.top_k)
    if config.typical_p is not None:
        logits = typical(logits, config.typical_p)
    if config.top_p is not None:
        logits = top_p(logits, config.top_p)
    if config.min_p is not None:
        logits = min_p(logits, config.min_p)
    # Row by row, each with its own generator: what one draws depends on no other.
    rows = zip(logits.softmax(-1), random, strict=True)
    return torch.stack([torch.multinomial(row, 1, generator=generator)[0] for row, generator in rows])


def side_by_side(texts: Sequence[Sequence[int]], device: torch.device) -> Int[Tensor, "R T"]:
    """Return texts of different lengths as one tensor, padded with a token of each."""
    longest = max(map(len, texts))
    return torch.tensor([[*text, *[text[0]] * (longest - len(text))] for text in texts], device=device)
