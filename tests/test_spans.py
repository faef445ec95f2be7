from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.inspection.explanation import END
from regard.pipeline.spans import in_words, joined

LENGTHS = st.lists(st.integers(1, 4), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "offsets", "labels", "index"),
    [
        ("今日は天気", [(0, 2), (2, 3), (3, 5)], ["今日", "は", "天気"], [0, 1, 2, 3]),
        ("👩🏽\u200d💻 a", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6)], ["👩🏽\u200d💻", "a"], [0, 0, 0, 0, 1, 2]),
        ("สวัสดี", [(0, 4), (4, 6)], ["สวัส", "ดี"], [0, 1, 2]),
        ("don't", [(0, 3), (3, 5)], ["don't"], [0, 0, 1]),
    ],
)
def test_a_label_is_a_word_or_what_a_token_holds_of_a_script_without_spaces(text, offsets, labels, index):
    assert in_words(text, offsets) == ([*labels, END], index)


@given(words=LENGTHS, tokens=LENGTHS)
def test_each_token_lies_in_one_of_the_joined_spans_and_these_hold_the_same_text(words, tokens):
    spans, offsets = ([*pairwise(accumulate(lengths, initial=0))] for lengths in (words, tokens))
    found = joined(spans, offsets)
    assert found[0][0] == 0 and found[-1][1] == sum(words)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert {a for a, _ in found} <= {a for a, _ in spans}
    for start, end in offsets:
        assert sum(a < end and start < b for a, b in found) <= 1
