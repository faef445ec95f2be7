import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CPU

from regard.batch import collate
from regard.errors import ConfigError, RegardError
from regard.training import processes as module
from regard.training.processes import ALONE, FirstsError, Processes, together


class Wire:
    """Stands for `torch.distributed` between two processes: what the first broadcasts, the second gets then."""

    def __init__(self) -> None:
        self.sent: list[list[object]] = []

    def broadcast_object_list(self, box: list[object]) -> None:
        if self.sent:
            box[:] = self.sent.pop()
        else:
            self.sent.append(list(box))


@pytest.fixture
def wire(monkeypatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(module.dist, "broadcast_object_list", wire.broadcast_object_list)
    return wire


FIRST, SECOND = Processes(0, 2), Processes(1, 2)


def test_one_process_has_everything_and_waits_for_nobody():
    batch = collate([[3], [4]], [[5], [6]])
    assert ALONE.is_first and ALONE.share(batch) == (batch, 1.0)
    one, two = torch.tensor(1.5), torch.tensor(2.5)
    assert ALONE.total(one, two) == [one, two] and ALONE.most(3.0, 4.0) == [3.0, 4.0]
    assert ALONE.of_each(one) == [one]
    assert ALONE.from_first(lambda: 7) == ALONE.in_first(lambda: 7) == ALONE.first_before_others(lambda: 7) == 7
    assert ALONE.in_first(lambda: None) is None


@given(n=st.integers(1, 12), size=st.integers(2, 6))
def test_the_sentences_of_a_batch_are_dealt_like_cards(n, size):
    batch = collate([[10 + i] for i in range(n)], [[30 + i] for i in range(n)])
    shares = [Processes(rank, size).share(batch) for rank in range(size)]
    dealt = [mine.source[:, 0].tolist() for mine, weight in shares if weight]
    assert dealt == [list(range(10 + rank, 10 + n, size)) for rank in range(min(n, size))]
    assert [weight for _, weight in shares] == [float(rank < n) for rank in range(size)]
    assert all(
        len(mine.source) == 1 for mine, weight in shares if not weight
    )  # one to compute with, that counts nothing


def test_what_the_first_process_makes_the_others_get(wire):
    made = []
    assert FIRST.from_first(lambda: made.append(1) or {"recipe": 3}) == {"recipe": 3}
    assert SECOND.from_first(lambda: pytest.fail("only the first one makes it")) == {"recipe": 3}
    assert made == [1] and wire.sent == []


def test_what_is_done_in_the_first_process_is_had_there_alone(wire):
    assert FIRST.in_first(lambda: 7) == 7
    assert SECOND.in_first(lambda: pytest.fail("only the first one makes it")) is None
    assert wire.sent == []


@pytest.mark.parametrize("of", ["from_first", "in_first"])
def test_a_mistake_that_the_first_process_finds_is_told_to_the_others(wire, of):
    def refuse():
        raise ConfigError("model.width is 3.", ways=["fresh"])

    with pytest.raises(ConfigError, match=r"model\.width is 3\."):
        getattr(FIRST, of)(refuse)
    with pytest.raises(FirstsError, match=r"^model\.width is 3\. fresh=True starts anew") as caught:
        getattr(SECOND, of)(lambda: pytest.fail("only the first one makes it"))
    assert isinstance(caught.value, RegardError) and wire.sent == []


def test_the_others_begin_when_the_first_has_done(wire):
    order = []
    assert FIRST.first_before_others(lambda: order.append("first") or "a") == "a"
    assert SECOND.first_before_others(lambda: order.append("second") or "b") == "b"
    assert order == ["first", "second"] and wire.sent == []


def test_sums_and_maxima_are_those_of_all_processes(monkeypatch):
    others = torch.tensor([10.0, -20.0], dtype=torch.float64)

    def reduce(mine: torch.Tensor, op=dist.ReduceOp.SUM) -> None:
        mine.copy_(torch.maximum(mine, others) if op == dist.ReduceOp.MAX else mine + others)

    monkeypatch.setattr(module.dist, "all_reduce", reduce)
    total = SECOND.total(torch.tensor(0.1, dtype=torch.float32), torch.tensor(5.0))
    assert [x.item() for x in total] == pytest.approx([10.1, -15.0]) and {x.dtype for x in total} == {torch.float64}
    assert SECOND.most(0.5, 0.25) == [10.0, 0.25]


def test_a_process_gets_the_tensor_of_each(monkeypatch):
    def gather(found: list[torch.Tensor], mine: torch.Tensor) -> None:
        assert mine.is_contiguous()
        for rank, into in enumerate(found):
            into.copy_(mine + rank)

    monkeypatch.setattr(module.dist, "all_gather", gather)
    tensor = torch.arange(6.0).view(2, 3).T
    assert torch.equal(torch.stack(SECOND.of_each(tensor)), torch.stack([tensor, tensor + 1]))


def test_without_a_launcher_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(module.dist, "init_process_group", lambda *_, **__: pytest.fail("it is alone"))
    with together(CPU) as processes:
        assert processes is ALONE


@pytest.fixture
def launched(monkeypatch):
    """The second of two processes of a launcher, with a group that is not there."""
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(str(device)))
    monkeypatch.setattr(module.dist, "init_process_group", lambda backend, timeout: calls.append(backend))
    monkeypatch.setattr(module.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(module.dist, "all_reduce", lambda *_: calls.append("waited"))
    monkeypatch.setattr(module.dist, "destroy_process_group", lambda: calls.append("left"))
    return calls


@pytest.mark.parametrize(("device", "begun"), [("cpu", ["gloo"]), ("cuda:1", ["cuda:1", "cpu:gloo,cuda:nccl"])])
def test_processes_of_a_launcher_join_and_none_leaves_before_the_others(launched, device, begun):
    """A GPU is made the current one before, since that is what NCCL takes."""
    with together(torch.device(device)) as processes:
        assert processes == Processes(1, 2)
        assert launched == begun
    assert launched == [*begun, "waited", "left"]


def test_a_mistake_of_a_later_process_is_said_there_and_that_of_the_first_is_not(launched, capsys):
    with pytest.raises(ConfigError), together(CPU):
        raise ConfigError("Of mine.")
    with pytest.raises(FirstsError), together(CPU):
        raise FirstsError("Of the first.")
    assert capsys.readouterr().err == "regard, process 1: Of mine.\n"
    assert launched == ["gloo", "left"] * 2
