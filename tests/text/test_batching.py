import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import ConfigError
from regard.text.batching import BatchStream

LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=80)


def stream_of(lengths: list[tuple[int, int]], **settings) -> BatchStream:
    """A stream in which the ids of a sentence are its index, as often as it is long."""
    sources = [[3 + i] * source for i, (source, _) in enumerate(lengths)]
    targets = [[3 + i] * target for i, (_, target) in enumerate(lengths)]
    return BatchStream(sources, targets, **{"batch_tokens": 64, "seed": 7} | settings)


def caption_lengths(n: int) -> list[tuple[int, int]]:
    """Lengths as captions have them: around 13 tokens, the two sides alike."""
    random = np.random.default_rng(0)
    source = random.poisson(13, n)
    return [(int(s), int(t)) for s, t in zip(source, random.poisson(source + 1), strict=True)]


@given(lengths=LENGTHS, epoch=st.integers(0, 3), window=st.integers(1, 3))
@settings(deadline=None)
def test_every_pair_comes_exactly_once_an_epoch(lengths, epoch, window):
    order = stream_of(lengths, window=window).order(epoch)
    assert sorted(index for batch in order for index in batch) == list(range(len(lengths)))


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 200))
@settings(deadline=None)
def test_no_batch_has_more_cells_than_allowed_on_either_side_unless_it_is_one_pair(lengths, batch_tokens):
    for batch in stream_of(lengths, batch_tokens=batch_tokens).batches_from(0):
        n_cells = max(batch.source.numel(), batch.target.numel(), batch.gold.numel())
        assert n_cells <= batch_tokens or len(batch.source) == 1


@given(lengths=LENGTHS, position=st.integers(0, 20))
@settings(deadline=None)
def test_going_on_at_a_position_gives_what_was_left(lengths, position):
    stream = stream_of(lengths)
    rest = [batch.source.tolist() for batch in stream.batches_from(1, position)]
    assert rest == [batch.source.tolist() for batch in stream.batches_from(1)][position:]


def test_source_and_target_of_a_pair_stay_together():
    for batch in stream_of([(n % 7 + 1, n % 5 + 1) for n in range(60)]).batches_from(0):
        assert torch.equal(batch.source[:, 0], batch.gold[:, 0])


def test_the_order_depends_on_seed_and_epoch_and_nothing_else():
    lengths = caption_lengths(300)
    stream = stream_of(lengths)
    list(stream.batches_from(3))
    assert stream.order(0) == stream_of(lengths).order(0)
    assert stream.order(0) != stream.order(1)
    assert stream.order(0) != stream_of(lengths, seed=8).order(0)


def test_any_integer_is_a_seed():
    assert stream_of(caption_lengths(20), seed=-1).order(0) == stream_of(caption_lengths(20), seed=2**64 - 1).order(0)


def test_batches_come_in_random_order_of_length():
    widths = np.array(
        [batch.target.shape[1] for batch in stream_of(caption_lengths(3000), batch_tokens=256).batches_from(0)]
    )
    assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.3


def test_batches_in_counts_what_comes():
    stream = stream_of(caption_lengths(200))
    assert stream.batches_in(2) == sum(1 for _ in stream.batches_from(2))


def test_padding_is_the_share_of_cells_that_masks_leave_out():
    stream = stream_of(caption_lengths(400))
    masks = [mask for batch in stream.batches_from(0) for mask in (batch.source_keep, batch.target_keep)]
    share = 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
    assert stream.padding(0) == pytest.approx(share)


def test_a_stream_of_nothing_has_no_batches_and_no_padding():
    stream = stream_of([])
    assert stream.order(0) == []
    assert stream.padding(0) == 0


def test_sorting_leaves_under_five_percent_of_padding_when_a_window_has_many_batches():
    lengths = caption_lengths(10_000)
    assert stream_of(lengths, batch_tokens=1024).padding(0) < 0.05
    unsorted = [max(side) for start in range(0, 10_000, 64) for side in zip(*lengths[start : start + 64], strict=True)]
    assert 1 - sum(map(sum, lengths)) / (64 * sum(unsorted)) > 0.3


def test_batches_of_no_tokens_are_refused():
    with pytest.raises(ConfigError, match="batch_tokens is 0; it must be at least 1"):
        stream_of([], batch_tokens=0)


def test_a_stream_of_an_unequal_number_of_sources_and_targets_is_our_own_mistake():
    with pytest.raises(AssertionError, match="as many targets"):
        BatchStream([[4]], [], batch_tokens=8, seed=0)
