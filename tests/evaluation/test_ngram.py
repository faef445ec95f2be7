import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.evaluation.ngram import N_CODE_POINTS, nats_after, nats_alone


def kneser_ney(known: str, order: int):
    """Interpolated Kneser-Ney as loops over strings: probability(context, character)."""
    padded = "\0" * (order - 1) + known
    tables = []
    for n in range(order):
        grams = [padded[i - n : i + 1] for i in range(order - 1, len(padded))]
        if n == order - 1:
            counts = Counter(grams)
        else:
            counts = Counter(gram[1:] for gram in {padded[i - n - 1 : i + 1] for i in range(order - 1, len(padded))})
        once, twice = (sum(c == k for c in counts.values()) for k in (1, 2))
        tables.append((counts, once / (once + 2 * twice) if once else 0.5))

    def probability(before: str, character: str) -> float:
        p = 1 / N_CODE_POINTS
        for n, (counts, discount) in enumerate(tables):
            context = before[len(before) - n :] if n else ""
            continuations = {gram: c for gram, c in counts.items() if gram[:-1] == context}
            if continuations:
                own = max(counts.get(context + character, 0) - discount, 0)
                p = (own + discount * len(continuations) * p) / sum(continuations.values())
        return p

    return probability


@given(known=st.text("abc", min_size=8, max_size=40), text=st.text("abcd", min_size=1, max_size=8))
@settings(max_examples=60)
def test_the_cost_equals_kneser_ney_written_as_loops(known, text):
    order = 3
    probability = kneser_ney(known, order)
    whole = "\0" * (order - 1) + known + text
    expected = -sum(math.log(probability(whole[:i], whole[i])) for i in range(len(whole) - len(text), len(whole)))
    assert nats_after(text, known, order) == pytest.approx(expected, rel=1e-9)


def test_probabilities_sum_to_one_over_all_code_points():
    known = "abracadabra, a cab, a bar"
    seen = sum(math.exp(-(nats_after("a" + c, known) - nats_after("a", known))) for c in sorted(set(known)))
    unseen = math.exp(-(nats_after("aZ", known) - nats_after("a", known)))
    assert seen + (N_CODE_POINTS - len(set(known))) * unseen == pytest.approx(1, abs=1e-9)
    alone = sum(math.exp(-(nats_alone(known + c) - nats_alone(known))) for c in sorted(set(known)))
    unseen = math.exp(-(nats_alone(known + "Z") - nats_alone(known)))
    assert alone + (N_CODE_POINTS - len(set(known))) * unseen == pytest.approx(1, abs=1e-9)


def test_the_first_character_of_all_costs_the_logarithm_of_all_code_points():
    assert nats_alone("x") == pytest.approx(math.log(N_CODE_POINTS))


def test_two_characters_worked_by_hand():
    # The second x: in the empty context 1 of 1 seen, 1 kind: (1 + 1/N) / 2; the context "x" has seen nothing yet.
    assert nats_alone("xx") == pytest.approx(math.log(N_CODE_POINTS) - math.log((1 + 1 / N_CODE_POINTS) / 2))


def test_a_text_like_the_known_one_is_cheap_and_another_is_dear():
    known = "the cat sat on the mat and the dog sat on the log. " * 20
    assert nats_after("the dog sat on the mat", known) / 22 < 0.7
    assert nats_after("zyx wvu", known) / 7 > 5


def test_characters_of_any_alphabet_count_as_one():
    assert nats_after("東京", "東京都は東京") == pytest.approx(nats_after("ab", "abcdab"))


def witten_bell(before: str, character: str, order: int) -> float:
    """Witten-Bell by looking through all that went before, once for each length of context."""
    p = 1 / N_CODE_POINTS
    for n in range(min(order, len(before) + 1)):
        context = before[len(before) - n :]
        found = [before[i] for i in range(n, len(before)) if before[i - n : i] == context]
        if found:
            p = (found.count(character) + len(set(found)) * p) / (len(found) + len(set(found)))
    return p


@given(text=st.text("abc", min_size=1, max_size=30), order=st.integers(1, 5))
@settings(max_examples=60)
def test_a_text_alone_costs_what_witten_bell_says_of_each_character_given_those_before(text, order):
    expected = -sum(math.log(witten_bell(text[:i], text[i], order)) for i in range(len(text)))
    assert nats_alone(text, order) == pytest.approx(expected, rel=1e-9)


def test_the_model_is_of_five_characters_unless_told_otherwise():
    known, text = "abcde abcdf xbcde " * 5, "abcdf xbcde"
    assert nats_after(text, known) == nats_after(text, known, 5) != pytest.approx(nats_after(text, known, 4))
    assert nats_alone(known) == nats_alone(known, 5) != pytest.approx(nats_alone(known, 4))
