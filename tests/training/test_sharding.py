import copy

import pytest
import torch
import torch.distributed as dist

from regard.batch import collate
from regard.models.transformer import Transformer, TransformerConfig
from regard.training.averaging import holding
from regard.training.config import TrainingConfig
from regard.training.gradients import Gradients
from regard.training.optimiser import Optimiser
from regard.training.processes import Processes
from regard.training.sharding import gathered, is_spread, shard, spread_as, unspread

SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8, dropout_rate=0)
BATCH = collate([[3, 4, 5], [6, 7]], [[8, 9], [10, 11, 12]])
CONFIG = TrainingConfig(ema_decay=0.5, weight_decay=0.1)


@pytest.fixture
def group():
    """A group of one process, so that shares are whole and everything else is as among many."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(SMALL, 13, 13)


def trained(model: Transformer, *, spread: bool, steps: int = 3) -> Optimiser:
    """Take steps with a model, spread or not, and return its optimiser."""
    gradients = Gradients(model, CONFIG, torch.device("cpu"), Processes())
    if spread:
        gradients.objective, gradients.sharded = shard(gradients.objective, "cpu", 1), True
    optimiser = Optimiser(model, CONFIG)
    for _ in range(steps):
        gradients.add(BATCH)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step(1.0)
    return optimiser


@pytest.mark.usefixtures("group")
def test_spread_weights_learn_what_whole_ones_do(model):
    plain, spread = copy.deepcopy(model), copy.deepcopy(model)
    expected, found = trained(plain, spread=False).tensors(), trained(spread, spread=True).tensors()
    assert all(is_spread(p) for p in spread.parameters()) and not any(map(is_spread, plain.parameters()))
    weights = gathered(spread, {})
    assert weights.keys() == dict(plain.named_parameters()).keys()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(weights[name], parameter.detach(), rtol=0, atol=1e-6)
    assert found.keys() == expected.keys() and not any(map(is_spread, found.values()))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("group")
def test_what_a_checkpoint_remembers_is_spread_again(model):
    saved = trained(copy.deepcopy(model), spread=True).tensors()
    again = trained(model, spread=True, steps=0)
    again.restore({name: tensor.clone() for name, tensor in saved.items()})
    found = again.tensors()
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
    momenta = [state["momentum"] for state in again.parts[0].state.values()]
    assert momenta and all(map(is_spread, momenta))


@pytest.mark.usefixtures("group")
def test_a_whole_model_can_hold_the_weights_of_a_spread_one(model):
    spread = copy.deepcopy(model)
    trained(spread, spread=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with holding(model, gathered(spread, {})):
        for (name, parameter), theirs in zip(model.named_parameters(), spread.parameters(), strict=True):
            assert torch.equal(parameter, unspread(theirs)), name
            assert not torch.equal(parameter, before[name]), name
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_what_is_not_spread_is_left_as_it_is(model):
    tensor = torch.ones(2)
    assert unspread(tensor) is tensor is spread_as(tensor, torch.zeros(2))
    assert gathered(model, {}) == {}
    assert gathered(model, {"a": tensor})["a"].tolist() == [1.0, 1.0]
