import pytest
import torch

from regard.nn.state import BLOCK, FEWEST, State, at_least

INF = float("inf")


def fresh(n: int = 3, span: int | None = None) -> State:
    """Return a state with what belongs to sentences and rows numbered, and one cache with a single number a cell."""
    state = State(n, torch.zeros(1), span)
    state.sentences["memory"] = torch.arange(n)[:, None] * 10 + 10
    state.rows["ids"] = torch.arange(n)[:, None] + 1
    state.caches = {"0.keys": torch.zeros(n, 1, 0, 1), "0.values": torch.zeros(n, 1, 0, 1)}
    return state


def write(state: State, number: float) -> None:
    """Read one token in every row: row r stores number + r / 10."""
    n_rows = len(state) * state.n_rows
    x = (number + torch.arange(n_rows) / 10).view(n_rows, 1, 1, 1)
    state.advance(1).attend("0", x, x, x)


def seen(state: State) -> list[list[float]]:
    """Return the numbers that each row may attend to, in the order of their cells."""
    cells = state.caches["0.values"][:, 0, :, 0]
    return [[round(float(x), 1) for x in cells[i, row == 0]] for i, rows in enumerate(state.visible) for row in rows]


def test_every_row_attends_to_its_own_tokens_alone():
    state = fresh(2)
    state.repeat(2)
    assert state.rows["ids"].flatten().tolist() == [1, 1, 2, 2] and state.sentence_of_row.tolist() == [0, 0, 1, 1]
    write(state, 1)
    write(state, 2)
    assert seen(state) == [[1.0, 2.0], [1.1, 2.1], [1.2, 2.2], [1.3, 2.3]]
    assert state.used == [4, 4] and state.read == [2, 2]


def test_reordered_rows_go_on_from_others_without_a_copy_of_what_was_read():
    state = fresh(2)
    state.repeat(2)
    write(state, 1)
    cache = state.caches["0.keys"]
    state.reorder(torch.tensor([[1, 1], [0, 1]]))
    assert state.caches["0.keys"] is cache and state.rows["ids"].flatten().tolist() == [1, 1, 2, 2]
    write(state, 2)
    assert seen(state) == [[1.1, 2.0], [1.1, 2.1], [1.2, 2.2], [1.3, 2.3]]


def test_rows_of_one_sentence_each_are_not_reordered():
    state = fresh(2)
    before = state.rows["ids"]
    state.reorder(torch.zeros(2, 1, dtype=torch.long))
    assert state.rows["ids"] is before


def test_kept_sentences_take_all_that_is_theirs():
    state = fresh(3)
    write(state, 1)
    state.keep([2, 0])
    write(state, 2)
    assert state.sentences["memory"].flatten().tolist() == [30, 10] and state.rows["ids"].flatten().tolist() == [3, 1]
    assert seen(state) == [[1.2, 2.0], [1.0, 2.1]]


def test_admitted_sentences_take_places_or_come_behind_and_begin_anew():
    state, new = fresh(2), fresh(2)
    new.sentences["memory"] = torch.tensor([[70, 71], [80, 81]])  # longer than what is there
    for number in (1, 2, 3):
        write(state, number)
    write(new, 9)
    state.admit(new, [1, 2])
    assert state.sentences["memory"].tolist() == [[10, 0], [70, 71], [80, 81]]
    assert state.used == [3, 1, 1] and state.read == [3, 1, 1]
    write(state, 5)
    assert seen(state) == [[1.0, 2.0, 3.0, 5.0], [9.0, 5.1], [9.1, 5.2]]


def test_what_stood_in_a_place_before_is_not_seen_by_who_takes_it():
    state = fresh(2)
    for number in range(20):
        write(state, number)
    state.admit(fresh(1), [0])
    write(state, 50)
    assert seen(state)[0] == [50.0] and len(seen(state)[1]) == 21


def test_sentences_with_different_numbers_of_rows_are_not_mixed():
    state = fresh(1)
    state.repeat(2)
    with pytest.raises(AssertionError, match="same number of rows"):
        state.admit(fresh(1), [1])


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_cache_grows_and_keeps_what_it_holds(n_rows):
    state = fresh(1)
    state.repeat(n_rows)
    for number in range(60):
        write(state, number)
    assert seen(state) == [[round(n + r / 10, 1) for n in range(60)] for r in range(n_rows)]
    assert state.caches["0.keys"].shape[2] == state.visible.shape[2] >= 60 * n_rows


def test_cells_are_attended_to_in_blocks():
    state = fresh(1)
    lengths = []
    for number in range(FEWEST + 2):
        x = torch.full((1, 1, 1, 1), float(number))
        reading = state.advance(1)
        reading.attend("0", x, x, x)
        lengths.append(reading.bias.shape[-1])
    assert lengths == [FEWEST] * FEWEST + [FEWEST + BLOCK] * 2


def test_several_tokens_read_at_once_do_not_see_the_ones_behind_them():
    state = fresh(1)
    state.repeat(2)
    reading = state.advance(2)
    visible = reading.bias[0, 0, :, :4] == 0  # token by token, of each the two rows
    assert visible.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    assert reading.positions.tolist() == [[0, 1], [0, 1]]


def test_a_span_hides_what_is_further_back():
    state = fresh(1, span=3)
    for number in range(5):
        write(state, number)
    assert seen(state) == [[2.0, 3.0, 4.0]]


def test_a_beginning_that_was_read_at_once_is_seen_without_its_padding():
    state = fresh(2)
    keys = torch.tensor([[1.0, 2.0, 3.0], [4.0, 7.0, 7.0]]).view(2, 1, 3, 1)
    state.fill({"0.keys": keys, "0.values": keys}, [3, 1])
    assert seen(state) == [[1.0, 2.0, 3.0], [4.0]] and state.read == [3, 1]
    write(state, 8)
    assert seen(state) == [[1.0, 2.0, 3.0, 8.0], [4.0, 8.1]]


def test_a_backward_pass_goes_through_what_was_read():
    state = fresh(1)
    x = torch.tensor(2.0, requires_grad=True)
    outputs = []
    for _ in range(2):
        each = x.view(1, 1, 1, 1)
        outputs.append(state.advance(1).attend("0", each, each, each))
    torch.cat(outputs).sum().backward()
    assert x.grad is not None and float(x.grad) == pytest.approx(2.0)


def test_what_is_shorter_is_padded_and_the_rest_left_alone():
    x = torch.ones(2, 3, 1)
    assert at_least(x, 1, 5)[:, :, 0].tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0]] * 2
    assert at_least(x, 1, 3) is x
