import pytest
import torch

from regard.nn.multiplicative import MultiplicativeAttention


def test_contexts_and_weights_equal_loops():
    torch.manual_seed(1)
    attention = MultiplicativeAttention(4, 6, project=True).double()
    queries, memory = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 6, dtype=torch.float64)
    keep = torch.tensor([[True] * 5, [True, True, False, False, False]])
    contexts, weights = attention(queries, attention.key(memory), memory, keep)
    for b in range(2):
        real = int(keep[b].sum())
        for t in range(3):
            energies = torch.stack([queries[b, t] @ (attention.key.weight @ memory[b, s]) for s in range(real)])
            expected = energies.exp() / energies.exp().sum()
            torch.testing.assert_close(weights[b, t, :real], expected, rtol=0, atol=1e-12)
            torch.testing.assert_close(contexts[b, t], expected @ memory[b, :real], rtol=0, atol=1e-12)
    assert torch.count_nonzero(weights[1, :, 2:]) == 0


def test_a_dot_product_needs_one_width():
    assert list(MultiplicativeAttention(4, 4, project=False).parameters()) == []
    with pytest.raises(AssertionError, match="same width"):
        MultiplicativeAttention(4, 6, project=False)
