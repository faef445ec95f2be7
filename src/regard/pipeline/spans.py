"""Which characters and words of a text its tokens stand for."""

from collections.abc import Sequence

from regard.inspection.explanation import END
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.words import word_of_token, words


def in_words(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[list[str], list[int]]:
    """Return the words of a text with END as the last, and the index of the word each token and EOS belong to."""
    spans = words(text)
    return [*(text[a:b] for a, b in spans), END], [*word_of_token(offsets, spans), len(spans)]


def spans_of_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of the ids, and for each id the characters [start, end) that it stands for.

    Works for any ids a model may write, also where encoding their text would give others. Each byte of a character has
    all of it.
    """
    text = tokenizer.decode(ids)
    # Every beginning is decoded anew, which takes time with the square of the length.
    ends = [len(text)] * len(ids)
    for i in range(len(ids) - 2, -1, -1):  # bytes that are no character yet look longer than they are
        ends[i] = min(len(tokenizer.decode(ids[: i + 1])), ends[i + 1])
    starts = [max(0, min(before, end - 1)) for before, end in zip([0, *ends], ends, strict=False)]
    return text, list(zip(starts, ends, strict=True))
