import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regard.text.encoded.ragged import Joined, Ragged

ROWS = st.lists(st.lists(st.integers(0, 300), max_size=5), max_size=12)


@given(rows=ROWS)
def test_rows_come_back_as_they_were(rows):
    ragged = Ragged.of(rows, 301)
    assert len(ragged) == len(rows)
    assert ragged.take(np.arange(len(rows))) == rows
    assert ragged.take(np.arange(len(rows))[::-2]) == rows[::-2]
    assert ragged.lengths(np.arange(len(rows))).tolist() == [len(row) for row in rows]


@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_joined_parts_are_all_rows_in_order(parts):
    ragged, rows = [Ragged.of(rows, 301) for rows in parts], [row for rows in parts for row in rows]
    for joined in (Ragged.joined(ragged), Joined(ragged)):
        assert len(joined) == len(rows)
        for order in (np.arange(len(rows)), np.arange(len(rows))[::-3]):
            assert joined.take(order) == [rows[i] for i in order]
            assert joined.lengths(order).tolist() == [len(rows[i]) for i in order]


def test_ids_are_kept_as_narrow_as_the_vocabulary_lets_them_be():
    assert Ragged.of([[65_535]], 65_536).tokens.dtype == np.uint16
    assert Ragged.of([[65_536]], 65_537).tokens.dtype == np.uint32
    assert Ragged.of([[65_536]], 65_537).take(np.array([0])) == [[65_536]]
