import pytest
import torch

from regard.nn.ladder import embed
from regard.nn.ladder_proof import comparisons


@pytest.mark.parametrize("seed", [123, 7])
@pytest.mark.parametrize("n_tokens", [2, 6])
def test_every_rung_equals_the_one_below_in_outputs_and_gradients(seed, n_tokens):
    x = torch.rand(n_tokens, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = comparisons(x, seed)
    assert len(found) == 11
    for comparison in found:
        one, other = comparison.outputs
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12, msg=lambda m, n=comparison.name: f"{n}: {m}")
        for a, b in zip(*comparison.gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12, msg=lambda m, n=comparison.name: f"{n}: {m}")
            assert torch.count_nonzero(b) > 0


def test_comparisons_are_in_the_precision_of_the_sentence_and_leave_it_alone():
    x = embed(["the", "cat", "saw", "the", "dog"], 6)
    before = x.clone()
    for comparison in comparisons(x):
        tensors = [*comparison.outputs, *comparison.gradients[0], *comparison.gradients[1]]
        assert all(y.dtype == torch.float32 and not y.requires_grad for y in tensors)
    assert torch.equal(x, before) and not x.requires_grad and x.grad is None
