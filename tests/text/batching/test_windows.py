import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regard.batch import Place
from regard.errors import ConfigError, DataError
from regard.text.batching.stream import BatchStream
from regard.text.batching.windows import TextWindows, scoring_windows, text_stream
from regard.text.encoded.ragged import Ragged


def documents_of(lengths: list[int]) -> Ragged:
    """Documents whose ids are all different."""
    return Ragged.of(rows_of(lengths), 2**16)


def rows_of(lengths: list[int]) -> list[list[int]]:
    """The ids of each document."""
    starts = np.cumsum([3, *lengths])
    return [list(range(a + i, a + n + 1 + i)) for i, (a, n) in enumerate(zip(starts, lengths, strict=False))]


def stream_of(lengths: list[int], **settings) -> BatchStream:
    return text_stream(documents_of(lengths), **{"context": 8, "batch_tokens": 24, "seed": 5} | settings)


def spans_of(lengths: list[int], epoch: int) -> list[tuple[int, int, int]]:
    windows = TextWindows(documents_of(lengths), 8, 5, epoch)
    return list(zip(*(x.tolist() for x in windows.spans(np.arange(len(windows)))), strict=True))


@given(lengths=st.lists(st.integers(1, 40), min_size=1).filter(lambda n: sum(n) >= 8), epoch=st.integers(0, 3))
def test_every_token_but_the_first_of_a_document_is_written_once_an_epoch(lengths, epoch):
    batches = list(stream_of(lengths).epoch(epoch))
    written = sorted(i for batch in batches for i in batch.gold[batch.target_keep].tolist())
    assert written == sorted(i for ids in rows_of(lengths) for i in ids[1:])
    for batch in batches:
        assert batch.target.numel() <= 24 and batch.target.shape[1] <= 8 and batch.source.shape[1] == 0
        gold, read = batch.gold[batch.target_keep], batch.target[batch.target_keep]
        assert torch.equal(gold, read + 1)  # so no window leaves its document


@given(lengths=st.lists(st.integers(1, 40), min_size=1), epoch=st.integers(0, 3))
def test_windows_follow_each_other_without_a_gap_and_are_counted(lengths, epoch):
    windows, at = TextWindows(documents_of(lengths), 8, 5, epoch), {}
    for document, start, n in spans_of(lengths, epoch):
        assert start == at.get(document, 0) and 1 <= n <= 8
        at[document] = start + n
    assert [at[document] for document in range(len(lengths))] == lengths
    assert windows.n_cells == sum(lengths)


def test_where_a_long_text_is_cut_moves_from_epoch_to_epoch():
    assert {spans_of([100], epoch)[0][2] for epoch in range(60)} == set(range(1, 9))
    assert spans_of([100], 3) == spans_of([100], 3)


def test_documents_are_cut_each_at_a_place_of_its_own():
    assert len({n for _, start, n in spans_of([100] * 20, 0) if start == 0}) > 3


def test_whole_windows_come_in_random_order_and_alike_again():
    firsts = [batch.target[:, 0].tolist() for batch in stream_of([400]).epoch(0)]
    assert firsts == [batch.target[:, 0].tolist() for batch in stream_of([400]).epoch(0)]
    flat = [i for batch in firsts for i in batch]
    assert flat != sorted(flat)
    stream = stream_of([400])
    assert stream.survey.n_batches == len(firsts) and 0 <= stream.survey.padding < 0.1
    batch, _ = next(stream.batches_from(Place(0, 0, 3)))
    assert batch.target[:, 0].tolist() == firsts[3]


def test_a_batch_has_as_many_whole_windows_as_fit_but_at_least_one():
    assert max(len(batch.target) for batch in stream_of([400]).epoch(0)) == 24 // 8
    assert {len(batch.target) for batch in stream_of([400], batch_tokens=7).epoch(0)} == {1}
    with pytest.raises(ConfigError, match="batch_tokens is 0"):
        stream_of([400], batch_tokens=0)


def test_a_text_shorter_than_one_window_is_refused():
    with pytest.raises(DataError, match=r"7 tokens to train on, fewer than one window of 8.*context to at most 7"):
        stream_of([3, 4])


@given(lengths=st.lists(st.integers(0, 40), max_size=5), context=st.integers(1, 12), data=st.data())
def test_scoring_windows_score_every_token_once_with_what_is_before_it(lengths, context, data):
    stride = data.draw(st.integers(1, context))
    documents = documents_of(lengths)
    scored = []
    for ids, n in scoring_windows(documents, context, stride):
        assert 1 <= n <= len(ids) - 1 <= context
        scored += ids[len(ids) - n :]
        starts_a_document = any(ids[0] == document[0] for document in rows_of(lengths))
        assert starts_a_document or len(ids) - n > context - stride
    assert scored == [i for ids in rows_of(lengths) for i in ids[1:]]


@pytest.mark.parametrize("stride", [0, 9])
def test_windows_that_would_leave_tokens_out_are_our_own_mistake(stride):
    with pytest.raises(AssertionError, match="leave tokens out"):
        list(scoring_windows(documents_of([20]), 8, stride))
