import pytest
import torch
import torch.nn.functional as F

from regard.nn.loss import CHUNK_ROWS, consistent_loss, output_loss


def inputs(n: int, dtype: torch.dtype):
    torch.manual_seed(n)
    hidden = torch.randn(n, 6, dtype=dtype, requires_grad=True)
    weight = torch.randn(11, 6, dtype=dtype, requires_grad=True)
    return hidden, weight, torch.randint(11, (n,))


@pytest.mark.parametrize("n", [1, CHUNK_ROWS, 2 * CHUNK_ROWS + 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-3)])
def test_loss_and_gradients_equal_cross_entropy(n, smoothing, dtype, tolerance):
    results = []
    for ours in (True, False):
        hidden, weight, gold = inputs(n, dtype)
        if ours:
            loss = output_loss(hidden, weight, gold, smoothing).smoothed
        else:
            loss = F.cross_entropy(hidden @ weight.T, gold, label_smoothing=smoothing, reduction="sum")
        (loss * 0.3).backward()
        results.append((loss, hidden.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_z_loss_is_the_square_of_the_softmaxs_logarithm(smoothing):
    results = []
    for ours in (True, False):
        hidden, weight, gold = inputs(CHUNK_ROWS + 5, torch.float64)
        if ours:
            loss = output_loss(hidden, weight, gold, smoothing, z_loss=0.02).smoothed
        else:
            logits = hidden @ weight.T
            loss = F.cross_entropy(logits, gold, label_smoothing=smoothing, reduction="sum")
            loss = loss + 0.02 * logits.logsumexp(-1).square().sum()
        loss.backward()
        results.append((loss, hidden.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [1, CHUNK_ROWS // 2, CHUNK_ROWS + 3])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.02)])
def test_two_passes_are_held_together_by_kl_both_ways(n, smoothing, z_loss):
    results = []
    for ours in (True, False):
        hidden, weight, gold = inputs(n, torch.float64)
        both = torch.stack([hidden, hidden * torch.linspace(0.5, 2, n, dtype=torch.float64)[:, None] + 0.1])
        if ours:
            loss = consistent_loss(both, weight, gold, 3.0, smoothing, z_loss).smoothed
        else:
            p, q = (torch.log_softmax(x @ weight.T, -1) for x in both)
            apart = F.kl_div(q, p, log_target=True, reduction="sum") + F.kl_div(p, q, log_target=True, reduction="sum")
            means = [output_loss(x, weight, gold, smoothing, z_loss).smoothed / 2 for x in both]
            loss = means[0] + means[1] + 3.0 / 4 * apart
            assert apart > 0.01
        (loss * 0.3).backward()
        results.append((loss, hidden.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def test_nll_is_the_loss_without_smoothing():
    hidden, weight, gold = inputs(9, torch.float64)
    smoothed, plain = output_loss(hidden, weight, gold, 0.2), output_loss(hidden, weight, gold)
    assert smoothed.nll.item() == plain.smoothed.item() == plain.nll.item()
    assert smoothed.n_tokens == 9


def test_without_gradients_the_loss_is_the_same():
    hidden, weight, gold = inputs(CHUNK_ROWS + 1, torch.float64)
    expected = output_loss(hidden, weight, gold, 0.1).smoothed
    with torch.no_grad():
        assert output_loss(hidden, weight, gold, 0.1).smoothed == expected


def test_a_huge_logit_does_not_overflow():
    hidden = torch.tensor([[1e4, 0.0]], requires_grad=True)
    loss = output_loss(hidden, torch.eye(2), torch.tensor([1]))
    assert float(loss.nll) == pytest.approx(1e4)


def test_under_autocast_products_are_rounded_and_sums_are_not():
    hidden, weight, gold = inputs(2 * CHUNK_ROWS + 3, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = output_loss(hidden, weight, gold, 0.1)
    loss.smoothed.backward()
    found = loss.smoothed, hidden.grad, weight.grad
    assert {x.dtype for x in found} == {torch.float32}
    logits = (hidden.bfloat16() @ weight.bfloat16().T).float()
    torch.testing.assert_close(
        loss.smoothed, F.cross_entropy(logits, gold, label_smoothing=0.1, reduction="sum"), rtol=1e-5, atol=0
    )
    hidden.grad = weight.grad = None
    output_loss(hidden, weight, gold, 0.1).smoothed.backward()
    for rounded, plain in zip(found[1:], (hidden.grad, weight.grad), strict=True):
        assert 0 < (rounded - plain).norm() < 0.01 * plain.norm()
