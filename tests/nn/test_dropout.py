import pytest
import torch

from regard.nn.dropout import Dropout, random_keep


def test_in_evaluation_nothing_is_dropped():
    x = torch.randn(5, 7)
    assert Dropout(0.5).eval()(x) is x


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.75])
def test_the_share_that_is_dropped_is_the_rate_and_the_rest_is_scaled(rate):
    torch.manual_seed(0)
    n = 200_000
    x = torch.ones(n)
    dropped = Dropout(rate)(x)
    rounded = round(rate * 256) / 256
    share = float((dropped == 0).float().mean())
    assert abs(share - rounded) < 6 * (rounded * (1 - rounded) / n) ** 0.5
    torch.testing.assert_close(dropped[dropped != 0].unique(), torch.tensor([1 / (1 - rounded)]))


def test_the_highest_rate_leaves_numbers():
    torch.manual_seed(0)
    dropped = Dropout(0.9999).train()(torch.ones(100_000))
    assert set(dropped.unique().tolist()) == {0.0, 256.0}


def test_the_gradient_flows_where_the_value_did():
    torch.manual_seed(0)
    x = torch.randn(300, requires_grad=True)
    y = Dropout(0.4)(x)
    y.backward(torch.full_like(y, 2.0))
    torch.testing.assert_close(x.grad, 2.0 * y.detach() / x.detach())


def test_a_seed_repeats_the_mask_and_no_two_masks_are_alike():
    torch.manual_seed(3)
    first, second = (random_keep(torch.Size([40, 9]), 128, torch.device("cpu")) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(random_keep(torch.Size([40, 9]), 128, torch.device("cpu")), first)
    assert not torch.equal(first, second)


def test_neighbours_are_independent():
    torch.manual_seed(0)
    keep = random_keep(torch.Size([1000, 800]), 128, torch.device("cpu")).float()
    products = (keep[:, 1:] * keep[:, :-1]).mean()
    assert abs(float(products) - 0.25) < 0.005


def test_a_vector_is_dropped_as_a_whole_where_that_is_asked_for():
    torch.manual_seed(0)
    x = torch.randn(300, 5, requires_grad=True)
    dropped = Dropout(0.5, whole=True)(x)
    is_kept = (dropped != 0).any(-1)
    assert 100 < int(is_kept.sum()) < 200
    torch.testing.assert_close(dropped, x * 2 * is_kept[:, None])
    dropped.sum().backward()
    assert torch.equal(x.grad, 2.0 * is_kept[:, None].expand_as(x))
