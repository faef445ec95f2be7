import torch

from regard.nn.ngrams import MODULUS, MULTIPLIER, NgramEmbeddings


def bucket(tokens: list[int], buckets: int) -> int:
    """The bucket of an n-gram whose tokens are given from the last to the first, in Python's own integers."""
    value = tokens[0]
    for token in tokens[1:]:
        value = (value * MULTIPLIER + token) % MODULUS
    return value % buckets


def test_each_position_gets_the_entries_of_the_ngrams_that_end_there():
    torch.manual_seed(0)
    ngrams = NgramEmbeddings(4, 11, 3)
    for table in ngrams.tables:
        torch.nn.init.normal_(table.weight)
    ids, before = [5, 50_256, 7, 5], [2, 9, 1]
    found = ngrams(torch.tensor([ids]), torch.tensor([before]))[0]
    text = before + ids
    for t in range(4):
        end = t + 4  # the n-gram's last token is text[end - 1]
        rows = [table.weight[bucket(text[end - n : end][::-1], 11)] for n, table in enumerate(ngrams.tables, start=2)]
        torch.testing.assert_close(found[t], sum(rows))


def test_it_starts_as_nothing_added():
    ngrams = NgramEmbeddings(3, 5, 2)
    assert torch.count_nonzero(ngrams(torch.tensor([[1, 2]]), torch.tensor([[0, 0]]))) == 0


def test_the_last_tokens_are_the_real_ones_and_zero_where_there_are_none():
    ngrams = NgramEmbeddings(4, 5, 2)
    ids = torch.tensor([[7, 8, 9, 6, 5], [7, 8, 0, 0, 0], [0, 0, 0, 0, 0]])
    found = ngrams.last_of(ids, ids > 0)
    assert found.tolist() == [[9, 6, 5], [0, 7, 8], [0, 0, 0]]
    assert ngrams.last_of(ids[:, :0], ids[:, :0] > 0).tolist() == [[0, 0, 0]] * 3
