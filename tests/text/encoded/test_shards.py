import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from regard.batch import Place
from regard.errors import DataError
from regard.text.batching.pairs import pair_stream
from regard.text.batching.windows import scoring_windows, text_stream
from regard.text.encoded import shards
from regard.text.encoded.documents import encode_passages
from regard.text.encoded.pairs import EncodedPairs, encode_pairs
from regard.text.encoded.shards import sharded_pairs, sharded_text
from regard.text.reading import passages
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

PAIRS = [("ab" * (i % 7 + 1), "ba" * (i % 5 + 1)) for i in range(33)]
LONGEST = 12


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)


@pytest.fixture
def sharded(tmp_path, tokenizer, monkeypatch):
    """Return a function that gives pairs in shards of five, and the counts that it told."""
    monkeypatch.setattr(shards, "SHARD", 5)

    def sharded(pairs=PAIRS, key="these", max_tokens=LONGEST) -> tuple[EncodedPairs, list[tuple[int, int]]]:
        told: list[tuple[int, int]] = []
        encoded = sharded_pairs(
            tmp_path / "tokens", pairs, tokenizer, tokenizer, max_tokens, key, lambda *counts: told.append(counts)
        )
        return encoded, told

    return sharded


def rows_of(encoded: EncodedPairs) -> list[list[list[int]]]:
    return [side.take(np.arange(len(encoded))) for side in (encoded.sources, encoded.targets)]


def written(folder: Path) -> dict[str, int]:
    """Return when each shard was written."""
    return {path.name: (path / "manifest.json").stat().st_mtime_ns for path in folder.glob("tokens/shard-*")}


def test_batches_from_the_disk_are_those_from_memory_wherever_they_begin(sharded, tokenizer):
    here = encode_pairs(PAIRS, tokenizer, tokenizer, LONGEST)
    there, told = sharded()
    assert rows_of(there) == rows_of(here)
    assert (len(there), there.n_dropped, there.n_cells) == (len(here), here.n_dropped, here.n_cells)
    assert told == [(5, 33), (10, 33), (15, 33), (20, 33), (25, 33), (30, 33), (33, 33)]
    ours, theirs = (pair_stream(side, batch_tokens=40, seed=3) for side in (there, here))
    assert ours.survey.n_batches == theirs.survey.n_batches > 5
    for place in (Place(), Place(1, 0, 3)):
        batches = zip(ours.batches_from(place), theirs.batches_from(place), strict=False)
        for _ in range(12):
            (ours_now, behind), (theirs_now, behind_theirs) = next(batches)
            assert ours_now.source.tolist() == theirs_now.source.tolist()
            assert ours_now.gold.tolist() == theirs_now.gold.tolist()
            assert behind == behind_theirs


def test_what_was_finished_is_not_written_again(sharded, tmp_path):
    expected = rows_of(sharded()[0])
    before = written(tmp_path)
    for path in ("shard-00002", "shard-00006"):
        (tmp_path / "tokens" / path / "manifest.json").unlink()
    assert rows_of(sharded()[0]) == expected
    after = written(tmp_path)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"shard-00002", "shard-00006"}


@pytest.mark.parametrize("name", ["source.ids", "source.ends", "target.ids", "target.ends", "manifest.json"])
def test_a_damaged_shard_is_written_anew(sharded, tmp_path, name):
    expected = rows_of(sharded()[0])
    file = tmp_path / "tokens" / "shard-00001" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert rows_of(sharded()[0]) == expected


def test_a_shard_whose_manifest_was_changed_by_one_bit_is_written_anew_or_means_the_same(sharded, tmp_path):
    expected = rows_of(sharded(PAIRS[:5])[0])
    file = tmp_path / "tokens" / "shard-00000" / "manifest.json"
    whole = file.read_bytes()
    what_is_said = range(whole.index(b'"dropped"'), whole.index(b'"sha256"'))
    for at, bit in itertools.product(what_is_said, (1, 2)):  # with the second, "<u2" becomes ">u2"
        content = bytearray(whole)
        content[at] ^= bit
        file.write_bytes(content)
        found, _ = sharded(PAIRS[:5])
        assert rows_of(found) == expected and found.n_dropped == 0


@pytest.mark.parametrize("change", [{"key": "others"}, {"max_tokens": 6}, {"pairs": PAIRS[:-1]}])
def test_shards_of_something_else_are_replaced(sharded, tmp_path, tokenizer, change):
    sharded()
    found, _ = sharded(**change)
    pairs, longest = change.get("pairs", PAIRS), change.get("max_tokens", LONGEST)
    assert rows_of(found) == rows_of(encode_pairs(pairs, tokenizer, tokenizer, longest))
    of = {json.loads(path.read_bytes())["of"]["pairs"] for path in tmp_path.glob("tokens/*/manifest.json")}
    assert of == {change.get("key", "these")} or "key" not in change


def test_shards_beyond_the_last_are_removed(sharded, tmp_path):
    sharded()
    sharded(pairs=PAIRS[:7])
    assert sorted(written(tmp_path)) == ["shard-00000", "shard-00001"]


def test_a_shard_may_lose_all_its_pairs_but_not_every_shard(sharded):
    pairs = [("ab" * 30, "b")] * 5 + [("a", "b")]
    encoded, _ = sharded(pairs)
    assert len(encoded) == 1 and encoded.n_dropped == 5
    assert [len(side) for side in next(pair_stream(encoded, batch_tokens=16, seed=1).epoch(0)).source.tolist()] == [2]
    with pytest.raises(DataError, match="All 5 pairs have more than 12 tokens"):
        pair_stream(sharded(pairs[:5])[0], batch_tokens=16, seed=1)


def test_ids_are_mapped_anew_for_every_batch(sharded):
    part = sharded()[0].sources.parts[0]
    assert isinstance(part.tokens, np.memmap) and part.tokens is not part.tokens
    assert part.tokens.dtype == np.uint16


@pytest.mark.parametrize("shard", [1, 20, 50, 10_000])
def test_running_text_from_the_disk_is_that_from_memory_wherever_shards_end(tmp_path, monkeypatch, shard):
    monkeypatch.setattr(shards, "SHARD_CHARACTERS", shard)
    monkeypatch.setattr(passages, "LENGTH", 10)
    monkeypatch.setattr(passages, "MOST_BACK", 1000)  # a passage may be longer than a shard
    text = Passages.of(["ab\nba\n" * 30, "a", "bab\n" * 20, "b" * 50])
    tokenizer = Tokenizer.train_running(text, "bpe", 300)
    told: list[tuple[int, int]] = []
    for _ in range(2):
        there = sharded_text(tmp_path / "tokens", text, tokenizer, "this", lambda *counts: told.append(counts))
    here = encode_passages(text, tokenizer)
    assert told[-1] == (text.n_characters, text.n_characters) and len(told) == 2 * len(there.parts)
    assert len(there.parts) == {1: len(text), 20: 14, 50: 6, 10_000: 1}[shard]
    assert there.ends.tolist() == here.ends.tolist()
    assert there.read(0, int(here.ends[-1])) == here.tokens.tolist()
    assert list(scoring_windows(there, 8, 4)) == list(scoring_windows(here, 8, 4))
    ours, theirs = (text_stream(ids, context=8, batch_tokens=16, seed=3) for ids in (there, here))
    for a, b in zip(ours.epoch(1), theirs.epoch(1), strict=True):
        assert a.gold.tolist() == b.gold.tolist()
