import pytest
import torch
from tests.fakes import TableModel, random_table

from regard.batch import BOS, EOS, PAD, collate
from regard.decoding.greedy import greedy_search

A, B = 3, 4


def by_hand(model: TableModel, longest: int) -> list[int]:
    """Return the likeliest token after the likeliest token, one at a time."""
    before, last, ids = BOS, BOS, []
    while len(ids) < longest:
        logits = model.table[before, last].clone()
        logits[[PAD, BOS]] = float("-inf")
        before, last = last, int(logits.argmax())
        if last == EOS:
            break
        ids.append(last)
    return ids


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("never", [slice(3, 3), slice(3, 6)])
def test_it_takes_the_likeliest_token_at_every_step(seed, never):
    model = random_table(seed, 9, never)
    longest = [7, 1, 4]
    for (ids, log_p), most in zip(greedy_search(model, collate([[A], [B], [A]]), longest), longest, strict=True):
        assert ids == by_hand(model, most)
        assert log_p == pytest.approx(model.log_probability(ids, ended=len(ids) < most))


@pytest.mark.parametrize("seed", range(6))
def test_it_never_writes_a_mark_nor_a_control_id(seed):
    model = random_table(seed, 9, slice(3, 6))
    model.table[..., [PAD, BOS, 3, 4, 5]] += 20.0  # minus infinity stays what it is
    model.table[..., EOS] = -20.0
    for ids, _ in greedy_search(model, collate([[7], [8]]), [30, 30]):
        assert len(ids) == 30 and set(ids) <= {6, 7, 8}


def test_marks_that_are_not_written_have_a_probability():
    table = torch.full((5, 5, 5), -1e9)
    table[..., PAD] = table[..., A] = 0.0
    ((ids, log_p),) = greedy_search(TableModel(table), collate([[A]]), [1])
    assert ids == [A] and log_p == pytest.approx(torch.tensor(0.5).log().item())


def test_of_equals_the_first_is_taken():
    ((ids, _),) = greedy_search(TableModel(torch.zeros(6, 6, 6)), collate([[A]]), [3])
    assert ids == []  # EOS is the first that may be written


def test_finished_sentences_leave_the_batch():
    table = torch.full((5, 5, 5), -9.0)
    table[..., A] = 0.0
    model = TableModel(table)
    found = greedy_search(model, collate([[A]] * 3), [2, 5, 1])
    assert [len(ids) for ids, _ in found] == [2, 5, 1]
    assert model.n_rows == [3, 2, 1, 1, 1]


def test_it_ends_as_soon_as_all_sentences_have():
    table = torch.full((5, 5, 5), -9.0)
    table[..., EOS] = 0.0
    model = TableModel(table)
    assert [ids for ids, _ in greedy_search(model, collate([[A], [B]]), [50, 50])] == [[], []]
    assert model.n_rows == [2]
