import numpy as np
import pytest

from regard.errors import ConfigError
from regard.text.batching.pairs import pair_stream
from regard.text.encoded.segmentations import VARIANTS, Segmentations, segment_pairs
from regard.text.tokens.bpe_dropout import Cutter
from regard.text.tokens.normalise import normalise
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

TEXTS = ["Zwei Männer stehen am Herd.", "Eine Frau läuft über die Straße.", "Zwei Männer, eine Frau 東 < </s>"]
TOKENIZER = Tokenizer.train(TEXTS * 20, TokenizerConfig(), 400)
ROWS = np.arange(len(TEXTS))


def segmentations(rate: float = 0.3, *key: int) -> Segmentations:
    return Segmentations.of(TEXTS, TOKENIZER, rate, *(key or (1,)))


def test_an_epoch_chooses_and_its_text_comes_back():
    rows = segmentations()
    epochs = [rows.in_epoch(epoch).take(ROWS) for epoch in range(5)]
    assert len({str(epoch) for epoch in epochs}) == 5
    for epoch in epochs:
        assert [TOKENIZER.decode(ids) for ids in epoch] == [normalise(text) for text in TEXTS]


def test_a_word_that_stands_twice_is_cut_in_two_ways_somewhere():
    rows = Segmentations.of(["Männer Männer"], TOKENIZER, 0.3, 1)
    found = [rows.in_epoch(epoch).take(np.array([0]))[0] for epoch in range(9)]
    first = rows.n_pieces[:VARIANTS]
    assert rows.words.tokens.tolist() == [0, 0] and len(set(first.tolist())) > 1
    assert any(ids[: len(ids) // 2] != ids[len(ids) // 2 :] for ids in found)


def test_rows_are_a_pure_function_of_key_and_epoch_whatever_is_asked_for_beside_them():
    once, again = segmentations().in_epoch(3), segmentations().in_epoch(3)
    assert once.take(ROWS) == again.take(ROWS) == [again.take(np.array([i]))[0] for i in ROWS]
    assert once.take(ROWS[::-1]) == once.take(ROWS)[::-1]
    assert once.take(ROWS) != segmentations(0.3, 2).in_epoch(3).take(ROWS)


def test_lengths_are_those_of_the_rows_and_never_more_than_the_most():
    rows = segmentations()
    for epoch in range(20):
        of_epoch = rows.in_epoch(epoch)
        lengths = of_epoch.lengths(ROWS)
        assert lengths.tolist() == [len(ids) for ids in of_epoch.take(ROWS)]
        assert (lengths <= rows.most()).all()
        assert of_epoch.lengths(ROWS[1:2]).tolist() == lengths[1:2].tolist()


def test_pairs_that_could_be_too_long_are_left_out_and_counted():
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    most = segmentations(0.3, 1, 0).most(), Segmentations.of(TEXTS[::-1], TOKENIZER, 0.3, 1, 1).most()
    longest = np.maximum(*most)
    limit = int(longest.max()) - 1
    found = segment_pairs(pairs, TOKENIZER, TOKENIZER, limit, 0.3, seed=1)
    kept = np.flatnonzero(longest <= limit)
    assert found.n_dropped == len(pairs) - len(kept) > 0
    in_epoch = found.in_epoch(2)
    taken = in_epoch.sources.take(np.arange(len(kept)))
    assert [TOKENIZER.decode(ids) for ids in taken] == [normalise(TEXTS[i]) for i in kept]


def test_the_stream_is_cut_anew_for_every_epoch():
    pairs = list(zip(TEXTS, TEXTS, strict=True))
    stream = pair_stream(segment_pairs(pairs, TOKENIZER, TOKENIZER, 256, 0.3, seed=1), batch_tokens=10_000, seed=1)
    epochs = [next(stream.epoch(epoch)) for epoch in (0, 1, 0)]
    assert epochs[0].source.tolist() == epochs[2].source.tolist() != epochs[1].source.tolist()
    assert epochs[0].source.tolist() != epochs[0].target.tolist()  # the sides are drawn apart


@pytest.mark.parametrize("kind", ["unigram", "characters"])
def test_a_tokenizer_without_merges_is_refused(kind):
    tokenizer = Tokenizer.train(TEXTS * 20, TokenizerConfig(kind=kind), 400)
    with pytest.raises(ConfigError, match=r"data\.bpe_dropout is 0\.1, .* no merges"):
        Cutter(tokenizer, 0.1, seed=1)
