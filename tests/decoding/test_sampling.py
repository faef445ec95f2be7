import math
from collections import Counter

import pytest
import torch
from pydantic import ValidationError
from tests.fakes import steady

from regard.batch import BOS, EOS, PAD
from regard.decoding.engine import Engine
from regard.decoding.sampling import SamplingConfig, draw, reseeded, rules_of
from regard.decoding.text import text_request


def written(model, prompt, **settings) -> list[int]:
    engine = Engine(model)
    request = text_request(engine, prompt, SamplingConfig(**settings))
    engine.run([request])
    return request.written


def test_tokens_come_as_often_as_they_are_likely():
    model = steady({4: 0.5, 5: 0.3, 6: 0.2}, context=10_000)
    counts = Counter(written(model, [3], max_tokens=3000, temperature=1.0))
    for token, probability in ((4, 0.5), (5, 0.3), (6, 0.2)):
        spread = math.sqrt(3000 * probability * (1 - probability))
        assert abs(counts[token] - 3000 * probability) < 4 * spread


def test_temperature_raises_probabilities_to_its_inverse():
    model = steady({4: 0.8, 5: 0.2}, context=10_000)
    counts = Counter(written(model, [3], max_tokens=3000, temperature=2.0))
    expected = 0.8**0.5 / (0.8**0.5 + 0.2**0.5)
    assert abs(counts[4] / 3000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 3000)


def test_one_seed_one_text():
    model = steady({4: 0.5, 5: 0.5})
    assert written(model, [3], seed=1, max_tokens=14) == written(model, [3], seed=1, max_tokens=14)
    assert written(model, [3], seed=1, max_tokens=14) != written(model, [3], seed=2, max_tokens=14)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    written(steady({4: 0.5, 5: 0.5}), [3])
    assert torch.equal(torch.get_rng_state(), before)


def test_greedy_takes_the_likeliest_and_rules_rule_out_the_rest():
    model = steady({4: 0.4, 5: 0.35, 6: 0.25}, context=1000)
    assert set(written(model, [3], greedy=True)) == {4}
    assert set(written(model, [3], top_k=2, temperature=1.0)) == {4, 5}
    assert set(written(model, [3], top_p=0.7, temperature=1.0)) == {4, 5}
    assert set(written(model, [3], min_p=0.7, temperature=1.0)) == {4, 5}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 100, "top_p": 0.55}, {4, 5, 6}),  # the other way round: 4, 5
        ({"temperature": 100, "min_p": 0.9}, {4, 5, 6, 7}),  # 4
        ({"temperature": 1, "top_k": 2, "top_p": 0.55}, {4}),  # 4, 5
        ({"temperature": 1, "top_p": 0.55, "min_p": 0.6}, {4, 5}),  # 4
        ({"logit_bias": {7: 3.0}, "temperature": 100, "top_k": 1}, {7}),  # 4
        ({"temperature": 1, "top_k": 3, "typical_p": 0.3}, {5}),  # of all four, too, 5 is closest to the entropy
        ({"temperature": 1, "top_k": 2, "typical_p": 0.5}, {4}),  # 5
        ({"temperature": 1, "typical_p": 0.45, "top_p": 0.3}, {5}),  # 4
    ],
)
def test_the_rules_have_an_order(settings, expected):
    model = steady({4: 0.4, 5: 0.3, 6: 0.2, 7: 0.1}, context=1000)
    assert set(written(model, [3], **settings)) == expected


def test_the_penalty_comes_first_and_counts_the_prompt():
    model = steady({4: 0.4, 5: 0.35, 6: 0.25})
    assert written(model, [4], repetition_penalty=50.0, top_k=1, max_tokens=1) == [5]


def test_a_penalty_keeps_from_repeating():
    model = steady({4: 0.4, 5: 0.35, 6: 0.25}, context=1000)
    assert written(model, [3], greedy=True, repetition_penalty=50.0, max_tokens=3) == [4, 5, 6]


def test_penalties_for_what_was_written_do_not_count_the_prompt():
    model = steady({4: 0.4, 5: 0.35, 6: 0.25}, context=1000)
    for settings in ({"presence_penalty": 100.0}, {"frequency_penalty": 100.0}):
        assert written(model, [4, 4, 4], greedy=True, max_tokens=3, **settings) == [4, 5, 6]
    assert written(model, [4], greedy=True, max_tokens=6, presence_penalty=0.2) == [4, 5, 4, 4, 4, 4]
    assert written(model, [4], greedy=True, max_tokens=6, frequency_penalty=0.2) == [4, 5, 4, 5, 4, 6]


def test_a_bias_is_added_and_may_rule_a_token_in_or_out():
    model = steady({4: 0.6, 5: 0.4}, context=1000)
    assert set(written(model, [3], greedy=True, logit_bias={5: 1.0})) == {5}
    assert set(written(model, [3], temperature=1.0, logit_bias={4: -1e9})) == {5}
    assert set(written(model, [3], temperature=1.0, logit_bias={9: 2e9})) == {9}
    counts = Counter(written(model, [3], max_tokens=3000, temperature=1.0, seed=7, logit_bias={5: math.log(3)}))
    expected = 0.4 * 3 / (0.4 * 3 + 0.6)
    assert abs(counts[5] / 3000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 3000)


def test_it_ends_before_a_stop_token():
    model = steady({4: 0.5, 5: 0.3, 6: 0.2}, context=1000)
    whole = written(model, [3], seed=5)
    assert written(model, [3], seed=5, stop_tokens=(6,)) == whole[: whole.index(6)]
    assert written(model, [3], seed=5, stop_tokens=(6, 5)) == whole[: min(whole.index(6), whole.index(5))]


def test_rows_draw_with_their_own_generators_and_leave_the_logits_alone():
    logits = torch.zeros(3, 12)
    before = logits.clone()

    def drawn(*seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        rows = len(seeds)
        return draw(logits[:rows], [[4]] * rows, [[]] * rows, SamplingConfig(temperature=1.0), generators).tolist()

    assert torch.equal(logits, before)
    assert drawn(1, 2, 3) == [*drawn(1), *drawn(2), *drawn(3)] == drawn(3, 2, 1)[::-1]


def test_a_sample_has_the_next_seed_and_the_last_is_followed_by_the_first():
    config = SamplingConfig(seed=2**63 - 2, top_k=3)
    assert [reseeded(config, i).seed for i in range(3)] == [2**63 - 2, 2**63 - 1, 0]
    assert {reseeded(config, i).top_k for i in range(3)} == {3}


def test_rules_are_alike_whatever_the_seed_and_the_length():
    config = SamplingConfig(top_k=3, seed=5, max_tokens=7, stop_tokens=(4,))
    assert rules_of(config) == rules_of(SamplingConfig(top_k=3)) != rules_of(SamplingConfig(top_k=4))


def test_it_ends_before_the_end_mark_and_never_writes_the_other_marks():
    assert written(steady({EOS: 1.0}), [3]) == []
    assert set(written(steady({PAD: 0.6, BOS: 0.3, 4: 0.1}), [3])) == {4}


@pytest.mark.parametrize(
    "settings",
    [
        *({"temperature": 1e9}, {"temperature": 1e-9}, {"top_k": 10, "temperature": 50.0}, {"top_p": 1.0}),
        *({"min_p": 0.0}, {"repetition_penalty": 1e-9}, {"repetition_penalty": 1e9, "greedy": True}, {"greedy": True}),
    ],
    ids=str,
)
def test_no_rule_brings_a_control_id_back(settings):
    """Not even if the prompt holds one, or where hardly anything else is likely."""
    model = steady({PAD: 0.9, 3: 0.05, 4: 0.04, 6: 0.01, 7: 1e-9}, context=1000, never_written=slice(3, 6))
    written_ids = written(model, [BOS, 3, 4, 5, 6], max_tokens=100, **settings)
    assert written_ids and set(written_ids) <= {6, 7, 8, 9}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 0, "greater than 0"),
        ("temperature", -1, "greater than 0"),
        *((name, math.nan, "finite") for name in ("temperature", "top_p", "min_p", "repetition_penalty")),
        *((name, math.inf, "finite") for name in ("temperature", "repetition_penalty")),
        ("top_k", 0, "greater than or equal to 1"),
        ("top_p", 0, "greater than 0"),
        ("top_p", 1.5, "less than or equal to 1"),
        ("min_p", -0.1, "greater than or equal to 0"),
        ("min_p", 1.1, "less than or equal to 1"),
        ("repetition_penalty", 0, "greater than 0"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**63, "less than 9223372036854775808"),
        ("max_tokens", 2**20 + 1, "less than or equal to 1048576"),
        ("top_k", 2**31 + 1, "less than or equal to 2147483648"),
        ("beam", 4, "not permitted"),
        *((name, value, "equal to") for name in ("presence_penalty", "frequency_penalty") for value in (-101, 101)),
        ("typical_p", 0, "greater than 0"),
        ("typical_p", 1.5, "less than or equal to 1"),
        ("precision", "float16", "float32"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value, message):
    with pytest.raises(ValidationError, match=message) as refused:
        SamplingConfig(**{name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_the_largest_seed_is_one():
    assert written(steady({4: 1.0}), [3], seed=2**63 - 1, max_tokens=1) == [4]
