import pytest
import torch
from tests.reference import attention

from regard.nn.causal import CausalAttention
from regard.nn.positions import turns
from regard.nn.state import State


def build(**settings) -> CausalAttention:
    torch.manual_seed(2)
    return CausalAttention(8, 4, 2, **{"bias": False, "qk_norm": False} | settings).double()


@pytest.mark.parametrize("qk_norm", [False, True])
def test_each_position_attends_to_the_ones_before_it_head_by_head(qk_norm):
    layer = build(qk_norm=qk_norm)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    queries, keys, values = (x[0] @ layer.qkv.weight.T).split([8, 4, 4], dim=1)

    def head(y: torch.Tensor, i: int, normed: bool) -> torch.Tensor:
        part = y[:, 2 * i : 2 * i + 2]
        return part / part.square().mean(1, keepdim=True).sqrt() if normed else part

    heads = []
    for i in range(4):  # two heads share each of the two groups of keys and values
        q, k, v = head(queries, i, qk_norm), head(keys, i // 2, qk_norm), head(values, i // 2, False)
        heads.append(torch.cat([attention(q[t : t + 1], k[: t + 1], v[: t + 1]) for t in range(5)]))
    expected = torch.cat(heads, dim=1) @ layer.output.weight.T
    found, cache = layer(x, None, None, None, "", 0)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-6 if qk_norm else 1e-12)
    torch.testing.assert_close(cache[1][0].transpose(0, 1).flatten(1), values)


@pytest.mark.parametrize("span", [None, 2])
def test_one_position_at_a_time_gives_the_same_and_looks_back_no_further_than_the_span(span):
    layer = build()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    distance = torch.arange(5)[:, None] - torch.arange(5)
    visible = ((distance >= 0) & (distance < (span or 5)))[None, None]
    expected, _ = layer(x, turns(torch.arange(5)[None], 2), visible, None, "", 0)
    state = State(1, x, span)
    state.caches = {"0.keys": x.new_empty(1, 2, 0, 2), "0.values": x.new_empty(1, 2, 0, 2)}
    for t in range(5):
        reading = state.advance(1)
        assert reading.positions.tolist() == [[t]]
        found = layer.read(x[:, t : t + 1], turns(reading.positions, 2), reading, "0")
        torch.testing.assert_close(found[0, 0], expected[0, t], rtol=0, atol=1e-12)
    assert int((state.visible == 0).sum()) == (span or 5)
