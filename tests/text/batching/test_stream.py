from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regard.batch import Place
from regard.errors import ConfigError
from regard.text.batching.stream import BatchStream
from regard.text.encoded.pairs import EncodedPairs
from regard.text.encoded.ragged import Ragged
from regard.text.permutation import Permutation

LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=80)


def pairs_of(lengths: list[tuple[int, int]]) -> EncodedPairs:
    """Pairs in which the ids of a sentence are its index, as often as it is long."""
    sides = ([[3 + i] * pair[side] for i, pair in enumerate(lengths)] for side in (0, 1))
    return EncodedPairs(*(Ragged.of(side, 20_000) for side in sides), 0, 256)


def stream_of(lengths: list[tuple[int, int]], **settings) -> BatchStream:
    pairs = pairs_of(lengths)
    return BatchStream(lambda _: pairs, **{"batch_tokens": 64, "seed": 7} | settings)


def order_of(stream: BatchStream, epoch: int) -> list[list[int]]:
    return [indices.tolist() for indices in stream.whole_order(epoch)]


def caption_lengths(n: int) -> list[tuple[int, int]]:
    """Lengths as captions have them: around 13 tokens, the two sides alike."""
    random = np.random.default_rng(0)
    source = random.poisson(13, n)
    return [(int(s), int(t)) for s, t in zip(source, random.poisson(source + 1), strict=True)]


@given(lengths=LENGTHS, epoch=st.integers(0, 3), pool=st.integers(1, 3))
def test_every_pair_comes_exactly_once_an_epoch(lengths, epoch, pool):
    order = order_of(stream_of(lengths, pool=pool), epoch)
    assert sorted(index for batch in order for index in batch) == list(range(len(lengths)))


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 200))
def test_no_batch_has_more_cells_than_allowed_on_either_side_unless_it_is_one_pair(lengths, batch_tokens):
    for batch in stream_of(lengths, batch_tokens=batch_tokens).epoch(0):
        n_cells = max(batch.source.numel(), batch.target.numel(), batch.gold.numel())
        assert n_cells <= batch_tokens or len(batch.source) == 1


@given(lengths=LENGTHS, pool=st.integers(1, 3), n=st.integers(0, 40))
def test_going_on_at_any_place_gives_what_was_left_in_the_same_order(lengths, pool, n):
    stream = stream_of(lengths, pool=pool)
    walked = list(islice(stream.batches_from(Place()), n + 6))
    place = walked[n - 1][1] if n else Place()
    again = islice(stream_of(lengths, pool=pool).batches_from(place), 6)
    for (batch, behind), (other, other_behind) in zip(walked[n:], again, strict=True):
        assert torch.equal(batch.source, other.source) and torch.equal(batch.gold, other.gold)
        assert behind == other_behind


@given(lengths=LENGTHS, pool=st.integers(1, 3))
def test_one_epoch_follows_the_other(lengths, pool):
    stream = stream_of(lengths, pool=pool)
    expected = [batch.source.tolist() for epoch in range(3) for batch in stream.epoch(epoch)]
    walked = list(islice(stream.batches_from(Place()), len(expected)))
    assert [batch.source.tolist() for batch, _ in walked] == expected
    assert walked[-1][1] == Place(3)


def test_source_and_target_of_a_pair_stay_together():
    for batch in stream_of([(n % 7 + 1, n % 5 + 1) for n in range(60)]).epoch(0):
        assert torch.equal(batch.source[:, 0], batch.gold[:, 0])


def test_the_order_depends_on_seed_and_epoch_and_nothing_else():
    lengths = caption_lengths(300)
    stream = stream_of(lengths)
    list(stream.epoch(3))
    assert order_of(stream, 0) == order_of(stream_of(lengths), 0)
    assert order_of(stream, 0) != order_of(stream, 1)
    assert order_of(stream, 0) != order_of(stream_of(lengths, seed=8), 0)


def order_step_by_step(lengths: list[tuple[int, int]], epoch: int, pool: int) -> list[list[int]]:
    """The order of `stream_of`, said again with loops."""
    n, longer = len(lengths), [max(source, target) + 1 for source, target in lengths]
    shuffled = Permutation(n, 7, epoch)(np.arange(n)).tolist()

    def rank(i: int) -> tuple[int, int]:
        difference = lengths[i][0] - lengths[i][1]
        return longer[i], difference if longer[i] % 2 == 0 else -difference

    n_pools = min(n, max(1, round(sum(longer) / (pool * 64))))
    found = []
    for w in range(n_pools):
        batches: list[list[int]] = [[]]
        for i in sorted(shuffled[n * w // n_pools : n * (w + 1) // n_pools], key=rank):
            if batches[-1] and (len(batches[-1]) + 1) * longer[i] > 64:
                batches.append([])
            batches[-1].append(i)
        found += [batches[i] for i in Permutation(len(batches), 7, epoch, w)(np.arange(len(batches)))]
    return found


@given(lengths=LENGTHS, epoch=st.integers(0, 3), pool=st.integers(1, 3))
def test_the_order_is_shuffled_sorted_by_length_in_pools_cut_and_shuffled_again(lengths, epoch, pool):
    assert order_of(stream_of(lengths, pool=pool), epoch) == order_step_by_step(lengths, epoch, pool)


def test_batches_come_in_random_order_of_length():
    stream = stream_of(caption_lengths(3000), batch_tokens=256)
    widths = np.array([batch.target.shape[1] for batch in stream.epoch(0)])
    assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.3


def test_the_survey_is_what_a_walk_through_the_first_epoch_finds():
    stream = stream_of(caption_lengths(400), pool=2)
    batches = list(stream.epoch(0))
    masks = [mask for batch in batches for mask in (batch.source_keep, batch.target_keep)]
    share = 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
    largest = max(batch.source.numel() + batch.target.numel() for batch in batches)
    assert stream.survey.n_batches == len(batches)
    assert stream.survey.padding == pytest.approx(share)
    assert stream.survey.extremes[-1].source.numel() + stream.survey.extremes[-1].target.numel() == largest


@pytest.mark.parametrize("longest", [(30, 31), (40, 3)])
def test_the_extremes_are_the_largest_batch_and_before_it_the_longest_item_if_that_has_none_as_long(longest):
    many = [(9, 9)] * 40  # with a mark on each side, batches of 6 with 120 cells
    survey = stream_of([*many, longest]).survey
    assert [tuple(batch.source.shape) for batch in survey.extremes] == [(1, longest[0] + 1), (6, 10)]
    assert [tuple(batch.target.shape) for batch in stream_of(many).survey.extremes] == [(6, 10)]


def test_sorting_leaves_under_five_percent_of_padding_when_a_pool_has_many_batches():
    lengths = caption_lengths(10_000)
    assert stream_of(lengths, batch_tokens=1024).survey.padding < 0.05
    unsorted = [max(side) for start in range(0, 10_000, 64) for side in zip(*lengths[start : start + 64], strict=True)]
    assert 1 - sum(map(sum, lengths)) / (64 * sum(unsorted)) > 0.3


def test_a_pool_of_a_vast_corpus_is_found_without_the_rest():
    class Vast:
        """Ten thousand million pairs of 20 tokens, none of which is anywhere."""

        n_cells = 20 * 10**10

        def __len__(self) -> int:
            return 10**10

        def lengths(self, indices):
            return np.full_like(indices, 20), np.full_like(indices, 18)

    vast = Vast()
    stream = BatchStream(lambda _: vast, batch_tokens=4096, seed=1)
    order = stream.order(vast, epoch=3, pool=123_456)
    assert stream.pools_in(vast) == 381_470
    assert sorted(len(indices) for indices in order)[1:] == [4096 // 20] * 128
    assert stream.cut(vast, 3, 123_456).n_cells.sum() == 38 * sum(map(len, order))
    assert len(np.unique(np.concatenate(order))) == sum(map(len, order))


def test_batches_of_no_tokens_are_refused():
    with pytest.raises(ConfigError, match="batch_tokens is 0; it must be at least 1"):
        stream_of([(1, 1)], batch_tokens=0)


def test_a_stream_of_nothing_is_our_own_mistake():
    with pytest.raises(AssertionError, match="at least one item"):
        stream_of([])
