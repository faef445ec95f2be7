"""How much of a generated text is copied."""

from collections.abc import Iterable


def longest_copied_span(sample: str, text: Iterable[str]) -> str:
    """Return the longest piece of a sample that occurs in a text, the first that is found if there are several.

    text: in parts, in order.
    """
    start, length, window = 0, 0, ""
    for part in text:
        # With enough of the earlier parts for a span that reaches into this one.
        window = window[max(len(window) - len(sample), 0) :] + part
        for i in range(len(sample)):
            # Only a longer one counts, so most places cost one search per part.
            while i + length < len(sample) and sample[i : i + length + 1] in window:
                start, length = i, length + 1
    return sample[start : start + length]
