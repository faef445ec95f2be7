"""The golden values are those of Raschka, Build a Large Language Model (From Scratch), chapter 3, to four decimals."""

import doctest
import math
import re
from pathlib import Path

import pytest
import torch
from tests.reference import JOURNEY
from torch import nn

from regard.nn import ladder
from regard.nn.ladder import (
    Batched,
    Cached,
    Causal,
    Fused,
    LinearLayers,
    Matrices,
    Modern,
    MultiHead,
    StackedHeads,
    WithDropout,
    embed,
    similarity,
)
from regard.nn.positions import rotate, turns

LADDER_DOC = Path(__file__).parents[2] / "docs" / "ladder.md"


def assert_golden(found: torch.Tensor, expected: list) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=5.1e-5)


def seeded(seed: int, rung, *sizes, **settings) -> nn.Module:
    torch.manual_seed(seed)
    return rung(*sizes, **settings)


def causal_values() -> list:
    return [
        [-0.0872, 0.0286],
        [-0.0991, 0.0501],
        [-0.0999, 0.0633],
        [-0.0983, 0.0489],
        [-0.0514, 0.1098],
        [-0.0754, 0.0693],
    ]


def batch_values() -> list:
    return [
        [-0.4519, 0.2216],
        [-0.5874, 0.0058],
        [-0.6300, -0.0632],
        [-0.5675, -0.0843],
        [-0.5526, -0.0981],
        [-0.5299, -0.1081],
    ]


def test_rung_1_similarity():
    energies = JOURNEY @ JOURNEY.T
    assert_golden(energies[1], [0.9544, 1.4950, 1.4754, 0.8434, 0.7070, 1.0865])
    assert_golden(energies[1] / energies[1].sum(), [0.1455, 0.2278, 0.2249, 0.1285, 0.1077, 0.1656])
    values, weights = similarity(JOURNEY)
    assert_golden(
        weights,
        [
            [0.2098, 0.2006, 0.1981, 0.1242, 0.1220, 0.1452],
            [0.1385, 0.2379, 0.2333, 0.1240, 0.1082, 0.1581],
            [0.1390, 0.2369, 0.2326, 0.1242, 0.1108, 0.1565],
            [0.1435, 0.2074, 0.2046, 0.1462, 0.1263, 0.1720],
            [0.1526, 0.1958, 0.1975, 0.1367, 0.1879, 0.1295],
            [0.1385, 0.2184, 0.2128, 0.1420, 0.0988, 0.1896],
        ],
    )
    assert_golden(
        values,
        [
            [0.4421, 0.5931, 0.5790],
            [0.4419, 0.6515, 0.5683],
            [0.4431, 0.6496, 0.5671],
            [0.4304, 0.6298, 0.5510],
            [0.4671, 0.5910, 0.5266],
            [0.4177, 0.6503, 0.5645],
        ],
    )


def test_rung_2_matrices():
    rung = seeded(123, Matrices, 3, 2)
    assert_golden(rung.query.data, [[0.2961, 0.5166], [0.2517, 0.6886], [0.0740, 0.8665]])
    assert_golden(rung.key.data, [[0.1366, 0.1025], [0.1841, 0.7264], [0.3153, 0.6871]])
    assert_golden(rung.value.data, [[0.0756, 0.1966], [0.3164, 0.4017], [0.1186, 0.8274]])
    q, k = JOURNEY @ rung.query, JOURNEY @ rung.key
    assert_golden(q[1].detach(), [0.4306, 1.4551])
    assert_golden((q[1] @ k.T).detach(), [1.2705, 1.8524, 1.8111, 1.0795, 0.5577, 1.5440])
    values, weights = rung(JOURNEY)
    assert_golden(weights[1].detach(), [0.1500, 0.2264, 0.2199, 0.1311, 0.0906, 0.1820])
    assert_golden(
        values.detach(),
        [
            [0.2996, 0.8053],
            [0.3061, 0.8210],
            [0.3058, 0.8203],
            [0.2948, 0.7939],
            [0.2927, 0.7891],
            [0.2990, 0.8040],
        ],
    )


def test_rung_3_linear_layers():
    values, weights = seeded(789, LinearLayers, 3, 2)(JOURNEY)
    assert_golden(weights[0].detach(), [0.1921, 0.1646, 0.1652, 0.1550, 0.1721, 0.1510])
    assert_golden(
        values.detach(),
        [
            [-0.0739, 0.0713],
            [-0.0748, 0.0703],
            [-0.0749, 0.0702],
            [-0.0760, 0.0685],
            [-0.0763, 0.0679],
            [-0.0754, 0.0693],
        ],
    )


def test_rung_4_causal():
    values, weights = seeded(789, Causal, 3, 2)(JOURNEY)
    assert_golden(
        weights.detach(),
        [
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.5517, 0.4483, 0.0, 0.0, 0.0, 0.0],
            [0.3800, 0.3097, 0.3103, 0.0, 0.0, 0.0],
            [0.2758, 0.2460, 0.2462, 0.2319, 0.0, 0.0],
            [0.2175, 0.1983, 0.1984, 0.1888, 0.1971, 0.0],
            [0.1935, 0.1663, 0.1666, 0.1542, 0.1666, 0.1529],
        ],
    )
    assert_golden(values.detach(), causal_values())


def test_rung_5_dropout_leaves_out_weights_and_scales_the_others_up():
    rung = seeded(789, WithDropout, 3, 2, 0.5)
    assert_golden(rung.eval()(JOURNEY)[0].detach(), causal_values())
    whole = rung(JOURNEY)[1].detach()
    torch.manual_seed(1)
    dropped = rung.train()(JOURNEY)[1].detach()
    kept = dropped > 0
    assert 0 < kept.sum() < (whole > 0).sum()
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])


def test_rung_6_a_batch():
    values = seeded(123, Batched, 3, 2)(torch.stack([JOURNEY, JOURNEY]))
    for sentence in values.detach():
        assert_golden(sentence, batch_values())


def test_rung_7_stacked_heads():
    values = seeded(123, StackedHeads, 3, 2, 2)(torch.stack([JOURNEY, JOURNEY])).detach()
    second = [
        [0.4772, 0.1063],
        [0.5891, 0.3257],
        [0.6202, 0.3860],
        [0.5478, 0.3589],
        [0.5321, 0.3428],
        [0.5077, 0.3493],
    ]
    for sentence in values:
        assert_golden(sentence[:, :2], batch_values())
        assert_golden(sentence[:, 2:], second)


@pytest.mark.parametrize("rung", [MultiHead, Fused, Cached])
def test_rungs_8_to_10_multi_head_attention(rung):
    values = seeded(123, rung, 3, 2, 2)(torch.stack([JOURNEY, JOURNEY])).detach()
    for sentence in values:
        assert_golden(
            sentence,
            [
                [0.3190, 0.4858],
                [0.2943, 0.3897],
                [0.2856, 0.3593],
                [0.2693, 0.3873],
                [0.2639, 0.3928],
                [0.2575, 0.4028],
            ],
        )


def test_multi_head_attention_of_width_768_has_its_number_of_parameters():
    assert sum(p.numel() for p in MultiHead(768, 768, 12).parameters()) == 2_360_064


def attended_by_hand(rung: Modern, x: torch.Tensor) -> torch.Tensor:
    """Return what rung 11 must give, by loops over sentences, heads and tokens, turned as complex numbers."""
    width = rung.width_head
    frequencies = torch.tensor([10_000 ** (-2 * i / width) for i in range(width // 2)], dtype=torch.float64)

    def turned(y: torch.Tensor, position: int) -> torch.Tensor:
        pairs = torch.complex(y[: width // 2], y[width // 2 :])
        return pairs * torch.exp(1j * position * frequencies) if rung.rotary else pairs

    outputs = []
    for sentence in x:
        q, k, v = rung.query(sentence), rung.key(sentence), rung.value(sentence)
        rows = []
        for t in range(len(sentence)):
            first = 0 if rung.span is None else max(0, t - rung.span + 1)
            parts = []
            for head in range(rung.n_heads):
                group = head * rung.n_groups // rung.n_heads
                own = slice(head * width, (head + 1) * width)
                shared = slice(group * width, (group + 1) * width)
                query = turned(q[t, own], t)
                energies = [(query * turned(k[s, shared], s).conj()).real.sum() for s in range(first, t + 1)]
                weights = (torch.stack(energies) / math.sqrt(width)).softmax(0)
                parts.append(weights @ v[first : t + 1, shared])
            rows.append(torch.cat(parts))
        outputs.append(rung.output(torch.stack(rows)))
    return torch.stack(outputs)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("span", [None, 1, 3, 7])
@pytest.mark.parametrize("n_groups", [1, 2, 4])
def test_rung_11_is_its_definition(rotary, span, n_groups):
    rung = seeded(1, Modern, 5, 16, 4, n_groups, rotary=rotary, span=span).double()
    x = torch.rand(2, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(rung(x), attended_by_hand(rung, x), rtol=0, atol=1e-12)


def test_rung_11_turns_as_models_do():
    positions = torch.arange(9)
    x = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
    angles = positions[:, None] * 10_000 ** (-torch.arange(0, 8, 2) / 8)
    torch.testing.assert_close(ladder.turn(x, angles), rotate(x, *turns(positions[None], 8)))


def test_turned_queries_and_keys_know_distances_and_not_places():
    rung = seeded(1, Modern, 5, 16, 4, 2, span=3).double()
    x = torch.rand(1, 9, 5, dtype=torch.float64)
    torch.testing.assert_close(rung(x)[:, 4:], rung(x[:, 2:])[:, 2:], rtol=0, atol=1e-12)


def test_without_turning_the_last_token_sees_no_order_and_with_it_one():
    x = torch.rand(1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    swapped = x[:, [1, 0, 2, 3]]
    unturned = seeded(1, Modern, 5, 16, 4, 2, rotary=False).double()
    torch.testing.assert_close(unturned(x)[:, -1], unturned(swapped)[:, -1], rtol=0, atol=1e-12)
    turning = seeded(1, Modern, 5, 16, 4, 2).double()
    assert (turning(x)[:, -1] - turning(swapped)[:, -1]).abs().max() > 1e-4


@pytest.mark.parametrize("span", [None, 3])
def test_nothing_is_learnt_from_what_comes_after_or_has_left_the_span(span):
    rung = seeded(1, Modern, 5, 16, 4, 2, span=span).double()
    x = torch.rand(1, 8, 5, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(rung(x)[:, 5].square().sum(), x)
    seen = [t for t in range(8) if torch.count_nonzero(gradient[0, t])]
    assert seen == ([0, 1, 2, 3, 4, 5] if span is None else [3, 4, 5])


def test_a_word_has_the_same_vector_wherever_it_stands():
    vectors = embed(["the", "cat", "saw", "the", "dog"], 4)
    assert vectors.shape == (5, 4) and torch.equal(vectors[0], vectors[3])
    assert len({tuple(v.tolist()) for v in vectors}) == 4
    assert torch.equal(vectors, embed(["the", "cat", "saw", "the", "dog"], 4))


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", LADDER_DOC.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_quotes_the_code_as_it_stands():
    source = Path(ladder.__file__).read_text(encoding="utf-8")
    quoted = [block for block in blocks() if ">>>" not in block]
    assert len(quoted) >= 11
    for block in quoted:
        assert block in source, block


def test_the_session_on_the_page_can_be_typed_in():
    (session,) = [block for block in blocks() if ">>>" in block]
    test = doctest.DocTestParser().get_doctest(session, {}, "ladder.md", None, 0)
    result = doctest.DocTestRunner(verbose=False).run(test)
    assert result.failed == 0 and result.attempted == len(test.examples) > 0
