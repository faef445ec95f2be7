"""Learn the pieces of a vocabulary from text, as a Hugging Face tokenizer that loses nothing.

Three things make `decode(encode(text)) == text` hold for every normalised text:

* A space stays a space and leads the word behind it (" the"), so no character has to stand for it, and none that the
  user may write (U+2581) is taken for one. One more space is put before the text and taken off again by the decoder.
* A character that is no piece becomes its UTF-8 bytes, "<0xE2>" and so on. Normalised text needs only some of them:
  printable ASCII is always in the alphabet, controls are gone, and UTF-8 never uses the others.
* No piece holds "<" and anything behind it, because the text is cut after each mark. So "</s>" or "<0xE2>" written by
  the user can never be taken for a piece of that name.

A newline is no piece either: whatever a model writes is one line.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from regard.errors import DataError

Kind = Literal["bpe", "unigram", "characters"]

SPECIALS = ["<pad>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(0x80, 0xF5) if byte not in (0xC0, 0xC1)]
ASCII = [chr(code) for code in range(0x20, 0x7F)]
BASE = [*SPECIALS, *BYTES, *ASCII]
"""Pieces that every vocabulary starts with, or at least holds."""

_LETTERS = r"\p{L}\p{M}\x{200C}\x{200D}"  # with the joiners that Persian needs inside words
_WORD_OR_MARK = Regex(f" ?[{_LETTERS}]+| ?[^{_LETTERS}]")
_RARE = "<"  # stands for a rare character while learning, because it joins with nothing


def learn(texts: Sequence[str], kind: Kind, vocabulary: int) -> Tokenizer:
    """Return a tokenizer of at most `vocabulary` pieces, the same for the same texts.

    texts: normalised. Raises DataError if there is no text.
    """
    counts = Counter(chain.from_iterable(texts))
    if not counts:
        raise DataError("There is no text to learn a vocabulary from: every line is empty.")
    n_free = vocabulary - len(BASE)
    alphabet = _alphabet(counts, n_free if kind == "characters" else n_free // 2)
    rare = str.maketrans(dict.fromkeys(set(counts) - set(ASCII) - set(alphabet), _RARE))
    common = (text.translate(rare) for text in texts)
    n_learnt = vocabulary - len(SPECIALS) - len(BYTES)
    match kind:
        case "characters":
            return _characters(alphabet)
        case "bpe":
            return _bpe(common, n_learnt)
        case "unigram":
            return _unigram(common, n_learnt)


def _alphabet(counts: Counter[str], limit: int) -> list[str]:
    """Return the most frequent characters beyond ASCII. One seen only once would never be learnt: bytes serve it."""
    frequent = [character for character, count in counts.items() if count > 1 and character not in ASCII]
    return sorted(frequent, key=lambda character: (-counts[character], character))[: max(limit, 0)]


def _characters(alphabet: list[str]) -> Tokenizer:
    vocabulary = {piece: i for i, piece in enumerate([*BASE, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _bpe(texts: Iterable[str], n_pieces: int) -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=n_pieces, initial_alphabet=ASCII, show_progress=False)
    learnt = _train(texts, models.BPE(), trainer)
    by_id = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    vocabulary = {piece: i for i, piece in enumerate([*SPECIALS, *BYTES, *by_id])}
    return _with_words(models.BPE(vocabulary, [tuple(pair) for pair in learnt["merges"]], byte_fallback=True))


def _unigram(texts: Iterable[str], n_pieces: int) -> Tokenizer:
    trainer = trainers.UnigramTrainer(vocab_size=n_pieces, initial_alphabet=ASCII, show_progress=False)
    learnt = _train(texts, models.Unigram(), trainer)
    scored = _settled(learnt["vocab"])
    lowest = scored[-1][1]
    pieces = [(piece, lowest) for piece in [*SPECIALS, *BYTES]] + scored
    # The id of the unknown is asked for, but never given out: every byte that can occur is a piece.
    return _with_words(models.Unigram(pieces, unk_id=0, byte_fallback=True))


def _settled(scored: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the pieces by falling score, without what differs from run to run.

    The trainer walks hash maps in random order. So sums differ in their last bits, and the characters that it must keep
    are put at the lowest score plus a ten-thousandth for each one before.
    """
    singles = sum(len(piece) == 1 for piece, _ in scored)
    lowest = min(score for _, score in scored)
    kept_by_force = lowest + 1e-4 * (singles + 1)
    settled = [(p, lowest if len(p) == 1 and score < kept_by_force else score) for p, score in scored]
    return sorted(((p, round(score, 4)) for p, score in settled), key=lambda pair: (-pair[1], pair[0]))


def _train(texts: Iterable[str], model: models.Model, trainer: trainers.Trainer) -> dict[str, Any]:
    tokenizer = _with_words(model)
    tokenizer.train_from_iterator(texts, trainer)
    model_as_saved: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model_as_saved


def _with_words(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_WORD_OR_MARK, "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer
