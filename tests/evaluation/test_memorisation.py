from hypothesis import given
from hypothesis import strategies as st

from regard.evaluation.memorisation import longest_copied_span


@given(
    sample=st.text("ab\n", max_size=12), text=st.text("ab\n", max_size=30), cuts=st.tuples(*[st.integers(0, 30)] * 2)
)
def test_the_longest_span_equals_trying_them_all(sample, text, cuts):
    spans = [sample[i:j] for i in range(len(sample)) for j in range(i, len(sample) + 1)]
    longest = max((len(span) for span in spans if span in text), default=0)
    first, last = sorted(cuts)
    found = longest_copied_span(sample, [text[:first], text[first:last], text[last:]])
    assert len(found) == longest and found in sample and found in text


def test_a_span_worked_by_hand():
    assert longest_copied_span("xx the cat ran", ["see the c", "at sat"]) == " the cat "


def test_of_two_equally_long_spans_the_first_of_the_sample_is_given():
    assert longest_copied_span("ab xcd", ["cd-ab"]) == "ab"


def test_nothing_is_copied_from_an_empty_text():
    assert longest_copied_span("abc", [""]) == "" and longest_copied_span("", ["abc"]) == ""
