"""What the text of a translation does not show: that the source was unlike training, or that the search failed."""

from collections.abc import Iterator, Sequence

from regard.text.numbers import lost_numbers
from regard.text.tokens.tokenizer import Tokenizer

LONGEST_LOOP = 16
"""The longest repeated sequence that is looked for, in tokens."""
TIMES, LEAST_LOOP = 4, 8
"""How often a sequence must occur in a row, and in how many tokens, to count as a loop."""
NAMED = 5
"""The maximum number of characters or numbers that a note names."""


def notes_on(
    source: tuple[str, Sequence[int]],
    target: tuple[str, Sequence[int]],
    tokenizer: Tokenizer,
    longest_source: int | None,
    longest_target: int,
) -> Iterator[str]:
    """Yield notes on a translation, sentences without a subject: "line 3" or "the text" precedes them.

    source, target: text and ids. tokenizer: of the source. longest_source: in training; longest_target: allowed, both
    in tokens.
    """
    (text, source_ids), (translation, target_ids) = source, target
    if longest_source is not None and len(source_ids) > longest_source:
        yield f"has {len(source_ids):,} tokens, more than any sentence in training ({longest_source:,})"
    if unknown := tokenizer.unknown_characters(text):
        yield f"has characters that were not in the training data: {named(unknown)}"
    if len(target_ids) >= longest_target and source_ids:
        yield f"has a translation that was cut at {longest_target:,} tokens"
    if loops(target_ids) and not loops(source_ids):
        yield "has a translation that repeats itself"
    if lost := lost_numbers(text, translation):
        yield f"has numbers that are missing from its translation: {named(lost)}"


def named(items: Sequence[str]) -> str:
    """Return some items as a list in words."""
    more = f" and {len(items) - NAMED:,} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more


def loops(ids: Sequence[int]) -> bool:
    """Return whether a sequence of tokens occurs several times in a row."""
    for n in range(1, LONGEST_LOOP + 1):
        run = 0  # tokens that are equal to the one n before
        for before, token in zip(ids, ids[n:], strict=False):
            run = run + 1 if before == token else 0
            if run >= max((TIMES - 1) * n, LEAST_LOOP):
                return True
    return False
