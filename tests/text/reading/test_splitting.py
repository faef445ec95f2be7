import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading import splitting
from regard.text.reading.passages import Passages
from regard.text.reading.splitting import (
    Keys,
    fingerprint,
    fingerprint_text,
    hold_out,
    hold_out_distinct,
    split_by_order,
)
from regard.text.tokens.normalise import normalise

PAIRS = [(f"a{i}", f"b{i}") for i in range(50)]


def test_held_out_pairs_and_the_rest_are_all_pairs_in_order():
    kept, held = hold_out(PAIRS, 4, seed=1)
    assert len(held) == 4
    assert sorted([*kept, *held]) == sorted(PAIRS)
    assert list(kept) == [pair for pair in PAIRS if pair not in held]
    assert held == hold_out(PAIRS, 4, seed=1)[1] != hold_out(PAIRS, 4, seed=2)[1]


def test_at_most_a_tenth_is_held_out_but_at_least_one():
    assert len(hold_out(PAIRS, 1000, seed=1)[1]) == 5
    assert len(hold_out(PAIRS[:2], 1000, seed=1)[1]) == 1


def test_one_pair_is_too_few():
    with pytest.raises(DataError, match="at least 2 are needed"):
        hold_out(PAIRS[:1], 1, seed=1)


def test_a_fingerprint_is_of_exactly_these_pairs_in_this_order():
    assert fingerprint(PAIRS) == fingerprint(list(PAIRS))
    assert len({fingerprint(PAIRS), fingerprint(PAIRS[::-1]), fingerprint(PAIRS[1:]), fingerprint([])}) == 4


TEXT = st.text(st.sampled_from("ab <ä\n\r\u3000"), min_size=1).filter(str.strip)


@given(documents=st.lists(TEXT, min_size=1), share=st.floats(0.01, 0.99))
def test_the_split_keeps_order_and_every_character(documents, share):
    text = Passages.of(documents)
    n = text.n_characters
    border = int(n * (1 - share))
    if not 0 < border < n:
        with pytest.raises(DataError, match="leaves one side empty"):
            split_by_order(text, share)
        return
    before, after = split_by_order(text, share)
    assert "".join(before) + "".join(after) == "".join(text)
    assert before.n_characters == border == len("".join(before))
    assert all([*before, *after]) and before.closes[-1] and after.begins[0]


@pytest.mark.parametrize("share", [0.9, 0.6, 0.5, 0.4, 0.1])
def test_a_file_is_split_in_characters_whatever_its_line_ends_and_bytes_are(tmp_path, share):
    (tmp_path / "x.txt").write_bytes("\ufeffä\r\nb\rc\n\r\n\r\nöd\r\n".encode())
    text = Passages.read(tmp_path / "x.txt", "file")
    before, after = split_by_order(text, share)
    n = int(11 * (1 - share))
    assert ("".join(before), "".join(after)) == ("ä\nb\nc\n\n\nöd\n"[:n], "ä\nb\nc\n\n\nöd\n"[n:])


def test_tiny_shakespeare_is_split_as_everybody_does():
    before, after = split_by_order(Passages.of(["x" * 1_115_394]), 0.1)
    assert (before.n_characters, after.n_characters) == (1_003_854, 111_540)


def test_no_more_is_held_out_than_is_of_use(monkeypatch):
    monkeypatch.setattr(splitting, "MOST_HELD_OUT", 30)
    before, after = split_by_order(Passages.of(["x" * 1000]), 0.1)
    assert (before.n_characters, after.n_characters) == (970, 30)


def test_the_fingerprint_sees_where_a_document_ends():
    assert fingerprint_text(Passages.of(["ab", "c"])) != fingerprint_text(Passages.of(["a", "bc"]))
    assert fingerprint_text(Passages.of(["ab"])) == fingerprint_text(Passages.of(["ab"])) == "d1ab1a7fbf5a9552"


SIDES = st.sampled_from(["a", "b", " b", "c", "d", "e\u0301", "é", "f"])


@given(pairs=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=30), n=st.integers(1, 9), seed=st.integers(0, 5))
def test_no_source_that_is_held_out_is_trained_on(pairs, n, seed):
    sources = {normalise(source) for source, _ in pairs}
    if len(sources) < 2:
        with pytest.raises(DataError, match=r"Found 1 distinct source in [\d,]+ pairs?; at least 2 are needed"):
            hold_out_distinct(pairs, Keys.of(pairs), n, seed)
        return
    train, valid = hold_out_distinct(pairs, Keys.of(pairs), n, seed)
    held = [normalise(source) for source, _ in valid]
    assert len(set(held)) == len(held) == max(1, min(n, len(sources) // 10))
    assert list(train) == [pair for pair in pairs if normalise(pair[0]) not in held]
    assert set(valid) <= set(pairs)


def test_pairs_that_were_there_before_and_known_sources_are_counted():
    pairs = [("a", "x"), ("a ", "x"), ("a", "y"), ("b", "x"), ("e\u0301", "z"), ("é", "z")]
    assert Keys.of(pairs).n_repeated == 2
    assert Keys.of(pairs).n_known(Keys.of([("é", "other"), ("c", "x"), ("a", "x")])) == 2
