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
"""The maximum number of positions of all hypotheses together; each takes some kilobytes per layer."""


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

    The targets of a batch, too, together have no more positions than are held at once.
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
