"""Text to ids and back, exactly: `decode(encode(text)) == normalise(text)` for any string. There is no unknown token.

A tokenizer is either for sentences, or for running text, whose line ends and spaces it keeps (`normalise_running`). One
for sentences keeps the no-break spaces of targets. In a source they become ordinary spaces (`for_sources`), so that the
model reads a sentence alike with and without them.
"""

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from regard.text.tokens import file
from regard.text.tokens.normalise import RULE, normalise, normalise_running
from regard.text.tokens.pieces import learn
from regard.text.tokens.pipeline import pipeline_of
from regard.text.tokens.running import RunningKind, learn_running
from regard.text.tokens.vocabulary import ALL_BYTES, BYTE_ALPHABET, MOST_CONTROL, Kind, Vocabulary

_BYTES = {piece: bytes([byte]) for byte, piece in enumerate(ALL_BYTES)}


class TokenizerConfig(BaseModel):
    """How text is split into subword pieces. What is not set is chosen by the size of the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    kind: Literal["bpe", "unigram", "characters"] | None = None
    """The kind of pieces. Not set, it is "bpe" for sentences, and for running text "bpe" or, if it is short,
    "characters". Running text cannot have "unigram", and its "bpe" is byte-level BPE.
    """

    vocabulary: int | None = Field(default=None, ge=256, le=1_000_000)
    """The maximum number of ids, special ones included; not set, it is chosen by the size of the corpus."""

    joint: bool = True
    """Whether both sides of pairs share one vocabulary."""

    n_control_ids: int = Field(32, ge=0, le=MOST_CONTROL)
    """How many ids of the vocabulary are reserved, after padding, beginning and end, for input to a model other than
    text; a model never generates them.
    """


class Tokenizer:
    """Pieces of text with an id each. No text is ever encoded to padding, beginning, end or a control id."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._inner, self._vocabulary = pipeline_of(vocabulary), vocabulary
        self._no_breaks = vocabulary.normalisation > 1
        self._ids = {name: i for i, name in enumerate(vocabulary.names)}

    @classmethod
    def train(cls, texts: Sequence[str], config: TokenizerConfig, size: int, rule: int = RULE) -> Self:
        """Return a tokenizer for sentences, of at most `size` ids, trained on the texts. rule: of normalisation."""
        normalised = [normalise(text, rule, no_breaks=rule > 1) for text in texts]
        vocabulary = learn(normalised, config.kind or "bpe", size, config.n_control_ids)
        return cls(replace(vocabulary, normalisation=rule))

    @classmethod
    def train_running(cls, texts: Iterable[str], kind: RunningKind, size: int, n_control: int = 0) -> Self:
        """Return a tokenizer for running text, of at most `size` ids, trained on the texts."""
        return cls(learn_running(map(normalise_running, texts), kind, size, n_control))

    def __repr__(self) -> str:
        of = "running text" if self.running else "sentences"
        return f"Tokenizer({self.vocabulary:,} {self._vocabulary.kind} pieces of {of})"

    def for_sources(self) -> Self:
        """Return the same tokenizer for source sentences, in which a no-break space becomes an ordinary space."""
        view = copy.copy(self)
        view._no_breaks = False
        return view

    def shares(self, other: "Tokenizer") -> bool:
        """Return whether both sides share the same vocabulary, not only an equal one."""
        return self._vocabulary is other._vocabulary

    @property
    def kind(self) -> Kind:
        """The kind of pieces: BPE, unigram or characters."""
        return self._vocabulary.kind

    @property
    def vocabulary(self) -> int:
        """The number of ids, special ones included."""
        return len(self._vocabulary)

    @property
    def n_control(self) -> int:
        """The number of control ids, which follow padding, beginning and end."""
        return self._vocabulary.n_control

    @property
    def normalisation(self) -> int:
        """The version of the rule by which text is normalised."""
        return self._vocabulary.normalisation

    @property
    def running(self) -> bool:
        """Whether this is a tokenizer for running text."""
        return self._vocabulary.running

    @property
    def fingerprint(self) -> str:
        """A short hash of this tokenizer."""
        return hashlib.sha256(file.written(self._vocabulary).encode()).hexdigest()[:16]

    @property
    def merges(self) -> Sequence[tuple[str, str]]:
        """The pairs of pieces that BPE merges, in order of priority; none with other kinds."""
        return self._vocabulary.merges

    def encode(self, text: str) -> list[int]:
        """Return the ids of the normalised text, without BOS and EOS."""
        return self._inner.encode(self.normalise(text)).ids

    def normalise(self, text: str) -> str:
        """Return the text as `decode` returns it for its ids."""
        if self.running:
            return normalise_running(text)
        return normalise(text, self._vocabulary.normalisation, no_breaks=self._no_breaks)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, on all threads."""
        # The fast variant computes no offsets, which are not needed here.
        return [encoding.ids for encoding in self._inner.encode_batch_fast([self.normalise(text) for text in texts])]

    def words(self, text: str) -> list[str]:
        """Return the words of the normalised text, with the space before them. No piece extends beyond a word."""
        text = self._inner.normalizer.normalize_str(self.normalise(text))
        return [word for word, _ in self._inner.pre_tokenizer.pre_tokenize_str(text)]

    def unknown_characters(self, text: str) -> list[str]:
        """Return the characters of a text that become bytes, because training had them at most once."""
        return [c for c in dict.fromkeys(self.normalise(text)) if not c.isspace() and c not in self._ids]

    def ids_of(self, pieces: Sequence[str]) -> list[int]:
        """Return the id of each piece; for a character that is not a piece, those of its bytes."""
        names: list[str] = []
        for piece in pieces:
            names += [piece] if piece in self._ids else [ALL_BYTES[byte] for byte in piece.encode()]
        assert all(name in self._ids for name in names), "a byte is outside the vocabulary"
        return [self._ids[name] for name in names]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids, and for each the characters [start, end) of the normalised text that it stands for.

        The span of a piece that begins with a space includes the space. The span of a byte is its whole character.
        """
        text = self.normalise(text)
        ids = self._inner.encode(text).ids
        # Counted in bytes, since a piece may be a part of a character.
        n_bytes = [len(self.token_bytes(i)) for i in ids]
        character_at = [i for i, character in enumerate(text) for _ in character.encode()]
        end = len(character_at) - sum(n_bytes)  # -1 where a space was put before the text
        offsets = []
        for n in n_bytes:
            start, end = end, end + n
            offsets.append((character_at[max(start, 0)], character_at[end - 1] + 1 if end > 0 else 0))
        return ids, offsets

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids. Ids of no text are left out; bytes that are not UTF-8 become U+FFFD."""
        if self.running:
            return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")
        # Left out here, because the library has no special pieces: it would find their names in what a user writes.
        return self._inner.decode([i for i in ids if i >= self._vocabulary.first_piece])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the piece of each id, as it is in the vocabulary: " the", "ing", "<0xE2>"."""
        assert all(0 <= i < self.vocabulary for i in ids), "an id is outside the vocabulary"
        return [self._vocabulary.names[i] for i in ids]

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes that an id stands for, perhaps only some of a character's; none if it is not text."""
        (piece,) = self.pieces([token])
        if token < self._vocabulary.first_piece:
            return b""
        if self._vocabulary.byte_level:
            return bytes(BYTE_ALPHABET[character] for character in piece)
        return _BYTES.get(piece) or piece.encode()

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        # The same bytes on every system, since a bundle's manifest contains their sha256.
        path.write_text(file.written(self._vocabulary), encoding="utf-8", newline="\n")

    @classmethod
    def read(cls, content: bytes, name: str) -> Self:
        """Return a tokenizer that `save` wrote. name: of the file, for messages. Raises BundleError otherwise."""
        return cls(file.read(content, name))
