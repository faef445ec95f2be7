"""Text to ids and back, exactly: `decode(encode(text)) == normalise(text)` for any string. Nothing is ever unknown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import tokenizers
from pydantic import BaseModel, ConfigDict, Field

from regard.batch import EOS
from regard.errors import BundleError
from regard.text.normalise import normalise
from regard.text.pieces import BASE, BYTES, SPECIALS, learn

_BYTES = frozenset(BYTES)


class TokenizerConfig(BaseModel):
    """How text is cut into pieces. Without a vocabulary size, one is chosen by the size of the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bpe", "unigram", "characters"] = "bpe"
    vocabulary: int | None = Field(default=None, ge=256, le=1_000_000)
    joint: bool = True


class Tokenizer:
    """Pieces of text with an id each. Ids 0, 1, 2 are padding, beginning and end; no text is ever encoded to them."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner

    @classmethod
    def train(cls, texts: Sequence[str], config: TokenizerConfig, vocabulary: int) -> Self:
        """Return a tokenizer of at most `vocabulary` pieces learnt from the texts."""
        return cls(learn([normalise(text) for text in texts], config.kind, vocabulary))

    @property
    def vocabulary(self) -> int:
        """The number of pieces, special ones included."""
        return self._inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of the normalised text, without BOS and EOS."""
        return self._inner.encode(normalise(text)).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, on all threads."""
        return [encoding.ids for encoding in self._inner.encode_batch_fast([normalise(text) for text in texts])]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids, and for each the characters [start, end) of the normalised text that it stands for.

        A piece that begins with a space has the space in its span. Each byte of a character has all of it.
        """
        text = normalise(text)
        ids = self._inner.encode(text).ids
        n_bytes = [1 if piece in _BYTES else len(piece.encode()) for piece in self.pieces(ids)]
        character_at = [i for i, character in enumerate(text) for _ in character.encode()]
        end = len(character_at) - sum(n_bytes)  # -1 where a space was put before the text
        offsets = []
        for n in n_bytes:
            start, end = end, end + n
            offsets.append((character_at[max(start, 0)], character_at[end - 1] + 1 if end > 0 else 0))
        return ids, offsets

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids. PAD, BOS and EOS are left out; bytes that are no UTF-8 become U+FFFD."""
        return self._inner.decode([i for i in ids if i > EOS])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the piece of each id, as it stands in the vocabulary: " the", "ing", "<0xE2>"."""
        pieces = [piece for i in ids if (piece := self._inner.id_to_token(i)) is not None]
        assert len(pieces) == len(ids), "an id is outside the vocabulary"
        return pieces

    def save(self, path: Path) -> None:
        """Write the tokenizer as the JSON that the library `tokenizers` reads too."""
        path.write_bytes(self._inner.to_str(pretty=True).encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the tokenizer written by `save`. Raises BundleError if the file is missing or damaged."""
        try:
            inner = tokenizers.Tokenizer.from_str(path.read_bytes().decode())
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror}); it should hold the tokenizer.") from error
        except Exception as error:  # the library raises nothing narrower
            raise BundleError(f"{path} is not a tokenizer, or is damaged: {error}. Train or copy it again.") from error
        vocabulary = inner.get_vocab()
        if any(vocabulary.get(piece) != i for i, piece in enumerate(SPECIALS)):
            raise BundleError(f"{path} must begin with the pieces {', '.join(SPECIALS)}. Train or copy it again.")
        if missing := [piece for piece in BASE if piece not in vocabulary]:
            raise BundleError(f"{path} lacks {len(missing)} pieces, first {missing[0]!r}. Train or copy it again.")
        return cls(inner)


_SIZES = [(10_000, 1_000), (20_000, 2_000), (100_000, 4_000), (300_000, 8_000), (1_000_000, 16_000)]
_LARGEST = 32_000


def choose_vocabulary(n_pairs: int) -> int:
    """Return a vocabulary size for a corpus: small where each piece would otherwise be seen too seldom.

    4,000 was settled on the 29,000 pairs of Multi30k against 2,000 and 8,000 (docs/results.md); the other sizes are
    set around it.
    """
    return next((size for limit, size in _SIZES if n_pairs <= limit), _LARGEST)


def train_tokenizers(
    source: Sequence[str], target: Sequence[str], config: TokenizerConfig
) -> tuple[Tokenizer, Tokenizer, str]:
    """Return the tokenizers of both sides, and a sentence that says their sizes and why.

    A joint tokenizer is the very same object twice.
    """
    size = config.vocabulary or choose_vocabulary(len(source))
    if config.joint:
        both = Tokenizer.train([*source, *target], config, size)
        return (both, both, f"{_described(both, config, size, len(source))}, for both sides.")
    sides = [Tokenizer.train(texts, config, size) for texts in (source, target)]
    reasons = [_described(tokenizer, config, size, len(source)) for tokenizer in sides]
    return (sides[0], sides[1], f"{reasons[0]}, for the source; {reasons[1]}, for the target.")


def _described(tokenizer: Tokenizer, config: TokenizerConfig, size: int, n_pairs: int) -> str:
    names = {"bpe": "BPE pieces", "unigram": "unigram pieces", "characters": "characters and bytes"}
    found = f"{tokenizer.vocabulary:,} {names[config.kind]}"
    if tokenizer.vocabulary < size:
        return f"{found} (all that the text yields; up to {size:,} were allowed)"
    chosen = f"chosen for {n_pairs:,} pairs, so that each piece is seen often enough"
    return f"{found} ({'as set' if config.vocabulary else chosen})"
