import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.training.config import TrainingConfig
from regard.training.schedule import Budget, budget_of, rate_factor


def test_the_first_limit_that_is_reached_ends_the_run():
    budget = Budget(steps=100, seconds=60)
    assert budget.progress(50, 12) == 0.5
    assert budget.progress(10, 30) == 0.5
    assert budget.progress(100, 0) == budget.progress(7, 600) == 1.0


def test_steps_epochs_and_minutes_become_one_budget():
    assert budget_of(TrainingConfig(steps=500, epochs=2), 100) == Budget(200.0, None)
    assert budget_of(TrainingConfig(epochs=0.5, minutes=2), 100) == Budget(50.0, 120.0)


def test_the_rate_rises_to_one_and_falls_straight_to_zero():
    rates = [rate_factor(step, step / 1000, 10) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 11)
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert rates[500] == pytest.approx(0.5)
    assert rates[999] == pytest.approx(0.001)
    assert rate_factor(5, 1.0, 0) == 0.0


def test_a_short_training_reaches_its_rate_in_a_share_of_its_budget():
    rates = [rate_factor(step, step / 24, 100, "linear", 0.1) for step in range(24)]
    assert rates[0] == pytest.approx(1 / 101) and max(rates) == rates[3] == pytest.approx(1 - 3 / 24)
    # A long one rises as its steps say.
    assert [rate_factor(step, step / 5000, 100, "linear", 0.1) for step in range(100)] == [
        rate_factor(step, step / 5000, 100) for step in range(100)
    ]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("cosine", {0.0: 1.0, 0.25: 0.853553, 0.5: 0.5, 1.0: 0.0}),
        ("wsd", {0.0: 1.0, 0.5: 1.0, 0.8: 1.0, 0.9: 0.5, 1.0: 0.0}),
        ("linear", {0.0: 1.0, 0.25: 0.75, 1.0: 0.0}),
    ],
)
def test_every_schedule_ends_at_zero_by_its_own_way(schedule, rates):
    for progress, rate in rates.items():
        assert rate_factor(10_000, progress, 100, schedule) == pytest.approx(rate, abs=1e-6)
    assert rate_factor(49, 0.0, 99, schedule) == pytest.approx(0.5)


def test_the_inverse_square_root_falls_with_the_steps_alone():
    for progress in (0.0, 0.9):
        assert rate_factor(399, progress, 99, "inverse_sqrt") == pytest.approx(0.5)
        assert rate_factor(99, progress, 99, "inverse_sqrt") == pytest.approx(1.0)


@given(
    steps=st.none() | st.floats(1, 1e6),
    seconds=st.none() | st.floats(0.1, 1e6),
    planned=st.tuples(st.integers(0, 10**6), st.floats(0, 1e6)),
    used=st.tuples(st.integers(0, 10**6), st.floats(0, 1e6)),
)
def test_the_share_is_one_from_the_first_limit_on_and_between_zero_and_one_before(steps, seconds, planned, used):
    if steps is None and seconds is None:
        return
    budget = Budget(steps, seconds, *planned)
    step, time = planned[0] + used[0], planned[1] + used[1]
    share = budget.progress(step, time)
    assert 0 <= share <= 1
    over = (steps is not None and step >= steps) or (seconds is not None and time >= seconds)
    assert share == 1 if over else share < 1 or share == pytest.approx(1)


def test_a_budget_that_was_changed_is_shared_out_from_where_it_was_planned():
    config = TrainingConfig(steps=100, minutes=2)
    budget = budget_of(config, 10, first_step=60, first_seconds=30.0)
    assert budget == Budget(100.0, 120.0, 60, 30.0)
    assert budget.progress(60, 30.0) == 0.0
    assert budget.progress(70, 30.0) == 0.25
    assert budget.progress(60, 75.0) == 0.5
    assert budget_of(config, 10, first_step=100).progress(100, 0.0) == 1.0
