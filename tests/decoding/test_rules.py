import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regard.decoding.rules import (
    min_p,
    penalise_occurrences,
    penalise_repetition,
    repeating,
    temperature,
    top_k,
    top_p,
    typical,
)

LOGITS = st.lists(st.floats(-8, 8), min_size=2, max_size=12).map(lambda x: torch.tensor([x], dtype=torch.float64))


def left(logits: torch.Tensor) -> set[int]:
    return set((logits[0] > float("-inf")).nonzero().flatten().tolist())


@given(logits=LOGITS, t=st.floats(0.05, 20))
def test_temperature_raises_probabilities_to_its_inverse(logits, t):
    raised = logits.softmax(-1) ** (1 / t)
    torch.testing.assert_close(temperature(logits, t).softmax(-1), raised / raised.sum(), rtol=1e-9, atol=1e-12)


def test_no_temperature_leads_out_of_the_range_of_numbers():
    logits = torch.tensor([[0.0, 5.0, 4.0, float("-inf")], [-7.0, 0.0, float("-inf"), -1.0]])
    for t in (1e-300, 1e-40):
        assert temperature(logits, t).softmax(-1).tolist() == [[0, 1, 0, 0], [0, 1, 0, 0]]
    for t in (1e40, 1e300):
        flat = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1]]) / 3
        torch.testing.assert_close(temperature(logits, t).softmax(-1), flat)


@given(logits=LOGITS, k=st.integers(1, 15))
def test_top_k_leaves_the_k_largest_and_their_equals(logits, k):
    ordered = sorted(logits[0].tolist(), reverse=True)
    least = ordered[min(k, len(ordered)) - 1]
    assert left(top_k(logits, k)) == {i for i, x in enumerate(logits[0].tolist()) if x >= least}


@given(logits=LOGITS, p=st.floats(0.01, 1))
def test_top_p_leaves_the_smallest_set_that_has_p(logits, p):
    probabilities = logits.softmax(-1)[0].tolist()
    kept = left(top_p(logits, p))
    mass = sum(probabilities[i] for i in kept)
    least = min(probabilities[i] for i in kept)
    assert mass >= p - 1e-9
    assert mass - least < p + 1e-9
    assert all(probabilities[i] <= least for i in set(range(len(probabilities))) - kept)


def test_top_p_leaves_everything_at_one_and_below_it_the_first_of_equals():
    logits = torch.tensor([[0.0, -20.0, -30.0, float("-inf")]])  # in float32 the first has all the probability
    assert torch.equal(top_p(logits, 1.0), logits)
    assert left(top_p(torch.zeros(1, 4), 0.5)) == {0, 1}


@given(logits=LOGITS, p=st.floats(0, 1))
def test_min_p_leaves_what_is_likely_enough(logits, p):
    probabilities = logits.softmax(-1)[0].tolist()
    assert left(min_p(logits, p)) == {i for i, x in enumerate(probabilities) if x >= p * max(probabilities)}


@given(logits=LOGITS, p=st.floats(0.01, 1))
def test_typical_leaves_the_smallest_set_of_those_closest_to_the_entropy_that_has_p(logits, p):
    probabilities = logits.softmax(-1)[0].tolist()
    entropy = -sum(q * math.log(q) for q in probabilities)
    distance = [abs(-math.log(q) - entropy) for q in probabilities]
    kept = left(typical(logits, p))
    mass = sum(probabilities[i] for i in kept)
    farthest = max(kept, key=lambda i: distance[i])
    assert mass >= p - 1e-9
    least = min(probabilities[i] for i in kept if distance[i] > distance[farthest] - 1e-9)
    assert mass - least < p + 1e-9 or len(kept) == 1
    assert all(distance[i] >= distance[farthest] - 1e-9 for i in set(range(len(probabilities))) - kept)
    assert torch.equal(typical(logits, p)[0, sorted(kept)], logits[0, sorted(kept)])


def test_the_likeliest_token_may_be_the_least_typical():
    """Of .4 and ten times .06 the entropy is 2.05 nats; the information of .4 is 1.14 away, of .06 0.76."""
    probabilities = torch.tensor([[0.4, *[0.06] * 10]], dtype=torch.float64)
    assert left(typical(probabilities.log(), 0.3)) == {1, 2, 3, 4, 5}
    assert left(typical(probabilities.log(), 0.6)) == set(range(1, 11))
    assert left(typical(probabilities.log(), 0.7)) == set(range(11))


def test_typical_leaves_everything_at_one_and_what_was_ruled_out_stays_out():
    logits = torch.tensor([[0.0, -20.0, -30.0, float("-inf")]])
    assert torch.equal(typical(logits, 1.0), logits)
    assert 3 not in left(typical(logits, 0.9999999))
    assert left(typical(logits, 1e-9)) == {0}


def test_what_was_written_loses_a_constant_and_something_each_time():
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = penalise_occurrences(logits, [[2, 0, 2], []], presence=0.5, frequency=0.25)
    assert found.tolist() == [[0.25, 2.0, 2.0], [1.0, 2.0, 3.0]]
    assert logits.tolist() == [[1.0, 2.0, 3.0]] * 2  # what was given is left alone
    assert penalise_occurrences(logits, [[1], [1, 1]], -1.0, 0.0).tolist() == [[1.0, 3.0, 3.0]] * 2


@given(written=st.lists(st.integers(0, 3), max_size=12), n=st.integers(1, 5))
def test_the_tokens_that_repeat_are_those_whose_n_gram_was_there_before(written, n):
    expected = []
    for token in range(4):
        n_grams = [(*written, token)[i : i + n] for i in range(len(written) + 2 - n)]
        if n_grams and n_grams[-1] in n_grams[:-1]:
            expected.append(token)
    assert repeating(written, n) == expected


def test_the_tokens_that_repeat_worked_by_hand():
    assert repeating([5, 6, 7, 5, 6], 3) == [7]
    assert repeating([5, 6, 5, 7, 5], 2) == [6, 7]
    assert repeating([7, 5, 7], 1) == [5, 7]
    assert repeating([], 1) == repeating([5], 2) == repeating([5, 6], 3) == []


@given(logits=LOGITS)
def test_the_likeliest_always_stays_and_what_stays_is_unchanged(logits):
    best = int(logits.argmax())
    for ruled in (top_k(logits, 1), top_p(logits, 1e-9), min_p(logits, 1.0), min_p(top_p(top_k(logits, 2), 0.5), 0.9)):
        kept = sorted(left(ruled))
        assert best in kept
        assert torch.equal(ruled[0, kept], logits[0, kept])


def test_the_penalty_makes_what_was_written_less_likely_on_both_sides_of_zero():
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    penalised = penalise_repetition(logits, torch.tensor([[0, 1, 0]]), 2.0)
    assert penalised.tolist() == [[1.0, -4.0, 1.0]]
    assert penalise_repetition(logits, torch.tensor([[2]]), 0.5).tolist() == [[2.0, -2.0, 2.0]]


def test_no_penalty_rules_a_token_out_and_what_was_ruled_out_stays_out():
    logits = torch.tensor([[0.0, 5.0, -5.0, float("-inf")]])
    for penalty in (1e-300, 1e-40, 1e40, 1e300):
        penalised = penalise_repetition(logits, torch.tensor([[0, 1, 2, 3]]), penalty)
        assert penalised.isfinite().tolist() == [[True, True, True, False]]
        assert penalised[0, 3] == float("-inf")


def test_rows_are_ruled_one_by_one():
    logits = torch.tensor(
        [[math.log(0.6), math.log(0.3), math.log(0.1)], [math.log(0.1), math.log(0.2), math.log(0.7)]]
    )
    assert (top_p(logits, 0.65) > float("-inf")).tolist() == [[True, True, False], [False, False, True]]
    assert (top_k(logits, 1) > float("-inf")).tolist() == [[True, False, False], [False, False, True]]
    assert (min_p(logits, 0.4) > float("-inf")).tolist() == [[True, True, False], [False, False, True]]
    assert top_p(logits, 0.65)[0, 1].item() == pytest.approx(math.log(0.3))
    squared = torch.tensor([[0.36, 0.09, 0.01], [0.01, 0.04, 0.49]])
    torch.testing.assert_close(temperature(logits, 0.5).softmax(-1), squared / squared.sum(-1, keepdim=True))
    penalised = penalise_repetition(torch.tensor([[2.0, 4.0], [2.0, 4.0]]), torch.tensor([[0], [1]]), 2.0)
    assert penalised.tolist() == [[1.0, 4.0], [2.0, 2.0]]
