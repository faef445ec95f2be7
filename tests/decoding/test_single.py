import math

import pytest
import torch
from tests.fakes import TableModel, random_table

from regard.batch import BOS, EOS, PAD
from regard.decoding.engine import Engine
from regard.decoding.request import BeamSearch, Hypothesis, Request, Sampled
from regard.decoding.rules import repeating
from regard.decoding.sampling import SamplingConfig
from regard.errors import BundleError

A, B = 3, 4
GREEDY = BeamSearch()


def run(model, *longest, chooser=GREEDY) -> list[Hypothesis]:
    """Return the only hypotheses of a batch of sources that differ in the maximum length of their targets alone."""
    answers = Engine(model).run([Request([7, EOS], BOS, n, chooser) for n in longest])
    assert all(len(answer) == 1 for answer in answers)
    return [answer[0] for answer in answers]


def by_hand(
    model: TableModel, longest: int, min_tokens: int = 0, no_repeat: int = 0, forced: tuple[int, ...] = ()
) -> list[int]:
    """Return the likeliest token after the likeliest token, one at a time."""
    ids: list[int] = []
    while len(ids) < longest:
        log_p = model.next_log_probabilities(ids)
        if len(ids) < len(forced):
            ids.append(forced[len(ids)])
            continue
        for token in (PAD, BOS, *([EOS] if len(ids) < min_tokens else [])):
            log_p[token] = -math.inf
        for token in range(len(log_p)):
            n_grams = [tuple(ids[i : i + no_repeat]) for i in range(len(ids) - no_repeat + 1)]
            if no_repeat and tuple([*ids, token][-no_repeat:]) in n_grams:
                log_p[token] = -math.inf
        best = max(range(len(log_p)), key=lambda token: log_p[token])
        if best == EOS:
            break
        ids.append(best)
    return ids


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("never", [slice(3, 3), slice(3, 6)])
def test_it_takes_the_likeliest_token_at_every_step(seed, never):
    model, longest = random_table(seed, 9, never), [7, 1, 4]
    for found, most in zip(run(model, *longest), longest, strict=True):
        assert found.ids == by_hand(model, most)
        assert found.ended == (len(found.ids) < most)
        assert found.log_probability == pytest.approx(model.log_probability(found.ids, ended=found.ended))
        assert found.score == pytest.approx(found.log_probability / (len(found.ids) + found.ended))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "rules",
    [
        *({"min_tokens": 4}, {"no_repeat": 1}, {"no_repeat": 2}, {"no_repeat": 3}, {"forced": (8, 8, 6)}),
        {"forced": (8, 6), "min_tokens": 4, "no_repeat": 2},
    ],
    ids=str,
)
def test_it_obeys_every_rule_at_every_step(seed, rules):
    model, longest = random_table(seed, 9), [9, 3, 6]
    for found, most in zip(run(model, *longest, chooser=BeamSearch(**rules)), longest, strict=True):
        assert found.ids == by_hand(model, most, **rules)
        assert found.log_probability == pytest.approx(model.log_probability(found.ids, ended=found.ended))


def test_each_row_has_its_own_rules():
    model = random_table(3, 9)
    choosers = [BeamSearch(), BeamSearch(min_tokens=5), BeamSearch(no_repeat=1), BeamSearch(forced=(7, 7))]
    found = Engine(model).run([Request([7, EOS], BOS, 8, chooser) for chooser in choosers])
    rules = [{}, {"min_tokens": 5}, {"no_repeat": 1}, {"forced": (7, 7)}]
    assert [answer[0].ids for answer in found] == [by_hand(model, 8, **rule) for rule in rules]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("chooser", [GREEDY, Sampled(SamplingConfig(temperature=5.0))], ids=["greedy", "sampled"])
def test_it_never_writes_a_mark_nor_a_control_id(seed, chooser):
    model = random_table(seed, 9, slice(3, 6))
    model.table[..., [PAD, BOS, 3, 4, 5]] += 20.0  # minus infinity stays what it is
    model.table[..., EOS] = -100.0
    for found in run(model, 30, 30, chooser=chooser):
        assert len(found.ids) == 30 and set(found.ids) <= {6, 7, 8}


def test_marks_that_are_not_written_have_a_probability():
    table = torch.full((5, 5, 5), -1e9)
    table[..., PAD] = table[..., A] = 0.0
    (found,) = run(TableModel(table), 1)
    assert found.ids == [A] and found.log_probability == pytest.approx(math.log(0.5))


def test_of_equals_the_first_is_taken():
    (found,) = run(TableModel(torch.zeros(6, 6, 6)), 3)
    assert found.ids == []  # EOS is the first that may be written


def test_finished_sentences_leave_the_batch():
    table = torch.full((5, 5, 5), -9.0)
    table[..., A] = 0.0
    model = TableModel(table)
    assert [len(found.ids) for found in run(model, 2, 5, 1)] == [2, 5, 1]
    assert model.n_rows == [3, 2, 1, 1, 1]


def test_it_ends_as_soon_as_all_sentences_have():
    table = torch.full((5, 5, 5), -9.0)
    table[..., EOS] = 0.0
    model = TableModel(table)
    assert [found.ids for found in run(model, 50, 50)] == [[], []]
    assert model.n_rows == [2]


def test_a_search_that_is_not_scored_writes_the_same_without_a_log_probability():
    model = random_table(4, 9)
    scored, unscored = run(model, 9, 9), run(model, 9, 9, chooser=BeamSearch(scored=False))
    assert [found.ids for found in unscored] == [found.ids for found in scored]
    assert all(math.isnan(found.log_probability) for found in unscored)
    mixed = Engine(model).run([Request([7, EOS], BOS, 9, BeamSearch(scored=on)) for on in (True, False)])
    assert mixed[0] == [scored[0]] and math.isnan(mixed[1][0].log_probability)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("no_repeat", [1, 2, 3])
def test_no_n_gram_is_written_twice(seed, no_repeat):
    (found,) = run(random_table(seed, 12), 40, chooser=BeamSearch(no_repeat=no_repeat, min_tokens=9))
    n_grams = [tuple(found.ids[i : i + no_repeat]) for i in range(len(found.ids) - no_repeat + 1)]
    assert len(n_grams) == len(set(n_grams)) > 0
    assert all(token not in repeating(found.ids[:t], no_repeat) for t, token in enumerate(found.ids))


def test_a_sampled_text_ends_before_a_stop_token():
    model = random_table(5, 9)
    whole = run(model, 30, chooser=Sampled(SamplingConfig(seed=3)))[0]
    stop = whole.ids[4]
    (found,) = run(model, 30, chooser=Sampled(SamplingConfig(seed=3, stop_tokens=(stop,))))
    assert found.ended and found.ids == whole.ids[: whole.ids.index(stop)]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize(
    "chooser", [GREEDY, BeamSearch(scored=False), Sampled(SamplingConfig())], ids=["greedy", "unscored", "sampled"]
)
def test_a_model_that_gives_no_numbers_is_refused(chooser, wrong):
    model = random_table(0)
    model.table[...] = wrong
    with pytest.raises(BundleError, match=r"The outputs of the model are not finite with these weights\. Use another"):
        run(model, 20, chooser=chooser)
