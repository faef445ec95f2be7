"""How the best target is searched for: the settings, and the search for many sources at once."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from regard.batch import BOS, EOS
from regard.decoding.engine import CPU, MOST_CELLS, Engine
from regard.decoding.request import BeamSearch, Chooser, Hypothesis, Request
from regard.models.protocol import Model
from regard.nn.linear import Precision

LEAST_RATIO = 2.0
"""The ratio of target to source tokens that is always allowed, whatever was seen in training."""


class DecodingConfig(BaseModel):
    """How the best target is searched for.

    A target may have `max_ratio` times the tokens of its source plus `max_extra`, and at most `max_target_tokens`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    beam: int = Field(5, ge=1, le=100)
    """The number of hypotheses that are kept at every step; 1 is greedy search."""

    length_penalty: float = Field(1.0, ge=0, le=10)
    """The exponent of the length by which a hypothesis's log-probability is divided; 0 is no penalty."""

    penalty: Literal["exponent", "wu"] = "exponent"
    """What `length_penalty` is the exponent of: "exponent" the length, "wu" (5 + length) / 6 (Wu et al. 2016)."""

    min_target_tokens: int = Field(0, ge=0, le=2**14)
    """The minimum length of a target in tokens."""

    no_repeat_ngram: int = Field(0, ge=0, le=100)
    """The length of the sequences of tokens that no target may contain twice (Paulus et al. 2018); 0 for none."""

    max_ratio: float | None = Field(None, gt=0, le=100)
    """The maximum number of target tokens per source token; not set, as in the training pairs, and at least 2."""

    max_extra: int = Field(10, ge=1, le=1_000)
    """The number of tokens that a target may have beyond `max_ratio`."""

    max_source_tokens: int = Field(1_024, ge=1, le=2**14)
    """The maximum length of a source in tokens. A longer one is not translated: it would take minutes and hold up the
    others.
    """

    max_target_tokens: int = Field(2_048, ge=1, le=2**14)
    """The maximum length of a target in tokens, whatever its source; a large `beam` allows less, to save memory."""

    precision: Precision = "float32"
    """The precision of products: "bfloat16" or "int8" is faster on many processors, and rounds (docs/results.md)."""

    batch_tokens: int = Field(4_096, ge=1, le=2**20)
    """The approximate number of tokens in a batch of sources, padding included, each counted once per hypothesis."""

    @model_validator(mode="after")
    def memory_is_bounded(self) -> "DecodingConfig":
        if self.beam * self.max_target_tokens > MOST_CELLS:
            raise ValueError(
                f"max_target_tokens is {self.max_target_tokens:,}; with a beam of {self.beam} it may be at most "
                f"{MOST_CELLS // self.beam:,}, so that memory suffices."
            )
        return self

    def longest(self, n_source: int, n_positions: int | None = None) -> int:
        """Return the maximum length of a target, EOS not counted, for a source of n_source tokens.

        n_positions: of the model, for both sides and two marks.
        """
        ratio = self.max_ratio if self.max_ratio is not None else LEAST_RATIO
        most = min(int(ratio * n_source) + self.max_extra, self.max_target_tokens)
        # At least one token: `Translator` refuses a source that leaves no room for it.
        return most if n_positions is None else max(1, min(most, n_positions - n_source - 2))

    def chooser(self, n: int | None = None, *, scored: bool = True) -> BeamSearch:
        """Return the search. n: how many hypotheses must be the best ones, by default all."""
        return BeamSearch(
            beam=self.beam,
            n=n or self.beam,
            length_penalty=self.length_penalty,
            penalty=self.penalty,
            scored=scored or self.beam > 1,
            min_tokens=self.min_target_tokens,
            no_repeat=self.no_repeat_ngram,
        )

    def request(self, source: Sequence[int], chooser: Chooser, n_positions: int | None = None) -> Request:
        """Return the request to translate a source, ids without EOS. n_positions: of the model."""
        return Request([*source, EOS], BOS, self.longest(len(source), n_positions), chooser)


def search(
    model: Model,
    sources: Sequence[Sequence[int]],
    config: DecodingConfig,
    device: torch.device = CPU,
    *,
    n: int | None = None,
    scored: bool = True,
) -> list[list[Hypothesis]]:
    """Return for every source its hypotheses, best first: one from greedy search, up to `beam` from beam search.

    An empty source has one empty hypothesis. The model must be in evaluation mode.
    """
    engine = Engine(model, device, config.precision, config.batch_tokens)
    results: list[list[Hypothesis]] = [[Hypothesis([], 0.0, 0.0)] for _ in sources]
    kept = [i for i, source in enumerate(sources) if source]
    chooser = config.chooser(n, scored=scored)
    found = engine.run(config.request(sources[i], chooser, model.n_positions) for i in kept)
    for i, hypotheses in zip(kept, found, strict=True):
        results[i] = hypotheses
    return results
