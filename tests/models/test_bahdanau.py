import torch
from tests.reference import bahdanau

from regard.batch import collate
from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.nn.trace import Trace


def build(**settings) -> Bahdanau:
    torch.manual_seed(4)
    return Bahdanau(BahdanauConfig(width=5, embedding_width=4, attention_width=3, **settings), 13, 13).double().eval()


def test_read_outs_and_weights_equal_the_appendix_word_by_word():
    model, trace = build(), Trace()
    source, target = [5, 6, 7, 8], [9, 10, 11]
    hidden = model(collate([source], [target]), trace)
    readouts, weights = bahdanau(model, [*source, 2], [1, *target])
    torch.testing.assert_close(hidden[0], readouts, rtol=0, atol=1e-10)
    torch.testing.assert_close(trace.weights["decoder.cross"][0, 0], weights, rtol=0, atol=1e-10)


def test_gradients_equal_those_of_the_appendix():
    ours, reference = build(), build()
    source, target = [5, 6, 7], [9, 10]
    ours(collate([source], [target])).pow(2).sum().backward()
    bahdanau(reference, [*source, 2], [1, *target])[0].pow(2).sum().backward()
    for (name, a), b in zip(ours.named_parameters(), reference.parameters(), strict=True):
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
