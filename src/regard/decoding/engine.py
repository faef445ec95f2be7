"""The engine: requests are submitted, and every step writes one token of each of those that are in work.

Requests join and leave between steps. It knows the protocol of models, and neither text nor families.
"""

import heapq
import itertools
from collections.abc import Iterable

import torch
from torch import nn

from regard.decoding.lane import Lane
from regard.decoding.output import OutputLayer
from regard.decoding.request import Hypothesis, Request, cells_of
from regard.models.protocol import Model
from regard.nn.linear import Precision, in_precision

CPU = torch.device("cpu")

MOST_CELLS = 2**18
"""The maximum number of positions of all rows together; each takes some kilobytes per layer."""

WINDOW = 4096
"""Requests that may be taken out of order, so that those of similar length are decoded together."""

LEAST_FREE = 0.9
"""The share of the budget that must be free before some of the waiting requests join, if there is no room for all of
them: they are faster together."""

FEW_ROWS = 16
"""Up to how many rows others join them. Beside more, they are a batch of their own: texts of the same age have the same
number of keys, and no step takes time for keys that only others have.
"""


class Engine:
    """Decodes any number of requests together, within a budget of memory, each as if it were alone.

    The model must be in evaluation mode. batch_tokens: the approximate number of source tokens in work, padding
    included, each counted once per row.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device = CPU,
        precision: Precision = "float32",
        batch_tokens: int = 4096,
    ) -> None:
        self.model = model if precision == "float32" else lowered(model, precision)
        self.device, self.batch_tokens = device, batch_tokens
        self.output = OutputLayer(model, precision)
        self._waiting: list[tuple[int, int, int, Request]] = []
        self._n_waiting = 0  # source tokens, each counted once per row
        self._number = itertools.count()
        self._lanes: list[Lane] = []

    def submit(self, request: Request) -> Request:
        """Let a request join as soon as there is room, and return it; its `answer` is set when it is finished."""
        if not request.longest:
            request.answer = [Hypothesis([], 0.0, 0.0, ended=False)]
            return request
        number = next(self._number)
        # Longest first within a window, so that those in work together are alike. Windows are taken in order, so no
        # request waits for more than the ones of its own window that are longer.
        heapq.heappush(self._waiting, (number // WINDOW, -len(request.source), number, request))
        self._n_waiting += tokens_of(request)
        return request

    def cancel(self, request: Request) -> None:
        """Stop working on a request; it gets no answer. A finished one is left as it is."""
        left = [entry for entry in self._waiting if entry[3] is not request]
        if len(left) < len(self._waiting):
            self._waiting, self._n_waiting = left, self._n_waiting - tokens_of(request)
            heapq.heapify(self._waiting)
        for lane in self._lanes:
            lane.cancel(request)

    @property
    def busy(self) -> bool:
        """Return whether any request is waiting or in work."""
        return bool(self._waiting) or any(lane.n_active for lane in self._lanes)

    @torch.inference_mode()
    def step(self) -> None:
        """Let waiting requests join, and write one token of every request in work."""
        self._admit()
        for lane in self._lanes:
            lane.step()
        self._lanes = [lane for lane in self._lanes if lane.n_active]
        for lane in self._lanes:
            lane.shrink()

    def run(self, requests: Iterable[Request]) -> list[list[Hypothesis]]:
        """Decode requests and return the answers in order."""
        answers = []
        for request in [self.submit(request) for request in requests]:
            while request.answer is None:
                self.step()
            answers.append(request.answer)
        return answers

    def _admit(self) -> None:
        """Let requests join whose context is full, to go on with the last half of it, and those that have waited."""
        for running in self._lanes:
            if again := list(running.outgrown()):
                running.admit(again)
        used = self._used()
        while self._waiting and self._may_join(used) and (joining := self._next(used)):
            rows = joining[0].chooser.beam
            few = FEW_ROWS // rows - len(joining)
            alike = (lane for lane in self._lanes if lane.n_rows == rows and lane.n_active <= few)
            lane = next(alike, None) or self._new_lane(rows)
            lane.admit(joining)
            used = self._used()

    def _may_join(self, used: float) -> bool:
        """Return whether waiting requests may join: if nearly nothing is in work, or if there is room for all."""
        return 1 - used >= LEAST_FREE or self._n_waiting <= (1 - used) * self.batch_tokens

    def _next(self, used: float) -> list[Request]:
        """Take out the next waiting requests with the same number of rows, as many as there is room for."""
        joining: list[Request] = []
        source, cells, rows = 1, 1, self._waiting[0][3].chooser.beam
        while self._waiting and (request := self._waiting[0][3]).chooser.beam == rows:
            source, cells = max(source, len(request.source)), max(cells, cells_of(request))
            n = (len(joining) + 1) * rows
            # One request alone may always be in work, however much it needs.
            if (joining or used) and used + max(n * source / self.batch_tokens, n * cells / MOST_CELLS) > 1:
                break
            joining.append(heapq.heappop(self._waiting)[3])
            self._n_waiting -= tokens_of(request)
        return joining

    def _used(self) -> float:
        """Return the share of the budget that is in use."""
        tokens = sum(lane.n_active * lane.n_rows * max(1, lane.longest_source) for lane in self._lanes)
        cells = sum(lane.n_active * lane.n_rows * lane.most_cells for lane in self._lanes)
        return max(tokens / self.batch_tokens, cells / MOST_CELLS)

    def _new_lane(self, n_rows: int) -> Lane:
        self._lanes.append(Lane(self.model, self.output, self.device, n_rows))
        return self._lanes[-1]


def lowered(model: Model, precision: Precision) -> Model:
    """Return a model whose products are computed in a lower precision."""
    assert isinstance(model, nn.Module), "every family is a module"
    low = in_precision(model, precision)
    assert isinstance(low, Model), "only its layers are others"
    return low


def tokens_of(request: Request) -> int:
    """Return how many source tokens a request has, each counted once per row."""
    return len(request.source) * request.chooser.beam
