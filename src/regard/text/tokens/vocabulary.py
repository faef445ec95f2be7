"""A vocabulary as plain data: its pieces, their order, and the conditions that they must meet.

Ids 0, 1, 2 are padding, beginning and end. Control ids may follow, to which no text is encoded and which no model
generates: they will indicate languages, domains, placeholders and chat roles. Then come the pieces.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from regard.batch import EOS
from regard.errors import BundleError, shown
from regard.text.tokens.normalise import RULE

Kind = Literal["bpe", "unigram", "characters"]

# In the order of PAD, BOS and EOS (`regard.batch`), ids that every model relies on.
SPECIALS = ["<pad>", "<s>", "</s>"]
FIRST_CONTROL = EOS + 1

ALL_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# 0xC0 and 0xC1 would begin an overlong form, and bytes above 0xF4 are for characters beyond U+10FFFF.
BYTES = [ALL_BYTES[byte] for byte in range(0x80, 0xF5) if byte not in (0xC0, 0xC1)]
"""The bytes that UTF-8 uses for characters beyond ASCII."""
ASCII = [chr(code) for code in range(0x20, 0x7F)]
KEPT = ["\n", "\t", *ASCII]
"""Characters that a vocabulary of characters for running text always contains."""

LONGEST_PIECE = 2**14
"""The maximum length of a piece. BPE doubles a run of dashes with every merge, so long pieces are legitimate."""

MOST_CONTROL = 1024

# Including Unicode's own line ends, because a translation must be one line.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def byte_alphabet() -> dict[str, int]:
    """Return the characters of bytes in byte-level BPE, as in GPT-2: the byte itself if it is printable in Latin-1.

    The other bytes take the characters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTE_ALPHABET = byte_alphabet()


@dataclass(frozen=True)
class Vocabulary:
    """Pieces, and how text is split into them.

    running: for running text, whose line ends and spaces are kept; its "bpe" is byte-level BPE. pieces: those after the
    control ids. merges: of BPE, in order of priority. scores: of unigram, a log-probability for each piece.
    normalisation: the version of the rule by which text is normalised.
    """

    kind: Kind
    running: bool
    n_control: int
    pieces: Sequence[str]
    merges: Sequence[tuple[str, str]] = ()
    scores: Sequence[float] = ()
    normalisation: int = RULE

    def __len__(self) -> int:
        return self.first_piece + len(self.pieces)

    @property
    def first_piece(self) -> int:
        """The id of the first piece of text."""
        return FIRST_CONTROL + self.n_control

    @property
    def byte_level(self) -> bool:
        """Whether pieces are runs of bytes, written in an alphabet of their own."""
        return self.running and self.kind == "bpe"

    @cached_property
    def names(self) -> list[str]:
        """The piece of each id. No text is split into a name of the first ones: it is always split after "<"."""
        return [*SPECIALS, *(f"<control {i}>" for i in range(self.n_control)), *self.pieces]

    @property
    def base(self) -> list[str]:
        """The pieces without which some text could not be encoded."""
        if self.byte_level:
            return list(BYTE_ALPHABET)
        return [*ALL_BYTES, *KEPT] if self.running else [*BYTES, *ASCII]


def refuse_unfit(vocabulary: Vocabulary, name: str) -> None:
    """Raise BundleError if a vocabulary that was read from a file could not have been written by regard.

    In any case text must be encoded without loss, a translation must be one line, and no piece may be so long that it
    fills the memory. name: of the file, for the message.
    """
    pieces = vocabulary.pieces
    known = set(pieces)
    problem = None
    # First, because `names` makes as many strings as there are control ids.
    if not 0 <= vocabulary.n_control <= MOST_CONTROL:
        problem = f"it reserves {shown(vocabulary.n_control)} control ids; at most {MOST_CONTROL:,} are allowed"
    elif vocabulary.running and vocabulary.kind == "unigram":
        problem = "running text cannot have unigram pieces"
    elif len(set(vocabulary.names)) != len(vocabulary):
        problem = f"the piece {shown(next(a for a, b in pairwise(sorted(vocabulary.names)) if a == b))!r} occurs twice"
    elif missing := [piece for piece in vocabulary.base if piece not in known]:
        problem = f"it lacks {len(missing)} pieces, the first is {missing[0]!r}"
    elif unfit := [piece for piece in pieces if not _fits(piece, vocabulary)]:
        problem = f"{shown(repr(unfit[0]))} is not a valid piece"
    elif len(vocabulary.merges) > len(pieces) or (vocabulary.merges and vocabulary.kind != "bpe"):
        problem = f"it has {len(vocabulary.merges):,} merges for {len(pieces):,} pieces"
    elif alien := [pair for pair in vocabulary.merges if not {*pair, "".join(pair)} <= known]:
        problem = f"the merge {shown(alien[0])} has pieces that it lacks"
    elif len(vocabulary.scores) != (len(pieces) if vocabulary.kind == "unigram" else 0):
        problem = f"it has {len(vocabulary.scores):,} scores for {len(pieces):,} pieces"
    elif not all(math.isfinite(score) and abs(score) < 1e6 for score in vocabulary.scores):
        problem = "a score is not finite, or too large"
    if problem:
        raise BundleError(f"{name} is not a tokenizer of regard: {problem}. Train or copy it again.")


def _fits(piece: str, vocabulary: Vocabulary) -> bool:
    """Return whether a piece may be in a vocabulary: neither empty nor too long, no lone surrogate, no line end."""
    if not 0 < len(piece) <= LONGEST_PIECE:
        return False
    if vocabulary.byte_level:
        return all(character in BYTE_ALPHABET for character in piece)
    # JSON can express half of a surrogate pair, which UTF-8 cannot.
    if any("\ud800" <= character <= "\udfff" for character in piece):
        return False
    if vocabulary.running:
        return True
    # A decoder turns a piece that is named like a byte into it: for sentences, only those beyond ASCII are allowed.
    return not _CONTROLS.search(piece) and (piece in BYTES or piece not in ALL_BYTES)
