import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import ConfigError, DataError
from regard.text.batching import BatchStream, TextStream, scoring_windows

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


def order_step_by_step(lengths: list[tuple[int, int]], epoch: int, window: int) -> list[list[int]]:
    """The order of `stream_of`, said again with loops."""
    longer = [max(source, target) + 1 for source, target in lengths]
    random = np.random.Philox(key=np.array([7, epoch], dtype=np.uint64))
    draws = random.random_raw(len(lengths)).tolist()
    shuffled = sorted(range(len(lengths)), key=lambda i: draws[i])

    def rank(i: int) -> tuple[int, int]:
        difference = lengths[i][0] - lengths[i][1]
        return longer[i], difference if longer[i] % 2 == 0 else -difference

    batches = []
    for part in np.array_split(shuffled, max(1, round(sum(longer) / (window * 64)))):
        batch: list[int] = []
        for i in sorted(part.astype(int).tolist(), key=rank):
            if batch and (len(batch) + 1) * max(longer[j] for j in [*batch, i]) > 64:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches += [batch] if batch else []
    draws = random.random_raw(len(batches)).tolist()
    return [batches[i] for i in sorted(range(len(batches)), key=lambda i: draws[i])]


@given(lengths=LENGTHS, epoch=st.integers(0, 3), window=st.integers(1, 3))
@settings(deadline=None)
def test_the_order_is_shuffled_sorted_by_length_in_windows_cut_and_shuffled_again(lengths, epoch, window):
    assert stream_of(lengths, window=window).order(epoch) == order_step_by_step(lengths, epoch, window)


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


def documents_of(lengths: list[int]) -> list:
    """Documents whose ids are all different."""
    starts = np.cumsum([3, *lengths])
    return [np.arange(a, a + n + 1, dtype=np.int32) + i for i, (a, n) in enumerate(zip(starts, lengths, strict=False))]


def text_stream(lengths: list[int], **settings) -> TextStream:
    return TextStream(documents_of(lengths), **{"context": 8, "batch_tokens": 24, "seed": 5} | settings)


@given(lengths=st.lists(st.integers(1, 40), min_size=1).filter(lambda n: sum(n) >= 8), epoch=st.integers(0, 3))
@settings(deadline=None)
def test_every_token_but_the_first_of_a_document_is_written_once_an_epoch(lengths, epoch):
    stream = text_stream(lengths)
    batches = list(stream.batches_from(epoch))
    written = sorted(i for batch in batches for i in batch.gold[batch.target_keep].tolist())
    assert written == sorted(i for ids in stream.documents for i in ids[1:].tolist())
    for batch in batches:
        assert batch.target.numel() <= 24 and batch.target.shape[1] <= 8 and batch.source.shape[1] == 0
        gold, read = batch.gold[batch.target_keep], batch.target[batch.target_keep]
        assert torch.equal(gold, read + 1)  # so no window leaves its document


def test_where_a_long_text_is_cut_moves_from_epoch_to_epoch():
    stream = text_stream([100])
    assert {stream.windows(epoch)[0][2] for epoch in range(40)} == set(range(1, 9))
    assert stream.windows(3) == text_stream([100]).windows(3)


def test_whole_windows_come_in_random_order_and_alike_again():
    stream = text_stream([400])
    firsts = [batch.target[:, 0].tolist() for batch in stream.batches_from(0)]
    assert firsts == [batch.target[:, 0].tolist() for batch in text_stream([400]).batches_from(0)]
    flat = [i for batch in firsts for i in batch]
    assert flat != sorted(flat)
    assert [batch.target[:, 0].tolist() for batch in stream.batches_from(0, 3)] == firsts[3:]
    assert stream.batches_in(0) == len(firsts) and 0 <= stream.padding(0) < 0.1


def test_documents_are_cut_each_at_a_place_of_its_own():
    firsts = {n for _, start, n in text_stream([100] * 20).windows(0) if start == 0}
    assert len(firsts) > 3


def test_a_batch_has_as_many_whole_windows_as_fit_but_at_least_one():
    assert max(len(batch.target) for batch in text_stream([400]).batches_from(0)) == 24 // 8
    assert {len(batch.target) for batch in text_stream([400], batch_tokens=7).batches_from(0)} == {1}
    with pytest.raises(ConfigError, match="batch_tokens is 0"):
        text_stream([400], batch_tokens=0)


def test_a_text_shorter_than_one_window_is_refused():
    with pytest.raises(DataError, match=r"7 tokens to train on, fewer than one window of 8.*model.context to 7"):
        text_stream([3, 4])


@given(lengths=st.lists(st.integers(0, 40), max_size=5), context=st.integers(1, 12), data=st.data())
@settings(deadline=None)
def test_scoring_windows_score_every_token_once_with_what_is_before_it(lengths, context, data):
    stride = data.draw(st.integers(1, context))
    documents = documents_of(lengths)
    scored = []
    for ids, n in scoring_windows(documents, context, stride):
        assert 1 <= n <= len(ids) - 1 <= context
        scored += ids[len(ids) - n :]
        starts_a_document = any(ids[0] == document[0] for document in documents)
        assert starts_a_document or len(ids) - n > context - stride
    assert scored == [i for document in documents for i in document[1:].tolist()]


@pytest.mark.parametrize("stride", [0, 9])
def test_windows_that_would_leave_tokens_out_are_our_own_mistake(stride):
    with pytest.raises(AssertionError, match="leave tokens out"):
        list(scoring_windows(documents_of([20]), 8, stride))
