"""Capture every attention weight of one sentence. It runs the explain path and knows no words."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.batch import Batch
from regard.nn.trace import Trace


def capture(model: nn.Module, batch: Batch) -> dict[str, Float[Tensor, "H T S"]]:
    """Return the weights of one sentence by name, on the CPU in single precision.

    model: any `Model`; it runs without dropout and without gradients, and is left in the mode it was found in.
    batch: one sentence with its target, which is forced, so that the answer of any search can be explained.
    """
    assert batch.source.shape[0] == 1, f"capture looks at one sentence at a time, not at {batch.source.shape[0]}"
    trace = Trace()
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            model(batch, trace=trace)
    finally:
        if was_training:
            model.train()
    return {name: weights[0].float().cpu() for name, weights in trace.weights.items()}
