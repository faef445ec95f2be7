import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import reference
from tests.fakes import TableModel, random_table

from regard.batch import BOS, EOS, PAD
from regard.decoding.beam import Search, decided, hypothesis, length_penalty
from regard.decoding.engine import Engine
from regard.decoding.request import BeamSearch, Hypothesis, Request
from regard.errors import BundleError

A, B = 3, 4
CONTROL = slice(3, 6)


def run(model, chooser, *longest):
    """Return the hypotheses of a batch of sources that differ in nothing but the maximum length of their targets."""
    return Engine(model).run([Request([7, EOS], BOS, n, chooser) for n in longest])


def assert_same(found: list[Hypothesis], expected) -> None:
    assert [(h.ids, h.ended) for h in found] == [(ids, ended) for ids, _, _, ended in expected]
    for i, figures in enumerate(zip(*((h.log_probability, h.score) for h in found), strict=True), start=1):
        assert list(figures) == pytest.approx([e[i] for e in expected], abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beam", [2, 3, 5])
@pytest.mark.parametrize(("exponent", "penalty"), [(0.0, "exponent"), (1.0, "exponent"), (0.6, "wu"), (2.0, "wu")])
def test_it_finds_what_lists_of_hypotheses_find(seed, beam, exponent, penalty):
    model, longest = random_table(seed, 12, CONTROL), [6, 2, 4]
    chooser = BeamSearch(beam, beam, exponent, penalty)
    for found, most in zip(run(model, chooser, *longest), longest, strict=True):
        expected = reference.beam_search(model.next_log_probabilities, most, beam, exponent, penalty=penalty)
        assert_same(found, expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beam", [2, 4])
@pytest.mark.parametrize(
    "rules",
    [
        *({"min_tokens": 3}, {"no_repeat": 1}, {"no_repeat": 2}, {"no_repeat": 3}, {"forced": (7, 7, 9)}),
        {"forced": (8, 6), "min_tokens": 4, "no_repeat": 2},
    ],
    ids=str,
)
def test_with_every_rule_it_finds_what_lists_of_hypotheses_find(seed, beam, rules):
    model, longest = random_table(seed, 12, CONTROL), [8, 4, 6]
    for found, most in zip(run(model, BeamSearch(beam, beam, **rules), *longest), longest, strict=True):
        assert_same(found, reference.beam_search(model.next_log_probabilities, most, beam, **rules))


@given(logits=st.lists(st.floats(-5, 5), min_size=7, max_size=7), beam=st.integers(2, 9))
def test_the_first_tokens_are_the_likeliest_ones(logits, beam):
    """Ties included: of equal candidates any may be taken, but their log-probabilities are those of the best."""
    model = TableModel(torch.tensor(logits, dtype=torch.float64).expand(7, 7, 7))
    (found,) = run(model, BeamSearch(beam, beam, length_penalty=0.0), 1)
    log_p = model.next_log_probabilities([])
    best = sorted((log_p[i], i) for i in range(7) if i not in (PAD, BOS))[::-1]
    assert len(found) == min(beam, 5)
    assert [h.log_probability for h in found] == pytest.approx([p for p, _ in best][: len(found)])
    for h in found:
        assert h.log_probability == pytest.approx(log_p[EOS if h.ended else h.ids[0]])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beam", [2, 3])
def test_it_never_writes_a_mark_nor_a_control_id(seed, beam):
    model = random_table(seed, 12, CONTROL)
    model.table[..., [PAD, BOS]] += 20.0
    (found,) = run(model, BeamSearch(beam, beam), 5)
    assert len(found) == beam
    assert all(token > 5 for h in found for token in h.ids)


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_a_beam_wider_than_what_can_be_written_finds_all_of_it_and_nothing_else(longest):
    """A hypothesis of no probability would hold a mark or a control id."""
    model = random_table(0, 8, CONTROL)
    (found,) = run(model, BeamSearch(40, 40, length_penalty=0.0), longest)
    expected = [list(ids) for n in range(longest + 1) for ids in itertools.product([6, 7], repeat=n)]
    assert sorted(h.ids for h in found) == sorted(expected)
    for h in found:
        assert h.ended == (len(h.ids) < longest)
        assert h.log_probability == pytest.approx(model.log_probability(h.ids, ended=h.ended))


def test_sentences_that_are_finished_leave_the_batch():
    table = torch.full((5, 5, 5), -9.0)
    table[..., [A, B]] = torch.tensor([0.0, -0.1])
    model = TableModel(table)
    found = run(model, BeamSearch(2, 2), 2, 4, 1)
    assert [{len(h.ids) for h in hypotheses} for hypotheses in found] == [{2}, {4}, {1}]
    assert model.n_rows == [6, 4, 2, 2]


def test_only_the_first_of_twice_as_many_candidates_may_end():
    table = torch.full((6, 6, 6), -50.0, dtype=torch.float64)
    table[..., [A, B, EOS]] = torch.tensor([0.0, -1.0, -2.0], dtype=torch.float64)  # EOS comes third at first
    (found,) = run(TableModel(table), BeamSearch(2, 2), 2)
    assert all(len(h.ids) > 0 for h in found)
    (wider,) = run(TableModel(table), BeamSearch(3, 3), 1)
    assert [h.ids for h in wider if h.ended] == [[]]


@pytest.mark.parametrize("length", [1, 4])
def test_the_score_is_the_log_probability_over_the_length_to_a_power(length):
    ids = [5] * (length - 1)
    for exponent in (0.0, 0.5, 1.0, 2.0):
        exponential, wu = (BeamSearch(length_penalty=exponent, penalty=kind) for kind in ("exponent", "wu"))
        by_wu = -8.0 * 6**exponent / (5 + length) ** exponent
        assert hypothesis(ids, -8.0, exponential, ended=True).score == pytest.approx(-8.0 / length**exponent)
        assert hypothesis([5] * length, -8.0, exponential, ended=False).score == pytest.approx(-8.0 / length**exponent)
        assert hypothesis(ids, -8.0, wu, ended=True).score == pytest.approx(by_wu)


def test_the_penalty_of_wu_has_the_values_of_the_paper():
    """Wu et al. 2016, equation 14: ((5 + |Y|) / 6) ** a, so one token has no penalty whatever a is."""
    assert length_penalty(1, BeamSearch(length_penalty=0.6, penalty="wu")) == 1.0
    assert length_penalty(13, BeamSearch(length_penalty=0.5, penalty="wu")) == pytest.approx(math.sqrt(3))
    assert length_penalty(0, BeamSearch(length_penalty=1.0)) > 0  # an empty hypothesis that has not ended


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(
    ("exponent", "penalty"), [(0.0, "exponent"), (1.0, "exponent"), (3.0, "exponent"), (1.0, "wu")]
)
def test_stopping_early_never_changes_the_best(seed, exponent, penalty):
    """A search that need not know all of its hypotheses ends sooner, with the same first ones."""
    model, beam = random_table(seed, 9), 4
    model.table[..., EOS] += seed % 4
    longest = 1 + seed % 9
    (expected,) = run(model, BeamSearch(beam, beam, exponent, penalty), longest)
    n_steps = len(model.n_rows)
    for n in (1, 2, 3):
        model.n_rows.clear()
        (found,) = run(model, BeamSearch(beam, n, exponent, penalty), longest)
        assert found[:n] == expected[:n]
        assert len(model.n_rows) <= n_steps


def test_a_search_for_the_best_alone_ends_when_no_other_can_be_better():
    table = torch.full((6, 6, 6), -9.0)
    table[BOS, BOS, [EOS, A]] = torch.tensor([0.0, -4.0])  # the empty target is the best, whatever comes
    model = TableModel(table)
    ((best, *_),) = run(model, BeamSearch(3, 1, length_penalty=0.0), 50)
    assert best.ids == [] and len(model.n_rows) == 1
    model.n_rows.clear()
    run(model, BeamSearch(3, 3, length_penalty=0.0), 50)
    assert len(model.n_rows) > 1


@given(
    ended=st.lists(st.tuples(st.integers(0, 5), st.floats(-50, 0)), max_size=6),
    best_open=st.floats(-60, 0),
    n=st.integers(1, 4),
    exponent=st.floats(0, 5),
    falls=st.lists(st.floats(0, 20), min_size=8, max_size=8),
)
def test_what_is_decided_stays_so_however_an_open_hypothesis_goes_on(ended, best_open, n, exponent, falls):
    chooser = BeamSearch(6, n, exponent)
    search = Search(Request([7, EOS], BOS, 8, chooser), n_written=5)
    search.ended = [hypothesis([A] * length, total, chooser, ended=True) for length, total in ended]
    if not decided(search, best_open):
        return
    scores = sorted((h.score for h in search.ended), reverse=True)
    total = best_open
    for length, fall in zip(range(5, 9), falls, strict=False):
        total -= fall
        assert hypothesis([A] * length, total, chooser, ended=True).score <= scores[n - 1] + 1e-9
    assert hypothesis([A] * 8, total, chooser, ended=False).score <= scores[n - 1] + 1e-9


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_model_that_gives_no_numbers_is_refused(wrong):
    model = random_table(0)
    model.table[A, B] = wrong
    model.table[..., EOS] = -20.0
    with pytest.raises(BundleError, match=r"The outputs of the model are not finite with these weights\. Use another"):
        run(model, BeamSearch(3, 3), 20)
