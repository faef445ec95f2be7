"""Which vocabulary a corpus gets: its kind, its size, the texts it is trained on, and the reason in words."""

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from regard.errors import ConfigError
from regard.text.reading.pairs import Pair
from regard.text.sliced import Chosen
from regard.text.tokens.normalise import RULE, normalise
from regard.text.tokens.running import RunningKind
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.text.tokens.vocabulary import ALL_BYTES, ASCII, BYTES, FIRST_CONTROL, KEPT

_SIZES = [
    *((5_000, 1_000), (10_000, 2_000), (20_000, 5_000)),
    *((100_000, 10_000), (300_000, 12_000), (1_000_000, 16_000)),
]
_LARGEST = 32_000


def choose_vocabulary(n_pairs: int) -> int:
    """Return a vocabulary size for a corpus: small where each piece would otherwise be too rare.

    10,000 was chosen over 4,000 on the 29,000 pairs of Multi30k (docs/recipes.md); the other sizes are set around it.
    """
    return next((size for limit, size in _SIZES if n_pairs <= limit), _LARGEST)


LEARNT_FROM = 500_000
"""The maximum number of pairs that a vocabulary is trained on, spread evenly over a larger corpus; limits memory."""


def train_tokenizers(
    pairs: Sequence[Pair], config: TokenizerConfig, rule: int = RULE
) -> tuple[Tokenizer, Tokenizer, str]:
    """Return the tokenizers of both sides, and a sentence that says their sizes and why.

    The two of a joint vocabulary share it. rule: the version of the normalisation.
    """
    size = config.vocabulary or choose_vocabulary(len(pairs))
    if size < (least := FIRST_CONTROL + config.n_control_ids + len(BYTES) + len(ASCII)):
        raise ConfigError(
            f"tokenizer.vocabulary is {size}; with {config.n_control_ids} control ids it must be at least {least}, so "
            "that every text can be encoded."
        )
    sample: Sequence[Pair] = pairs
    if len(pairs) > LEARNT_FROM:
        sample = Chosen(pairs, np.arange(LEARNT_FROM) * len(pairs) // LEARNT_FROM)
    # From here on the sample is in memory as a whole, which is why LEARNT_FROM bounds it.
    source, target = zip(*((normalise(s, rule), t) for s, t in sample), strict=True)
    learnt = f", trained on {LEARNT_FROM:,} pairs" if len(pairs) > LEARNT_FROM else ""
    if config.joint:
        both = Tokenizer.train([*source, *target], config, size, rule)
        return (both.for_sources(), both, f"{_described(both, config, size, len(pairs))}, for both sides{learnt}.")
    sides = [Tokenizer.train(texts, config, size, rule) for texts in (source, target)]
    reasons = [_described(tokenizer, config, size, len(pairs)) for tokenizer in sides]
    return (sides[0].for_sources(), sides[1], f"{reasons[0]}, for the source; {reasons[1]}, for the target{learnt}.")


def _described(tokenizer: Tokenizer, config: TokenizerConfig, size: int, n_pairs: int) -> str:
    names = {"bpe": "BPE pieces", "unigram": "unigram pieces", "characters": "characters and bytes"}
    found = f"{tokenizer.vocabulary:,} {names[config.kind or 'bpe']}"
    if tokenizer.vocabulary < size:
        return f"{found} (the text yields no more; up to {size:,} were allowed)"
    chosen = f"chosen for {n_pairs:,} pairs, so that each piece is frequent enough"
    return f"{found} ({'as set' if config.vocabulary else chosen})"


# A shorter text is cut into characters, as nanoGPT does with tiny shakespeare (1.1 million).
_FEW_CHARACTERS = 2_000_000
_MOST_CHARACTERS = 10_000
_RUNNING_SIZES = [(10_000_000, 2_000), (100_000_000, 4_000), (1_000_000_000, 8_000), (10_000_000_000, 16_000)]
# 300 are three special tokens, 256 bytes and 41 merges.
_LEAST: dict[RunningKind, int] = {"bpe": 300, "characters": FIRST_CONTROL + len(ALL_BYTES) + len(KEPT)}
"""The minimum number of ids for running text by kind, control ids not counted."""


def choose_running_vocabulary(n_characters: int) -> int:
    """Return a size of byte-level BPE for running text: small where each piece would otherwise be too rare."""
    return next((size for limit, size in _RUNNING_SIZES if n_characters < limit), _LARGEST)


def choose_running(n_characters: int, config: TokenizerConfig) -> tuple[RunningKind, int]:
    """Return the kind and the size of a vocabulary for this many characters of running text, as set or chosen."""
    kind = config.kind or ("characters" if n_characters < _FEW_CHARACTERS else "bpe")
    assert kind != "unigram", "running text has no unigram pieces"
    usual = _MOST_CHARACTERS if kind == "characters" else choose_running_vocabulary(n_characters)
    return kind, config.vocabulary or usual


LEARNT_FROM_CHARACTERS = 100_000_000
"""The approximate maximum number of characters that a vocabulary is trained on."""


MOST_WORD_BYTES = 3_000_000
"""The most bytes of different words from which pieces are learnt: BPE takes some 200 bytes of memory for each.

English reaches this in about a gigabyte. In a script without spaces, where everything between two marks is a word
and hardly any occurs twice, four megabytes do; the tokens per character are the same with four times as much.
"""

SPREAD = 16
"""A sample passes this often through the text, each time with other passages: any beginning of it is spread evenly."""

_WORD = re.compile(r"[^\W\d_]+")


class Sample:
    """Passages of a text, spread evenly, until they hold enough to learn from. n_used: how many were taken."""

    def __init__(self, texts: Sequence[str], n_characters: int, most_word_bytes: float) -> None:
        self.texts, self.most_word_bytes, self.n_used = texts, most_word_bytes, 0
        self.every = max(1, -(-n_characters // LEARNT_FROM_CHARACTERS))  # at most one of this many passages is taken

    def __iter__(self) -> Iterator[str]:
        words, n_bytes, self.n_used = set[str](), 0, 0
        for i in self._order():
            if n_bytes >= self.most_word_bytes:
                return
            text = self.texts[i]
            yield text
            self.n_used += 1
            new = set(_WORD.findall(text)) - words
            words |= new
            n_bytes += sum(len(word.encode()) for word in new)

    def _order(self) -> Iterator[int]:
        step = SPREAD * self.every
        for first in range(0, step, self.every):
            yield from range(first, len(self.texts), step)


def train_running_tokenizer(texts: Sequence[str], config: TokenizerConfig) -> tuple[Tokenizer, str]:
    """Return a tokenizer for running text, and a sentence that says what it is and why.

    texts: passages of it. Raises ConfigError for settings that do not apply to running text.
    """
    if not config.joint:
        raise ConfigError("tokenizer.joint is false, but running text has only one side. Leave it out.")
    if config.kind == "unigram":
        raise ConfigError("tokenizer.kind is 'unigram', but for running text it must be 'bpe' or 'characters'.")
    n_characters = sum(map(len, texts))
    kind, size = choose_running(n_characters, config)
    least = max(_LEAST[kind], FIRST_CONTROL + len(ALL_BYTES) + config.n_control_ids)
    if kind == "characters":
        least = _LEAST[kind] + config.n_control_ids
    if size < least:
        raise ConfigError(
            f"tokenizer.vocabulary is {size}; for running text, {kind!r} needs at least {least}, 256 for bytes."
        )
    # Characters are only counted, which takes no memory.
    sample = Sample(texts, n_characters, MOST_WORD_BYTES if kind == "bpe" else math.inf)
    tokenizer = Tokenizer.train_running(sample, kind, size, config.n_control_ids)
    learnt = f", trained on {sample.n_used:,} of {len(texts):,} passages" if sample.n_used < len(texts) else ""
    if kind == "characters":
        n_pieces = tokenizer.vocabulary - FIRST_CONTROL - tokenizer.n_control - len(ALL_BYTES)
        small = f"{n_characters:,} characters are fewer than {_FEW_CHARACTERS:,}"
        why = "as set" if config.kind else f"chosen because {small}: longer pieces would be too rare"
        return tokenizer, f"{n_pieces:,} characters, and bytes for all others ({why}){learnt}."
    why = "as set" if config.vocabulary else f"chosen for {n_characters:,} characters"
    if tokenizer.vocabulary < size:
        why = f"the text yields no more; up to {size:,} were allowed"
    return tokenizer, f"{tokenizer.vocabulary:,} pieces of byte-level BPE ({why}){learnt}."
