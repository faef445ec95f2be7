"""Embeddings of the last few tokens together, in addition to the embedding of the last one."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from regard.nn.dropout import Dropout

# The multiplier of MurmurHash2 (0x5bd1e995), and a Mersenne prime.
MULTIPLIER, MODULUS = 1_540_483_477, 2**31 - 1
"""A product of a number below MODULUS and MULTIPLIER is below 2^62, so it fits int64."""


class NgramEmbeddings(nn.Module):
    """One table of hashed n-grams for every length from 2 to `longest`. Pagnoni et al. 2024 (BLT), section 3.2.1.

    Two n-grams in the same bucket share its entry. Entries start at zero, so that they add nothing at first. In
    training each n-gram of each position is left out with probability dropout_rate: otherwise long ones, which occur
    only a few times, memorise the text, and the rest of the model does not learn it (docs/recipes.md).
    """

    def __init__(self, longest: int, buckets: int, width: int, dropout_rate: float = 0.0) -> None:
        super().__init__()
        assert longest >= 2, "the embedding of one token is another table"
        self.n_before = longest - 1
        self.tables = nn.ModuleList(nn.Embedding(buckets, width) for _ in range(self.n_before))
        self.dropout = Dropout(dropout_rate, whole=True)
        self.buckets = buckets
        self.initialise()

    def initialise(self) -> None:
        """Set every entry to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, ids: Int[Tensor, "B L"], before: Int[Tensor, "B N"]) -> Float[Tensor, "B L D"]:
        """Return the sum, over the lengths, of the entry of the n-gram that ends at each position.

        before: the longest - 1 tokens in front of ids, 0 where there are none.
        """
        length = ids.shape[1]
        tokens = torch.cat([before, ids], dim=1)
        # Hashed from the last token backwards, so that each length continues from the one before.
        hashes, embedded = ids, []
        for n, table in enumerate(self.tables, start=1):
            start = self.n_before - n
            hashes = (hashes * MULTIPLIER + tokens[:, start : start + length]) % MODULUS
            embedded.append(table(hashes % self.buckets))
        return self.dropout(torch.stack(embedded)).sum(0)  # (lengths, B, L, D), then (B, L, D)

    def last_of(self, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"]) -> Int[Tensor, "B N"]:
        """Return the last tokens of padded sequences, as many as the n-grams of the next token need."""
        # Padding is at the end, so the number of real tokens is the place after the last of them.
        at = keep.sum(1, keepdim=True) - self.n_before + torch.arange(self.n_before, device=ids.device)
        if not ids.shape[1]:  # nothing can be gathered from no columns
            return torch.zeros_like(at)
        return ids.gather(1, at.clamp(min=0)).masked_fill(at < 0, 0)
