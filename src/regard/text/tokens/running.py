"""Learn the pieces of running text, in which line ends, tabs and runs of spaces mean something and are kept.

Two kinds of vocabulary keep everything: byte-level BPE, whose pieces are runs of bytes written in an alphabet of 256
printable characters, as in GPT-2; and characters, where one that is not a piece becomes its UTF-8 bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Literal

from tokenizers import models, trainers

from regard.errors import DataError
from regard.text.tokens.pieces import pieces_and_merges
from regard.text.tokens.pipeline import around_bytes
from regard.text.tokens.vocabulary import ALL_BYTES, BYTE_ALPHABET, FIRST_CONTROL, KEPT, Vocabulary

RunningKind = Literal["bpe", "characters"]


def learn_running(texts: Iterable[str], kind: RunningKind, size: int, n_control: int) -> Vocabulary:
    """Return a vocabulary of at most `size` ids for running text, n_control of them control ids.

    texts: normalised, each read once; the same ones give the same vocabulary. Raises DataError if there is no text.
    """
    some = filter(None, texts)
    # Texts can be read only once, so the first one is taken out and then put back.
    if (first := next(some, None)) is None:
        raise DataError("There is no text to learn a vocabulary from: every document is empty.")
    learn = _bytes if kind == "bpe" else _characters
    return learn(chain([first], some), size - FIRST_CONTROL - n_control, n_control)


def _characters(texts: Iterable[str], n_pieces: int, n_control: int) -> Vocabulary:
    counts = Counter(chain.from_iterable(texts))
    frequent = [c for c, count in counts.items() if count > 1 and c not in KEPT]
    # Equal counts are ordered by character, so that the order of the texts makes no difference.
    alphabet = sorted(frequent, key=lambda c: (-counts[c], c))
    base = [*ALL_BYTES, *KEPT]
    return Vocabulary("characters", True, n_control, [*base, *alphabet[: max(n_pieces - len(base), 0)]])


def _bytes(texts: Iterable[str], n_pieces: int, n_control: int) -> Vocabulary:
    # All 256 bytes, also those that the text lacks, so that any text can be encoded later.
    trainer = trainers.BpeTrainer(vocab_size=n_pieces, initial_alphabet=list(BYTE_ALPHABET), show_progress=False)
    learner = around_bytes(models.BPE())
    learner.train_from_iterator(texts, trainer)
    pieces, merges = pieces_and_merges(json.loads(learner.to_str())["model"])
    return Vocabulary("bpe", True, n_control, pieces, merges)
