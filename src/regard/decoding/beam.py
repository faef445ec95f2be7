"""Beam search: the best few hypotheses of every sentence, kept side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from regard.batch import EOS
from regard.decoding.output import OutputLayer
from regard.decoding.request import BeamSearch, Hypothesis, Request
from regard.decoding.rules import repeating
from regard.errors import BundleError

LengthPenalty = Literal["exponent", "wu"]


@dataclass(slots=True)
class Search:
    """The search for one sentence: how many tokens its hypotheses have, and those that have ended."""

    request: Request
    n_written: int = 0
    ended: list[Hypothesis] = field(default_factory=list)

    @property
    def chooser(self) -> BeamSearch:
        assert isinstance(self.request.chooser, BeamSearch), "only a search has several rows"
        return self.request.chooser


class Beams:
    """The hypotheses of the sentences of a lane, N sentences with B rows each."""

    def __init__(self, output: OutputLayer, beam: int) -> None:
        self.output, self.beam = output, beam
        self.searches: list[Search | None] = []
        self.totals = torch.empty(0, beam)  # (N, B): log-probabilities
        self.written = torch.empty(0, beam, 0, dtype=torch.long)  # (N, B, T)

    def admit(self, requests: Sequence[Request], at: Sequence[int], device: torch.device) -> None:
        """Begin searches in the given places."""
        missing = max(0, max(at) + 1 - len(self.searches))
        self.searches += [None] * missing
        self.totals = F.pad(self.totals.to(device), (0, 0, 0, missing))
        self.written = F.pad(self.written.to(device), (0, 0, 0, 0, 0, missing))
        for place, request in zip(at, requests, strict=True):
            self.searches[place] = Search(request)
            # All hypotheses are the same at first: only one of them counts.
            self.totals[place, 1:] = float("-inf")
            self.totals[place, 0] = 0.0

    def keep(self, places: Sequence[int]) -> None:
        """Keep only the searches in the given places, in that order."""
        self.searches = [self.searches[i] for i in places]
        self.totals, self.written = self.totals[list(places)], self.written[list(places)]

    def choose(self, hidden: Float[Tensor, "R D"]) -> tuple[Int[Tensor, " R"], Int[Tensor, "N B"]]:
        """Return the next token of every row, and the row of its sentence that it continues."""
        scores, parents, tokens = self._candidates(hidden)  # (N, 2 B) each
        ends = tokens == EOS
        # At most B of the 2 B best end, so B of them go on. A hypothesis may end only among the first B.
        self._collect(scores, parents, ends)
        self.totals, kept = scores.masked_fill(ends, float("-inf")).topk(self.beam)
        parents, tokens = parents.gather(1, kept), tokens.gather(1, kept)
        self._write(parents, tokens)
        self._finish()
        return tokens.flatten(), parents

    def _candidates(self, hidden: Float[Tensor, "R D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the 2 B best continuations of every sentence: log-probabilities, the rows they continue, tokens."""
        scores, parents, tokens = self.output.continuations(
            hidden, self.totals, 2 * self.beam, banned=self._banned(hidden)
        )
        forcing = [i for i, s in enumerate(self.searches) if s and s.n_written < len(s.chooser.forced)]
        if forcing:
            self._force(hidden, forcing, scores, parents, tokens)
        return scores, parents, tokens

    def _force(self, hidden: Tensor, places: list[int], scores: Tensor, parents: Tensor, tokens: Tensor) -> None:
        """Replace the continuations of some sentences by the token that is forced there."""
        logits = self.output.logits(hidden.unflatten(0, (-1, self.beam))[places, 0])
        for place, log_p in zip(places, logits.log_softmax(-1), strict=True):
            search = self.searches[place]
            assert search is not None, "a place with a forced token is taken"
            token = search.chooser.forced[search.n_written]
            scores[place], parents[place], tokens[place] = float("-inf"), 0, token
            scores[place, 0] = self.totals[place, 0] + log_p[token]

    def _banned(self, hidden: Tensor) -> Bool[Tensor, "R V"] | None:
        """Return which tokens no hypothesis may write now; None if all may be written."""
        banned = None
        for i, search in enumerate(self.searches):
            if search is None:
                continue
            chooser, t = search.chooser, search.n_written
            if t >= chooser.min_tokens and not chooser.no_repeat:
                continue
            if banned is None:
                banned = torch.zeros(len(hidden), self.output.n_tokens, dtype=torch.bool, device=hidden.device)
            rows = banned[i * self.beam : (i + 1) * self.beam]
            if t < chooser.min_tokens:
                rows[:, EOS] = True
            if chooser.no_repeat:
                for row, written in zip(rows, self.written[i, :, :t].tolist(), strict=True):
                    row[repeating(written, chooser.no_repeat)] = True
        return banned

    def _collect(self, scores: Tensor, parents: Tensor, ends: Tensor) -> None:
        """Add the candidates that end to the ended hypotheses of their sentences."""
        for i, j in ends[:, : self.beam].nonzero().tolist():
            search, total = self.searches[i], float(scores[i, j])
            if search is not None and total > float("-inf"):
                ids = self.written[i, parents[i, j], : search.n_written].tolist()
                search.ended.append(hypothesis(ids, total, search.chooser, ended=True))

    def _write(self, parents: Tensor, tokens: Tensor) -> None:
        lengths = [search.n_written if search else 0 for search in self.searches]
        if (missing := max(lengths) + 1 - self.written.shape[2]) > 0:
            self.written = F.pad(self.written, (0, missing + 15))
        self.written = self.written.gather(1, parents[..., None].expand(-1, -1, self.written.shape[2]))
        at = torch.tensor(lengths, device=tokens.device)[:, None, None].expand(-1, self.beam, 1)
        self.written.scatter_(2, at, tokens[..., None])

    def _finish(self) -> None:
        """Give the searches that are over their answers."""
        for i, totals in enumerate(self.totals.tolist()):
            search = self.searches[i]
            if search is None:
                continue
            search.n_written += 1
            chooser, open_ones = search.chooser, [total for total in totals if total > float("-inf")]
            if (not open_ones and not search.ended) or any(total != total for total in totals):
                raise BundleError("The outputs of the model are not finite with these weights. Use another bundle.")
            if len(search.ended) < self.beam and search.n_written >= search.request.longest:
                # Rows of minus infinity hold tokens that are never written.
                written = self.written[i, : len(open_ones), : search.n_written].tolist()
                pairs = zip(written, open_ones, strict=True)
                search.ended += [hypothesis(ids, total, chooser, ended=False) for ids, total in pairs]
            elif len(search.ended) < self.beam and open_ones and not decided(search, open_ones[0]):
                continue
            search.request.answer = sorted(search.ended, key=lambda h: -h.score)[: self.beam]
            self.searches[i] = None

    def leave(self, place: int) -> None:
        """Free a place whose request goes on in another."""
        self.searches[place] = None

    def cancel(self, request: Request) -> None:
        """Stop the search for a request."""
        self.searches = [None if search and search.request is request else search for search in self.searches]


def decided(search: Search, best_open: float) -> bool:
    """Return whether no open hypothesis can still be among the n best.

    A hypothesis's log-probability can only fall, and its penalty is at most that of the longest target.
    """
    if len(search.ended) < search.chooser.n:
        return False
    nth = sorted((h.score for h in search.ended), reverse=True)[search.chooser.n - 1]
    return best_open / length_penalty(search.request.longest + 1, search.chooser) <= nth


def hypothesis(ids: list[int], log_probability: float, chooser: BeamSearch, *, ended: bool) -> Hypothesis:
    """Return a hypothesis with its score: EOS counts in its length if it was written."""
    score = log_probability / length_penalty(len(ids) + ended, chooser)
    return Hypothesis(ids, log_probability, score, ended)


def length_penalty(n_tokens: int, chooser: BeamSearch) -> float:
    """Return what a log-probability is divided by: length ** a, or ((5 + length) / 6) ** a (Wu et al. 2016, eq. 14)."""
    length = (5 + n_tokens) / 6 if chooser.penalty == "wu" else n_tokens
    return float(max(length, 1e-9) ** chooser.length_penalty)
