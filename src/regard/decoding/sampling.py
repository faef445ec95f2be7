"""Continue a prompt, token by token. Ids in, ids out; knows the protocol of models, and no text."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from regard.batch import BOS, EOS, PAD, collate_prompts, to_device
from regard.decoding.rules import min_p, penalise_repetition, temperature, top_k, top_p
from regard.errors import BundleError, DataError
from regard.models.protocol import Model

CPU = torch.device("cpu")


class SamplingConfig(BaseModel):
    """How the next token is drawn.

    Applied in this order: `repetition_penalty`, `temperature`, `top_k`, `top_p`, `min_p`. Then a token is drawn from
    those that are left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    max_tokens: int = Field(256, ge=1, le=2**20)
    """The maximum number of tokens that are generated."""

    greedy: bool = False
    """Whether the most likely token is always taken instead of drawing one, after the repetition penalty."""

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


def generate(
    model: Model, prompt: Sequence[int], config: SamplingConfig, device: torch.device = CPU
) -> Iterator[tuple[int, float]]:
    """Yield the ids that continue the prompt, each with the log-probability that the model gave it, in nats.

    It ends before EOS, or after max_tokens. The model attends only to its context: when prompt and answer have filled
    it, the last half of them is read anew and the rest forgotten. The model must be in evaluation mode.
    Raises DataError if the prompt is empty or longer than the context.
    """
    context = model.context_length
    assert context is not None, "only a model with a context continues text"
    if not prompt:
        raise DataError("The prompt has no tokens. Give at least one to continue.")
    if len(prompt) > context:
        raise DataError(
            f"The prompt has {len(prompt):,} tokens, and the model's context has {context:,}. Shorten it: it is never "
            "cut silently."
        )
    return _generate(model, torch.tensor([list(prompt)], device=device), context, config)


def _generate(
    model: Model, ids: Int[Tensor, "1 T"], context: int, config: SamplingConfig
) -> Iterator[tuple[int, float]]:
    # A seed gives one text on a CPU and another on a GPU, whose random numbers differ.
    random = torch.Generator(ids.device).manual_seed(config.seed)
    state, n_read = None, 0
    for _ in range(config.max_tokens):
        with torch.inference_mode():  # per token: it must not stay on while the caller runs
            if state is None or n_read == context:
                # Half of a context of one token would be -0, which takes all ids.
                kept = ids if state is None else ids[:, -max(1, context // 2) :]
                begun = to_device(collate_prompts(kept[:, :-1].tolist()), ids.device)  # the step reads the last
                state, n_read = model.begin(begun), kept.shape[1] - 1
            logits, state = model.step(ids[:, -1], state)
            n_read += 1
            log_p = logits.log_softmax(-1)
            if not bool(log_p.max().isfinite()):  # one NaN makes all of them NaN
                raise BundleError("The outputs of the model are not finite with these weights. Use another bundle.")
            token = draw(logits, ids, config, random)  # (1,)
            # All of the text, also what the model has forgotten: the penalty counts it.
            ids = torch.cat([ids, token[:, None]], dim=1)
        if int(token) == EOS:
            return
        yield int(token), float(log_p[0, token])


def draw(
    logits: Float[Tensor, "R V"], written: Int[Tensor, "R T"], config: SamplingConfig, random: torch.Generator
) -> Int[Tensor, " R"]:
    """Return one token per row by the rules. written: the prompt and the text so far."""
    logits = logits.clone()  # the log-probability that is yielded is the model's own
    logits[:, [PAD, BOS]] = float("-inf")  # never written, though they have a probability
    if config.repetition_penalty != 1:
        logits = penalise_repetition(logits, written, config.repetition_penalty)
    if config.greedy:
        return logits.argmax(-1)
    logits = temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = top_k(logits, config.top_k)
    if config.top_p is not None:
        logits = top_p(logits, config.top_p)
    if config.min_p is not None:
        logits = min_p(logits, config.min_p)
    return torch.multinomial(logits.softmax(-1), 1, generator=random)[:, 0]
