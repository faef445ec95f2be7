"""Capture every attention weight of one sentence. It runs the explain path and knows no words."""

import torch
from jaxtyping import Float
from torch import Tensor

from regard.batch import Batch, take_columns
from regard.errors import DataError
from regard.models.protocol import Model
from regard.nn.trace import Trace

BYTES_A_WEIGHT = 48
"""What a weight takes until it is shown: in the map between tokens, in the map between words, as a Python float."""

EXPLAIN_BYTES = 2**30
"""The memory that attention weights may take by default: enough for a thousand tokens of a small model."""


def capture(model: Model, batch: Batch) -> dict[str, Float[Tensor, "H T S"]]:
    """Return the weights of one sentence by name, on the CPU in single precision.

    model: in evaluation mode. batch: one sentence with its target, which is forced, so that the result of any search
    can be explained.
    """
    assert batch.source.shape[0] == 1, f"capture looks at one sentence at a time, not at {batch.source.shape[0]}"
    trace = Trace()
    with torch.inference_mode():
        model.forward(batch, trace=trace)
    return {name: weights[0].float().cpu() for name, weights in trace.weights.items()}


def capture_bytes(model: Model, batch: Batch) -> int:
    """Return about how much memory the weights of a sentence take until they are shown.

    The maps of the first few tokens, of each side another number, show which maps exist and with which sides they grow.
    """
    assert batch.target is not None, "a sentence has a target"
    n_source, n_target = batch.source.shape[1], batch.target.shape[1]
    few_source, few_target = min(n_source, 4), min(n_target, 3)
    grown: dict[int, int] = {}
    # 4, 3 and 7 tell the axes of a map apart. If a side is shorter than that, the longest side that it may be counts.
    for few, n in ((few_source, n_source), (few_target, n_target), (few_source + few_target, n_source + n_target)):
        grown[few] = max(n, grown.get(few, 0))
    maps = capture(model, take_columns(batch, few_source, few_target)).values()
    return BYTES_A_WEIGHT * sum(len(heads) * grown[heads.shape[1]] * grown[heads.shape[2]] for heads in maps)


def refuse_large(model: Model, batch: Batch, max_bytes: int) -> None:
    """Raise DataError if the attention of a sentence needs more memory than may be taken."""
    needed = capture_bytes(model, batch)
    if needed > max_bytes:
        raise DataError(
            f"The attention of this text needs about {-(-needed // 2**20):,} MiB, and {max_bytes // 2**20:,} MiB are "
            "allowed. Shorten it, or allow more."
        )
