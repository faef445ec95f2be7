import pytest
import torch
from pydantic import ValidationError
from tests.reference import bahdanau

from regard.batch import collate
from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.nn.trace import Trace
from regard.presets import ON_PAIRS

PAPER = {"initialisation": "paper", "tied": "none", "readout_width": 6, "dropout_rate": 0.0}
each_variant = pytest.mark.parametrize("settings", [{}, PAPER], ids=["modern", "paper"])


def build(**settings) -> Bahdanau:
    """Return a model with weights large enough to matter, also where the paper's are small or zero."""
    torch.manual_seed(4)
    model = Bahdanau(BahdanauConfig(width=5, embedding_width=4, attention_width=3, **settings), 13, 13).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.3
    return model


@each_variant
def test_read_outs_and_weights_equal_the_appendix_word_by_word(settings):
    model, trace = build(**settings), Trace()
    source, target = [5, 6, 7, 8], [9, 10, 11]
    hidden = model(collate([source], [target]), trace)
    readouts, weights = bahdanau(model, [*source, 2], [1, *target])
    torch.testing.assert_close(hidden[0], readouts, rtol=0, atol=1e-10)
    torch.testing.assert_close(trace.weights["decoder.cross"][0, 0], weights, rtol=0, atol=1e-10)


@each_variant
def test_gradients_equal_those_of_the_appendix(settings):
    ours, reference = build(**settings), build(**settings)
    source, target = [5, 6, 7], [9, 10]
    ours(collate([source], [target])).pow(2).sum().backward()
    bahdanau(reference, [*source, 2], [1, *target])[0].pow(2).sum().backward()
    for (name, a), b in zip(ours.named_parameters(), reference.parameters(), strict=True):
        if name == "embeddings.separate_output":  # the output layer is applied by the loss
            continue
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_the_papers_initialisation_has_the_papers_spreads():
    torch.manual_seed(0)
    config = BahdanauConfig(width=60, embedding_width=40, attention_width=50, initialisation="paper")
    model = Bahdanau(config, 300, 300)
    assert torch.count_nonzero(model.attention.energy) == 0
    assert torch.count_nonzero(model.readout.bias) == 0
    for linear in (model.attention.query, model.attention.key):
        assert 0.0009 < linear.weight.std().item() < 0.0011
    for weight in (model.readout.weight, model.decoder_context.weight, model.embeddings.target.weight):
        assert 0.0095 < weight.std().item() < 0.0105
    square = model.decoder.candidate.data
    torch.testing.assert_close(square @ square.T, torch.eye(60), rtol=0, atol=1e-5)


def test_the_preset_paper_has_the_papers_sizes():
    settings = ON_PAIRS["paper"]["bahdanau"]["model"]
    with torch.device("meta"):
        model = Bahdanau(BahdanauConfig(**settings), 30_000, 30_000)
    assert model.embeddings.source.weight.shape == model.embeddings.target.weight.shape == (30_000, 620)
    assert model.output_weight.shape == (30_000, 500)
    assert model.attention.query.weight.shape == (1000, 1000) and model.attention.key.weight.shape == (1000, 2000)


@pytest.mark.parametrize("score", ["general", "dot"])
def test_luongs_scores_are_products_of_a_state_and_an_encoder_state(score):
    torch.manual_seed(4)
    model = Bahdanau(BahdanauConfig(width=6, embedding_width=4, score=score), 13, 13).double().eval()
    batch, trace = collate([[5, 6, 7]], [[8]]), Trace()
    model(batch, trace)
    memory, _, state = model.encode(batch)
    project = model.attention.key.weight if score == "general" else torch.eye(6, dtype=torch.float64)
    energies = torch.stack([state[0] @ project @ h for h in memory[0]])
    torch.testing.assert_close(trace.weights["decoder.cross"][0, 0, 0], energies.softmax(0), rtol=0, atol=1e-12)


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="must be even"):
        BahdanauConfig(width=7, score="dot")
    with pytest.raises(ValidationError, match=r"readout_width is 5.*must be embedding_width"):
        BahdanauConfig(readout_width=5)
