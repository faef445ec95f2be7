"""The interface of every family. Search, serving and inspection use only this."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from regard.batch import Batch
from regard.nn.state import State
from regard.nn.trace import Trace


@runtime_checkable  # checks names, not signatures; tests/contract checks their meaning
class Model(Protocol):
    """A sequence model. B batch, T target positions, D width, V vocabulary, R hypotheses."""

    def forward(self, batch: Batch, trace: Trace | None = None) -> Tensor:
        """Return the hidden states (B, T, D) from which the gold tokens are predicted, all positions at once."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., V) of hidden states (..., D), minus infinity for ids that are never generated."""
        ...

    @property
    def never_written(self) -> slice:
        """Return the ids that are excluded from the softmax: the control ids of the vocabulary."""
        ...

    @property
    def output_weight(self) -> Tensor:
        """Return the weight (V, D) of the output layer."""
        ...

    @property
    def n_positions(self) -> int | None:
        """Return how many tokens of source and target together there are positions for; None means any number."""
        ...

    @property
    def context_length(self) -> int | None:
        """Return how many tokens of running text are attended to at most; None if the model cannot continue text."""
        ...

    def begin(self, batch: Batch) -> State:
        """Encode the sources, or read the prompts, and return a state with one row per sentence.

        A row of a translation has read nothing of its target yet; that of a text has read its prompt.
        """
        ...

    def read(self, ids: Tensor, state: State) -> Tensor:
        """Read the next tokens of every row, ids (R, T), and return the hidden states (R, T, D); the state moves on."""
        ...
