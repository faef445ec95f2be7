"""Learn the pieces of a vocabulary for sentences from text."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from tokenizers import models, trainers

from regard.errors import DataError
from regard.text.tokens.pipeline import around_words
from regard.text.tokens.vocabulary import ASCII, BYTES, FIRST_CONTROL, Kind, Vocabulary

_RARE = "<"  # stands for a rare character in training, because it merges with nothing


def learn(texts: Sequence[str], kind: Kind, size: int, n_control: int) -> Vocabulary:
    """Return a vocabulary of at most `size` ids, n_control of them control ids; the same for the same texts.

    texts: normalised. Raises DataError if there is no text.
    """
    counts = Counter(chain.from_iterable(texts))
    if not counts:
        raise DataError("There is no text to learn a vocabulary from: every line is empty.")
    n_pieces = size - FIRST_CONTROL - n_control
    n_free = n_pieces - len(BYTES) - len(ASCII)
    # At most half of the room, so that a writing system of thousands of characters leaves some for words.
    alphabet = _alphabet(counts, n_free if kind == "characters" else n_free // 2)
    if kind == "characters":
        return Vocabulary(kind, False, n_control, [*BYTES, *ASCII, *alphabet])
    # A trainer makes a piece of every character that it sees; rare ones are left to their bytes.
    rare = str.maketrans(dict.fromkeys(set(counts) - set(ASCII) - set(alphabet), _RARE))
    common = (text.translate(rare) for text in texts)
    n_learnt = n_pieces - len(BYTES)
    if kind == "bpe":
        pieces, merges = _bpe(common, n_learnt)
        return Vocabulary(kind, False, n_control, [*BYTES, *pieces], merges)
    scored = _unigram(common, n_learnt)
    lowest = scored[-1][1]
    pieces, scores = [piece for piece, _ in scored], [score for _, score in scored]
    return Vocabulary(kind, False, n_control, [*BYTES, *pieces], scores=[*[lowest] * len(BYTES), *scores])


def _alphabet(counts: Counter[str], limit: int) -> list[str]:
    """Return the most frequent characters beyond ASCII. One that occurs only once becomes bytes."""
    frequent = [character for character, count in counts.items() if count > 1 and character not in ASCII]
    return sorted(frequent, key=lambda character: (-counts[character], character))[: max(limit, 0)]


def _bpe(texts: Iterable[str], n_pieces: int) -> tuple[list[str], list[tuple[str, str]]]:
    trainer = trainers.BpeTrainer(vocab_size=n_pieces, initial_alphabet=ASCII, show_progress=False)
    return pieces_and_merges(_train(texts, models.BPE(), trainer))


def pieces_and_merges(learnt: dict[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the pieces in the order of their ids, and the merges, of a BPE as the library `tokenizers` saves it."""
    ids = learnt["vocab"]
    return sorted(ids, key=ids.__getitem__), [(left, right) for left, right in learnt["merges"]]


def _unigram(texts: Iterable[str], n_pieces: int) -> list[tuple[str, float]]:
    trainer = trainers.UnigramTrainer(vocab_size=n_pieces, initial_alphabet=ASCII, show_progress=False)
    return _settled(_train(texts, models.Unigram(), trainer)["vocab"])


def _settled(scored: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the pieces by descending score, without differences between runs.

    The trainer iterates over hash maps in random order. So sums differ in their last bits, and the characters that it
    must keep get the lowest score plus a ten-thousandth for each one before.
    """
    singles = sum(len(piece) == 1 for piece, _ in scored)
    lowest = min(score for _, score in scored)
    kept_by_force = lowest + 1e-4 * (singles + 1)
    settled = [(p, lowest if len(p) == 1 and score < kept_by_force else score) for p, score in scored]
    return sorted(((p, round(score, 4)) for p, score in settled), key=lambda pair: (-pair[1], pair[0]))


def _train(texts: Iterable[str], model: models.Model, trainer: trainers.Trainer) -> dict[str, Any]:
    tokenizer = around_words(model)
    tokenizer.train_from_iterator(texts, trainer)
    model_as_saved: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model_as_saved
