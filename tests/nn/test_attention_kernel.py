import pytest
import torch
from tests.nn.kernels import TOLERANCES, assert_equals_attend, heads, keep_masks

from regard.nn.attention import attend, attend_fast
from regard.nn.attention_kernel import FEWEST_KEYS, MOST_KEYS, attend_short, is_short


@pytest.mark.parametrize("n_keys", [6, FEWEST_KEYS, 20, 300])
@pytest.mark.parametrize("mask", keep_masks())
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_the_kernel_equals_attend_in_outputs_and_gradients(n_keys, mask, dtype, tolerance):
    assert_equals_attend(attend_short, n_keys, mask, dtype, tolerance)


def test_its_backward_pass_is_that_of_its_forward_pass():
    """By differences of the outputs, which know no formula for a gradient."""
    keep = torch.ones(3, 5, dtype=torch.bool).tril(1)
    keep[2] = False
    qkv = [heads(1, 2, n, 3).requires_grad_() for n in (3, 5, 5)]
    assert torch.autograd.gradcheck(lambda q, k, v: attend_short(q, k, v, keep), qkv)


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_gives_no_gradient():
    q, k, v = (heads(1, 2, n, 4).requires_grad_() for n in (3, 5, 5))
    keep = torch.ones(3, 5, dtype=torch.bool)
    keep[1] = False
    values = attend_short(q, k, v, keep)
    assert torch.count_nonzero(values[:, :, 1]) == 0
    gradients = torch.autograd.grad(values[:, :, 1].sum(), (q, k, v))
    assert all(torch.count_nonzero(gradient) == 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("dtype", "n_queries", "n_keys", "short"),
    [
        *((torch.bfloat16, 2, MOST_KEYS, True), (torch.bfloat16, 2, MOST_KEYS + 1, False)),
        *((torch.bfloat16, 1, 8, False), (torch.float32, 2, 8, False), (torch.float64, 2, 8, False)),
    ],
)
def test_it_is_for_more_queries_than_one_and_few_keys_in_bfloat16(dtype, n_queries, n_keys, short):
    q, k = torch.zeros(1, 1, n_queries, 4, dtype=dtype), torch.zeros(1, 1, n_keys, 4, dtype=dtype)
    assert is_short(q, k) == short


def test_it_is_for_float32_as_well_where_autocast_takes_products_in_bfloat16():
    q, k = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 8, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert is_short(q, k)


@pytest.mark.parametrize("size", [(2, 7, 4), (1, 8, 16)])
def test_the_kernel_leaves_its_inputs_as_they_were(size):
    q, k, v = (heads(1, *size).requires_grad_() for _ in range(3))
    before = [x.detach().clone() for x in (q, k, v)]
    attend_short(q, k, v).sum().backward()
    assert all(torch.equal(x.detach(), old) for x, old in zip((q, k, v), before, strict=True))


def test_short_sequences_under_autocast_are_attended_to_as_attend_does_there():
    q, k, v = heads(2, 3, 9, 8).float(), heads(2, 3, 9, 8).float() * 0.7, heads(2, 3, 9, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = attend_fast(q, k, v, causal=True), attend(q, k, v, torch.ones(9, 9, dtype=torch.bool).tril())
    assert found.dtype == expected[0].dtype == torch.bfloat16
    torch.testing.assert_close(found, expected[0], rtol=0, atol=0.02)


@pytest.mark.parametrize("n", [MOST_KEYS, MOST_KEYS + 1])
def test_weights_are_remembered_up_to_so_many_keys(n):
    sizes: list[int] = []
    q, k, v = (torch.randn(1, 1, n, 4, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        attend_fast(q, k, v, causal=True)
    assert max(sizes) == (n * n if n == MOST_KEYS else n * 4)
