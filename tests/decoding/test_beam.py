import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import TableModel, random_table

from regard.batch import BOS, EOS, PAD, collate
from regard.decoding.beam import beam_search, best_continuations, collect_ended, in_beam, ranked, ranking_score

A, B = 3, 4
INF = float("-inf")


def by_hand(model: TableModel, longest: int, beam: int, length_penalty: float) -> list[tuple[list[int], float]]:
    """Return what beam search finds for one sentence, with lists of hypotheses and no tensors of them."""
    open_ones, finished = [([], 0.0)], []
    for t in range(1, longest + 1):
        candidates = []
        for ids, total in open_ones:
            before, last = ([BOS, BOS, *ids])[-2:]
            log_p = model.table[before, last].log_softmax(-1).tolist()
            candidates += [(ids, token, total + p) for token, p in enumerate(log_p) if token not in (PAD, BOS)]
        candidates = sorted((c for c in candidates if c[2] > INF), key=lambda c: -c[2])[: 2 * beam]
        finished += [(ids, total) for ids, token, total in candidates[:beam] if token == EOS]
        open_ones = [([*ids, token], total) for ids, token, total in candidates if token != EOS][:beam]
        if len(finished) >= beam:
            break
        if t == longest:
            finished += open_ones
    return sorted(finished, key=lambda h: -h[1] / (len(h[0]) + 1) ** length_penalty)[:beam]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beam", [2, 3])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_it_finds_what_lists_of_hypotheses_find(seed, beam, length_penalty):
    model, longest = random_table(seed, 12, slice(3, 6)), [6, 2, 4]
    found = beam_search(model, collate([[7]] * 3), longest, beam, length_penalty)
    for hypotheses, most in zip(found, longest, strict=True):
        expected = by_hand(model, most, beam, length_penalty)
        assert [ids for ids, _ in hypotheses] == [ids for ids, _ in expected]
        assert [p for _, p in hypotheses] == pytest.approx([p for _, p in expected])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beam", [2, 3])
def test_it_never_writes_a_mark_nor_a_control_id(seed, beam):
    model = random_table(seed, 12, slice(3, 6))
    model.table[..., [PAD, BOS]] += 20.0
    (found,) = beam_search(model, collate([[7]]), [5], beam, 1.0)
    assert len(found) == beam
    assert all(token > 5 for ids, _ in found for token in ids)


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_a_beam_wider_than_what_can_be_written_finds_all_of_it_and_nothing_else(longest):
    """A hypothesis of no probability would hold a mark or a control id."""
    model = random_table(0, 8, slice(3, 6))
    (found,) = beam_search(model, collate([[7]]), [longest], 40, 0.0)
    expected = [list(ids) for n in range(longest + 1) for ids in itertools.product([6, 7], repeat=n)]
    assert sorted(ids for ids, _ in found) == sorted(expected)
    assert all(math.isfinite(p) for _, p in found)


def test_sentences_that_are_finished_leave_the_batch():
    table = torch.full((5, 5, 5), -9.0)
    table[..., [A, B]] = torch.tensor([0.0, -0.1])
    model = TableModel(table)
    found = beam_search(model, collate([[A]] * 3), [2, 4, 1], 2, 1.0)
    assert [{len(ids) for ids, _ in hypotheses} for hypotheses in found] == [{2}, {4}, {1}]
    assert model.n_rows == [6, 4, 2, 2]


@given(
    logits=st.lists(st.floats(-5, 5), min_size=14, max_size=14),
    totals=st.lists(st.floats(-9, 0), min_size=2, max_size=2),
    n=st.integers(1, 9),
)
def test_the_best_continuations_are_the_best_of_all_continuations(logits, totals, n):
    table = torch.tensor(logits, dtype=torch.float64).view(2, 7)
    log_p = table.log_softmax(-1)
    every = [(totals[i] + log_p[i, token].item(), i, token) for i in range(2) for token in range(2, 7)]
    scores, parents, tokens = best_continuations(table.clone(), torch.tensor([totals], dtype=torch.float64), n)
    assert scores[0].tolist() == pytest.approx([score for score, *_ in sorted(every, reverse=True)[:n]])
    for score, i, token in zip(scores[0].tolist(), parents[0].tolist(), tokens[0].tolist(), strict=True):
        assert score == pytest.approx(totals[i] + log_p[i, token].item())


def test_only_the_first_of_twice_as_many_candidates_may_end():
    assert in_beam(torch.zeros(2, 6), 3).tolist() == [[True, True, True, False, False, False]] * 2


def test_what_has_ended_is_collected_with_its_parent_unless_it_has_no_probability():
    finished: list[list[tuple[list[int], float]]] = [[], [], []]
    written = torch.tensor([[[6], [7]], [[8], [9]]])
    scores, parents = torch.tensor([[-1.0, -2.0], [-3.0, INF]]), torch.tensor([[1, 0], [0, 1]])
    ended = torch.tensor([[True, False], [True, True]])
    collect_ended(finished, [2, 0], written, scores, parents, ended)
    assert finished == [[([8], -3.0)], [], [([7], -1.0)]]


def test_the_score_is_the_log_probability_over_the_length_with_the_end_to_a_power():
    assert ranking_score([5, 6, 7], -8.0, 1.0) == -2.0
    assert ranking_score([5, 6, 7], -8.0, 0.5) == -4.0
    assert ranking_score([5, 6, 7], -8.0, 0.0) == ranking_score([], -8.0, 1.0) == -8.0


@given(
    hypotheses=st.lists(st.tuples(st.lists(st.integers(3, 9), max_size=5), st.floats(-50, 0)), max_size=8),
    beam=st.integers(1, 9),
    length_penalty=st.floats(0, 10),
)
def test_the_best_hypotheses_stay_by_falling_score(hypotheses, beam, length_penalty):
    kept = ranked(hypotheses, beam, length_penalty)
    scores = [ranking_score(*h, length_penalty) for h in hypotheses]
    assert [ranking_score(*h, length_penalty) for h in kept] == sorted(scores, reverse=True)[:beam]
