"""Text to ids and back, exactly: `decode(encode(text)) == normalise(text)` for any string. Nothing is ever unknown.

A tokenizer is either for sentences, or for running text, whose line ends and spaces it keeps (`normalise_running`).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

import tokenizers
from pydantic import BaseModel, ConfigDict, Field

from regard.batch import EOS
from regard.errors import BundleError
from regard.text.tokens.normalise import normalise, normalise_running
from regard.text.tokens.pieces import BASE, SPECIALS, learn
from regard.text.tokens.running import ALL_BYTES, BYTE_ALPHABET, CHARACTERS_BASE, RunningKind, learn_running

_BYTES = {piece: bytes([byte]) for byte, piece in enumerate(ALL_BYTES)}


class TokenizerConfig(BaseModel):
    """How text is cut into pieces. What is not given is chosen by the size of the corpus.

    kind: sentences are cut by "bpe" unless another is asked for. Running text knows no "unigram", and its "bpe" is
    byte-level BPE. joint: one vocabulary for both sides of pairs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["bpe", "unigram", "characters"] | None = None
    vocabulary: int | None = Field(default=None, ge=256, le=1_000_000)
    joint: bool = True


class Tokenizer:
    """Pieces of text with an id each. Ids 0, 1, 2 are padding, beginning and end; no text is ever encoded to them."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self._byte_level = all(inner.token_to_id(piece) is None for piece in ALL_BYTES)
        self.running = self._byte_level or inner.token_to_id("\n") is not None

    @classmethod
    def train(cls, texts: Sequence[str], config: TokenizerConfig, vocabulary: int) -> Self:
        """Return a tokenizer of at most `vocabulary` pieces learnt from the texts."""
        return cls(learn([normalise(text) for text in texts], config.kind or "bpe", vocabulary))

    @classmethod
    def train_running(cls, texts: Iterable[str], kind: RunningKind, vocabulary: int) -> Self:
        """Return a tokenizer for running text, of at most `vocabulary` pieces learnt from the texts."""
        return cls(learn_running(map(normalise_running, texts), kind, vocabulary))

    @property
    def vocabulary(self) -> int:
        """The number of pieces, special ones included."""
        return self._inner.get_vocab_size()

    @property
    def fingerprint(self) -> str:
        """A short name for exactly this tokenizer."""
        return hashlib.sha256(self._inner.to_str().encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[int]:
        """Return the ids of the normalised text, without BOS and EOS."""
        return self._inner.encode(self.normalise(text)).ids

    def normalise(self, text: str) -> str:
        """Return the text as it comes back from its ids."""
        return normalise_running(text) if self.running else normalise(text)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, on all threads."""
        return [encoding.ids for encoding in self._inner.encode_batch_fast([self.normalise(text) for text in texts])]

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs of pieces that BPE joins, the most urgent first; none with other kinds."""
        model = json.loads(self._inner.to_str())["model"]
        return [(left, right) for left, right in model.get("merges", [])]

    def words(self, text: str) -> list[str]:
        """Return the words of the normalised text, with the space before them. No piece goes beyond one."""
        text = self._inner.normalizer.normalize_str(self.normalise(text))
        return [word for word, _ in self._inner.pre_tokenizer.pre_tokenize_str(text)]

    def ids_of(self, pieces: Sequence[str]) -> list[int]:
        """Return the id of each piece; of a character that is none, those of its bytes."""
        names: list[str] = []
        for piece in pieces:
            is_known = self._inner.token_to_id(piece) is not None
            names += [piece] if is_known else [f"<0x{byte:02X}>" for byte in piece.encode()]
        ids = [i for name in names if (i := self._inner.token_to_id(name)) is not None]
        assert len(ids) == len(names), "a byte is outside the vocabulary"
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids, and for each the characters [start, end) of the normalised text that it stands for.

        A piece that begins with a space has the space in its span. Each byte of a character has all of it.
        """
        text = self.normalise(text)
        ids = self._inner.encode(text).ids
        n_bytes = [len(self.token_bytes(i)) for i in ids]
        character_at = [i for i, character in enumerate(text) for _ in character.encode()]
        end = len(character_at) - sum(n_bytes)  # -1 where a space was put before the text
        offsets = []
        for n in n_bytes:
            start, end = end, end + n
            offsets.append((character_at[max(start, 0)], character_at[end - 1] + 1 if end > 0 else 0))
        return ids, offsets

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids. PAD, BOS and EOS are left out; bytes that are no UTF-8 become U+FFFD."""
        if self.running:
            return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")
        return self._inner.decode([i for i in ids if i > EOS])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the piece of each id, as it stands in the vocabulary: " the", "ing", "<0xE2>"."""
        pieces = [piece for i in ids if (piece := self._inner.id_to_token(i)) is not None]
        assert len(pieces) == len(ids), "an id is outside the vocabulary"
        return pieces

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes that an id stands for, perhaps only some of a character's; none for special ids."""
        (piece,) = self.pieces([token])
        if token <= EOS:
            return b""
        if self._byte_level:
            return bytes(BYTE_ALPHABET[character] for character in piece)
        return _BYTES.get(piece) or piece.encode()

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
        if missing := [piece for piece in _base(vocabulary) if piece not in vocabulary]:
            raise BundleError(f"{path} lacks {len(missing)} pieces, first {missing[0]!r}. Train or copy it again.")
        return cls(inner)


def _base(vocabulary: dict[str, int]) -> list[str]:
    """Return the pieces that a vocabulary must hold to be one of the kind that it looks like."""
    if not vocabulary.keys() & set(ALL_BYTES):
        return list(BYTE_ALPHABET)
    return CHARACTERS_BASE if "\n" in vocabulary else BASE
