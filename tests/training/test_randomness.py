import pytest
import torch

from regard.training.randomness import random_state, set_random_state

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose random numbers have a state that can be looked at."""
    state = {GPU: torch.arange(16, dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, device: state.update({device: new}))
    return state


def test_random_numbers_go_on_where_they_were():
    state = random_state(CPU)
    expected = torch.rand(3)
    set_random_state(state, CPU)
    assert torch.equal(torch.rand(3), expected)


def test_those_of_a_gpu_go_on_beside_those_of_the_cpu(gpu):
    state = random_state(GPU)
    expected = torch.rand(3)
    gpu[GPU] = torch.zeros(16, dtype=torch.uint8)
    set_random_state(state, GPU)
    assert torch.equal(torch.rand(3), expected)
    assert gpu[GPU].tolist() == list(range(16))


def test_a_run_may_go_on_with_or_without_the_gpu_it_began_on(gpu):
    of_both, of_cpu = random_state(GPU), random_state(CPU)
    set_random_state(of_both, CPU)
    expected = torch.rand(3)
    set_random_state(of_cpu, GPU)
    assert torch.equal(torch.rand(3), expected)
    assert gpu[GPU].tolist() == list(range(16))
