from itertools import pairwise

import pytest
import torch

from regard.batch import BOS, EOS, collate_prompts
from regard.decoding.scoring import batches, pairs_nll, windows_nll
from regard.models import MODELS
from regard.models.gpt import GPT, GPTConfig

CPU = torch.device("cpu")


def drawn(model: torch.nn.Module) -> torch.nn.Module:
    """Return a model all of whose weights matter, also those that start at zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.3
    return model.double().eval()


@pytest.mark.parametrize("n_control", [0, 3])
def test_the_cost_of_windows_is_the_sum_over_what_counts_one_by_one(n_control):
    torch.manual_seed(1)
    model = drawn(GPT(GPTConfig(width=8, n_heads=2), 12, 12, n_control=n_control))
    windows = [([1, 6, 7, 8, 9], 2), ([1, 8], 1), ([6, 7, 8, 9, 10], 4), ([11, 11, 11], 2)]
    expected = 0.0
    for ids, n in windows:
        state = model.begin(collate_prompts([[]]))
        for i, (read, gold) in enumerate(pairwise(ids)):
            logits = model.logits(model.read(torch.tensor([[read]]), state)[:, 0])
            if i >= len(ids) - 1 - n:
                expected -= logits.log_softmax(-1)[0, gold].item()
    for batch_tokens in (1, 8, 1000):
        found = windows_nll(model, windows, batch_tokens, CPU)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_control", [0, 3])
@pytest.mark.parametrize("family", MODELS)
def test_the_cost_of_a_target_is_the_sum_over_its_tokens_and_its_end(family, n_control):
    config, cls = MODELS[family]
    torch.manual_seed(1)
    model = drawn(cls(config.small(), 12, 12, n_control=n_control))
    pairs = [([6, 7, 8], [9, 10]), ([6], []), ([11, 6], [6, 7, 8, 9, 10, 11])]
    found = pairs_nll(model, pairs, CPU)
    for (source, target), nats in zip(pairs, found, strict=True):
        state, expected = model.begin(collate_prompts([[*source, EOS]])), 0.0
        for read, gold in pairwise([BOS, *target, EOS]):
            logits = model.logits(model.read(torch.tensor([[read]]), state)[:, 0])
            expected -= logits.log_softmax(-1)[0, gold].item()
        assert nats == pytest.approx(expected, abs=1e-9)
    assert pairs_nll(model, pairs[::-1], CPU) == found[::-1]  # to the last digit
    assert pairs_nll(model, [], CPU) == []


def test_windows_of_like_length_are_computed_together():
    windows = [([1] * n, 1) for n in (2, 2, 3, 4, 9, 9)]
    assert [[len(ids) for ids, _ in batch] for batch in batches(windows, 9)] == [[2, 2, 3], [4], [9], [9]]
    assert list(batches([], 9)) == []
