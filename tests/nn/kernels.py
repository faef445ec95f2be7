"""What each fast kernel of attention is held against: `attend`, on the same numbers, under masks of every kind."""

from collections.abc import Callable

import torch
from torch import Tensor

from regard.nn.attention import attend

TOLERANCES = [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.1)]


def heads(*shape: int) -> Tensor:
    """Return numbers of a shape, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def keep_masks(n_queries: int = 4, n_keys: int = 6) -> dict[str, Tensor | None]:
    """Return masks of every kind that occurs, by name."""
    causal = torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)
    padded = (torch.arange(n_keys) < n_keys - 2).expand(2, 1, 1, n_keys)
    an_empty_row = causal.clone()
    an_empty_row[1] = False
    return {"none": None, "causal": causal, "padded": padded, "an empty row": an_empty_row}


def assert_equals_attend(
    kernel: Callable[..., Tensor], n_keys: int, mask: str, dtype: torch.dtype, tolerance: float
) -> None:
    """Assert that a kernel has the outputs and the gradients of `attend`."""
    keep = keep_masks(4, n_keys)[mask]
    results = []
    for function in (lambda *qkv: attend(*qkv, keep)[0], lambda *qkv: kernel(*qkv, keep)):
        qkv = [heads(2, 3, n, 5).to(dtype).requires_grad_() for n in (4, n_keys, n_keys)]
        values = function(*qkv)
        assert values.dtype == dtype
        values.square().sum().backward()
        results.append((values, *(x.grad for x in qkv)))
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=0, atol=tolerance)
