import pytest
import torch

from regard.batch import BOS, EOS, PAD, collate, control_ids, to_device


def test_a_batch_worked_by_hand():
    batch = collate([[5], [6, 7]], [[8, 9], []])
    assert batch.source.tolist() == [[5, EOS, PAD], [6, 7, EOS]]
    assert batch.source_keep.tolist() == [[True, True, False], [True, True, True]]
    assert batch.target.tolist() == [[BOS, 8, 9], [BOS, PAD, PAD]]
    assert batch.gold.tolist() == [[8, 9, EOS], [EOS, PAD, PAD]]
    assert batch.target_keep.tolist() == [[True, True, True], [True, False, False]]


def test_ids_are_int64_and_masks_are_bool():
    batch = collate([[5]], [[6]])
    assert {batch.source.dtype, batch.target.dtype, batch.gold.dtype} == {torch.int64}
    assert {batch.source_keep.dtype, batch.target_keep.dtype} == {torch.bool}


def test_a_batch_to_translate_has_no_target():
    batch = collate([[], [4]])
    assert batch.source.tolist() == [[EOS, PAD], [4, EOS]]
    assert batch.target is batch.target_keep is batch.gold is None


def test_an_unequal_number_of_sources_and_targets_is_our_own_mistake():
    with pytest.raises(AssertionError, match="as many targets"):
        collate([[4]], [])


def test_a_batch_is_moved_whole_and_what_it_lacks_stays_lacking():
    moved = to_device(collate([[4]], [[5]]), torch.device("meta"))
    assert {getattr(moved, name).device.type for name in ("source", "source_keep", "target", "gold")} == {"meta"}
    assert to_device(collate([[4]]), torch.device("meta")).target is None


@pytest.mark.parametrize("n", [0, 1, 1024])
def test_control_ids_stand_behind_the_three_that_mean_the_same_everywhere(n):
    ids = list(range(2000))[control_ids(n)]
    assert ids == list(range(3, 3 + n)) and not {PAD, BOS, EOS} & set(ids)
