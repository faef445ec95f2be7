import math

import torch

from regard.nn.positions import sinusoids


def test_values_are_those_of_the_paper():
    width = 8
    found = sinusoids(torch.arange(30), width)
    for position in range(30):
        for i in range(width // 2):
            angle = position / 10_000 ** (2 * i / width)
            assert math.isclose(float(found[position, i]), math.sin(angle), abs_tol=1e-5)
            assert math.isclose(float(found[position, width // 2 + i]), math.cos(angle), abs_tol=1e-5)


def test_a_shift_is_a_rotation():
    found = sinusoids(torch.arange(50), 6).double()
    products = found @ found.T
    torch.testing.assert_close(products[3, 7], products[30, 34], rtol=0, atol=1e-4)


def test_any_shape_of_positions_is_kept():
    assert sinusoids(torch.zeros(4, 1, dtype=torch.long), 6).shape == (4, 1, 6)
