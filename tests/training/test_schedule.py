import itertools

import pytest

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
