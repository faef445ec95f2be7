import torch

from regard.nn.precision import for_products, product_dtype


def test_products_are_taken_in_the_type_of_their_factors_or_in_autocasts():
    x = torch.ones(2, dtype=torch.float64)
    assert product_dtype(x) == torch.float64 and for_products(x) is x
    with torch.autocast("cpu", torch.bfloat16):
        assert product_dtype(x) == for_products(x).dtype == torch.bfloat16


def test_gradients_come_back_in_the_type_that_went_in():
    x = torch.ones(2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        for_products(x).sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.float32
