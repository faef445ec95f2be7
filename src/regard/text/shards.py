"""A corpus too large for memory, as ids on the disk: in shards that are each written once, whole or not at all.

DIRECTORY/shard-00000 holds, of either side of the pairs, the ids of all its rows end to end and where each row ends,
and a manifest that says of what they were made. What a killed run has finished, the next one takes as it is.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from regard.replacing import replacing
from regard.text.corpus import EncodedPairs, SentencePairs, encode_pairs
from regard.text.ragged import Ids, Joined, Ragged
from regard.text.tokenizer import Tokenizer

SHARD = 500_000
"""Pairs that go into one shard."""

MANIFEST = "manifest.json"
SIDES = ("source", "target")

Tell = Callable[[int, int], None]
"""Is told how many pairs are done, of how many."""


class MappedRagged(Ragged):
    """Rows in a shard, read from the disk as they are needed."""

    def __init__(self, shard: Path, side: str, dtype: DTypeLike) -> None:
        self._ids, self._dtype = shard / f"{side}.ids", dtype
        self.ends = _mapped(shard / f"{side}.ends", np.int64)

    @property
    def tokens(self) -> Ids:  # type: ignore[override]
        """All ids. Mapped anew each time, so that the memory of what was read is given back."""
        return _mapped(self._ids, self._dtype)


def sharded_pairs(
    directory: Path, pairs: SentencePairs, source: Tokenizer, target: Tokenizer, max_tokens: int, key: str, tell: Tell
) -> EncodedPairs:
    """Return the pairs as ids in shards of the directory; those that are not there yet are written.

    key: what identifies the pairs. Raises RunError if the directory cannot be written.
    """
    identity = {"pairs": key, "tokenizers": [source.fingerprint, target.fingerprint], "max_tokens": max_tokens}
    shards = {directory / f"shard-{start // SHARD:05}": start for start in range(0, len(pairs), SHARD)}
    for path in set(directory.glob("shard-*")) - shards.keys():
        shutil.rmtree(path)
    manifests = []
    for path, start in shards.items():
        stop = min(start + SHARD, len(pairs))
        made_of = {**identity, "rows": [start, stop]}
        manifest = _whole(path, made_of)
        if manifest is None:
            shutil.rmtree(path, ignore_errors=True)
            manifest = _write(path, encode_pairs(pairs[start:stop], source, target, max_tokens), made_of)
        manifests.append(manifest)
        tell(stop, len(pairs))
    sources, targets = (
        Joined([MappedRagged(path, side, m["dtypes"][side]) for path, m in zip(shards, manifests, strict=True)])
        for side in SIDES
    )
    return EncodedPairs(sources, targets, sum(manifest["dropped"] for manifest in manifests), max_tokens)


def _write(shard: Path, encoded: EncodedPairs, made_of: dict[str, Any]) -> dict[str, Any]:
    """Write a shard, and return its manifest."""
    dtypes = {}
    with replacing(shard, MANIFEST) as place:
        for side, rows in zip(SIDES, (encoded.sources, encoded.targets), strict=True):
            assert isinstance(rows, Ragged), "what was just encoded is in memory"
            (place / f"{side}.ids").write_bytes(rows.tokens.data)
            (place / f"{side}.ends").write_bytes(rows.ends.data)
            dtypes[side] = rows.tokens.dtype.str
        manifest = {"of": made_of, "dropped": encoded.n_dropped, "dtypes": dtypes, "sha256": _digests(place)}
        (place / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _whole(shard: Path, made_of: dict[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of a shard, if it was made of this and not a byte of it was changed."""
    try:
        manifest: dict[str, Any] = json.loads((shard / MANIFEST).read_bytes())
        return manifest if manifest["of"] == made_of and manifest["sha256"] == _digests(shard) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digests(shard: Path) -> dict[str, str]:
    """Return the sha256 of each file of ids and ends."""
    digests = {}
    for name in (f"{side}.{what}" for side in SIDES for what in ("ids", "ends")):
        with (shard / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _mapped(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """Return what a file holds, mapped into memory; an empty file cannot be."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)
