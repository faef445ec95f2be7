"""What decoding computes in a faster way, beside its definition, for `regard prove`."""

from collections.abc import Iterator

import torch
from torch import Tensor

from regard.batch import BOS, EOS, collate, collate_text, to_device
from regard.decoding.engine import Engine
from regard.decoding.output import BLOCK, normaliser_of, top_of_rows
from regard.decoding.request import BeamSearch, Hypothesis, Request, Sampled
from regard.decoding.sampling import SamplingConfig
from regard.errors import BundleError
from regard.models.protocol import Model
from regard.nn.linear import Int8Matrix, quantised

Comparison = tuple[str, Tensor, Tensor]
"""What is compared, what the fast path gives, and what its definition gives."""

LONGEST = 12
WHAT = "decoded together = forward"


def output_comparisons(device: torch.device) -> Iterator[Comparison]:
    """Yield comparisons of the output layer: the best tokens in two stages, the normaliser, and the bound of int8."""
    random = torch.Generator().manual_seed(5)
    logits = torch.randn(40, 50 * BLOCK, generator=random).to(device)
    for k in (1, 10):
        best, tokens = top_of_rows(logits, logits.new_zeros(len(logits)), 1, k)
        expected = logits.topk(k).values
        yield (
            f"the {k} best of blocks = of all",
            torch.cat([best, logits.gather(1, tokens)]),
            expected.tile(2, 1),
        )
    yield "log-sum-exp by a maximum and a sum", normaliser_of(logits), logits.double().logsumexp(-1)
    x, weight = torch.randn(40, 64, generator=random).to(device), torch.randn(300, 64, generator=random).to(device)
    if device.type == "cpu":
        integers, scales = quantised(x)
        matrix = Int8Matrix(weight)
        yield (
            "int8 products = products of what was rounded",
            matrix.products(integers) * scales,
            (integers * scales).double() @ matrix.dequantised().double().T,
        )


def engine_comparisons(model: Model, job: str, sources: list[list[int]], device: torch.device) -> Iterator[Comparison]:
    """Yield comparisons of what requests were given that were decoded together, and of what `forward` gives them.

    Requests of a greedy search, a beam search and sampling join at different steps, so that their rows differ in age.
    """
    engine = Engine(model, device)
    requests = [request_of(job, source, i, model) for i, source in enumerate(sources * 3)]
    waiting = list(requests)
    try:
        while waiting or engine.busy:
            if waiting:
                engine.submit(waiting.pop())
            engine.step()
    except BundleError:  # outputs that are not finite
        yield WHAT, torch.tensor([float("nan")]), torch.zeros(1)
        return
    found, expected = [], []
    for request in requests:
        for hypothesis in request.answer or []:
            found.append(hypothesis.log_probability)
            expected.append(log_probability(model, job, request, hypothesis, device))
    yield (
        "decoded together = forward",
        torch.tensor(found, dtype=torch.float64),
        torch.tensor(expected, dtype=torch.float64),
    )


def request_of(job: str, source: list[int], i: int, model: Model) -> Request:
    """Return request number i, of one of three kinds."""
    if job == "text":
        sampled = SamplingConfig(seed=i, greedy=i % 2 == 0)
        # Not beyond the context, where the text would no longer be what one forward pass sees.
        longest = min(LONGEST, (model.context_length or LONGEST) - len(source))
        return Request([BOS, *source[:-1]], source[-1], longest, Sampled(sampled), model.context_length)
    sampling = Sampled(SamplingConfig(temperature=1.0, seed=i))
    choosers = (BeamSearch(), BeamSearch(beam=3, n=3), sampling)
    room = LONGEST if model.n_positions is None else model.n_positions - len(source) - 2
    return Request([*source, EOS], BOS, min(LONGEST, room), choosers[i % 3])


def log_probability(model: Model, job: str, request: Request, hypothesis: Hypothesis, device: torch.device) -> float:
    """Return the log-probability of a hypothesis by the forward pass over all of it at once."""
    ids = [*hypothesis.ids, *([EOS] if hypothesis.ended else [])]
    text = [*request.source, request.first, *ids]
    batch = collate_text([text]) if job == "text" else collate([list(request.source[:-1])], [hypothesis.ids])
    batch = to_device(batch, device)
    with torch.no_grad():
        log_p = model.logits(model.forward(batch))[0].log_softmax(-1)  # (T, V)
    first = len(request.source) if job == "text" else 0
    rows = log_p[first : first + len(ids)]
    return float(rows.gather(1, torch.tensor(ids, device=device)[:, None]).sum()) if ids else 0.0
