import pytest
import torch
from tests.nn.kernels import TOLERANCES, assert_equals_attend, heads, keep_masks
from tests.reference import JOURNEY, attention

from regard.nn.attention import (
    CrossAttention,
    SelfAttention,
    attend,
    attend_fast,
    merge_heads,
    split_heads,
)
from regard.nn.state import State
from regard.nn.trace import Trace


def test_trainable_attention_gives_the_books_values():
    torch.manual_seed(123)
    query, key, value = (torch.rand(3, 2) for _ in range(3))
    q, k, v = ((JOURNEY @ w)[None, None] for w in (query, key, value))
    values, weights = attend(q, k, v)
    expected_weights = torch.tensor([0.1500, 0.2264, 0.2199, 0.1311, 0.0906, 0.1820])
    expected = [
        [0.2996, 0.8053],
        [0.3061, 0.8210],
        [0.3058, 0.8203],
        [0.2948, 0.7939],
        [0.2927, 0.7891],
        [0.2990, 0.8040],
    ]
    torch.testing.assert_close(weights[0, 0, 1], expected_weights, rtol=0, atol=5e-5)
    torch.testing.assert_close(values[0, 0], torch.tensor(expected), rtol=0, atol=5e-5)


def test_attend_equals_the_loops():
    q, k, v = heads(2, 3, 4, 5), heads(2, 3, 6, 5), heads(2, 3, 6, 5) * 2
    values, _ = attend(q, k, v)
    for b in range(2):
        for h in range(3):
            torch.testing.assert_close(values[b, h], attention(q[b, h], k[b, h], v[b, h]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_keys", [6, 20, 300])  # fewer than a register holds, more, and more than are remembered
@pytest.mark.parametrize("mask", keep_masks())
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_fast_equals_attend_in_outputs_and_gradients(n_keys, mask, dtype, tolerance):
    assert_equals_attend(attend_fast, n_keys, mask, dtype, tolerance)


def test_a_query_that_may_attend_to_nothing_gets_zeros_on_both_paths():
    q, k, v = heads(1, 2, 3, 4), heads(1, 2, 5, 4), heads(1, 2, 5, 4)
    keep = torch.ones(3, 5, dtype=torch.bool)
    keep[1] = False
    values, weights = attend(q, k, v, keep)
    assert torch.count_nonzero(values[:, :, 1]) == torch.count_nonzero(weights[:, :, 1]) == 0
    assert torch.count_nonzero(attend_fast(q, k, v, keep)[:, :, 1]) == 0


def test_what_may_not_be_attended_to_changes_nothing():
    q, k, v = heads(1, 2, 3, 4), heads(1, 2, 5, 4), heads(1, 2, 5, 4)
    keep = torch.tensor([True, True, False, True, False])
    values, _ = attend(q, k, v, keep)
    k[:, :, ~keep], v[:, :, ~keep] = 7.0, -7.0
    torch.testing.assert_close(attend(q, k, v, keep)[0], values)


def test_heads_are_merged_as_they_were_split():
    x = heads(2, 3, 12)
    assert split_heads(x, 4).shape == (2, 4, 3, 3)
    assert torch.equal(merge_heads(split_heads(x, 4)), x)


@pytest.mark.parametrize("qk_norm", [False, True])
def test_self_attention_step_by_step_equals_the_causal_whole(qk_norm):
    torch.manual_seed(0)
    layer, x = SelfAttention(8, 2, qk_norm=qk_norm).double(), heads(3, 5, 8)
    whole = layer(x, torch.ones(5, 5, dtype=torch.bool).tril(), None, "")
    state = State(3, x)
    state.caches = {"0.keys": x.new_empty(3, 2, 0, 4), "0.values": x.new_empty(3, 2, 0, 4)}
    for t in range(5):
        out = layer.read(x[:, t : t + 1], state.advance(1), "0")
        torch.testing.assert_close(out[:, 0], whole[:, t], rtol=0, atol=1e-12)


def test_width_768_with_12_heads_has_the_known_number_of_parameters():
    layer = SelfAttention(768, 12)
    assert sum(p.numel() for p in layer.parameters()) - layer.qkv.bias.numel() == 2_360_064


def test_cross_attention_records_under_the_name_it_was_given():
    torch.manual_seed(0)
    layer, trace = CrossAttention(8, 2).double(), Trace()
    keys, values = layer.keys_values(heads(3, 6, 8))
    layer(heads(3, 5, 8), keys, values, None, trace, "decoder.0.cross")
    assert {name: tuple(w.shape) for name, w in trace.weights.items()} == {"decoder.0.cross": (3, 2, 5, 6)}


def test_normalised_queries_and_keys_are_of_one_size():
    torch.manual_seed(0)
    layer, x = SelfAttention(8, 2, qk_norm=True).double(), heads(3, 5, 8)
    cross = CrossAttention(8, 2, qk_norm=True).double()
    q, k, v = layer.project(x * 7)
    keys, values = cross.keys_values(x * 7)
    for normal in (q, k, keys):
        torch.testing.assert_close(normal.square().mean(-1), torch.ones(3, 2, 5).double(), rtol=0, atol=1e-6)
    assert v.square().mean() > 2 and values.square().mean() > 2
    cross.query.bias.data.zero_()
    once, twice = (cross(x * n, keys, values, None, None, "") for n in (1, 2))
    torch.testing.assert_close(once, twice, rtol=0, atol=1e-6)


def test_the_causal_kernel_equals_the_triangular_mask():
    q, k, v = heads(2, 3, 5, 4), heads(2, 3, 5, 4) * 0.7, heads(2, 3, 5, 4) + 1
    keep = torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(attend_fast(q, k, v, causal=True), attend(q, k, v, keep)[0], rtol=0, atol=1e-12)
