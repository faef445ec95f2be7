"""Embeddings of two vocabularies and the output layer, as one, two or three tables."""

from typing import Literal

import torch
from torch import Tensor, nn


class Embeddings(nn.Module):
    """Source and target embeddings, and the output weight.

    tied: "all" shares one table among the three (the vocabularies must be the same one), "target" shares the target
    embedding with the output (Press and Wolf 2017), "none" shares nothing, and only then may the output have another
    width. Entries start as N(0, 1/width).
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        width: int,
        tied: Literal["all", "target", "none"],
        output_width: int | None = None,
    ) -> None:
        super().__init__()
        self.target = table(target_vocabulary, width)
        self.source = self.target if tied == "all" else table(source_vocabulary, width)
        output_width = output_width or width
        assert tied == "none" or output_width == width, "a shared table has one width"
        self.separate_output = (
            nn.Parameter(table(target_vocabulary, output_width).weight.data) if tied == "none" else None
        )

    @property
    def output(self) -> Tensor:
        """Return the weight (V, D) that turns hidden states into logits."""
        return self.target.weight if self.separate_output is None else self.separate_output


def table(vocabulary: int, width: int) -> nn.Embedding:
    """Return an embedding table drawn from N(0, 1/width)."""
    embedding = nn.Embedding(vocabulary, width)
    with torch.no_grad():
        # If the output shares the table, a normalised state then has logits of unit variance.
        embedding.weight.normal_(std=width**-0.5)
    return embedding
