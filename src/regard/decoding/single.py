"""Requests with one row each: the most likely token of each, or one that is drawn."""

from collections.abc import Sequence
from itertools import groupby

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from regard.batch import EOS
from regard.decoding.beam import hypothesis
from regard.decoding.output import OutputLayer
from regard.decoding.request import BeamSearch, Hypothesis, Request, Sampled
from regard.decoding.rules import repeating
from regard.decoding.sampling import draw, rules_of
from regard.errors import BundleError


class Singles:
    """The texts of the requests of a lane, one row each."""

    def __init__(self, output: OutputLayer) -> None:
        self.output = output
        self.requests: list[Request | None] = []
        self.random: dict[int, torch.Generator] = {}  # by the id of a request, whose draws depend on its seed alone
        self.tokens = torch.empty(0, dtype=torch.long)

    def admit(self, requests: Sequence[Request], at: Sequence[int], device: torch.device) -> None:
        """Begin texts, or go on with them, in the given places."""
        self.requests += [None] * max(0, max(at) + 1 - len(self.requests))
        for place, request in zip(at, requests, strict=True):
            self.requests[place] = request
            if isinstance(request.chooser, Sampled) and id(request) not in self.random:
                # A seed gives one text on a CPU and another on a GPU, whose random numbers differ.
                random = torch.Generator(device)
                self.random[id(request)] = random.manual_seed(request.chooser.config.seed)

    def keep(self, places: Sequence[int]) -> None:
        """Keep only the requests in the given places, in that order."""
        self.requests = [self.requests[i] for i in places]

    def leave(self, place: int) -> None:
        """Free a place whose request goes on in another."""
        self.requests[place] = None

    def cancel(self, request: Request) -> None:
        """Forget a request."""
        self.requests = [None if other is request else other for other in self.requests]
        self.random.pop(id(request), None)

    def choose(self, hidden: Float[Tensor, "R D"]) -> tuple[Int[Tensor, " R"], None]:
        """Return the next token of every row."""
        likeliest = [i for i, r in enumerate(self.requests) if r is not None and takes_likeliest(r)]
        drawn = [i for i, r in enumerate(self.requests) if r is not None and not takes_likeliest(r)]
        tokens = torch.zeros(len(hidden), dtype=torch.long, device=hidden.device)
        if likeliest:
            # Rows without a request are computed as well: taking the others out would be a copy.
            rows = likeliest if drawn else list(range(len(self.requests)))
            tokens[rows] = self._likeliest(hidden[rows] if drawn else hidden, rows)
        for _, group in groupby(sorted(drawn, key=self._rules), key=self._rules):
            rows = list(group)
            tokens[rows] = self._draw(hidden[rows], rows)
        return tokens, None

    def _rules(self, i: int) -> str:
        request = self.requests[i]
        assert request is not None and isinstance(request.chooser, Sampled), "the likeliest token has no rules"
        return repr(rules_of(request.chooser.config))

    def _likeliest(self, hidden: Float[Tensor, "r D"], rows: Sequence[int]) -> Int[Tensor, " r"]:
        requests = [self.requests[i] for i in rows]
        scored = any(r is not None and scores(r) for r in requests)
        log_p, tokens = self.output.likeliest(hidden, normalise=scored, banned=self._banned(hidden, requests))
        forcing = [k for k, r in enumerate(requests) if r is not None and len(r.written) < len(r.chooser.forced)]
        if forcing:
            given = [r.chooser.forced[len(r.written)] for k in forcing if (r := requests[k]) is not None]
            tokens[forcing] = torch.tensor(given, device=tokens.device)
            log_p[forcing] = self.output.logits(hidden[forcing]).log_softmax(-1)[range(len(forcing)), given]
        for request, token, value in zip(requests, tokens.tolist(), log_p.tolist(), strict=True):
            if request is not None:
                self._write(request, token, value)
        return tokens

    def _draw(self, hidden: Float[Tensor, "r D"], rows: Sequence[int]) -> Int[Tensor, " r"]:
        requests = [r for i in rows if (r := self.requests[i]) is not None]
        logits = self.output.logits(hidden)
        log_p = logits.log_softmax(-1)
        if not bool(log_p.amax(-1).isfinite().all()):
            raise BundleError("The outputs of the model are not finite with these weights. Use another bundle.")
        chooser = requests[0].chooser
        assert isinstance(chooser, Sampled), "rows whose tokens are drawn"
        texts, written = [r.text for r in requests], [r.written for r in requests]
        tokens = draw(logits, texts, written, chooser.config, [self.random[id(r)] for r in requests])
        for k, request in enumerate(requests):
            if len(request.written) < len(request.chooser.forced):
                tokens[k] = request.chooser.forced[len(request.written)]
        of_tokens = log_p.gather(1, tokens[:, None])[:, 0]
        for request, token, value in zip(requests, tokens.tolist(), of_tokens.tolist(), strict=True):
            self._write(request, token, value)
        return tokens

    def _banned(self, hidden: Tensor, requests: Sequence[Request | None]) -> Bool[Tensor, "r V"] | None:
        """Return which tokens may not be written now; None if all may be."""
        banned = None
        for row, request in enumerate(requests):
            chooser = request.chooser if request is not None else None
            if request is None or not isinstance(chooser, BeamSearch):
                continue
            too_short = len(request.written) < chooser.min_tokens
            if not too_short and not chooser.no_repeat:
                continue
            if banned is None:
                banned = torch.zeros(len(hidden), self.output.n_tokens, dtype=torch.bool, device=hidden.device)
            banned[row, EOS] = too_short
            if chooser.no_repeat:
                banned[row, repeating(request.written, chooser.no_repeat)] = True
        return banned

    def _write(self, request: Request, token: int, log_probability: float) -> None:
        """Add a token to a request, and answer it if it is finished. log_probability: a logit if it is not scored."""
        if log_probability != log_probability or log_probability == float("inf"):
            raise BundleError("The outputs of the model are not finite with these weights. Use another bundle.")
        if scores(request):
            request.log_probabilities.append(log_probability)
        ended = token == EOS or (isinstance(request.chooser, Sampled) and token in request.chooser.config.stop_tokens)
        if not ended:
            request.written.append(token)
        if ended or len(request.written) >= request.longest:
            request.answer = [self._answer(request, ended)]
            self.cancel(request)

    def _answer(self, request: Request, ended: bool) -> Hypothesis:
        total = sum(request.log_probabilities) if scores(request) else float("nan")
        chooser = request.chooser if isinstance(request.chooser, BeamSearch) else BeamSearch(length_penalty=0.0)
        return hypothesis(request.written, total, chooser, ended=ended)


def takes_likeliest(request: Request) -> bool:
    """Return whether a request takes the most likely token, with no rule that needs all logits."""
    chooser = request.chooser
    return isinstance(chooser, BeamSearch) or (chooser.config.greedy and not chooser.config.penalises)


def scores(request: Request) -> bool:
    """Return whether a request wants log-probabilities."""
    return not isinstance(request.chooser, BeamSearch) or request.chooser.scored
