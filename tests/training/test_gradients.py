import weakref
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

from regard.batch import Batch, collate, twice
from regard.errors import TrainingError
from regard.models.transformer import Transformer, TransformerConfig
from regard.training import gradients
from regard.training.config import TrainingConfig
from regard.training.gradients import Gradients, batch_loss
from regard.training.processes import Processes

SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8, dropout_rate=0)
BATCH = collate([[3, 4, 5], [6, 7], [8], [9, 3, 4, 5, 6]], [[8, 9], [10, 11, 12], [3], [4, 4, 4]])
N_TOKENS = 3 + 4 + 2 + 4


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(SMALL, 13, 13).double()


def gradients_of(model: Transformer, processes: Processes = Processes()) -> Gradients:  # noqa: B008
    return Gradients(model, TrainingConfig(), torch.device("cpu"), processes)


def expected_of(model: Transformer) -> list[torch.Tensor]:
    """The gradients of the whole batch's mean loss."""
    loss = batch_loss(model, BATCH, 0.1)
    (loss.smoothed / N_TOKENS).backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    return found


@pytest.mark.parametrize("n_parts", [1, 2, 3, 4, 8])
def test_batches_taken_in_parts_give_the_same_gradients(model, n_parts):
    expected, whole = expected_of(model), batch_loss(model, BATCH, 0.1)
    ours = gradients_of(model)
    ours.n_parts = n_parts
    loss = ours.add(BATCH)
    assert loss.n_tokens == N_TOKENS
    torch.testing.assert_close(loss.smoothed, whole.smoothed.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(loss.nll, whole.nll, rtol=0, atol=1e-12)
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=0, atol=1e-12)


def test_r_drop_passes_a_batch_twice_and_adds_how_far_apart_the_passes_are():
    model = Transformer(SMALL.model_copy(update={"dropout_rate": 0.4}), 13, 13).double()
    torch.manual_seed(1)
    loss = Gradients(model, TrainingConfig(r_drop=3.0), torch.device("cpu"), Processes()).add(BATCH)
    torch.manual_seed(1)
    with torch.no_grad():
        both = (model(twice(BATCH)) @ model.output_weight.T).log_softmax(-1).chunk(2)
    p, q = (log_p[BATCH.target_keep] for log_p in both)
    gold = BATCH.gold[BATCH.target_keep]
    smoothed, nll = (
        sum(F.cross_entropy(x, gold, label_smoothing=share, reduction="sum") / 2 for x in (p, q)) for share in (0.1, 0)
    )
    apart = sum(F.kl_div(a, b, log_target=True, reduction="sum") for a, b in ((p, q), (q, p)))
    assert loss.n_tokens == N_TOKENS and apart > 0.1
    torch.testing.assert_close(loss.smoothed, smoothed + 3 / 4 * apart, rtol=0, atol=1e-9)
    torch.testing.assert_close(loss.nll, nll, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_shares_of_all_processes_are_the_batch(model, size, monkeypatch):
    monkeypatch.setattr(gradients, "DistributedDataParallel", lambda objective: objective)
    expected, nll = expected_of(model), 0.0
    for rank in range(size):
        loss = gradients_of(model, Processes(rank, size)).add(BATCH)
        nll += float(loss.nll)
        assert loss.n_tokens == N_TOKENS
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad / size, gradient, rtol=0, atol=1e-12)  # the engine takes the mean
    assert nll == pytest.approx(float(batch_loss(model, BATCH, 0.1).nll), abs=1e-12)


@pytest.mark.parametrize("fits", [1, 3, 0])
def test_a_batch_that_does_not_fit_into_memory_is_taken_in_parts(model, monkeypatch, fits):
    def small_machine(model, batch: Batch, *settings):
        if len(batch.source) > fits:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 3 GiB")
        return batch_loss(model, batch, *settings)

    monkeypatch.setattr(gradients, "batch_loss", small_machine)
    ours, said = gradients_of(model), []
    if not fits:
        with pytest.raises(TrainingError, match=r"Not even one sentence .*tried to allocate 3 GiB"):
            ours.rehearse(BATCH, list, said.append)
        return
    ours.rehearse(BATCH, list, said.append)
    assert ours.n_parts == {1: 4, 3: 2}[fits]
    assert said[-1] == f"The largest batch does not fit into memory: batches are split into {ours.n_parts} parts."
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("message", ["shapes do not fit", "CUDA error: an illegal memory access was encountered"])
def test_an_error_that_is_not_of_too_little_memory_is_not_hidden(model, monkeypatch, message):
    def broken(*_):
        raise RuntimeError(message)

    monkeypatch.setattr(gradients, "batch_loss", broken)
    with pytest.raises(RuntimeError, match=message):
        gradients_of(model).rehearse(BATCH, list, print)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: out of memory",
        "DefaultCPUAllocator: can't allocate memory: 9 GB",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_with_sharded_weights_a_batch_that_does_not_fit_is_refused(model, monkeypatch, message):
    def small_machine(*_):
        raise RuntimeError(message)

    monkeypatch.setattr(gradients, "batch_loss", small_machine)
    ours = gradients_of(model)
    ours.sharded = True
    monkeypatch.setattr(ours, "gathering", lambda wanted: nullcontext())
    with pytest.raises(TrainingError, match=f"does not fit into memory .{message}.*training.batch_tokens, or use more"):
        ours.rehearse(BATCH, list, print)


def test_what_is_reserved_is_held_while_the_batch_is_tried_and_no_longer(model, monkeypatch):
    reserved, held = [], []

    def reserve() -> list[torch.Tensor]:
        tensors = [torch.empty(3), torch.empty(2)]
        reserved.extend(map(weakref.ref, tensors))
        return tensors

    def watched(model, batch: Batch, *settings):
        held.append([ref() is not None for ref in reserved])
        return batch_loss(model, batch, *settings)

    monkeypatch.setattr(gradients, "batch_loss", watched)
    gradients_of(model).rehearse(BATCH, reserve, print)
    assert held == [[True, True]]
    assert [ref() for ref in reserved] == [None, None]


def test_memory_that_does_not_suffice_for_what_is_reserved_ends_the_training(model):
    def reserve() -> list[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    with pytest.raises(TrainingError, match=r"Not even one sentence .*Tried to allocate 9 GiB"):
        gradients_of(model).rehearse(BATCH, reserve, lambda _: None)


@pytest.mark.parametrize("r_drop", [0.0, 3.0])
def test_control_ids_have_no_part_in_the_loss_of_a_batch(r_drop):
    """With two passes too, and whatever stands in their rows of the output layer."""
    torch.manual_seed(0)
    model = Transformer(SMALL.model_copy(update={"tied": "none"}), 13, 16, n_control=3).double()
    targets = [[11, 12], [13, 14, 15], [6], [7, 7, 7]]
    batch = collate([[3, 4, 5], [6, 7], [8], [9, 3, 4, 5, 6]], targets)
    losses = []
    for factor in (1.0, 50.0):
        model.zero_grad()
        with torch.no_grad():
            model.output_weight[3:6] *= factor
        loss = batch_loss(model, batch, 0.1, 0.01, r_drop)
        loss.smoothed.backward()
        losses.append(torch.stack([loss.smoothed.detach(), loss.nll]))
        assert torch.count_nonzero(model.output_weight.grad[3:6]) == 0
    torch.testing.assert_close(*losses, rtol=0, atol=1e-9)
    gold = batch.gold[batch.target_keep]
    log_p = model.logits(model(batch))[batch.target_keep].log_softmax(-1)
    torch.testing.assert_close(losses[0][1], -log_p.gather(1, gold[:, None]).sum().detach(), rtol=0, atol=1e-9)
