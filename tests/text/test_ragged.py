import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regard.text.ragged import Ragged

ROWS = st.lists(st.lists(st.integers(0, 300), max_size=5), max_size=12)


@given(rows=ROWS)
def test_rows_come_back_as_they_were(rows):
    ragged = Ragged.of(rows, 301)
    assert len(ragged) == len(rows)
    assert [ragged[i].tolist() for i in range(len(rows))] == rows
    assert ragged.lengths(np.arange(len(rows))).tolist() == [len(row) for row in rows]


@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_joined_parts_are_all_rows_in_order(parts):
    joined = Ragged.joined([Ragged.of(rows, 301) for rows in parts])
    assert [joined[i].tolist() for i in range(len(joined))] == [row for rows in parts for row in rows]


def test_ids_are_kept_as_narrow_as_the_vocabulary_lets_them_be():
    assert Ragged.of([[65_535]], 65_536).tokens.dtype == np.uint16
    assert Ragged.of([[65_536]], 65_537).tokens.dtype == np.uint32
    assert Ragged.of([[65_536]], 65_537)[0].tolist() == [65_536]
