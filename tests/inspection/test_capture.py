import pytest
import torch
from torch import Tensor, nn

from regard.batch import BOS, EOS, Batch, collate, collate_text
from regard.inspection.capture import BYTES_A_WEIGHT, capture, capture_bytes
from regard.models import MODELS
from regard.nn.trace import Trace


class LastWordModel(nn.Module):
    """Looks at the last source position only, unless it is training: then it looks nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch, trace: Trace | None = None) -> Tensor:
        assert batch.target is not None
        weights = torch.zeros(len(batch.source), 2, batch.target.shape[1], batch.source.shape[1], dtype=torch.float64)
        weights[..., -1] = 0.0 if self.training else 1.0
        weights = weights * self.scale
        if trace is not None:
            trace.record("decoder.cross", weights)
        return weights


def one_sentence(n_sentences: int = 1) -> Batch:
    source = torch.tensor([[7, 8, EOS]]).repeat(n_sentences, 1)
    target = torch.tensor([[BOS, 9]]).repeat(n_sentences, 1)
    return Batch(source, source > 0, target, target > 0)


def test_capture_gives_the_weights_of_the_sentence_in_single_precision_and_without_gradients() -> None:
    found = capture(LastWordModel().eval(), one_sentence())

    assert list(found) == ["decoder.cross"]
    assert found["decoder.cross"].dtype == torch.float32
    assert not found["decoder.cross"].requires_grad
    torch.testing.assert_close(found["decoder.cross"], torch.tensor([[[0.0, 0.0, 1.0]] * 2] * 2))


@pytest.mark.parametrize("training", [True, False])
def test_capture_changes_nothing_of_the_model(training: bool) -> None:
    """Several threads may look into one model, so its mode is left to whoever owns it."""
    model = LastWordModel().train(training)
    found = capture(model, one_sentence())
    assert model.training is training and model.scale.grad is None
    assert bool(found["decoder.cross"].any()) is not training


def test_a_failing_model_is_left_in_its_mode() -> None:
    model = LastWordModel().eval()
    batch = one_sentence()
    with pytest.raises(AssertionError):
        capture(model, Batch(batch.source, batch.source_keep))
    assert not model.training


def bytes_of(model: nn.Module, batch: Batch) -> int:
    """Return what the maps of a sentence take, all of them computed."""
    return BYTES_A_WEIGHT * sum(weights.numel() for weights in capture(model, batch).values())


@pytest.mark.parametrize("family", MODELS)
def test_the_memory_that_is_needed_is_known_from_the_first_few_tokens(family: str) -> None:
    config, cls = MODELS[family]
    model = cls(config.small(), 50, 50).eval()
    for n_source, n_target in ((4, 3), (20, 9), (9, 31), (40, 40), (1, 60)):
        batch = collate([[10 + i % 40 for i in range(n_source)]], [[20 + i % 30 for i in range(n_target)]])
        needed, told = bytes_of(model, batch), capture_bytes(model, batch)
        assert needed <= told <= needed * 1.5 + BYTES_A_WEIGHT * 1000


def test_the_memory_of_running_text_is_known_too() -> None:
    config, cls = MODELS["gpt"]
    model = cls(config.small(), 50, 50).eval()
    for n in (1, 2, 3, 50):
        batch = collate_text([[BOS, *range(10, 10 + n % 40), EOS]])
        assert capture_bytes(model, batch) == bytes_of(model, batch)


def test_a_model_without_attention_needs_none() -> None:
    config, cls = MODELS["rnn"]
    assert capture_bytes(cls(config.small(), 50, 50).eval(), collate([[10] * 9], [[11] * 9])) == 0


def test_no_more_than_a_few_tokens_are_looked_at() -> None:
    model, seen = LastWordModel().eval(), []
    forward = model.forward
    model.forward = lambda batch, trace=None: (
        seen.append((batch.source.shape[1], batch.target.shape[1])),
        forward(batch, trace),
    )[1]
    source, target = torch.full((1, 5000), 7), torch.full((1, 7000), 8)
    told = capture_bytes(model, Batch(source, source > 0, target, target > 0))
    assert seen == [(4, 3)]
    assert told == BYTES_A_WEIGHT * 2 * 7000 * 5000


def test_capture_takes_one_sentence_at_a_time() -> None:
    with pytest.raises(AssertionError, match="one sentence at a time, not at 2"):
        capture(LastWordModel(), one_sentence(2))


def test_a_trace_keeps_the_very_tensor_in_the_order_of_recording() -> None:
    trace, first, second = Trace(), torch.ones(1, 1, 1, 1, requires_grad=True), torch.ones(1, 1, 1, 1)
    trace.record("b", first)
    trace.record("a", second)
    assert list(trace.weights) == ["b", "a"]
    assert trace.weights["b"] is first


def test_a_trace_refuses_a_name_twice() -> None:
    trace = Trace()
    trace.record("decoder.cross", torch.ones(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"decoder\.cross was recorded twice"):
        trace.record("decoder.cross", torch.ones(1, 1, 1, 1))
