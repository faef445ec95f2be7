"""What the engine is asked for, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from regard.decoding.sampling import SamplingConfig


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """Keep the best few hypotheses; a beam of 1 is greedy search.

    The search ends when `beam` hypotheses have ended, or as soon as no other can be among the best n of those.
    """

    beam: int = 1
    n: int = 1
    length_penalty: float = 1.0
    penalty: str = "exponent"
    scored: bool = True
    """Whether a greedy search also computes log-probabilities, which take a tenth of its time."""
    min_tokens: int = 0
    no_repeat: int = 0
    """The length of the n-grams that no hypothesis may contain twice; 0 for none."""
    forced: tuple[int, ...] = ()
    """Tokens that every hypothesis begins with."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Draw every token from the model's distribution, changed by the rules of `config`, with the seed given there."""

    config: SamplingConfig
    forced: tuple[int, ...] = ()

    @property
    def beam(self) -> int:
        return 1


Chooser = BeamSearch | Sampled


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens without EOS, and the sum of their log-probabilities, EOS included.

    score: what hypotheses are ranked by, the log-probability divided by the length penalty. ended: whether EOS was
    written, and not the limit reached.
    """

    ids: list[int]
    log_probability: float
    score: float
    ended: bool = True


@dataclass(eq=False, slots=True)
class Request:
    """One sentence to decode, and what has become of it.

    source: what `Model.begin` reads, the source with EOS or a prompt without its last token. first: what is read next,
    BOS or the last token of the prompt. longest: the maximum number of tokens that are written, EOS not counted.
    context: how many tokens may be attended to, None for any number.
    """

    source: Sequence[int]
    first: int
    longest: int
    chooser: Chooser
    context: int | None = None

    written: list[int] = field(default_factory=list)
    """The tokens so far, of a greedy or sampled request."""
    log_probabilities: list[float] = field(default_factory=list)
    forgotten: int = 0
    """How many tokens of the text are no longer attended to, since the context was full."""
    answer: list[Hypothesis] | None = None
    """The hypotheses, best first, once the request is finished."""

    @property
    def text(self) -> list[int]:
        """Return all tokens that were given and written."""
        return [*self.source, self.first, *self.written]

    @property
    def finished(self) -> bool:
        return self.answer is not None


def cells_of(request: Request) -> int:
    """Return how many positions a row of the request may need, of its source and of what it writes."""
    n = len(request.source) + 1 + request.longest
    return n if request.context is None else min(n, request.context)
