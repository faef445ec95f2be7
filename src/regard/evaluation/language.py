"""The cost of a text for a language model, beside its cost for two baselines, the floors."""

import lzma
from dataclasses import asdict, dataclass
from math import exp, inf, log
from typing import Any

from regard.errors import DataError
from regard.evaluation.ngram import nats_after, nats_alone

LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
"""What `xz -9e` does, without the container, whose bytes would distort the cost of a short text."""

KNOWN = 20_000_000
"""How many characters of the training text the floors know at most: the 5-gram takes a hundred bytes for each."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A baseline: the cost of the same text by simple means; `how` says in words which text they know."""

    name: str
    how: str
    bits_per_byte: float
    nats_per_character: float


@dataclass(frozen=True, slots=True)
class LanguageScores:
    """The cost of a text: as means over tokens, which depend on the tokenizer, and over bytes, which do not."""

    nats_per_token: float
    perplexity: float
    bits_per_byte: float
    nats_per_character: float
    n_tokens: int
    n_characters: int
    n_bytes: int
    floors: list[Floor]

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as they are written to JSON."""
        return asdict(self)


def language_scores(nats: float, n_tokens: int, text: str, known: str | None = None) -> LanguageScores:
    """Return the scores of a text whose n_tokens cost a model `nats` in all, and the floors of the same text.

    known: the training text; the floors know it, too, or the end of a long one. Without it, they know only the part of
    the text before each character. Raises DataError if the text is empty.
    """
    if not text:
        raise DataError("The text is empty, so it has no cost. Give at least one character.")
    n_bytes = len(text.encode())
    if known:
        end = f"the last {KNOWN:,} characters of " * (len(known) > KNOWN)
        how, known = f"knowing {end}the training text", known[-KNOWN:]
        ngram, packed = nats_after(text, known), n_packed(known + text) - n_packed(known)
    else:
        how = "knowing only the text so far"
        ngram, packed = nats_alone(text), n_packed(text)
    found = [("5-gram of characters", ngram), ("xz -9e", packed * 8 * log(2))]  # bytes into nats
    floors = [Floor(name, how, cost / log(2) / n_bytes, cost / len(text)) for name, cost in found]
    return LanguageScores(
        nats_per_token=nats / n_tokens,
        perplexity=exp(nats / n_tokens) if nats / n_tokens < 700 else inf,  # a float64 ends at e ** 709
        bits_per_byte=nats / log(2) / n_bytes,
        nats_per_character=nats / len(text),
        n_tokens=n_tokens,
        n_characters=len(text),
        n_bytes=n_bytes,
        floors=floors,
    )


def n_packed(text: str) -> int:
    """Return the number of bytes to which LZMA compresses a text."""
    # Preset 9 looks back 64 MiB: over all of KNOWN characters of up to three bytes.
    return len(lzma.compress(text.encode(), format=lzma.FORMAT_RAW, filters=LZMA))
