import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.text.permutation import Permutation


def whole(n: int, *key: int) -> list[int]:
    return Permutation(n, *key)(np.arange(n)).tolist()


@given(n=st.integers(1, 3000), seed=st.integers(-(2**70), 2**70), epoch=st.integers(0, 9))
def test_every_number_stands_at_one_place(n, seed, epoch):
    assert sorted(whole(n, seed, epoch)) == list(range(n))


@given(n=st.integers(1, 10**15), data=st.data())
def test_a_part_is_had_without_the_rest(n, data):
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20, unique=True))
    permutation = Permutation(n, 3, 1)
    together = permutation(np.array(places))
    assert together.tolist() == [permutation(np.array([place])).item() for place in places]
    assert len(set(together.tolist())) == len(places) and 0 <= together.min() <= together.max() < n


def test_the_order_is_this_one_on_every_machine():
    assert whole(10, 7, 0) == [9, 7, 4, 8, 0, 6, 5, 1, 3, 2]
    assert Permutation(10**12, 7, 3)(np.array([0, 1, 999])).tolist() == [485984231677, 544066946887, 928632975083]


def test_seed_and_epoch_choose_the_order():
    orders = {tuple(whole(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert whole(50, 1, 2) != whole(50, 2, 1)


def test_places_and_numbers_are_not_related():
    n, n_keys = 16, 4000
    counts = np.zeros((n, n))
    for key in range(n_keys):
        counts[np.arange(n), whole(n, key)] += 1
    expected = n_keys / n
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert 150 < chi_square < 320, "225 degrees of freedom: mean 225, standard deviation 21"
    long = np.array(whole(20_000, 5))
    assert abs(np.corrcoef(long, np.arange(20_000))[0, 1]) < 0.03
    assert abs(np.corrcoef(long[1:], long[:-1])[0, 1]) < 0.03


def test_an_order_of_nothing_is_empty():
    assert Permutation(0, 1)(np.array([], dtype=np.int64)).tolist() == []
    assert Permutation(1, 1)(np.array([0])).tolist() == [0]


@pytest.mark.parametrize("n", [4, 5, 16, 17, 64, 65])
def test_the_borders_of_the_square_are_inside(n):
    assert sorted(whole(n, 9)) == list(range(n))
