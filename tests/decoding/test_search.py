import itertools

import pytest
import torch
from torch import Tensor

from regard.batch import BOS, EOS, PAD, Batch
from regard.decoding.search import DecodingConfig, batches_by_length, search
from regard.nn.state import State

A, B = 3, 4


class TableModel:
    """A model whose logits depend on the last two tokens by a table, so that every search can be checked by hand."""

    output_weight = torch.empty(5, 1)
    n_positions: int | None = None

    def __init__(self, logits: Tensor) -> None:
        self.table = logits

    def forward(self, batch: Batch, trace=None) -> Tensor:
        raise NotImplementedError

    def begin(self, batch: Batch) -> State:
        n = len(batch.source)
        return State({"keep": batch.source_keep}, {"before": torch.full((n,), BOS)})

    def step(self, last: Tensor, state: State) -> tuple[Tensor, State]:
        return self.table[state.rows["before"], last].clone(), State(state.sentences, {"before": last})

    def log_probability(self, ids: list[int]) -> float:
        """Return what the table gives the ids and EOS."""
        total, before, last = 0.0, BOS, BOS
        for token in [*ids, EOS]:
            total += self.table[before, last].log_softmax(-1)[token].item()
            before, last = last, token
        return total


def random_model(seed: int) -> TableModel:
    generator = torch.Generator().manual_seed(seed)
    return TableModel(torch.randn(5, 5, 5, generator=generator, dtype=torch.float64) * 2)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all(seed, length_penalty):
    model = random_model(seed)
    config = DecodingConfig(beam=60, length_penalty=length_penalty, max_ratio=1.0, max_extra=2)
    (found,) = search(model, [[A, A]], config)  # at most four tokens
    everything = [list(ids) for n in range(4) for ids in itertools.product([A, B], repeat=n)]
    ended = [h for h in found if len(h.ids) < 4]
    best = max(everything, key=lambda ids: model.log_probability(ids) / (len(ids) + 1) ** length_penalty)
    assert ended[0].ids == best
    assert ended[0].log_probability == pytest.approx(model.log_probability(best))


@pytest.mark.parametrize("seed", range(5))
def test_hypotheses_differ_and_come_best_first(seed):
    (found,) = search(random_model(seed), [[A] * 5], DecodingConfig(beam=4))
    assert len({tuple(h.ids) for h in found}) == len(found) == 4
    ranks = [h.log_probability / (len(h.ids) + 1) for h in found]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_search_takes_the_likeliest_token_at_every_step(seed):
    model = random_model(seed)
    ((found,),) = search(model, [[A] * 3], DecodingConfig(beam=1))
    before, last, expected = BOS, BOS, []
    while len(expected) < DecodingConfig().longest(3):
        logits = model.table[before, last].clone()
        logits[[PAD, BOS]] = float("-inf")
        before, last = last, int(logits.argmax())
        if last == EOS:
            break
        expected.append(last)
    assert found.ids == expected


def test_a_wider_beam_finds_what_greed_misses():
    table = torch.full((5, 5, 5), -9.0)
    table[BOS, BOS, A], table[BOS, BOS, B] = 0.0, -0.1  # A looks a little better at first
    table[BOS, A, [A, B, EOS]] = torch.tensor([0.0, 0.0, 0.0])  # but then nothing is likely
    table[BOS, B, EOS] = 9.0
    model = TableModel(table)
    assert search(model, [[A]], DecodingConfig(beam=1))[0][0].ids[0] == A
    assert search(model, [[A]], DecodingConfig(beam=2, length_penalty=0))[0][0].ids == [B]


def test_results_come_in_the_order_of_the_input_and_an_empty_source_is_empty():
    model = random_model(0)
    sources = [[A], [], [A] * 7, [B] * 3, []]
    found = search(model, sources, DecodingConfig(beam=2, batch_tokens=8))
    assert [h.ids for h in found[1]] == [h.ids for h in found[4]] == [[]]
    for source, hypotheses in zip(sources, found, strict=True):
        assert [h.ids for h in search(model, [source], DecodingConfig(beam=2))[0]] == [h.ids for h in hypotheses]


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_that_never_ends_is_stopped_at_the_limit_of_its_sentence(beam):
    table = torch.zeros(5, 5, 5)
    table[..., EOS] = -1e9
    config = DecodingConfig(beam=beam, max_ratio=2.0, max_extra=3)
    for source, hypotheses in zip([[A], [A] * 4], search(TableModel(table), [[A], [A] * 4], config), strict=True):
        assert {len(h.ids) for h in hypotheses} == {2 * len(source) + 3}


def test_batches_hold_every_source_once_longest_first_and_not_too_many_cells():
    lengths = [3, 0, 9, 5, 5, 1, 12]
    batches = batches_by_length(lengths, DecodingConfig(beam=2, batch_tokens=40))
    assert sorted(i for batch in batches for i in batch) == [0, 2, 3, 4, 5, 6]
    assert [lengths[i] for batch in batches for i in batch] == [12, 9, 5, 5, 3, 1]
    assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] * 2 <= 40 for batch in batches)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_with_so_many_positions_is_not_asked_for_more(beam):
    """The marks behind the source and before the target have positions, too."""
    model = random_model(0)
    model.n_positions = 9
    steps: list[int] = []
    step = model.step
    model.step = lambda last, state: (steps.append(len(last)), step(last, state))[1]
    model.table[..., EOS] = -100.0  # it never ends by itself
    (found,) = search(model, [[A] * 4], DecodingConfig(beam=beam))
    assert {len(h.ids) for h in found} == {3} and len(steps) == 3
    (found,) = search(model, [[A] * 7], DecodingConfig(beam=beam))
    assert len(found[0].ids) == 1
