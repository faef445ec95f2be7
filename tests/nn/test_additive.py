import torch
from tests.reference import softmax

from regard.nn.additive import AdditiveAttention


def test_contexts_and_weights_equal_the_loops():
    torch.manual_seed(0)
    attention = AdditiveAttention(4, 6, 5).double()
    queries, memory = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 7, 6, dtype=torch.float64)
    contexts, weights = attention(queries, attention.key(memory), memory, torch.ones(2, 7, dtype=torch.bool))
    for b in range(2):
        for t in range(3):
            hidden = [torch.tanh(attention.query.weight @ queries[b, t] + attention.key.weight @ h) for h in memory[b]]
            expected = torch.tensor(softmax([(attention.energy @ x).item() for x in hidden]), dtype=torch.float64)
            torch.testing.assert_close(weights[b, t], expected, rtol=0, atol=1e-12)
            context = sum(w * h for w, h in zip(expected, memory[b], strict=True))
            torch.testing.assert_close(contexts[b, t], context, rtol=0, atol=1e-12)


def test_padding_gets_no_weight():
    torch.manual_seed(0)
    attention = AdditiveAttention(4, 6, 5)
    memory, keep = torch.randn(1, 3, 6), torch.tensor([[True, True, False]])
    _, weights = attention(torch.randn(1, 2, 4), attention.key(memory), memory, keep)
    assert torch.count_nonzero(weights[..., 2]) == 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2))
