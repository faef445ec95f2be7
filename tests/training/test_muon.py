import pytest
import torch

from regard.training.muon import POLAR_EXPRESS, Muon, orthogonalise
from regard.training.processes import Processes


@pytest.mark.parametrize("shape", [(8, 8), (4, 12), (12, 4)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape):
    torch.manual_seed(0)
    matrix = torch.randn(*shape, dtype=torch.float64)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalise(matrix[None])[0]
    inside = u.T @ found @ vh.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), rtol=0, atol=1e-9)
    assert 0.7 < float(inside.diagonal().min()) <= float(inside.diagonal().max()) < 1.2


@pytest.mark.parametrize("shape", [(8, 8), (4, 12), (12, 4)])
def test_products_in_bfloat16_do_nearly_the_same(shape):
    torch.manual_seed(0)
    matrix = torch.randn(1, *shape)
    found = orthogonalise(matrix, torch.bfloat16)
    assert found.dtype == torch.float32 and not torch.equal(found, orthogonalise(matrix))
    torch.testing.assert_close(found, orthogonalise(matrix), rtol=0, atol=0.06)


def test_a_stack_of_matrices_is_orthogonalised_one_by_one():
    torch.manual_seed(0)
    matrices = torch.randn(3, 5, 7, dtype=torch.float64)
    alone = torch.cat([orthogonalise(matrix[None]) for matrix in matrices])
    torch.testing.assert_close(orthogonalise(matrices), alone, rtol=0, atol=1e-12)


def test_parameters_of_one_shape_together_equal_a_plain_loop():
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(*s, dtype=torch.float64)) for s in [(6, 4), (6, 4), (4, 6), (2, 6, 4)]]
    expected = [p.detach().clone() for p in parameters]
    momenta = [torch.zeros_like(p) for p in expected]
    optimiser = Muon(parameters, lr=0.1, momentum=0.9, decay=0.01)
    for _ in range(3):
        gradients = [torch.randn_like(p) for p in expected]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        for p, m, g in zip(expected, momenta, gradients, strict=True):
            m.copy_(0.9 * m + 0.1 * g)
            for matrix, update in zip(
                p.view(-1, *p.shape[-2:]), (0.1 * g + 0.9 * m).view(-1, *p.shape[-2:]), strict=True
            ):
                matrix.copy_(matrix * (1 - 0.1 * 0.01) - 0.1 * max(1, p.shape[-2] / p.shape[-1]) ** 0.5 * plain(update))
    for parameter, p in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), p, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_processes_share_the_matrices_of_a_shape(size):
    torch.manual_seed(0)
    matrices = torch.randn(4, 7, 5, dtype=torch.float64)
    computed = []

    class OneOfMany(Processes):
        def of_each(self, tensor):
            computed.append(tensor)
            return [tensor] * self.size

    for rank in range(size):
        Muon([matrices], lr=0.1, processes=OneOfMany(rank, size))._orthogonalised(matrices)
    assert {len(mine) for mine in computed} == {-(-4 // size)}
    torch.testing.assert_close(torch.cat(computed)[:4], orthogonalise(matrices), rtol=0, atol=1e-12)


def plain(matrix: torch.Tensor) -> torch.Tensor:
    """Return the matrix orthogonalised on the side it is given, by a x + b (x x^T) x + c (x x^T)^2 x."""
    x = matrix / (matrix.norm() * 1.02 + 1e-7)
    for a, b, c in POLAR_EXPRESS:
        x = a * x + b * (x @ x.T) @ x + c * (x @ x.T) @ (x @ x.T) @ x
    return x
