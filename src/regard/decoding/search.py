"""From source ids to target ids: batches sorted by length, results in the order of the input.

Knows the protocol of models. Knows no text and no family.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field

from regard.batch import collate, to_device
from regard.decoding.beam import beam_search
from regard.decoding.greedy import greedy_search
from regard.models.protocol import Model

CPU = torch.device("cpu")


class DecodingConfig(BaseModel):
    """How the best target is looked for. beam 1 is greedy search.

    length_penalty: the exponent on the length by which a hypothesis's log-probability is divided; 0 is none. A target
    may have up to max_ratio times the tokens of its source, and max_extra more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    beam: int = Field(5, ge=1, le=100)
    length_penalty: float = Field(1.0, ge=0, le=10)
    max_ratio: float = Field(2.0, gt=0, le=100)
    max_extra: int = Field(10, ge=1)
    batch_tokens: int = Field(4096, ge=1)

    def longest(self, n_source: int, n_positions: int | None = None) -> int:
        """Return the most tokens a target may have, EOS not counted, for a source of n_source tokens.

        n_positions: of the model, for both sides and two marks.
        """
        most = int(self.max_ratio * n_source) + self.max_extra
        return most if n_positions is None else max(1, min(most, n_positions - n_source - 2))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A target without EOS, and the sum of its tokens' log-probabilities, EOS included."""

    ids: list[int]
    log_probability: float


@torch.inference_mode()
def search(
    model: Model, sources: Sequence[Sequence[int]], config: DecodingConfig, device: torch.device = CPU
) -> list[list[Hypothesis]]:
    """Return for every source its hypotheses, best first: one from greedy search, up to `beam` from beam search.

    An empty source has one empty hypothesis. The model must be in evaluation mode.
    """
    results: list[list[Hypothesis]] = [[Hypothesis([], 0.0)] for _ in sources]
    for indices in batches_by_length([len(s) for s in sources], config):
        batch = to_device(collate([sources[i] for i in indices]), device)
        longest = [config.longest(len(sources[i]), model.n_positions) for i in indices]
        if config.beam == 1:
            found = [[Hypothesis(*pair)] for pair in greedy_search(model, batch, longest)]
        else:
            found = [
                [Hypothesis(*pair) for pair in pairs]
                for pairs in beam_search(model, batch, longest, config.beam, config.length_penalty)
            ]
        for i, hypotheses in zip(indices, found, strict=True):
            results[i] = hypotheses
    return results


def batches_by_length(lengths: Sequence[int], config: DecodingConfig) -> list[list[int]]:
    """Return indices of the sources that are not empty, longest first, in batches of about batch_tokens cells."""
    batches: list[list[int]] = []
    for i in sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i]):
        full = batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] * config.beam > config.batch_tokens
        if full or not batches:
            batches.append([])
        batches[-1].append(i)
    return batches
