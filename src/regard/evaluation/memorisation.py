"""How much of a generated text is copied."""


def longest_copied_span(sample: str, text: str) -> str:
    """Return the longest piece of a sample that stands in a text, the first of them if there are several."""
    start, length = 0, 0
    for i in range(len(sample)):
        while i + length < len(sample) and sample[i : i + length + 1] in text:
            start, length = i, length + 1
    return sample[start : start + length]
