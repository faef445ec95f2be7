import pytest
import torch

from regard.batch import collate
from regard.models.transformer import Transformer, TransformerConfig
from regard.training.config import TrainingConfig
from regard.training.gradients import batch_loss
from regard.training.optimiser import Optimiser

SMALL = TransformerConfig(
    width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8, dropout_rate=0, initialisation="glorot"
)


def steps(model, optimiser, n: int) -> None:
    batch = collate([[3, 4, 5], [6, 7]], [[8, 9], [10, 11, 12]])
    for _ in range(n):
        loss = batch_loss(model, batch, 0.1)
        (loss.smoothed / loss.n_tokens).backward()
        optimiser.step(0.5)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_parameter_is_updated_once(kind):
    torch.manual_seed(0)
    model = Transformer(SMALL, 13, 13)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = Optimiser(model, TrainingConfig(optimiser=kind))
    owned = [id(p) for part in optimiser.parts for group in part.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())
    steps(model, optimiser, 1)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())


def test_muon_has_the_matrices_and_no_embedding():
    model = Transformer(SMALL, 13, 13)
    muon = Optimiser(model, TrainingConfig()).parts[0].param_groups[0]["params"]
    assert {p.ndim for p in muon} == {2}
    assert all(p is not model.output_weight for p in muon)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_restored_optimisers_go_on_as_if_nothing_had_been(kind):
    config = TrainingConfig(optimiser=kind)
    torch.manual_seed(0)
    model = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(model, config)
    steps(model, optimiser, 3)
    torch.manual_seed(1)
    twin = Transformer(SMALL, 13, 13)
    twin.load_state_dict(model.state_dict())
    restored = Optimiser(twin, config)
    restored.restore({name: tensor.clone() for name, tensor in optimiser.tensors().items()})
    steps(model, optimiser, 2)
    steps(twin, restored, 2)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


def test_at_factor_zero_nothing_moves():
    model = Transformer(SMALL, 13, 13)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = Optimiser(model, TrainingConfig(weight_decay=0.1))
    batch_loss(model, collate([[3]], [[4]]), 0.0).smoothed.backward()
    optimiser.step(0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_what_is_reserved_is_as_large_as_what_is_remembered_after_a_step(kind):
    model = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(model, TrainingConfig(optimiser=kind))
    reserved = sorted(t.shape for t in optimiser.reserve())
    steps(model, optimiser, 1)
    assert reserved == sorted(t.shape for t in optimiser.tensors().values() if t.ndim)


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_what_may_be_remembered_is_what_is_remembered_after_a_step(kind, ema_decay):
    model = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(model, TrainingConfig(optimiser=kind, ema_decay=ema_decay))
    before = optimiser.remembered()
    assert optimiser.tensors().keys() <= before.keys()
    steps(model, optimiser, 1)
    assert {name: (tuple(x.shape), x.dtype) for name, x in optimiser.tensors().items()} == before
    assert optimiser.remembered() == before


def test_a_parameter_without_a_gradient_is_not_remembered_but_might_be():
    model = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(model, TrainingConfig(optimiser="adamw"))
    batch_loss(model, collate([[3]], [[4]]), 0.0).smoothed.backward()
    model.decoder_norm.weight.grad = None
    optimiser.step(0.5)
    assert len(optimiser.remembered()) == len(optimiser.tensors()) + 3
