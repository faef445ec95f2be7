"""Weights of regard by the names of another engine's layers, for engines that have torch."""

from collections.abc import Mapping

from torch import Tensor

Weights = Mapping[str, Tensor]


def copy(named: dict[str, Tensor], there: str, weights: Weights, here: str) -> None:
    """Set a layer's weight and bias."""
    for part in ("weight", "bias"):
        named[f"{there}.{part}"] = weights[f"{here}.{part}"]


def split(named: dict[str, Tensor], there: str, letters: str, weights: Weights, here: str) -> None:
    """Set the layers that regard has side by side as one. there: their name, with a star for each one's letter."""
    for part in ("weight", "bias"):
        for letter, rows in zip(letters, weights[f"{here}.{part}"].chunk(len(letters)), strict=True):
            named[f"{there.replace('*', letter)}.{part}"] = rows.clone()  # safetensors refuses shared memory
