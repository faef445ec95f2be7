"""Continue a prompt, token by token. Ids in, ids out; knows the protocol of models, and no text."""

from collections.abc import Iterator, Sequence

from regard.decoding.engine import Engine
from regard.decoding.request import Request, Sampled
from regard.decoding.sampling import SamplingConfig
from regard.errors import DataError


def text_request(engine: Engine, prompt: Sequence[int], config: SamplingConfig) -> Request:
    """Return the request to continue a prompt.

    The model attends only to its context: when prompt and answer have filled it, the last half of them is read anew
    and the rest forgotten. Raises DataError if the prompt is empty or longer than the context.
    """
    context = engine.model.context_length
    assert context is not None, "only a model with a context continues text"
    if not prompt:
        raise DataError("The prompt has no tokens. Give at least one to continue.")
    if len(prompt) > context:
        raise DataError(
            f"The prompt has {len(prompt):,} tokens, and the model's context has {context:,}. Shorten it: it is never "
            "cut silently."
        )
    return Request(list(prompt[:-1]), prompt[-1], config.max_tokens, Sampled(config), context)


def stream(engine: Engine, request: Request) -> Iterator[tuple[int, float]]:
    """Yield the tokens of a submitted request as they are written, each with its log-probability in nats.

    Other requests of the engine go on with every step. A caller who stops early cancels the request.
    """
    n = 0
    try:
        while n < len(request.written) or not request.finished:
            if n == len(request.written):
                engine.step()
            end = len(request.written)  # now: others may move the engine on between two tokens
            yield from zip(request.written[n:end], request.log_probabilities[n:end], strict=True)
            n = end
    finally:
        if not request.finished:
            engine.cancel(request)
