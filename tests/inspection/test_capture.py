import pytest
import torch
from torch import Tensor, nn

from regard.batch import BOS, EOS, Batch
from regard.inspection.capture import capture
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


@pytest.mark.parametrize("training", [True, False])
def test_capture_runs_without_dropout_and_leaves_the_mode_alone(training: bool) -> None:
    model = LastWordModel().train(training)

    found = capture(model, one_sentence())

    assert model.training is training
    assert list(found) == ["decoder.cross"]
    assert found["decoder.cross"].dtype == torch.float32
    assert not found["decoder.cross"].requires_grad
    torch.testing.assert_close(found["decoder.cross"], torch.tensor([[[0.0, 0.0, 1.0]] * 2] * 2))


def test_a_failing_model_is_left_in_its_mode() -> None:
    model = LastWordModel().train()
    batch = one_sentence()
    with pytest.raises(AssertionError):
        capture(model, Batch(batch.source, batch.source_keep))
    assert model.training


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
