"""Proof on this machine: every fast path is compared with its definition, in outputs and gradients.

Knows models through their protocol, and random ids; knows no text and no table. Gradients of kernels and models are
those of the sum of the outputs with random signs: after a norm the sum of their squares hardly changes, so its
gradients would prove nothing.
"""

import copy
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import cudnn
from torch.nn.attention import SDPBackend, sdpa_kernel

from regard.batch import BOS, EOS, Batch, collate, collate_text, to_device
from regard.decoding.proof import engine_comparisons, output_comparisons
from regard.models import MODELS
from regard.models.protocol import Model
from regard.nn.attention import attend
from regard.nn.attention_kernel import attend_short
from regard.nn.ladder_proof import comparisons
from regard.nn.trace import Trace

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-2}
"""The largest relative error with which a path counts as equal."""

VOCABULARY, N_CONTROL = 50, 4
LENGTHS = (7, 2, 12, 5)

Result = tuple[list[Tensor], list[Tensor]]
"""Outputs and gradients of one path."""

ModelPath = Callable[[nn.Module], Sequence[Tensor]]
"""One way from a model to its outputs, a tensor (positions, width) per sentence."""


@dataclass(frozen=True, slots=True)
class Error:
    """The difference of two results: the largest one, and that divided by the largest magnitude."""

    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class Proof:
    """Two paths that must be equal, and their difference. It holds if both relative errors are within the tolerance."""

    name: str
    dtype: torch.dtype
    outputs: Error
    gradients: Error | None
    """None for what is only decoded."""

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype]

    @property
    def holds(self) -> bool:
        errors = [self.outputs] if self.gradients is None else [self.outputs, self.gradients]
        return all(error.relative <= self.tolerance for error in errors)

    @property
    def precision(self) -> str:
        """The name of the precision, such as "float32"."""
        return str(self.dtype).removeprefix("torch.")

    def as_dict(self) -> dict[str, Any]:
        """Return the proof for JSON; an error that is not finite is None."""

        def figures(error: Error) -> dict[str, float | None]:
            found = {"absolute": error.absolute, "relative": error.relative}
            return {name: figure if math.isfinite(figure) else None for name, figure in found.items()}

        return {
            "name": self.name,
            "dtype": self.precision,
            "outputs": figures(self.outputs),
            "gradients": None if self.gradients is None else figures(self.gradients),
            "tolerance": self.tolerance,
            "holds": self.holds,
        }


def prove_all(
    named: tuple[str, nn.Module, tuple[int, int]] | None, device: torch.device, say: Callable[[str], None]
) -> Iterator[Proof]:
    """Yield all proofs: of the ladder, of the kernels, and of a model or a small one of each family.

    named: a model's name, the model, and its vocabulary sizes. say: called with what comes next, and what is missing.
    """
    say("The ladder ...")
    yield from prove_ladder(device)
    say("The kernels ...")
    for result in prove_kernels(device):
        if isinstance(result, str):
            say(result)
        else:
            yield result
    say("Decoding ...")
    yield from prove_output_layer(device)
    models = [named] if named else [(name, small_model(name), (VOCABULARY, VOCABULARY)) for name in MODELS]
    for name, model, vocabularies in models:
        say(f"{name} ...")
        yield from prove_model(name, model, vocabularies, device)


def error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> Error:
    """Return the error over all tensors together; it is infinite if a difference is not finite.

    Not tensor by tensor: a gradient that cancels to zero, such as that of a scale before a norm, is only rounding.
    """
    differences = [(a.double() - b.double()).abs().max().item() for a, b in zip(found, expected, strict=True)]
    magnitude = max((b.double().abs().max().item() for b in expected), default=0.0)
    absolute = max(differences, default=0.0) if all(map(math.isfinite, differences)) else math.inf
    return Error(absolute, absolute / magnitude if 0 < magnitude < math.inf else absolute)


def prove_ladder(device: torch.device) -> Iterator[Proof]:
    """Yield the rungs of the ladder that must be equal."""
    for dtype in (torch.float64, torch.float32):
        # Drawn in float64 for both: the same numbers except for rounding.
        x = torch.rand(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(device, dtype)
        for c in comparisons(x):
            yield Proof(f"rung {c.name}", dtype, error([c.outputs[0]], [c.outputs[1]]), error(*c.gradients))


def prove_kernels(device: torch.device) -> Iterator[Proof | str]:
    """Yield each kernel of attention against `attend`, or a sentence if one of PyTorch's is not available here."""
    backends = (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION)
    for backend, dtype in itertools.product(backends, TOLERANCE):
        name = backend.name.lower()
        try:
            with sdpa_kernel(backend), warnings.catch_warnings(action="ignore"):  # they say why it is not available
                proof = prove_kernel(
                    name, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), dtype, device
                )
        except RuntimeError:  # "No available kernel": for this device, for this type, or backwards
            yield f"attention kernel {name}, {str(dtype).removeprefix('torch.')}: not available here"
        else:
            yield proof
    for dtype in TOLERANCE if device.type == "cpu" else ():
        yield prove_kernel("short sequences", lambda q, k, v: attend_short(q, k, v, lower_triangle(q)), dtype, device)


def prove_kernel(name: str, attention: Callable[..., Tensor], dtype: torch.dtype, device: torch.device) -> Proof:
    """Return causal attention by a kernel against `attend`."""
    # 33 positions: not a multiple of a kernel's block or of a register, so that the remainder is proven, too.
    random = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(2, 4, 33, 16, generator=random).to(device, dtype) for _ in range(3))
    found = differentiated(attention, q, k, v)
    # In float64, of q, k and v as they were rounded: their own rounding is not an error of the kernel.
    expected = differentiated(lambda q, k, v: attend(q, k, v, lower_triangle(q))[0], *(x.double() for x in (q, k, v)))
    return Proof(f"attention kernel {name}", dtype, error(found[0], expected[0]), error(found[1], expected[1]))


def lower_triangle(q: Tensor) -> Tensor:
    """Return the mask of causal attention for queries (B, H, T, K) and as many keys."""
    return torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()


def differentiated(function: Callable[..., Tensor], *inputs: Tensor) -> Result:
    """Return the output and the gradients with respect to the inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    output = function(*leaves)
    return [output.detach()], list(torch.autograd.grad(output, leaves, signs_for(output)))


def prove_output_layer(device: torch.device) -> Iterator[Proof]:
    """Yield the proofs of the output layer in decoding."""
    for what, output, definition in output_comparisons(device):
        yield Proof(what, torch.float32, error([output], [definition]), None)


def signs_for(output: Tensor) -> Tensor:
    """Return 1 or -1 at random for every element, always the same for the same shape, and exact in any precision."""
    drawn = torch.randint(2, output.shape, generator=torch.Generator().manual_seed(5))
    return (2 * drawn - 1).to(output)


def small_model(family: str) -> nn.Module:
    """Return a small model of a family in which all weights matter, including those that start at zero."""
    config, model = MODELS[family]
    with torch.random.fork_rng(devices=[]):  # nothing is drawn on a GPU
        torch.manual_seed(3)
        built: nn.Module = model(config.small(), VOCABULARY, VOCABULARY, n_control=N_CONTROL)
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return built


def prove_model(name: str, model: nn.Module, vocabularies: tuple[int, int], device: torch.device) -> Iterator[Proof]:
    """Yield the proofs of a model on random sentences, for each job it can do.

    vocabularies: of the source and the target. The model itself is not changed.
    """
    jobs: frozenset[str] = model.jobs  # type: ignore[assignment]
    for job, dtype in itertools.product(sorted(jobs), (torch.float64, torch.float32)):
        proven = differentiable(copy.deepcopy(model).to(device, dtype))
        sentences = random_ids(job, vocabularies, longest_for(model))
        alone = [to_device(side_by_side(job, [sentence]), device) for sentence in sentences]
        batch = to_device(side_by_side(job, sentences), device)
        for what, path, definition in paths(batch, alone):
            found, expected = result_of(proven, path), result_of(proven, definition)
            errors = error(found[0], expected[0]), error(found[1], expected[1])
            yield Proof(f"{name}, {job}: {what}", dtype, *errors)
        sources = [source or target for source, target in sentences]
        with torch.no_grad():
            for what, output, definition_output in engine_comparisons(as_model(proven), job, sources, device):
                yield Proof(f"{name}, {job}: {what}", dtype, error([output], [definition_output]), None)


def paths(batch: Batch, alone: Sequence[Batch]) -> Iterator[tuple[str, ModelPath, ModelPath]]:
    """Yield a name and two paths that must be equal on a batch of sentences, which are also given one by one."""

    def fast(model: nn.Module) -> list[Tensor]:
        return hidden_of(model, batch)

    yield "explained = fast", lambda model: hidden_of(model, batch, Trace()), fast
    yield "padded = unpadded", lambda model: hidden_of(model, padded(batch)), fast
    yield "alone = in a batch", lambda model: [hidden_of(model, sentence)[0] for sentence in alone], fast
    yield "stepped = forward", lambda model: stepped(model, batch), lambda model: logits_of(model, batch)


def as_model(module: nn.Module) -> Model:
    """Return a module as what the protocol calls a model."""
    assert isinstance(module, Model), "every family follows the protocol"
    return module


def differentiable(model: nn.Module) -> nn.Module:
    """Return the model in evaluation mode, except recurrent layers, which cuDNN differentiates in training only."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.dropout = 0.0
            module.train()
    return model


def result_of(model: nn.Module, path: ModelPath) -> Result:
    """Return the outputs of a path, and the gradients with respect to all weights, zeros for unused ones."""
    model.zero_grad(set_to_none=True)
    with cudnn.flags(enabled=True, allow_tf32=False):  # by default cuDNN's recurrent layers round float32 to 10 bits
        output = torch.cat(list(path(model)))
        output.backward(signs_for(output))
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return [output.detach()], gradients


def hidden_of(model: nn.Module, batch: Batch, trace: Trace | None = None) -> list[Tensor]:
    """Return the hidden states (positions, D) of each sentence, padding left out."""
    assert batch.target_keep is not None, "random sentences have a target"
    hidden = model(batch, trace)
    return [row[keep] for row, keep in zip(hidden, batch.target_keep, strict=True)]


def logits_of(model: nn.Module, batch: Batch) -> list[Tensor]:
    """Return the logits (positions, V) of each sentence from the forward pass."""
    return [written(model, model.logits(hidden)) for hidden in hidden_of(model, batch)]  # type: ignore[operator]


def written(model: nn.Module, logits: Tensor) -> Tensor:
    """Return logits (..., V) without the ids that are never generated: infinite ones cannot be compared."""
    never: slice = model.never_written  # type: ignore[assignment]
    return torch.cat([logits[..., : never.start], logits[..., never.stop :]], dim=-1)


def stepped(model: nn.Module, batch: Batch) -> list[Tensor]:
    """Return the logits (positions, V) of each sentence, one step after the other."""
    assert batch.target is not None and batch.target_keep is not None, "random sentences have a target"
    state = model.begin(batch)  # type: ignore[operator]
    steps = []
    for last in batch.target.unbind(1):
        hidden = model.read(last[:, None], state)  # type: ignore[operator]
        steps.append(written(model, model.logits(hidden[:, 0])))  # type: ignore[operator]
    return [row[keep] for row, keep in zip(torch.stack(steps, dim=1), batch.target_keep, strict=True)]


def longest_for(model: nn.Module) -> int:
    """Return how long random sentences may be, so that a pair and its padding fit into the model's context."""
    context: int | None = model.context_length  # type: ignore[assignment]
    # Of the context 4 are taken by EOS, BOS and one cell of padding on each side.
    return max(LENGTHS) if context is None else max(1, min(max(LENGTHS), (context - 4) // 2))


def random_ids(job: str, vocabularies: tuple[int, int], longest: int) -> list[tuple[list[int], list[int]]]:
    """Return sources and targets of different lengths, always the same for the same vocabularies."""
    random = torch.Generator().manual_seed(4)
    n_source, n_target = vocabularies
    lengths = [min(n, longest) for n in LENGTHS]
    # The lengths are reversed on the other side, so that a short source has a long target.
    drawn = [(ids(n_source, s, random), ids(n_target, t, random)) for s, t in zip(lengths, lengths[::-1], strict=True)]
    return [(source if job == "pairs" else [], target) for source, target in drawn]


def ids(vocabulary: int, n: int, random: torch.Generator) -> list[int]:
    """Return n random ids that are neither special ids nor control ids of a small model."""
    return torch.randint(min(EOS + 1 + N_CONTROL, vocabulary - 1), vocabulary, (n,), generator=random).tolist()


def side_by_side(job: str, sentences: Sequence[tuple[list[int], list[int]]]) -> Batch:
    """Return sources and targets as one batch of pairs, or the targets as one of running text."""
    sources, targets = zip(*sentences, strict=True)
    return collate_text([[BOS, *target] for target in targets]) if job == "text" else collate(sources, targets)


def padded(batch: Batch) -> Batch:
    """Return the batch with more padding, of an id that would matter if it were read."""
    assert batch.target is not None and batch.target_keep is not None and batch.gold is not None, "there is a target"
    n_source = 1 if batch.source.shape[1] else 0  # running text must not get a source

    def longer(x: Tensor, n: int, fill: int) -> Tensor:
        return torch.cat([x, x.new_full((len(x), n), fill)], dim=1)

    return Batch(
        longer(batch.source, n_source, EOS),
        longer(batch.source_keep, n_source, False),
        longer(batch.target, 1, EOS),
        longer(batch.target_keep, 1, False),
        longer(batch.gold, 1, EOS),
    )
