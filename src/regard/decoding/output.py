"""The output layer in decoding: the best few tokens of every row, without sorting a vocabulary."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from regard.batch import BOS, PAD
from regard.models.protocol import Model
from regard.nn.linear import Int8Matrix, Precision, quantised

BLOCK = 64
"""Tokens in a block, whose maximum is found first: the k best tokens are in the k blocks with the largest maxima."""
ROWS_OF_PRODUCT = 128
"""Rows in one product, enough to use the processor's full speed."""
ROWS = 32
"""Rows whose logits are compared at once, few enough to stay in the processor's cache."""
SAFE = 70.0
"""Logits up to here have an exponential that can be summed in float32."""
FEWEST_WEIGHTS = 2**17
"""Smaller layers are computed in float32: conversions would take longer."""
SPARE = 8
"""How many more candidates than needed the approximate logits give for the exact ones."""


class OutputLayer:
    """The output layer of a model, with a copy of its weights in the precision of the products.

    In int8 the layer is exact all the same: approximate logits give candidates, whose logits are computed in float32;
    where the error bound leaves a doubt, all of the row's are. Only the normaliser is approximate then.
    """

    def __init__(self, model: Model, precision: Precision = "float32") -> None:
        weight = model.output_weight.detach()
        self.n_tokens, self.never = len(weight), model.never_written
        padding = -len(weight) % BLOCK
        # Rows of zeros at the end, which get no logit, so that blocks have one size.
        self.weight = F.pad(weight, (0, 0, 0, padding)) if padding else weight
        worth_it = weight.dtype == torch.float32 and weight.numel() >= FEWEST_WEIGHTS
        self.longest_row = self.weight.norm(dim=1).max()
        self.precision: Precision = precision if worth_it else "float32"
        if self.precision == "bfloat16":
            self.low = self.weight.bfloat16()
        elif self.precision == "int8":
            self.matrix = Int8Matrix(self.weight)
            approximate = self.matrix.dequantised()
            self.largest_row = approximate.norm(dim=1).max()
            self.largest_error = (self.weight - approximate).norm(dim=1).max()

    def logits(self, hidden: Float[Tensor, "R D"]) -> Float[Tensor, "R V"]:
        """Return all logits in float32, minus infinity for control ids, which are not part of the softmax."""
        return self._finished(self._product(hidden))[:, : self.n_tokens]

    def likeliest(
        self, hidden: Float[Tensor, "R D"], *, normalise: bool, banned: Bool[Tensor, "R V"] | None = None
    ) -> tuple[Float[Tensor, " R"], Int[Tensor, " R"]]:
        """Return the log-probability of the likeliest token of every row, and the token; padding, BOS and the banned
        ones are never among them.

        normalise: whether it is a log-probability; otherwise it is the logit, which takes less time.
        """
        zeros = hidden.new_zeros(len(hidden), 1)
        best, _, tokens = self.continuations(hidden, zeros, 1, normalise=normalise, banned=banned)
        return best[:, 0], tokens[:, 0]

    def continuations(
        self,
        hidden: Float[Tensor, "R D"],
        totals: Float[Tensor, "N B"],
        k: int,
        *,
        normalise: bool = True,
        banned: Bool[Tensor, "R V"] | None = None,
    ) -> tuple[Float[Tensor, "N k"], Int[Tensor, "N k"], Int[Tensor, "N k"]]:
        """Return the k best continuations of every sentence by B rows: their scores, rows, and tokens, best first.

        A score is the total of its row plus the log-probability of its token. Padding, BOS and the banned tokens are
        never among them; where less than k are left, the last scores are minus infinity.
        """
        n_rows = totals.shape[1]
        at_once, together = (max(n_rows, n // n_rows * n_rows) for n in (ROWS, ROWS_OF_PRODUCT))
        found = []
        for start in range(0, len(hidden), together):
            product = self._product(hidden[start : start + together])
            for first in range(start, start + len(product), at_once):
                rows = slice(first, min(first + at_once, start + together))
                logits = self._finished(product[rows.start - start : rows.stop - start])
                sentences = slice(rows.start // n_rows, rows.stop // n_rows)
                some = None if banned is None else banned[rows]
                found.append(self._best(hidden[rows], logits, totals[sentences], k, normalise, some))
        scores, parents, tokens = (
            torch.cat(parts) if len(found) > 1 else parts[0] for parts in zip(*found, strict=True)
        )
        return scores, parents, tokens

    def _best(
        self, hidden: Tensor, logits: Tensor, totals: Tensor, k: int, normalise: bool, banned: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        n_rows = totals.shape[1]
        added = totals.flatten()  # (R,)
        if normalise:
            added = added - normaliser_of(logits, self._may_overflow(hidden))
        self._never_write(logits, banned)
        if self.precision == "int8":
            approximate, places = top_of_rows(logits, added, n_rows, min(k + SPARE, n_rows * self.n_tokens))
            scores, places = self._exact(hidden, added, approximate, places, k, banned)
        else:
            scores, places = top_of_rows(logits, added, n_rows, k)
        width = logits.shape[1]
        # Where less than k is left to write, the places of minus infinity may be padding; they are ids all the same.
        return scores, places // width, (places % width).clamp_(max=self.n_tokens - 1)

    def _product(self, hidden: Tensor) -> Tensor:
        """Return the logits as the product gives them."""
        if self.precision == "bfloat16":
            return F.linear(hidden.bfloat16(), self.low)
        if self.precision == "int8":
            integers, scale = quantised(hidden)
            return self.matrix.products(integers).mul_(scale)
        return F.linear(hidden, self.weight)

    def _finished(self, product: Tensor) -> Tensor:
        """Return the logits in float32, or float64, minus infinity for ids without one."""
        logits = product if product.dtype == torch.float64 else product.float()
        logits[:, self.n_tokens :] = float("-inf")
        if self.never.start < self.never.stop:
            logits[:, self.never] = float("-inf")
        return logits

    def _never_write(self, logits: Tensor, banned: Tensor | None) -> None:
        """Rule out what is never written though it has a probability, and the banned tokens."""
        logits[:, PAD] = logits[:, BOS] = float("-inf")
        if banned is not None:
            logits[:, : self.n_tokens].masked_fill_(banned, float("-inf"))

    def _may_overflow(self, hidden: Tensor) -> bool:
        """Return whether exp(logit) may be too large, or all of them too small, for a sum in float32."""
        return not bool(hidden.norm(dim=1).amax() * self.longest_row < SAFE)

    def _exact(
        self, hidden: Tensor, added: Tensor, approximate: Tensor, places: Tensor, k: int, banned: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the k best of the candidates that approximate logits have given, by their exact logits.

        approximate (N, c): their scores; places (N, c): row * V + token. added (R,): what a row adds to its logits.
        """
        n, n_rows, width = len(places), len(hidden) // len(places), len(self.weight)
        rows = places // width + torch.arange(n, device=places.device)[:, None] * n_rows  # (N, c)
        exact = (hidden[rows] * self.weight[places % width]).sum(-1) + added[rows]
        exact = exact.masked_fill(approximate == float("-inf"), float("-inf"))
        scores, order = exact.topk(min(k, exact.shape[1]))
        places = places.gather(1, order)
        # Every other continuation has at most the score of the last candidate plus the error.
        error = self.error_bound(hidden).unflatten(0, (n, n_rows)).amax(1)
        doubtful = scores[:, -1] < approximate[:, -1] + error
        if bool(doubtful.any()):
            of_rows = doubtful.repeat_interleave(n_rows)
            logits = self._finished(F.linear(hidden[of_rows], self.weight))
            self._never_write(logits, None if banned is None else banned[of_rows])
            scores[doubtful], places[doubtful] = top_of_rows(logits, added[of_rows], n_rows, k)
        return scores, places

    def error_bound(self, hidden: Float[Tensor, "R D"]) -> Float[Tensor, " R"]:
        """Return by how much an approximate logit of each row can be wrong, by the inequality of Cauchy and Schwarz.

        x . w - x' . w' = x . (w - w') + (x - x') . w', with x' and w' the rounded vectors.
        """
        integers, scale = quantised(hidden)
        rounding = (hidden - integers * scale).norm(dim=1)
        bound = hidden.norm(dim=1) * self.largest_error + rounding * self.largest_row
        # Sums in float32 are rounded as well, by far less than this.
        return bound * 1.001 + 1e-5 * hidden.norm(dim=1) * self.largest_row


def normaliser_of(logits: Float[Tensor, "R V"], may_overflow: bool = True) -> Float[Tensor, " R"]:
    """Return log sum exp in few passes: PyTorch's own takes twice as long on a CPU.

    may_overflow: whether a logit may be so large that the largest one must be subtracted first.
    """
    if not may_overflow:
        return logits.exp().sum(-1).log_()
    largest = logits.amax(-1, keepdim=True)
    return (logits - largest).exp_().sum(-1).log_().add_(largest[:, 0])


def top_of_rows(
    logits: Float[Tensor, "R V"], added: Float[Tensor, " R"], n_rows: int, k: int
) -> tuple[Float[Tensor, "N k"], Int[Tensor, "N k"]]:
    """Return the k largest of logits + added among each n_rows rows, largest first, and their places row * V + token.

    Exact in two stages: what is among the k best is the maximum of its block, or in the block of a better one.
    V is a multiple of BLOCK.
    """
    n_blocks = logits.shape[1] // BLOCK
    blocks = logits.view(-1, n_rows * n_blocks, BLOCK)  # (N, n_rows * n_blocks, BLOCK)
    maxima = blocks.amax(-1)
    if n_rows > 1:  # the rows of one sentence add different totals
        of_blocks = added.view(-1, n_rows).repeat_interleave(n_blocks, dim=1)
        maxima = maxima + of_blocks
    sentences = torch.arange(len(blocks), device=logits.device)[:, None]
    chosen = maxima.argmax(-1, keepdim=True) if k == 1 else maxima.topk(min(k, maxima.shape[1])).indices
    inside = blocks[sentences, chosen]  # (N, k, BLOCK)
    inside = inside + (of_blocks.gather(1, chosen)[..., None] if n_rows > 1 else added[:, None, None])
    inside = inside.flatten(1)
    scores, at = inside.max(-1, keepdim=True) if k == 1 else inside.topk(min(k, inside.shape[1]))
    return scores, chosen.gather(1, at // BLOCK) * BLOCK + at % BLOCK
