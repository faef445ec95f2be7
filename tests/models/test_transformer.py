import pytest
import torch
from pydantic import ValidationError

from regard.batch import collate
from regard.models.transformer import Transformer, TransformerConfig
from regard.nn.positions import sinusoids
from regard.nn.trace import Trace


def n_parameters(config: TransformerConfig, vocabulary: int) -> int:
    return sum(p.numel() for p in Transformer(config, vocabulary, vocabulary).parameters())


def test_the_base_model_has_the_papers_65_million_parameters():
    config = TransformerConfig(
        width=512, n_heads=8, n_encoder_layers=6, n_decoder_layers=6, feed_forward=2048, norm="post"
    )
    assert 60e6 < n_parameters(config, 37_000) < 66e6


def test_parameters_counted_by_hand():
    config = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=16)
    attention, feed_forward, norm = 4 * (8 * 8 + 8), 8 * 16 + 16 + 16 * 8 + 8, 2 * 8
    layers = attention + feed_forward + 2 * norm + 2 * attention + feed_forward + 3 * norm
    assert n_parameters(config, 100) == layers + 2 * norm + 100 * 8


def test_post_norm_ends_in_normalised_states():
    torch.manual_seed(0)
    config = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8, norm="post")
    hidden = Transformer(config, 9, 9).eval()(collate([[3, 4]], [[5, 6]]))
    torch.testing.assert_close(hidden.mean(-1), torch.zeros(1, 3), rtol=0, atol=1e-5)


def test_every_layer_is_traced():
    config = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=2, feed_forward=8)
    trace = Trace()
    Transformer(config, 9, 9)(collate([[3, 4]], [[5, 6]]), trace)
    names = ["encoder.0.self", "decoder.0.self", "decoder.0.cross", "decoder.1.self", "decoder.1.cross"]
    assert list(trace.weights) == names
    assert torch.count_nonzero(trace.weights["decoder.0.self"].triu(1)) == 0


@pytest.mark.parametrize(("tied", "n_tables"), [("all", 1), ("target", 2), ("none", 3)])
def test_tying_shares_tables(tied, n_tables):
    config = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8, tied=tied)
    model = Transformer(config, 9, 9)
    assert sum(tuple(p.shape) == (9, 8) for p in model.parameters()) == n_tables
    assert (model.output_weight is model.embeddings.target.weight) == (tied != "none")


def test_heads_that_do_not_divide_the_width_are_refused_with_the_nearest_that_do():
    with pytest.raises(ValidationError, match=r"n_heads is 5; it must divide width \(128\)\. Try 4\."):
        TransformerConfig(n_heads=5)


def test_a_new_model_adds_nothing_to_its_embeddings_unless_told_to():
    batch = collate([[3, 4]], [[5, 6]])
    for initialisation, same in (("zero", True), ("glorot", False)):
        torch.manual_seed(0)
        model = Transformer(TransformerConfig(width=8, n_heads=2, initialisation=initialisation), 9, 9).eval()
        embedded = model.place(model.embeddings.target(batch.target), sinusoids(torch.arange(3), 8))
        assert torch.equal(model(batch), model.decoder_norm(embedded)) == same
        assert all(linear.weight.any() for layer in model.decoder for linear in layer.added) != same
