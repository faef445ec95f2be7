import torch
from tests.reference import gated_unit

from regard.nn.recurrent import BidirectionalGRU, GatedUnit


def test_a_step_equals_the_papers_equations():
    torch.manual_seed(0)
    unit = GatedUnit(5).double()
    inputs, state = torch.randn(3, 15, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    for row, x, s in zip(unit(inputs, state), inputs, state, strict=True):
        torch.testing.assert_close(row, gated_unit(x, s, unit), rtol=0, atol=1e-12)


def test_recurrent_matrices_start_orthogonal():
    unit = GatedUnit(6, directions=2)
    for square in (*unit.gates.data[0].split(6, dim=1), *unit.candidate.data):
        torch.testing.assert_close(square @ square.T, torch.eye(6), rtol=0, atol=1e-5)


def test_both_directions_read_the_real_positions_only():
    torch.manual_seed(0)
    encoder = BidirectionalGRU(4, 5).double()
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    keep = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    states, first_backward = encoder(x, keep)
    alone, alone_backward = encoder(x[1:, :3], keep[1:, :3])
    torch.testing.assert_close(states[1, :3], alone[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(first_backward[1], alone_backward[0], rtol=0, atol=1e-12)
    assert torch.equal(states[:, 0, 5:], first_backward)


def test_the_backward_direction_is_the_forward_one_on_the_reversed_sequence():
    torch.manual_seed(0)
    encoder = BidirectionalGRU(4, 5).double()
    with torch.no_grad():
        for parameter in (encoder.unit.gates, encoder.unit.candidate):
            parameter[1] = parameter[0]
        encoder.inputs.weight[15:], encoder.inputs.bias[15:] = encoder.inputs.weight[:15], encoder.inputs.bias[:15]
    x, keep = torch.randn(1, 6, 4, dtype=torch.float64), torch.ones(1, 6, dtype=torch.bool)
    forwards, backwards = encoder(x, keep)[0].chunk(2, dim=-1)
    torch.testing.assert_close(encoder(x.flip(1), keep)[0][..., :5].flip(1), backwards, rtol=0, atol=1e-12)
    assert not torch.allclose(forwards, backwards)
