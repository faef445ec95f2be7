import pytest
import torch

from regard.training.averaging import MovingAverage, holding, mean_weights


def model_of(value: float) -> torch.nn.Linear:
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def test_the_average_follows_the_formula_step_by_step():
    model = model_of(1.0)
    average, expected = MovingAverage(model, decay=0.4), 1.0
    for n in range(1, 9):
        with torch.no_grad():
            model.weight.fill_(float(n))
        average.update()
        decay = min(0.4, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
        assert average.weights["weight"].tolist()[0] == pytest.approx([expected, expected])
    assert average.weights["bias"].item() == 1.0
    assert model.weight[0, 0].item() == 8.0


def test_a_restored_average_goes_on_as_if_nothing_had_been():
    model = model_of(1.0)
    average, twin = MovingAverage(model, 0.9), MovingAverage(model_of(5.0), 0.9)
    for _ in range(3):
        average.update()
    twin.restore({name: tensor.clone() for name, tensor in average.tensors().items()})
    twin.model = model
    with torch.no_grad():
        model.weight.fill_(7.0)
    average.update()
    twin.update()
    assert all(torch.equal(average.weights[name], twin.weights[name]) for name in average.weights)


def test_a_model_has_its_own_weights_back_whatever_happens():
    model = model_of(1.0)
    with pytest.raises(ValueError, match="by design"), holding(model, {"bias": torch.tensor([3.0])}):
        assert (model.bias.item(), model.weight[0, 0].item()) == (3.0, 1.0)
        raise ValueError("by design")
    assert model.bias.item() == 1.0


def test_the_mean_is_taken_over_the_models():
    mean = mean_weights(model_of(value) for value in (1.0, 2.0, 6.0))
    assert mean["weight"].tolist() == [[3.0, 3.0]]
    assert mean["bias"].tolist() == [3.0]
