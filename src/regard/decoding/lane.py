"""Requests with the same number of rows, side by side: one state, one read a step, and a choice for each of them."""

from collections.abc import Iterator, Sequence

import torch

from regard.batch import collate_prompts, to_device
from regard.decoding.beam import Beams
from regard.decoding.output import OutputLayer
from regard.decoding.request import Request, cells_of
from regard.decoding.single import Singles
from regard.models.protocol import Model
from regard.nn.state import State

SHRINK = 0.15
"""The share of places that must be free before the others are moved together."""


class Lane:
    """Requests that are decoded together, each in a place of a state: places are freed and taken between steps."""

    def __init__(self, model: Model, output: OutputLayer, device: torch.device, n_rows: int) -> None:
        self.model, self.output, self.device, self.n_rows = model, output, device, n_rows
        self.places: list[Request | None] = []
        self.state: State | None = None
        self.last = torch.empty(0, dtype=torch.long, device=device)  # (R,): what every row reads next
        self.rows: Beams | Singles = Beams(output, n_rows) if n_rows > 1 else Singles(output)

    @property
    def active(self) -> list[Request]:
        """Return the requests in work."""
        return [request for request in self.places if request is not None]

    @property
    def n_active(self) -> int:
        return sum(request is not None for request in self.places)

    @property
    def longest_source(self) -> int:
        return max((len(request.source) for request in self.active), default=0)

    @property
    def most_cells(self) -> int:
        return max((cells_of(request) for request in self.active), default=0)

    def admit(self, requests: Sequence[Request]) -> None:
        """Read the sources of new requests and give each a place."""
        texts = [r.text[r.forgotten :] if r.forgotten else [*r.source, r.first] for r in requests]
        batch = to_device(collate_prompts([text[:-1] for text in texts]), self.device)
        state = self.model.begin(batch)
        state.repeat(self.n_rows)
        first = torch.tensor([text[-1] for text in texts], device=self.device).repeat_interleave(self.n_rows)
        free = [i for i, request in enumerate(self.places) if request is None]
        at = [*free, *range(len(self.places), len(self.places) + len(requests))][: len(requests)]
        if self.state is None:
            self.state, self.last = state, first
        else:
            self.state.admit(state, at)
            missing = max(0, (max(at) + 1) * self.n_rows - len(self.last))
            self.last = torch.cat([self.last, self.last.new_zeros(missing)])
            rows = torch.tensor(at, device=self.device)[:, None] * self.n_rows + torch.arange(
                self.n_rows, device=self.device
            )
            self.last[rows.flatten()] = first
        self.places += [None] * (max(at) + 1 - len(self.places))
        for place, request in zip(at, requests, strict=True):
            self.places[place] = request
        self.rows.admit(requests, at, self.device)
        self._follow()

    def step(self) -> None:
        """Read a token in every row, choose the next ones, and free the places of requests that are finished."""
        assert self.state is not None, "a lane begins with its first requests"
        hidden = self.model.read(self.last[:, None], self.state)[:, 0]
        tokens, parents = self.rows.choose(hidden)
        if parents is not None:
            self.state.reorder(parents)
        self.last = tokens
        self.places = [None if request is None or request.finished else request for request in self.places]
        self._follow()

    def cancel(self, request: Request) -> None:
        """Free the place of a request."""
        self.places = [None if other is request else other for other in self.places]
        self.rows.cancel(request)

    def shrink(self) -> None:
        """Move the requests in work together if enough places are free."""
        kept = [i for i, request in enumerate(self.places) if request is not None]
        if len(self.places) - len(kept) < max(1.0, SHRINK * len(self.places)):
            return
        assert self.state is not None, "a lane begins with its first requests"
        self.state.keep(kept)
        self.last = self.last.unflatten(0, (-1, self.n_rows))[kept].flatten()
        self.places = [self.places[i] for i in kept]
        self.rows.keep(kept)

    def outgrown(self) -> Iterator[Request]:
        """Yield requests whose context is full, to begin anew with the last half of it; their places become free."""
        if self.state is None:
            return
        for i, request in enumerate(self.places):
            if request is not None and request.context is not None and self.state.read[i] >= request.context:
                request.forgotten = len(request.text) - max(1, request.context // 2)
                self.places[i] = None
                self.rows.leave(i)
                yield request

    def _follow(self) -> None:
        """Let free places, which are read along, be as old as one that is taken, so that they cost nothing more."""
        state = self.state
        taken = next((i for i, request in enumerate(self.places) if request is not None), None)
        if state is None or taken is None:
            return
        for i, request in enumerate(self.places):
            if request is None:
                state.used[i], state.read[i] = state.used[taken], state.read[taken]
