from hypothesis import given
from hypothesis import strategies as st

from regard.evaluation.memorisation import longest_copied_span


@given(sample=st.text("ab\n", max_size=12), text=st.text("ab\n", max_size=30))
def test_the_longest_span_equals_trying_them_all(sample, text):
    spans = [sample[i:j] for i in range(len(sample)) for j in range(i, len(sample) + 1)]
    longest = max((len(span) for span in spans if span in text), default=0)
    found = longest_copied_span(sample, text)
    assert len(found) == longest and found in sample and found in text


def test_a_span_worked_by_hand():
    assert longest_copied_span("xx the cat ran", "see the cat sat") == " the cat "


def test_of_two_equally_long_spans_the_first_of_the_sample_is_given():
    assert longest_copied_span("ab xcd", "cd-ab") == "ab"


def test_nothing_is_copied_from_an_empty_text():
    assert longest_copied_span("abc", "") == "" and longest_copied_span("", "abc") == ""
