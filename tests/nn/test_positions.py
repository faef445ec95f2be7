import math

import torch

from regard.nn.positions import rotate, sinusoids, turns


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


def test_turning_is_a_rotation_of_each_pair_by_its_own_angle():
    x = torch.randn(1, 1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    turned = rotate(x, *turns(torch.arange(5)[None], 6))
    for t in range(5):
        for pair in range(3):
            angle = t / 10_000 ** (2 * pair / 6)
            a, b = float(x[0, 0, t, pair]), float(x[0, 0, t, pair + 3])
            assert math.isclose(turned[0, 0, t, pair], a * math.cos(angle) - b * math.sin(angle), abs_tol=1e-6)
            assert math.isclose(turned[0, 0, t, pair + 3], b * math.cos(angle) + a * math.sin(angle), abs_tol=1e-6)


def test_products_of_turned_vectors_depend_on_their_distance_only():
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    products = [
        rotate(q, *turns(torch.tensor([[3 + shift]]), 8)).flatten()
        @ rotate(k, *turns(torch.tensor([[shift]]), 8)).flatten()
        for shift in (0, 5, 90)
    ]
    torch.testing.assert_close(products[1], products[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(products[2], products[0], rtol=0, atol=1e-5)
