"""The state of a decoder between steps: sentences of different ages, each with the same number of rows.

A row is a hypothesis of a beam, a sample, or the only text of its sentence. What belongs to a sentence is stored once
for all its rows, and so are the keys and values of the tokens that were read: every token has a cell, and a mask says
which cells each row may attend to. Reordering the rows of a beam changes the mask alone; no key is ever copied.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from regard.nn.cache import attend_cached, for_heads

BLOCK = 8
"""Cells are attended to in multiples of this, so that products have few different shapes."""
FEWEST = 16
"""And at least this many: a CPU computes smaller products in a naive loop, five times slower."""


class State:
    """N sentences with n_rows rows each; row r belongs to sentence r // n_rows. A model's `read` changes it in place.

    sentences: tensors of what belongs to a sentence, (N, ...). rows: tensors of what belongs to a row, (N * n_rows,
    ...). caches: keys and values, (N, G, room, K), in which a sentence's first `used` cells were written.
    """

    def __init__(self, n: int, like: Tensor, span: int | None = None) -> None:
        """like: a tensor of the type and on the device of the keys. span: how many positions a row may look back."""
        self.n_rows, self.span = 1, span
        self.sentences: dict[str, Tensor] = {}
        self.rows: dict[str, Tensor] = {}
        self.caches: dict[str, Tensor] = {}
        self.used = [0] * n
        self.read = [0] * n  # how many tokens a row has read
        self.visible = like.new_empty(n, 1, 0)  # (N, n_rows, room): zero where a row may attend, else -infinity
        self.places = torch.empty(n, 0, dtype=torch.long, device=like.device)  # (N, room): the position of each cell

    def __len__(self) -> int:
        """Return how many sentences there are."""
        return len(self.used)

    @property
    def device(self) -> torch.device:
        return self.visible.device

    @property
    def sentence_of_row(self) -> Int[Tensor, " R"]:
        """Return the sentence of each row."""
        return torch.arange(len(self), device=self.device).repeat_interleave(self.n_rows)

    @property
    def n_cells(self) -> int:
        """Return how many cells and source positions the tensors have room for, in all."""
        source = max((x.shape[1] for x in self.sentences.values() if x.ndim > 1), default=0)
        return len(self) * (self.visible.shape[2] + source)

    def of_rows(self, x: Tensor) -> Tensor:
        """Return what belongs to a sentence, (N, ...), for each of its rows, (R, ...)."""
        return x if self.n_rows == 1 else x.repeat_interleave(self.n_rows, dim=0)

    # Between steps

    def repeat(self, n: int) -> None:
        """Give every sentence n rows for the one that it has; no key is copied."""
        assert self.n_rows == 1, "rows are repeated once, before anything is written"
        self.n_rows = n
        self.rows = {name: x.repeat_interleave(n, dim=0) for name, x in self.rows.items()}
        self.visible = self.visible.expand(-1, n, -1).contiguous()

    def reorder(self, parents: Int[Tensor, "N B"]) -> None:
        """Let every row continue the row of its sentence that `parents` names."""
        if self.n_rows == 1:
            return
        first = torch.arange(len(self), device=parents.device)[:, None] * self.n_rows
        rows = (parents + first).flatten()
        self.rows = {name: x.index_select(0, rows) for name, x in self.rows.items()}
        self.visible = self.visible.flatten(0, 1).index_select(0, rows).view_as(self.visible)

    def keep(self, sentences: Sequence[int]) -> None:
        """Keep only the given sentences, in that order."""
        chosen = torch.tensor(sentences, dtype=torch.long, device=self.device)
        rows = (chosen[:, None] * self.n_rows + torch.arange(self.n_rows, device=self.device)).flatten()
        self.used, self.read = [self.used[i] for i in sentences], [self.read[i] for i in sentences]
        room = self._rounded(max(self.used, default=0))
        self.sentences = {name: x.index_select(0, chosen) for name, x in self.sentences.items()}
        self.rows = {name: x.index_select(0, rows) for name, x in self.rows.items()}
        self.caches = {name: x[:, :, :room].index_select(0, chosen) for name, x in self.caches.items()}
        self.visible = self.visible[:, :, :room].index_select(0, chosen)
        self.places = self.places[:, :room].index_select(0, chosen)

    def admit(self, new: "State", at: Sequence[int]) -> None:
        """Put the sentences of another state, with as many rows each, in the place of the given ones.

        A place may be one after the last: the state then grows.
        """
        assert new.n_rows == self.n_rows, "all sentences of a state have the same number of rows"
        n_more = max(0, max(at) + 1 - len(self))
        self._make_room(max(new.used, default=0))
        new._make_room(self.visible.shape[2], exactly=True)
        self._make_room(new.visible.shape[2], exactly=True)
        for i, sentence in enumerate(at):
            if sentence < len(self.used):
                self.used[sentence], self.read[sentence] = new.used[i], new.read[i]
            else:
                self.used.append(new.used[i])
                self.read.append(new.read[i])
        places = torch.tensor(at, dtype=torch.long, device=self.device)
        rows = (places[:, None] * self.n_rows + torch.arange(self.n_rows, device=self.device)).flatten()
        for name, x in new.sentences.items():
            self.sentences[name] = _placed(self.sentences[name], x, places, n_more)
        for name, x in new.rows.items():
            self.rows[name] = _placed(self.rows[name], x, rows, n_more * self.n_rows)
        for name, x in new.caches.items():
            if any(new.used) or n_more:  # otherwise there is nothing to copy, and what was there is not visible
                self.caches[name] = _placed(self.caches[name], x, places, n_more)
        self.visible = _placed(self.visible, new.visible, places, n_more)
        self.places = _placed(self.places, new.places, places, n_more)

    def fill(self, keys_values: dict[str, Tensor], lengths: Sequence[int]) -> None:
        """Take keys and values (N, G, L, K) of tokens that were read at once, of sentence n the first lengths[n]."""
        n_cells = next(iter(keys_values.values())).shape[2]
        self._make_room(n_cells)
        room = self.visible.shape[2]
        self.caches = {name: F.pad(x, (0, 0, 0, room - x.shape[2])) for name, x in keys_values.items()}
        cells = torch.arange(room, device=self.device)
        real = cells < torch.tensor(list(lengths), device=self.device)[:, None]  # (N, room)
        self.visible = self.visible.masked_fill(real[:, None], 0.0)
        self.places = cells.expand(len(self), -1).contiguous()
        self.used, self.read = list(lengths), list(lengths)

    # In a step

    def advance(self, n_tokens: int) -> "Reading":
        """Make cells for the next n_tokens tokens of every row, and return who may attend to what."""
        n, b = len(self), self.n_rows
        first = self.used
        self._make_room(max(first) + n_tokens * b)
        if torch.is_grad_enabled():  # what a backward pass needs must not be changed
            self.visible = self.visible.clone()
        positions = torch.tensor(self.read, device=self.device)[:, None] + torch.arange(n_tokens, device=self.device)
        alike = first.count(first[0]) == n
        cells: Tensor | int = first[0]
        if not alike:
            starts = torch.tensor(first, device=self.device)
            cells = starts[:, None] + torch.arange(n_tokens * b, device=self.device)  # (N, T * B)
        bias = self._newly_visible(cells, positions)
        self.used = [u + n_tokens * b for u in first]
        self.read = [r + n_tokens for r in self.read]
        length = min(self.visible.shape[2], self._rounded(max(self.used)))
        return Reading(self, cells, positions, length, bias[..., :length])

    def _newly_visible(self, cells: Tensor | int, positions: Int[Tensor, "N T"]) -> Float[Tensor, "N 1 Q room"]:
        """Let every row attend to its own new cells, and return the mask of all queries, token by token."""
        b, n_tokens = self.n_rows, positions.shape[1]
        sentences = torch.arange(len(self), device=self.device)[:, None]
        rows = torch.arange(b, device=self.device)
        steps = []
        for t, position in enumerate(positions.split(1, dim=1)):  # (N, 1)
            if isinstance(cells, int):
                at = cells + t * b
                self.visible[:, :, at : at + b].diagonal(dim1=1, dim2=2).zero_()
                self.places[:, at : at + b] = position
            else:
                mine = cells[:, t * b : (t + 1) * b]  # (N, B)
                self.visible[sentences, rows, mine] = 0.0
                self.places[sentences, mine] = position
            if self.span is not None:
                too_old = self.places <= position - self.span
                self.visible.masked_fill_(too_old[:, None], float("-inf"))
            steps.append(self.visible if n_tokens == 1 else self.visible.clone())
        return torch.cat(steps, dim=1)[:, None]

    def _rounded(self, n: int) -> int:
        return max(FEWEST, -(-n // BLOCK) * BLOCK)

    def _make_room(self, n: int, *, exactly: bool = False) -> None:
        """Make every cache at least n cells long: twice as long as it was, so that it is rarely copied."""
        room = self.visible.shape[2]
        if n <= room:
            return
        more = n - room if exactly else self._rounded(max(n, 2 * room)) - room
        self.visible = F.pad(self.visible, (0, more), value=float("-inf"))
        self.places = F.pad(self.places, (0, more))
        self.caches = {name: F.pad(x, (0, 0, 0, more)) for name, x in self.caches.items()}


class Reading:
    """Tokens that are being read: which cells they take, and which cells their rows may attend to."""

    def __init__(
        self,
        state: State,
        cells: Tensor | int,
        positions: Int[Tensor, "N T"],
        length: int,
        bias: Float[Tensor, "N 1 Q L"],
    ) -> None:
        self.state, self.cells, self.length, self.bias = state, cells, length, bias
        self.positions = state.of_rows(positions)  # (R, T)

    def attend(
        self, name: str, q: Float[Tensor, "R H T K"], k: Float[Tensor, "R G T K"], v: Float[Tensor, "R G T K"]
    ) -> Float[Tensor, "R H T K"]:
        """Store the keys and values of the new tokens, and return what their queries attend to in the cache `name`."""
        keys, values = self._store(f"{name}.keys", k), self._store(f"{name}.values", v)
        if self.bias.shape[1] != q.shape[1]:
            self.bias = for_heads(self.bias, q.shape[1])  # once for all layers
        return self.by_row(attend_cached(self.by_sentence(q), keys, values, self.bias))

    def _store(self, name: str, x: Float[Tensor, "R G T K"]) -> Float[Tensor, "N G L K"]:
        state, new = self.state, self.by_sentence(x)
        cache = state.caches[name]
        if torch.is_grad_enabled():
            cache = state.caches[name] = cache.clone()
        if isinstance(self.cells, int):
            cache[:, :, self.cells : self.cells + new.shape[2]] = new
        else:
            sentences = torch.arange(len(state), device=x.device)[:, None]
            cache[sentences, :, self.cells] = new.transpose(1, 2)
        return cache[:, :, : self.length]

    def by_sentence(self, x: Float[Tensor, "R H T K"]) -> Float[Tensor, "N H Q K"]:
        """Return the rows of a sentence as its queries, token by token."""
        if self.state.n_rows == 1:
            return x
        return x.unflatten(0, (-1, self.state.n_rows)).permute(0, 2, 3, 1, 4).flatten(2, 3)

    def by_row(self, x: Float[Tensor, "N H Q K"]) -> Float[Tensor, "R H T K"]:
        """Return the queries of sentences as rows."""
        if self.state.n_rows == 1:
            return x
        return x.unflatten(2, (-1, self.state.n_rows)).permute(0, 3, 1, 2, 4).flatten(0, 1)


def _placed(mine: Tensor, theirs: Tensor, at: Tensor, n_more: int) -> Tensor:
    """Return a tensor with the rows of another in the given places, n_more of which are new; both may be padded.

    Padding is zero, or False; what a row may attend to is never padded here, since both have the same room.
    """
    shape = [max(a, b) for a, b in zip(mine.shape[1:], theirs.shape[1:], strict=True)]
    if n_more or list(mine.shape[1:]) != shape:
        grown = mine.new_zeros(len(mine) + n_more, *shape)
        grown[tuple(map(slice, mine.shape))] = mine
        mine = grown
    if list(theirs.shape[1:]) != shape:
        wider = theirs.new_zeros(len(theirs), *shape)
        wider[tuple(map(slice, theirs.shape))] = theirs
        theirs = wider
    mine.index_copy_(0, at, theirs)
    return mine


def at_least(x: Tensor, dim: int, n: int) -> Tensor:
    """Return x with zeros, or False, behind it along an axis that is shorter than n."""
    missing = n - x.shape[dim]
    return F.pad(x, [0, 0] * (x.ndim - 1 - dim) + [0, missing]) if missing > 0 else x
