"""Which characters and words of a text its tokens stand for."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from regard.inspection.explanation import END
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.words import Span, word_of_token, words


def in_words(text: str, offsets: Sequence[Span]) -> tuple[list[str], list[int]]:
    """Return the words of a text with END as the last, and the index of the word that each token and EOS belong to.

    Words that have a token in common are one: in a script without spaces a piece may hold several characters.
    """
    spans = joined(words(text), offsets)
    return [*(text[a:b] for a, b in spans), END], [*word_of_token(offsets, spans), len(spans)]


def joined(spans: Sequence[Span], offsets: Sequence[Span]) -> list[Span]:
    """Return the spans, those that one token overlaps as one."""
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    first_of = list(range(len(spans)))  # the first of those that each one is joined to
    for start, end in offsets:
        first, last = bisect_right(ends, start), bisect_left(starts, end) - 1
        for i in range(first + 1, last + 1):
            first_of[i] = first_of[first]
    found: list[Span] = []
    for (start, end), first in zip(spans, first_of, strict=True):
        if found and found[-1][0] >= spans[first][0]:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def spans_of_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of the ids, and for each id the characters [start, end) that it stands for.

    Works for any ids that a model may write, even if encoding their text gives others. Each byte of a character stands
    for all of it.
    """
    text = tokenizer.decode(ids)
    # Every prefix is decoded anew, so the time grows with the square of the length.
    ends = [len(text)] * len(ids)
    for i in range(len(ids) - 2, -1, -1):  # bytes that are no character yet look longer than they are
        ends[i] = min(len(tokenizer.decode(ids[: i + 1])), ends[i + 1])
    starts = [max(0, min(before, end - 1)) for before, end in zip([0, *ends], ends, strict=False)]
    return text, list(zip(starts, ends, strict=True))
