import pytest
import torch

from regard.nn.output import logits_of


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_logits_are_the_products_with_every_row_of_the_weight(lead):
    hidden, weight = drawn(*lead, 4), drawn(7, 4)
    logits = logits_of(hidden, weight, slice(3, 3))
    assert logits.shape == (*lead, 7)
    for i in range(7):
        torch.testing.assert_close(logits[..., i], (hidden * weight[i]).sum(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("never", [slice(3, 4), slice(3, 6), slice(0, 0)])
def test_what_is_never_written_has_no_probability_and_the_others_share_it_all(never):
    hidden, weight = drawn(2, 4), drawn(7, 4)
    logits = logits_of(hidden, weight, never)
    ids = list(range(7))
    others = [i for i in ids if i not in ids[never]]
    assert (logits[:, never] == float("-inf")).all()
    assert torch.equal(logits[:, others], (hidden @ weight.T)[:, others])
    probabilities = logits.softmax(-1)
    assert torch.count_nonzero(probabilities[:, never]) == 0
    torch.testing.assert_close(probabilities[:, others], (hidden @ weight[others].T).softmax(-1), rtol=0, atol=1e-12)


def test_gradients_reach_all_rows_of_the_weight_but_those_that_are_never_written():
    hidden, weight = drawn(2, 4).requires_grad_(), drawn(7, 4).requires_grad_()
    logits_of(hidden, weight, slice(3, 5)).log_softmax(-1)[:, 1].sum().backward()
    assert torch.isfinite(hidden.grad).all()
    assert weight.grad.any(dim=1).tolist() == [True, True, True, False, False, True, True]
