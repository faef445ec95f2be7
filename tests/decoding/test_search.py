import itertools

import pytest
import torch
from pydantic import ValidationError
from tests.fakes import TableModel
from tests.fakes import random_table as random_model
from tests.reference import length_penalty as penalty_of

from regard.batch import BOS, EOS, PAD
from regard.decoding import engine
from regard.decoding.engine import MOST_CELLS
from regard.decoding.request import BeamSearch, Hypothesis
from regard.decoding.search import DecodingConfig, search

A, B = 3, 4


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("penalty", ["exponent", "wu"])
def test_a_beam_as_wide_as_the_space_finds_all_and_ranks_it(seed, exponent, penalty):
    model = random_model(seed)
    config = DecodingConfig(beam=60, length_penalty=exponent, penalty=penalty, max_ratio=1.0, max_extra=2)
    (found,) = search(model, [[A, A]], config)  # at most four tokens
    everything = [
        Hypothesis(ids, log_p, log_p / penalty_of(n + (n < 4), exponent, penalty), ended=n < 4)
        for n in range(5)
        for ids in map(list, itertools.product([A, B], repeat=n))
        for log_p in [model.log_probability(ids, ended=n < 4)]
    ]
    expected = sorted(everything, key=lambda h: -h.score)
    assert [h.ids for h in found] == [h.ids for h in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.log_probability, one.score) == pytest.approx((other.log_probability, other.score))
        assert one.ended == other.ended
    (best, *_) = search(model, [[A, A]], config, n=1)[0]
    assert best == found[0]


@pytest.mark.parametrize("seed", range(5))
def test_hypotheses_differ_and_come_best_first(seed):
    (found,) = search(random_model(seed), [[A] * 5], DecodingConfig(beam=4))
    assert len({tuple(h.ids) for h in found}) == len(found) == 4
    ranks = [h.log_probability / (len(h.ids) + h.ended) for h in found]
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
@pytest.mark.parametrize("penalty", ["exponent", "wu"])
def test_hypotheses_have_the_score_by_which_they_are_ranked(beam, length_penalty, penalty):
    config = DecodingConfig(beam=beam, length_penalty=length_penalty, penalty=penalty)
    for hypotheses in search(random_model(3), [[A] * 2, [B] * 4], config):
        scores = [h.score for h in hypotheses]
        assert scores == pytest.approx(
            [h.log_probability / penalty_of(len(h.ids) + h.ended, length_penalty, penalty) for h in hypotheses]
        )
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
        *({"penalty": "length"}, {"min_target_tokens": -1}, {"no_repeat_ngram": 101}, {"precision": "float16"}),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        DecodingConfig(**settings)


@pytest.mark.parametrize("beam", [1, 3])
def test_results_do_not_depend_on_the_size_of_batches(beam, monkeypatch):
    model, sources = random_model(1), [[A] * (1 + i % 5) for i in range(12)]
    expected = search(model, sources, DecodingConfig(beam=beam))
    for batch_tokens in (1, 20, 60):
        assert search(model, sources, DecodingConfig(beam=beam, batch_tokens=batch_tokens)) == expected
    for most_cells in (1, 50, 200):
        monkeypatch.setattr(engine, "MOST_CELLS", most_cells)
        assert search(model, sources, DecodingConfig(beam=beam)) == expected


def test_the_settings_are_those_of_the_search():
    config = DecodingConfig(beam=7, length_penalty=0.5, penalty="wu", min_target_tokens=2, no_repeat_ngram=3)
    assert config.chooser() == BeamSearch(7, 7, 0.5, "wu", min_tokens=2, no_repeat=3)
    assert config.chooser(2, scored=False) == BeamSearch(7, 2, 0.5, "wu", min_tokens=2, no_repeat=3)  # scored anyway
    greedy = DecodingConfig(beam=1)
    assert greedy.chooser() == BeamSearch() and greedy.chooser(scored=False) == BeamSearch(scored=False)


def test_a_request_has_a_source_with_its_end_and_as_many_tokens_as_there_is_room_for():
    config = DecodingConfig(max_ratio=1.5, max_extra=3)
    request = config.request([A, B], config.chooser(), n_positions=8)
    assert (request.source, request.first, request.longest, request.context) == ([A, B, EOS], BOS, 4, None)
    assert config.request([A, B], config.chooser()).longest == 6


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_targets_are_as_long_as_the_settings_say_and_repeat_nothing(beam, seed):
    config = DecodingConfig(beam=beam, min_target_tokens=3, no_repeat_ngram=2)
    for hypotheses in search(random_model(seed, 9), [[A] * 3, [B] * 5], config):
        for h in hypotheses:
            pairs = list(itertools.pairwise(h.ids))
            assert len(h.ids) >= 3 and len(pairs) == len(set(pairs))


def test_a_greedy_search_that_is_not_scored_has_the_same_ids():
    model, sources = random_model(2), [[A] * 3, [], [B]]
    scored, unscored = (search(model, sources, DecodingConfig(beam=1), scored=on) for on in (True, False))
    assert [h.ids for (h,) in scored] == [h.ids for (h,) in unscored]
