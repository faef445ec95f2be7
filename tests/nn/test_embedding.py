import torch

from regard.nn.embedding import Embeddings


def test_entries_start_with_the_spread_of_the_width():
    torch.manual_seed(0)
    embeddings = Embeddings(500, 700, 64, "none")
    for table in (embeddings.source.weight, embeddings.target.weight, embeddings.output):
        assert abs(table.std().item() - 64**-0.5) < 0.002


def test_what_is_tied_is_one_tensor():
    everything = Embeddings(9, 9, 4, "all")
    assert everything.source.weight is everything.target.weight is everything.output
    target = Embeddings(7, 9, 4, "target")
    assert target.source.weight is not target.target.weight is target.output
    assert (target.source.weight.shape, target.output.shape) == ((7, 4), (9, 4))
