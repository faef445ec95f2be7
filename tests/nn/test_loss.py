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


def without(logits: torch.Tensor, never: slice) -> torch.Tensor:
    """Return the columns of logits that remain."""
    return torch.cat([logits[..., : never.start], logits[..., never.stop :]], dim=-1)


def written_gold(gold: torch.Tensor, never: slice, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gold ids that may be written, and their columns among those that remain."""
    remaining = [i for i in range(n) if not never.start <= i < never.stop]
    columns = gold % len(remaining)
    return torch.tensor(remaining)[columns], columns


NEVER = [slice(3, 3), slice(3, 4), slice(3, 8), slice(3, 11), slice(0, 0)]


@pytest.mark.parametrize("never", NEVER)
@pytest.mark.parametrize("n", [1, CHUNK_ROWS + 3])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.02)])
def test_ids_that_are_never_written_have_no_part_in_the_loss(never, n, smoothing, z_loss):
    """Equal to PyTorch's over the columns that remain, gradients too; the rows of the others have none."""
    results = []
    for ours in (True, False):
        hidden, weight, gold = inputs(n, torch.float64)
        gold, columns = written_gold(gold, never, len(weight))
        if ours:
            loss = output_loss(hidden, weight, gold, smoothing, z_loss, never).smoothed
        else:
            logits = without(hidden @ weight.T, never)
            loss = F.cross_entropy(logits, columns, label_smoothing=smoothing, reduction="sum")
            loss = loss + z_loss * logits.logsumexp(-1).square().sum()
        (loss * 0.3).backward()
        results.append((loss, hidden.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    assert torch.count_nonzero(results[0][2][never]) == 0


@pytest.mark.parametrize("never", NEVER)
@pytest.mark.parametrize("n", [1, CHUNK_ROWS // 2 + 3])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.02)])
def test_ids_that_are_never_written_have_no_part_in_what_holds_two_passes_together(never, n, smoothing, z_loss):
    results = []
    for ours in (True, False):
        hidden, weight, gold = inputs(n, torch.float64)
        gold, columns = written_gold(gold, never, len(weight))
        both = torch.stack([hidden, hidden * torch.linspace(0.5, 2, n, dtype=torch.float64)[:, None] + 0.1])
        if ours:
            loss = consistent_loss(both, weight, gold, 3.0, smoothing, z_loss, never).smoothed
        else:
            logits = [without(x @ weight.T, never) for x in both]
            p, q = (x.log_softmax(-1) for x in logits)
            apart = F.kl_div(q, p, log_target=True, reduction="sum") + F.kl_div(p, q, log_target=True, reduction="sum")
            means = [F.cross_entropy(x, columns, label_smoothing=smoothing, reduction="sum") / 2 for x in logits]
            squares = sum(x.logsumexp(-1).square().sum() for x in logits) / 2
            loss = means[0] + means[1] + z_loss * squares + 3.0 / 4 * apart
        (loss * 0.3).backward()
        results.append((loss, hidden.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    assert torch.count_nonzero(results[0][2][never]) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("r_drop", [0.0, 3.0])
def test_in_other_precisions_ids_that_are_never_written_have_no_part_either(dtype, r_drop):
    """Whatever their weights are: far larger ones would outweigh all others."""
    never, losses, gradients = slice(3, 6), [], []
    for far in (1.0, 1e4):
        hidden, weight, gold = inputs(40, torch.float32)
        gold, _ = written_gold(gold, never, len(weight))
        with torch.no_grad():
            weight[never] *= far
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            both = torch.stack([hidden, hidden * 1.1])
            loss = (
                consistent_loss(both, weight, gold, r_drop, 0.1, 0.01, never)
                if r_drop
                else output_loss(hidden, weight, gold, 0.1, 0.01, never)
            )
        loss.smoothed.backward()
        assert torch.count_nonzero(weight.grad[never]) == 0 and weight.grad.isfinite().all()
        losses.append(torch.stack([loss.smoothed.detach(), loss.nll]))
        gradients.append(hidden.grad)
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0.05)
