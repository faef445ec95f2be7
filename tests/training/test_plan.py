import pytest

from regard.training.plan import planned, spoken
from regard.training.schedule import Budget


def test_a_budget_of_steps_is_said_with_the_time_that_it_takes():
    (said,) = planned(Budget(5_448, None), 227, 0, 0.0, 0.15)
    assert said == "plan: 5,448 steps (24.0 epochs of 227), about 14 minutes here"


def test_a_budget_of_minutes_is_said_with_the_updates_that_it_brings():
    (said,) = planned(Budget(None, 600), 100, 0, 0.0, 0.5)
    assert said == "plan: 10 minutes, about 1,200 steps here (12.0 epochs of 100)"


def test_of_two_budgets_the_one_that_ends_first_is_said():
    assert next(planned(Budget(400, 600), 100, 0, 0.0, 0.5)).startswith("plan: 400 steps")
    assert next(planned(Budget(4_000, 600), 100, 0, 0.0, 0.5)).startswith("plan: 10 minutes")


def test_a_training_that_continues_is_said_by_what_is_left():
    assert next(planned(Budget(1_000, None), 100, 400, 9.0, 0.1)) == (
        "plan: 600 steps (6.0 epochs of 100), about 60 seconds here"
    )


@pytest.mark.parametrize(("budget", "few"), [(Budget(47, None), "47"), (Budget(None, 12), "24")])
def test_too_few_updates_to_learn_from_are_said(budget, few):
    _, warning = planned(budget, 10, 0, 0.0, 0.5)
    assert warning.startswith(f"warning: {few} steps are too few to learn from")


@pytest.mark.parametrize(("seconds", "words"), [(20, "20 seconds"), (600, "10 minutes"), (7_560, "2.1 hours")])
def test_times_are_said_as_people_say_them(seconds, words):
    assert spoken(seconds) == words
