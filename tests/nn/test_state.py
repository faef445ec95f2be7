import torch

from regard.nn.state import State, fold_beams, repeat_rows, select_rows, select_sentences

STATE = State({"memory": torch.tensor([[10], [20], [30]])}, {"ids": torch.tensor([[1], [2], [3], [4], [5], [6]])})


def test_rows_are_selected_and_sentences_left_alone():
    chosen = select_rows(STATE, torch.tensor([1, 1, 2, 3, 5, 4]))
    assert chosen.rows["ids"].flatten().tolist() == [2, 2, 3, 4, 6, 5]
    assert chosen.sentences is STATE.sentences


def test_sentences_take_all_their_rows_with_them():
    chosen = select_sentences(STATE, torch.tensor([2, 0]))
    assert chosen.sentences["memory"].flatten().tolist() == [30, 10]
    assert chosen.rows["ids"].flatten().tolist() == [5, 6, 1, 2]


def test_repeated_rows_stand_next_to_each_other():
    assert repeat_rows(STATE, 2).rows["ids"].flatten().tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_beams_become_queries_of_their_sentence():
    folded = fold_beams(torch.arange(6.0)[:, None, None], 3)
    assert folded.squeeze(-1).tolist() == [[0, 1], [2, 3], [4, 5]]
