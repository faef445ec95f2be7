"""Learn the pieces of running text, in which line ends, tabs and runs of spaces mean something and are kept.

`decode(encode(text)) == text` for any text with line ends "\\n". Two kinds of vocabulary do that: byte-level BPE, whose
pieces are runs of bytes written in an alphabet of 256 printable characters, as GPT-2's are; and characters, where one
that is no piece becomes its UTF-8 bytes. No piece but "<" itself holds a "<", so no text is ever taken for a special
piece such as "</s>".
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from regard.errors import DataError
from regard.text.tokens.pieces import ASCII, SPECIALS

RunningKind = Literal["bpe", "characters"]

ALL_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
KEPT = ["\n", "\t", *ASCII]
"""Characters that a vocabulary of characters always holds."""
CHARACTERS_BASE = [*SPECIALS, *ALL_BYTES, *KEPT]
"""Pieces that a vocabulary of characters starts with."""


def byte_alphabet() -> dict[str, int]:
    """Return the character for each byte in byte-level BPE, GPT-2's: the byte itself where it is printable in Latin-1.

    The others take the characters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTE_ALPHABET = byte_alphabet()


def learn_running(texts: Iterable[str], kind: RunningKind, vocabulary: int) -> Tokenizer:
    """Return a tokenizer of at most `vocabulary` pieces for running text, the same for the same texts.

    texts: normalised, each read once. Raises DataError if there is no text.
    """
    some = filter(None, texts)
    if (first := next(some, None)) is None:
        raise DataError("There is no text to learn a vocabulary from: every document is empty.")
    return (_byte_level if kind == "bpe" else _characters)(chain([first], some), vocabulary)


def _characters(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    counts = Counter(chain.from_iterable(texts))
    frequent = [c for c, count in counts.items() if count > 1 and c not in KEPT]
    alphabet = sorted(frequent, key=lambda c: (-counts[c], c))
    pieces = [*CHARACTERS_BASE, *alphabet[: max(vocabulary - len(CHARACTERS_BASE), 0)]]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _byte_level(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIALS), initial_alphabet=list(BYTE_ALPHABET), show_progress=False
    )
    learner = _byte_level_around(models.BPE())
    learner.train_from_iterator(texts, trainer)
    learnt = json.loads(learner.to_str())["model"]
    by_id = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    pieces = {piece: i for i, piece in enumerate([*SPECIALS, *by_id])}
    return _byte_level_around(models.BPE(pieces, [tuple(pair) for pair in learnt["merges"]]))


def _byte_level_around(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("<", "isolated"), words])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
