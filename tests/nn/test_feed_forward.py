import math

import pytest
import torch

from regard.nn.feed_forward import FeedForward


def by_hand(activation: str, inner: list[float]) -> list[float]:
    """The nonlinearity as its paper writes it, number by number."""
    match activation:
        case "relu":
            return [max(x, 0.0) for x in inner]
        case "squared_relu":
            return [max(x, 0.0) ** 2 for x in inner]
        case "gelu":
            return [0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) for x in inner]
        case _:
            gates, values = inner[: len(inner) // 2], inner[len(inner) // 2 :]
            return [g / (1 + math.exp(-g)) * v for g, v in zip(gates, values, strict=True)]


@pytest.mark.parametrize("activation", ["relu", "gelu", "squared_relu", "swiglu"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_nonlinearity_equals_its_formula(activation, bias):
    torch.manual_seed(1)
    layer = FeedForward(4, 6, activation, bias=bias).double()
    x = torch.randn(1, 1, 4, dtype=torch.float64)
    inner = torch.tensor(by_hand(activation, layer.inner(x)[0, 0].tolist()), dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0, 0], layer.outer(inner), rtol=0, atol=1e-12)
    assert (layer.outer.bias is not None) == bias


def test_dropout_stands_between_the_two_layers():
    torch.manual_seed(1)
    layer = FeedForward(4, 64, "relu", dropout_rate=0.5)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    x = torch.ones(1, 1, 4)
    assert layer.eval()(x).unique().tolist() == [64 * 5.0 + 1]
    kept = (layer.train()(x)[0, 0, 0].item() - 1) / 10  # each of the 64 is 5, kept ones are doubled
    assert kept == int(kept) and 15 < kept < 49
