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


def test_in_training_each_ngram_of_each_position_is_left_out_as_a_whole_at_the_rate():
    torch.manual_seed(0)
    ngrams = NgramEmbeddings(3, 50, 4, dropout_rate=0.25)
    for value, table in zip((1.0, 10.0), ngrams.tables, strict=True):
        torch.nn.init.constant_(table.weight, value)
    ids = torch.randint(3, 100, (40, 500))
    found = ngrams(ids, ids[:, :2]) * 0.75
    assert torch.equal(found, found[..., :1].expand_as(found))
    for value, share in ((0.0, 0.25**2), (1.0, 0.25 * 0.75), (10.0, 0.25 * 0.75), (11.0, 0.75**2)):
        of_value = torch.isclose(found[..., 0], torch.tensor(value)).float().mean()
        assert abs(float(of_value) - share) < 6 * (share * (1 - share) / ids.numel()) ** 0.5
    assert torch.equal(ngrams.eval()(ids, ids[:, :2]), torch.full_like(found, 11.0))


def test_it_starts_as_nothing_added():
    ngrams = NgramEmbeddings(3, 5, 2)
    assert torch.count_nonzero(ngrams(torch.tensor([[1, 2]]), torch.tensor([[0, 0]]))) == 0


def test_the_last_tokens_are_the_real_ones_and_zero_where_there_are_none():
    ngrams = NgramEmbeddings(4, 5, 2)
    ids = torch.tensor([[7, 8, 9, 6, 5], [7, 8, 0, 0, 0], [0, 0, 0, 0, 0]])
    found = ngrams.last_of(ids, ids > 0)
    assert found.tolist() == [[9, 6, 5], [0, 7, 8], [0, 0, 0]]
    assert ngrams.last_of(ids[:, :0], ids[:, :0] > 0).tolist() == [[0, 0, 0]] * 3
