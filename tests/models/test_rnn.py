import pytest
import torch

from regard.batch import EOS, collate
from regard.models.rnn import RNN, RNNConfig, backwards


def build(**settings) -> RNN:
    torch.manual_seed(3)
    return RNN(RNNConfig(width=4, embedding_width=6, **settings), 13, 13).double().eval()


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    """One step of PyTorch's GRU, from its documentation."""
    r_x, z_x, n_x = (w_ih @ x + b_ih).chunk(3)
    r_h, z_h, n_h = (w_hh @ h + b_hh).chunk(3)
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + r * n_h) + z * h


def test_hidden_states_equal_the_equations_word_by_word():
    model = build()
    source, target = [5, 6, 7, EOS], [1, 8, 9]
    table, encoder, decoder = model.embeddings.target.weight, model.encoder, model.decoder
    ends = []
    for suffix, words in (("", source), ("_reverse", source[::-1])):
        weights = [getattr(encoder, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        h = torch.zeros(4, dtype=torch.float64)
        for word in words:
            h = gru_step(table[word], h, *weights)
        ends.append(h)
    summary = torch.cat(ends)
    context = torch.tanh(model.context.weight @ summary + model.context.bias)
    h = torch.tanh(model.initial.weight @ summary + model.initial.bias)
    weights = [getattr(decoder, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    expected = []
    for word in target:
        h = gru_step(torch.cat([table[word], context]), h, *weights)
        pairs = model.readout.weight @ torch.cat([h, table[word], context]) + model.readout.bias
        expected.append(pairs.view(-1, 2).amax(1))
    hidden = model(collate([source[:-1]], [target[1:]]))[0]
    torch.testing.assert_close(hidden, torch.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_all_that_the_decoder_knows_of_the_source_is_one_vector(cell):
    model = build(cell=cell, summary="initial", n_layers=2, bidirectional=False)
    assert model.context is None and model.decoder.input_size == 6
    state = model.begin(collate([[5, 6, 7], [8]]))
    assert state.sentences["context"].shape == (2, 0)
    assert set(state.rows) == ({"hidden", "cell"} if cell == "lstm" else {"hidden"})
    assert state.rows["hidden"].shape == (2, 2, 4)


def test_a_reversed_source_keeps_its_end_and_its_padding():
    source = torch.tensor([[5, 6, 7, EOS, 0], [8, EOS, 0, 0, 0], [EOS, 0, 0, 0, 0]])
    expected = [[7, 6, 5, EOS, 0], [8, EOS, 0, 0, 0], [EOS, 0, 0, 0, 0]]
    assert backwards(source, torch.tensor([4, 2, 1])).tolist() == expected


def test_reading_backwards_equals_reading_the_reversed_source():
    forwards, reversing = build(), build(reverse_source=True)
    there, back = forwards(collate([[5, 6, 7]], [[8]])), reversing(collate([[7, 6, 5]], [[8]]))
    assert torch.equal(there, back)


def test_the_forget_gates_start_open():
    model = build(cell="lstm")
    for name, bias in model.decoder.named_parameters():
        if name.startswith("bias"):
            forget = bias.view(4, -1)[1]
            assert torch.equal(forget, torch.full_like(forget, float("bias_ih" in name)))
            assert torch.count_nonzero(bias) == (4 if "bias_ih" in name else 0)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_decoder_begins_in_the_precision_of_the_weights(cell):
    model = build(cell=cell).float()
    batch = collate([[5, 6, 7]], [[8, 9]])
    with torch.autocast("cpu", torch.bfloat16):
        assert {x.dtype for x in model.encode(batch)[1].values()} == {torch.float32}
