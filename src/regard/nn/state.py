"""The state of a decoder between steps, as data that can be selected and repeated for every family alike."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class State:
    """Tensors by name, each with the batch first.

    sentences: what belongs to a source sentence (N rows), stored once however many hypotheses the sentence has.
    rows: what belongs to a hypothesis (N * beams rows, the hypotheses of a sentence next to each other).
    """

    sentences: dict[str, Tensor]
    rows: dict[str, Tensor]


def select_rows(state: State, rows: Tensor) -> State:
    """Return the state of the given hypotheses, in that order; each sentence must keep the same number of them."""
    return State(state.sentences, {name: x.index_select(0, rows) for name, x in state.rows.items()})


def select_sentences(state: State, sentences: Tensor) -> State:
    """Return the state of the given sentences with all their hypotheses."""
    # Every family stores something per sentence, even if it is only a context of width 0.
    n_sentences = len(next(iter(state.sentences.values())))
    kept = {name: x.index_select(0, sentences) for name, x in state.sentences.items()}
    rows = {
        name: x.unflatten(0, (n_sentences, -1)).index_select(0, sentences).flatten(0, 1)
        for name, x in state.rows.items()
    }
    return State(kept, rows)


def repeat_rows(state: State, n: int) -> State:
    """Return the state with every hypothesis n times; what belongs to a sentence is not copied."""
    return State(state.sentences, {name: x.repeat_interleave(n, dim=0) for name, x in state.rows.items()})


def fold_beams(x: Tensor, n_sentences: int) -> Tensor:
    """Return (N * beams, 1, ...) as (N, beams, ...): the beams of a sentence become its queries."""
    return x.squeeze(1).unflatten(0, (n_sentences, -1))
