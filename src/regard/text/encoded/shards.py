"""A corpus too large for memory, as ids on disk, in shards that are each written once, complete or not at all.

DIRECTORY/shard-00000 holds, for each side of pairs or for running text, the ids of all its rows end to end and where
each row ends, and a manifest that records what they were made from. A row is a sentence, or a document, which may
continue in the next shard. Shards that a killed run has finished are used by the next one.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from regard.replacing import replacing
from regard.text.encoded.documents import encode_passages
from regard.text.encoded.pairs import EncodedPairs, encode_pairs
from regard.text.encoded.ragged import Ids, Joined, JoinedTape, Ragged, Rows
from regard.text.reading.pairs import SentencePairs
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer

SHARD = 500_000
"""The number of pairs per shard."""

SHARD_CHARACTERS = 50_000_000
"""The number of characters of running text per shard, or a little more."""

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 2**16

Sides = dict[str, Rows]
"""Ids by side: "source" and "target", or "text"."""
Shard = tuple[Path, dict[str, Any]]
"""A shard and its manifest."""

Tell = Callable[[int, int], None]
"""Called with the number of rows that are done, and of all rows."""


class MappedRagged(Ragged):
    """Rows in a shard, read from the disk as they are needed."""

    def __init__(self, shard: Path, manifest: dict[str, Any], side: str) -> None:
        self._ids, self._dtype = shard / f"{side}.ids", manifest["dtypes"][side]
        self.ends = _mapped(shard / f"{side}.ends", np.int64)

    @property
    def tokens(self) -> Ids:  # type: ignore[override]
        """All ids. Mapped again at each access, so that the memory of what was read is released."""
        return _mapped(self._ids, self._dtype)


def sharded_pairs(
    directory: Path, pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int, key: str, tell: Tell
) -> EncodedPairs:
    """Return the pairs as ids in shards of the directory; missing ones are written.

    key: what identifies the pairs. Raises RunError if the directory cannot be written.
    """

    def encode(start: int, stop: int) -> tuple[Sides, int]:
        encoded = encode_pairs(pairs[start:stop], source, target, max_tokens)
        return {"source": encoded.sources, "target": encoded.targets}, encoded.n_dropped

    identity = {"pairs": key, "tokenizers": [source.fingerprint, target.fingerprint], "max_tokens": max_tokens}
    shards = _shards(directory, [*range(0, len(pairs), SHARD), len(pairs)], identity, encode, tell)
    sources, targets = (Joined([MappedRagged(*shard, side) for shard in shards]) for side in ("source", "target"))
    return EncodedPairs(sources, targets, sum(manifest["dropped"] for _, manifest in shards), max_tokens)


def sharded_text(directory: Path, text: Passages, tokenizer: Tokenizer, key: str, tell: Tell) -> JoinedTape:
    """Return running text as ids in shards of the directory; missing ones are written.

    key: what identifies the text; `tell` counts its characters. Raises RunError if the directory cannot be written.
    """
    ends = np.cumsum(text.sizes)
    last = np.searchsorted(ends, range(SHARD_CHARACTERS, int(ends[-1]), SHARD_CHARACTERS))  # last passage of each shard
    # Each bound once: a passage longer than a shard is the last one of several.
    bounds = np.unique([0, *(last + 1), len(text)]).tolist()

    def encode(start: int, stop: int) -> tuple[Sides, int]:
        return {"text": encode_passages(text, tokenizer, range(start, stop))}, 0

    identity = {"text": key, "tokenizer": tokenizer.fingerprint}
    shards = _shards(directory, bounds, identity, encode, lambda n, _: tell(int(ends[n - 1]), int(ends[-1])))
    return JoinedTape([MappedRagged(*shard, "text") for shard in shards])


def _shards(
    directory: Path,
    bounds: list[int],
    identity: dict[str, Any],
    encode: Callable[[int, int], tuple[Sides, int]],
    tell: Tell,
) -> list[Shard]:
    """Return the shards of a directory, one from each of the bounds to the next; incomplete ones are written.

    encode: returns the ids of the rows from one bound to another by side, and how many rows were dropped.
    """
    spans = {directory / f"shard-{i:05}": span for i, span in enumerate(pairwise(bounds))}
    # Left by a longer corpus; nothing else would ever remove them.
    for path in set(directory.glob("shard-*")) - spans.keys():
        shutil.rmtree(path, ignore_errors=True)
    shards = []
    for path, span in spans.items():
        made_of = {**identity, "rows": list(span)}
        manifest = _whole(path, made_of)
        if manifest is None:
            # `replacing` would refuse a directory without a manifest, as not its own.
            shutil.rmtree(path, ignore_errors=True)
            manifest = _write(path, *encode(*span), made_of)
        shards.append((path, manifest))
        tell(span[1], bounds[-1])
    return shards


def _write(shard: Path, sides: Sides, n_dropped: int, made_of: dict[str, Any]) -> dict[str, Any]:
    """Write a shard, and return its manifest."""
    dtypes = {}
    with replacing(shard, MANIFEST) as place:
        for side, rows in sides.items():
            assert isinstance(rows, Ragged), "what was just encoded is in memory"
            (place / f"{side}.ids").write_bytes(rows.tokens.data)
            (place / f"{side}.ends").write_bytes(rows.ends.data)
            dtypes[side] = rows.tokens.dtype.str
        manifest: dict[str, Any] = {"of": made_of, "dropped": n_dropped, "dtypes": dtypes}
        manifest["sha256"] = _digests(place, manifest)
        # Last, because a shard with a manifest counts as complete.
        (place / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _whole(shard: Path, made_of: dict[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of a shard if it was made from this and is unchanged, otherwise None."""
    try:
        with (shard / MANIFEST).open("rb") as file:
            manifest: dict[str, Any] = json.loads(file.read(MOST_MANIFEST_BYTES))
        # Digests stored beside the files detect damage, but not changes by somebody with write access.
        is_whole = manifest["of"] == made_of and manifest["sha256"] == _digests(shard, manifest)
        return manifest if is_whole else None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # whatever happened to it, the shard is written again
        return None


def _digests(shard: Path, manifest: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of each file of ids and ends, and of the rest of the manifest."""
    # Otherwise one flipped bit here would go unnoticed: it turns "<u2" into ">u2", and changes all ids.
    said = json.dumps([manifest["dropped"], manifest["dtypes"]])
    digests = {MANIFEST: hashlib.sha256(said.encode()).hexdigest()}
    for name in (f"{side}.{what}" for side in manifest["dtypes"] for what in ("ids", "ends")):
        with (shard / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _mapped(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """Return the content of a file, mapped into memory; an empty file cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)
