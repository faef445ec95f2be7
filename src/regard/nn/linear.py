"""The seam of all matrix products in decoding: the same layer with weights in float32, bfloat16 or int8.

`in_precision` returns a model whose linear layers hold their weights in another type. Activations between the layers
stay in float32, so only products are rounded.
"""

import copy
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16", "int8"]
"""The type of the weights in products: int8 means one scale for each row of weights and each row of activations."""

REGISTER = 32
"""Numbers of 16 bits in the widest vector register."""

LARGEST = 127
"""Values are rounded to -127 .. 127, so that a weight and its negative are equally exact."""


def quantised(x: Float[Tensor, "*lead D"]) -> tuple[Int8[Tensor, "*lead D"], Float[Tensor, "*lead 1"]]:
    """Return x as integers and the scale of each row: x is about integers * scale."""
    scale = x.abs().amax(-1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny).div_(LARGEST)
    return (x / scale).round_().to(torch.int8), scale


class Int8Matrix(nn.Module):
    """A matrix (V, D) of integers with a scale for each row, packed for products with rows of integers."""

    def __init__(self, weight: Float[Tensor, "V D"]) -> None:
        super().__init__()
        integers, scales = quantised(weight.detach().float())
        self.scales: Tensor
        self.register_buffer("scales", scales[:, 0].contiguous(), persistent=False)
        # oneDNN uses the processor's instructions for int8 (VNNI, AMX), and has a plain form for others.
        packed = torch.ops.onednn.qlinear_prepack(integers, None)
        self.packed, self.zeros = packed, torch.zeros(len(weight), dtype=torch.int32)
        self.integers = integers

    def products(self, integers: Int8[Tensor, "R D"]) -> Float[Tensor, "R V"]:
        """Return the products of rows of integers with the matrix, scaled by the matrix's own scales alone."""
        # Of a single row oneDNN computes some shapes in a plain loop, fifty times slower than two rows.
        rows = integers.expand(2, -1).contiguous() if len(integers) == 1 else integers
        return torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, 0, self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )[: len(integers)]

    def dequantised(self) -> Float[Tensor, "V D"]:
        """Return the matrix as numbers."""
        return self.integers.float() * self.scales[:, None]


class LowPrecisionLinear(nn.Module):
    """A linear layer with its weights in float32, and in a lower precision for products that are large enough."""

    fewest_weights: int
    """From this many weights on, reading them takes longer than the conversions, however few rows there are."""
    fewest_products: int
    """Of fewer weights and fewer products of two numbers, the conversions take longer than float32 does."""

    def __init__(self, weight: Float[Tensor, "V D"], bias: Float[Tensor, " V"] | None) -> None:
        super().__init__()
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()

    def forward(self, x: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        n_weights = self.weight.numel()
        if n_weights >= self.fewest_weights or x.numel() * len(self.weight) >= self.fewest_products:
            return self.low(x)
        return F.linear(x, self.weight, self.bias)

    def low(self, x: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        """Return the output by a product in the lower precision."""
        raise NotImplementedError


class Int8Linear(LowPrecisionLinear):
    """A linear layer whose weights are rounded to int8, and its inputs, too, unless there are very few rows."""

    fewest_weights, fewest_products = 2**17, 2**20
    few_rows = 4
    """Up to here the time goes into reading the weights, and the inputs are rounded to bfloat16 instead."""

    def __init__(self, weight: Float[Tensor, "V D"], bias: Float[Tensor, " V"] | None) -> None:
        matrix = Int8Matrix(weight)
        super().__init__(matrix.dequantised(), bias)  # the same weights in small products as in large ones
        self.matrix, self.low_scales = matrix, matrix.scales.bfloat16()

    def low(self, x: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        rows = x.flatten(0, -2)
        # That kernel reads past the end of rows that are not whole registers.
        if len(rows) <= self.few_rows and rows.shape[1] % REGISTER == 0:
            product = torch._weight_int8pack_mm(rows.bfloat16(), self.matrix.integers, self.low_scales).float()
            product = product if self.bias is None else product.add_(self.bias)
        else:
            integers, scale = quantised(rows)
            product = self.matrix.products(integers)
            product = product.mul_(scale) if self.bias is None else torch.addcmul(self.bias, product, scale)
        return product.unflatten(0, x.shape[:-1])


class Bfloat16Linear(LowPrecisionLinear):
    """A linear layer that computes its product in bfloat16; input and output are float32."""

    fewest_weights, fewest_products = 400_000, 3_000_000

    def __init__(self, weight: Float[Tensor, "V D"], bias: Float[Tensor, " V"] | None) -> None:
        super().__init__(weight, bias)
        low = self.weight.bfloat16()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(low, None) if on_onednn(low) else low
        self.low_bias = None if bias is None else bias.detach().bfloat16()

    def low(self, x: Float[Tensor, "*lead D"]) -> Float[Tensor, "*lead V"]:
        if self.packed.is_mkldnn:
            product = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.packed, self.low_bias, "none", [], "")
        else:
            product = F.linear(x.bfloat16(), self.packed, self.low_bias)
        return product.float()


def on_onednn(weight: Tensor) -> bool:
    """Return whether oneDNN computes with a weight, and can store it in the order in which it is read."""
    return weight.device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def in_precision(model: nn.Module, precision: Precision) -> nn.Module:
    """Return a model that computes the products of its layers in a precision; everything else is shared.

    float32 is the model itself, and so is a model of another type. The given model is not changed.
    """
    if precision == "float32" or next(model.parameters()).dtype != torch.float32:
        return model
    # A copy that shares every tensor: only the layers below are new.
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, shared)
    for module in list(twin.modules()):
        if isinstance(module, HasOwnProducts):
            module.lower_precision(precision)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, low_precision(child.weight, child.bias, precision))
    return twin


@runtime_checkable
class HasOwnProducts(Protocol):
    """A module whose products are not in linear layers."""

    def lower_precision(self, precision: Precision) -> None:
        """Compute the products in a lower precision from now on."""
        ...


def low_precision(
    weight: Float[Tensor, "V D"], bias: Float[Tensor, " V"] | None, precision: Precision
) -> LowPrecisionLinear:
    """Return a linear layer in a lower precision."""
    if precision == "bfloat16":
        return Bfloat16Linear(weight, bias)
    if weight.numel() < Int8Linear.fewest_weights and torch.cpu._is_amx_tile_supported():
        # A processor that multiplies tiles of bfloat16 takes longer to round the inputs of a narrow layer than to
        # multiply them. The weights are those of int8 all the same.
        return Bfloat16Linear(Int8Matrix(weight).dequantised(), bias)
    return Int8Linear(weight, bias)
