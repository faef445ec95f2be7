import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.text import sliced
from regard.text.sliced import Chosen, Sliced

RISING = st.sets(st.integers(0, 40)).map(sorted)


class Squares(Sliced[int]):
    """The first squares, made when they are asked for; remembers which parts were."""

    def __init__(self, n: int) -> None:
        self.n, self.parts = n, []

    def __len__(self) -> int:
        return self.n

    def part(self, start: int, stop: int) -> list[int]:
        assert 0 <= start <= stop <= self.n, "only what the sequence has is asked for"
        self.parts.append((start, stop))
        return [i * i for i in range(start, stop)]


@given(n=st.integers(0, 9), bounds=st.slices(9).filter(lambda s: s.step in (None, 1)), i=st.integers(-12, 12))
def test_it_behaves_as_the_list_of_its_items(n, bounds, i):
    squares, expected = Squares(n), [i * i for i in range(n)]
    assert squares[bounds] == expected[bounds]
    assert list(squares) == expected
    if -n <= i < n:
        assert squares[i] == expected[i]
    else:
        with pytest.raises(IndexError):
            squares[i]


def test_a_step_is_our_own_mistake():
    with pytest.raises(AssertionError, match="slices of neighbours only"):
        Squares(9)[::2]


def test_it_is_walked_through_a_part_at_a_time(monkeypatch):
    monkeypatch.setattr(sliced, "ITEMS_AT_ONCE", 4)
    squares = Squares(10)
    items = iter(squares)
    assert [next(items) for _ in range(4)] == [0, 1, 4, 9] and squares.parts == [(0, 4)]
    assert list(items) == [16, 25, 36, 49, 64, 81] and squares.parts == [(0, 4), (4, 8), (8, 10)]


@given(indices=RISING, bounds=st.slices(20).filter(lambda s: s.step in (None, 1)))
def test_chosen_items_are_those_at_the_indices(indices, bounds):
    chosen, expected = Chosen(Squares(41), np.array(indices, dtype=np.int64)), [i * i for i in indices]
    assert len(chosen) == len(indices)
    assert list(chosen) == expected and chosen[bounds] == expected[bounds]


def test_chosen_items_are_read_from_what_lies_around_them_and_no_more():
    squares = Squares(100)
    assert Chosen(squares, np.array([10, 12, 15, 90]))[0:3] == [100, 144, 225]
    assert squares.parts == [(10, 16)]


def test_what_is_chosen_can_be_chosen_from():
    odd = Chosen(Squares(20), np.arange(1, 20, 2))
    assert list(Chosen(odd, np.array([0, 2, 9]))) == [1, 25, 361]
