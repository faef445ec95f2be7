import itertools

import pytest
import torch
from pydantic import ValidationError
from tests.fakes import TableModel
from tests.fakes import random_table as random_model

from regard.batch import BOS, EOS, PAD
from regard.decoding import search as module
from regard.decoding.beam import ranking_score
from regard.decoding.search import MOST_CELLS, DecodingConfig, Hypothesis, batches_by_length, search

A, B = 3, 4


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all(seed, length_penalty):
    model = random_model(seed)
    config = DecodingConfig(beam=60, length_penalty=length_penalty, max_ratio=1.0, max_extra=2)
    (found,) = search(model, [[A, A]], config)  # at most four tokens
    everything = [list(ids) for n in range(4) for ids in itertools.product([A, B], repeat=n)]
    ended = [h for h in found if len(h.ids) < 4]
    best = max(everything, key=lambda ids: model.log_probability(ids) / (len(ids) + 1) ** length_penalty)
    assert ended[0].ids == best
    assert ended[0].log_probability == pytest.approx(model.log_probability(best))


@pytest.mark.parametrize("seed", range(5))
def test_hypotheses_differ_and_come_best_first(seed):
    (found,) = search(random_model(seed), [[A] * 5], DecodingConfig(beam=4))
    assert len({tuple(h.ids) for h in found}) == len(found) == 4
    ranks = [h.log_probability / (len(h.ids) + 1) for h in found]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_search_takes_the_likeliest_token_at_every_step(seed):
    model = random_model(seed)
    ((found,),) = search(model, [[A] * 3], DecodingConfig(beam=1))
    before, last, expected = BOS, BOS, []
    while len(expected) < DecodingConfig().longest(3):
        logits = model.table[before, last].clone()
        logits[[PAD, BOS]] = float("-inf")
        before, last = last, int(logits.argmax())
        if last == EOS:
            break
        expected.append(last)
    assert found.ids == expected


def test_a_wider_beam_finds_what_greed_misses():
    table = torch.full((5, 5, 5), -9.0)
    table[BOS, BOS, A], table[BOS, BOS, B] = 0.0, -0.1  # A looks a little better at first
    table[BOS, A, [A, B, EOS]] = torch.tensor([0.0, 0.0, 0.0])  # but then nothing is likely
    table[BOS, B, EOS] = 9.0
    model = TableModel(table)
    assert search(model, [[A]], DecodingConfig(beam=1))[0][0].ids[0] == A
    assert search(model, [[A]], DecodingConfig(beam=2, length_penalty=0))[0][0].ids == [B]


def test_results_come_in_the_order_of_the_input_and_an_empty_source_is_empty():
    model = random_model(0)
    sources = [[A], [], [A] * 7, [B] * 3, []]
    found = search(model, sources, DecodingConfig(beam=2, batch_tokens=8))
    assert [h.ids for h in found[1]] == [h.ids for h in found[4]] == [[]]
    for source, hypotheses in zip(sources, found, strict=True):
        assert [h.ids for h in search(model, [source], DecodingConfig(beam=2))[0]] == [h.ids for h in hypotheses]


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_that_never_ends_is_stopped_at_the_limit_of_its_sentence(beam):
    table = torch.zeros(5, 5, 5)
    table[..., EOS] = -1e9
    config = DecodingConfig(beam=beam, max_ratio=2.0, max_extra=3)
    for source, hypotheses in zip([[A], [A] * 4], search(TableModel(table), [[A], [A] * 4], config), strict=True):
        assert {len(h.ids) for h in hypotheses} == {2 * len(source) + 3}


def test_batches_hold_every_source_once_longest_first_and_not_too_many_cells():
    lengths = [3, 0, 9, 5, 5, 1, 12]
    batches = batches_by_length(lengths, DecodingConfig(beam=2, batch_tokens=40))
    assert sorted(i for batch in batches for i in batch) == [0, 2, 3, 4, 5, 6]
    assert [lengths[i] for batch in batches for i in batch] == [12, 9, 5, 5, 3, 1]
    assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] * 2 <= 40 for batch in batches)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_with_so_many_positions_is_not_asked_for_more(beam):
    """The marks behind the source and before the target have positions, too."""
    model = random_model(0)
    model.n_positions = 9
    model.table[..., EOS] = -100.0  # it never ends by itself
    (found,) = search(model, [[A] * 4], DecodingConfig(beam=beam))
    assert {len(h.ids) for h in found} == {3} and len(model.n_rows) == 3
    (found,) = search(model, [[A] * 7], DecodingConfig(beam=beam))
    assert len(found[0].ids) == 1


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_hypotheses_have_the_score_by_which_they_are_ranked(beam, length_penalty):
    config = DecodingConfig(beam=beam, length_penalty=length_penalty)
    for hypotheses in search(random_model(3), [[A] * 2, [B] * 4], config):
        scores = [h.score for h in hypotheses]
        assert scores == [ranking_score(h.ids, h.log_probability, length_penalty) for h in hypotheses]
        assert scores == sorted(scores, reverse=True)


def test_an_empty_source_has_an_empty_hypothesis_of_probability_one():
    assert search(random_model(0), [[]], DecodingConfig()) == [[Hypothesis([], 0.0, 0.0)]]
    assert search(random_model(0), [], DecodingConfig()) == []


def test_a_target_may_have_so_many_tokens():
    config = DecodingConfig(max_ratio=1.5, max_extra=3, max_target_tokens=40)
    assert [config.longest(n) for n in (0, 1, 10, 24, 25, 1000)] == [3, 4, 18, 39, 40, 40]
    assert [config.longest(10, n_positions=n) for n in (None, 100, 30, 29, 13, 12, 5)] == [18, 18, 18, 17, 1, 1, 1]


def test_more_positions_than_can_be_remembered_are_refused_with_how_many_can():
    DecodingConfig(beam=100, max_target_tokens=MOST_CELLS // 100)
    message = "max_target_tokens is 2,622; with a beam of 100 it may be at most 2,621, so that memory suffices"
    with pytest.raises(ValidationError, match=message):
        DecodingConfig(beam=100, max_target_tokens=MOST_CELLS // 100 + 1)


@pytest.mark.parametrize(
    "settings",
    [
        *({"beam": 0}, {"beam": 101}, {"length_penalty": -0.1}, {"length_penalty": float("nan")}, {"max_ratio": 0}),
        *({"max_extra": 0}, {"max_source_tokens": 2**14 + 1}, {"batch_tokens": 0}, {"temperature": 1.0}),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        DecodingConfig(**settings)


def test_batches_hold_no_more_targets_than_can_be_remembered(monkeypatch):
    monkeypatch.setattr(module, "MOST_CELLS", 60)
    config = DecodingConfig(beam=2, max_ratio=1.0, max_extra=5, max_target_tokens=30)
    batches = batches_by_length([10] * 5 + [5] * 4, config)
    assert [len(batch) for batch in batches] == [2, 2, 2, 3]  # 15 + 15, and 10 + 10 + 10 positions, twice


def test_results_do_not_depend_on_the_size_of_batches():
    model, sources = random_model(1), [[A] * (1 + i % 5) for i in range(12)]
    expected = search(model, sources, DecodingConfig(beam=3))
    for batch_tokens in (1, 20, 60):
        assert search(model, sources, DecodingConfig(beam=3, batch_tokens=batch_tokens)) == expected
