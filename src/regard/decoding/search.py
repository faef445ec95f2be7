"""From source ids to target ids: batches sorted by length, results in the order of the input.

Knows the protocol of models. Knows no text and no family.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from regard.batch import collate, to_device
from regard.decoding.beam import beam_search, ranking_score
from regard.decoding.greedy import greedy_search
from regard.models.protocol import Model

CPU = torch.device("cpu")

MOST_CELLS = 2**18
"""Positions of all hypotheses together that may be remembered at once; each takes some kilobytes in every layer."""


LEAST_RATIO = 2.0
"""How many times the tokens of its source a target may have, whatever was seen in training."""


class DecodingConfig(BaseModel):
    """How the best target is looked for.

    A target may have up to `max_ratio` times the tokens of its source, and `max_extra` more, and `max_target_tokens` at
    most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    beam: int = Field(5, ge=1, le=100)
    """How many hypotheses are kept side by side; 1 is greedy search."""

    length_penalty: float = Field(1.0, ge=0, le=10)
    """The exponent on the length by which a hypothesis's log-probability is divided; 0 is none."""

    max_ratio: float | None = Field(None, gt=0, le=100)
    """How many times the tokens of its source a target may have; not set, as many as the training pairs show, and 2 at
    least.
    """

    max_extra: int = Field(10, ge=1, le=1_000)
    """How many tokens a target may have beyond `max_ratio`."""

    max_source_tokens: int = Field(1_024, ge=1, le=2**14)
    """The most tokens of a source; a longer one is not translated: it would take minutes, and all others would wait."""

    max_target_tokens: int = Field(2_048, ge=1, le=2**14)
    """The most tokens of a target, whatever its source; with a large `beam` fewer, so that memory suffices."""

    batch_tokens: int = Field(4_096, ge=1, le=2**20)
    """About how many tokens a batch of sources has, padding included, each counted for every hypothesis."""

    @model_validator(mode="after")
    def memory_is_bounded(self) -> "DecodingConfig":
        if self.beam * self.max_target_tokens > MOST_CELLS:
            raise ValueError(
                f"max_target_tokens is {self.max_target_tokens:,}; with a beam of {self.beam} it may be "
                f"{MOST_CELLS // self.beam:,}, so that memory suffices."
            )
        return self

    def longest(self, n_source: int, n_positions: int | None = None) -> int:
        """Return the most tokens a target may have, EOS not counted, for a source of n_source tokens.

        n_positions: of the model, for both sides and two marks.
        """
        ratio = self.max_ratio if self.max_ratio is not None else LEAST_RATIO
        most = min(int(ratio * n_source) + self.max_extra, self.max_target_tokens)
        # One token at least: `Translator` refuses a source that leaves no place for it.
        return most if n_positions is None else max(1, min(most, n_positions - n_source - 2))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A target without EOS, and the sum of its tokens' log-probabilities, EOS included.

    score: what hypotheses are ranked by, the log-probability over the length to the power of the length penalty.
    """

    ids: list[int]
    log_probability: float
    score: float


@torch.inference_mode()
def search(
    model: Model, sources: Sequence[Sequence[int]], config: DecodingConfig, device: torch.device = CPU
) -> list[list[Hypothesis]]:
    """Return for every source its hypotheses, best first: one from greedy search, up to `beam` from beam search.

    An empty source has one empty hypothesis. The model must be in evaluation mode.
    """
    results: list[list[Hypothesis]] = [[Hypothesis([], 0.0, 0.0)] for _ in sources]
    for indices in batches_by_length([len(s) for s in sources], config):
        batch = to_device(collate([sources[i] for i in indices]), device)
        longest = [config.longest(len(sources[i]), model.n_positions) for i in indices]
        if config.beam == 1:
            found = [[pair] for pair in greedy_search(model, batch, longest)]
        else:
            found = beam_search(model, batch, longest, config.beam, config.length_penalty)
        for i, pairs in zip(indices, found, strict=True):
            results[i] = [Hypothesis(*pair, ranking_score(*pair, config.length_penalty)) for pair in pairs]
    return results


def batches_by_length(lengths: Sequence[int], config: DecodingConfig) -> list[list[int]]:
    """Return indices of the sources that are not empty, longest first, in batches of about batch_tokens cells.

    Nor may the targets together come to more positions than are remembered.
    """
    batches: list[list[int]] = []
    # Longest first, so the first source of a batch is the one that all others are padded to.
    for i in sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i]):
        if batches:
            longest, n_rows = lengths[batches[-1][0]], (len(batches[-1]) + 1) * config.beam
            full = n_rows * longest > config.batch_tokens or n_rows * config.longest(longest) > MOST_CELLS
        if not batches or full:
            batches.append([])
        batches[-1].append(i)
    return batches
