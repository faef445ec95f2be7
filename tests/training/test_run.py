import os
import shutil
from dataclasses import replace

import pytest
import torch

from regard.bundle import Bundle, load_bundle, read_card
from regard.errors import RunError
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.training import run as module
from regard.training.config import TrainingConfig
from regard.training.optimiser import Optimiser
from regard.training.progress import Progress
from regard.training.randomness import random_state
from regard.training.run import RunFolder, restore

CPU = torch.device("cpu")
SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.claim(fresh=False, recipe="")
    return folder


@pytest.fixture
def saved(run) -> RunFolder:
    """A run with checkpoints of steps 10 and 20."""
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary)
    for step in (10, 20):
        bundle = Bundle(model, "transformer", tokenizer, tokenizer, {})
        tensors = Optimiser(model, TrainingConfig()).tensors()
        run.save_checkpoint(bundle, tensors, Progress(step=step, seconds=1.5), keep=2)
    return run


def test_the_newest_checkpoint_is_found_and_restored(saved):
    path, bundle = saved.newest(pytest.fail)
    assert path.name == "step-20"
    progress = restore(path, Optimiser(bundle.model, TrainingConfig()), CPU)
    assert (progress.step, progress.seconds) == (20, 1.5)


@pytest.mark.parametrize("file", ["model.safetensors", "train_state.safetensors", "train_state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_checkpoint_is_named_and_the_older_one_taken(saved, file, damage):
    path = saved.checkpoints / "step-20" / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if damage == "cut" else content[:-3] + bytes([content[-3] ^ 4]) + content[-2:])
    warnings: list[str] = []
    found = saved.newest(warnings.append)
    assert found is not None and found[0].name == "step-10"
    assert len(warnings) == 1 and "step-20" in warnings[0]


def test_after_a_fall_back_new_checkpoints_take_the_place_of_the_damaged(saved):
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    bundle = Bundle(
        Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary), "transformer", tokenizer, tokenizer, {}
    )
    (saved.checkpoints / "step-20" / "model.safetensors").unlink()
    (saved.checkpoints / "step-15").mkdir()
    (saved.checkpoints / "step-15" / "half").write_text("a removal that was killed")
    for step in (12, 15):
        saved.save_checkpoint(bundle, {}, Progress(step=step), keep=1)
        assert [path.name for path in saved.steps()] == [f"step-{step}"]


def test_a_damaged_checkpoint_that_cannot_be_removed_costs_no_other(saved, monkeypatch):
    _path, bundle = saved.newest(pytest.fail)
    monkeypatch.setattr(saved, "_remove", lambda checkpoints: removed.extend(path.name for path in checkpoints))
    removed: list[str] = []
    saved.save_checkpoint(bundle, {}, Progress(step=15), keep=1)
    assert removed == ["step-20", "step-10"]


def test_what_a_killed_save_left_behind_is_no_checkpoint(saved):
    shutil.copytree(saved.checkpoints / "step-20", saved.checkpoints / ".step-30.tmp-77")
    (saved.checkpoints / "step-30").mkdir()
    warnings: list[str] = []
    found = saved.newest(warnings.append)
    assert found is not None and found[0].name == "step-20"
    assert len(warnings) == 1 and "step-30" in warnings[0]


def test_the_random_numbers_of_each_process_go_on(saved):
    _path, bundle = saved.newest(pytest.fail)
    optimiser = Optimiser(bundle.model, TrainingConfig())
    tensors = optimiser.tensors()
    for rank, seed in ((0, 5), (1, 6)):
        torch.manual_seed(seed)
        tensors[f"random.{rank}"] = random_state(CPU)
    saved.save_checkpoint(bundle, tensors, Progress(step=30), keep=2)
    for rank, seed in ((0, 5), (1, 6), (2, 7)):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        torch.manual_seed(7)  # what the third one, of which the checkpoint knows nothing, goes on with
        restore(saved.checkpoints / "step-30", optimiser, CPU, rank)
        assert torch.equal(torch.rand(3), expected)


def test_fresh_deletes_what_a_run_holds_and_nothing_else(saved):
    (saved.path / "notes.txt").write_text("mine")
    shutil.copytree(saved.last, saved.path / ".last.old")
    saved.claim(fresh=True, recipe="")
    assert sorted(p.name for p in saved.path.iterdir()) == ["checkpoints", "notes.txt", "recipe.toml"]
    assert saved.steps() == []


def test_a_directory_that_is_no_run_is_not_claimed(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match=r"not a run of regard \(it holds precious.txt"):
        RunFolder(tmp_path).claim(fresh=True, recipe="")
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "precious.txt").claim(fresh=False, recipe="")
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_recipe_of_the_users_own_is_no_run(tmp_path):
    (tmp_path / "recipe.toml").write_text("family = 'rnn'")
    with pytest.raises(RunError, match=r"not a run of regard \(it holds recipe.toml\)"):
        RunFolder(tmp_path).claim(fresh=True, recipe="")
    assert (tmp_path / "recipe.toml").read_text() == "family = 'rnn'"


def test_a_start_that_was_killed_before_its_recipe_was_whole_can_be_repeated(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / ".recipe.toml.tmp").write_text("half a reci")
    folder.checkpoints.mkdir()
    folder.claim(fresh=False, recipe="whole = true")
    assert sorted(path.name for path in folder.path.iterdir()) == ["checkpoints", "recipe.toml"]
    assert folder.recipe.read_text() == "whole = true"


def test_a_second_training_is_kept_out_and_told_who_is_in(run):
    with run.owned():
        with pytest.raises(RunError, match=rf"being trained by process {os.getpid()} on .* since 20\d\d-"), run.owned():
            pytest.fail("the second one came in")
        (run.path / ".owner.json").write_text("{")
        with pytest.raises(RunError, match="being trained by another process"), run.owned():
            pytest.fail("the second one came in")
    with run.owned():
        assert run.recipe.exists()


def test_a_directory_in_which_nothing_came_about_is_not_left_behind(tmp_path):
    folder = RunFolder(tmp_path / "new")
    with pytest.raises(ValueError, match="by design"), folder.owned():
        raise ValueError("by design")
    assert not folder.path.exists()


@pytest.mark.parametrize(("score", "kept"), [(1.9, 2.0), (2.1, 2.1)])
def test_a_better_model_that_a_kill_has_left_is_not_replaced(saved, score, kept):
    """With a budget of minutes, what comes after a kill is not what came before it."""
    _path, bundle = saved.newest(pytest.fail)
    for value in (2.0, score):
        saved.save_best(replace(bundle, card={"validation": {"score": value}}))
    assert read_card(saved.best) == {"validation": {"score": kept}}


def test_a_damaged_best_model_is_replaced(saved):
    _path, bundle = saved.newest(pytest.fail)
    saved.save_best(replace(bundle, card={"validation": {"score": 2.0}}))
    (saved.best / "card.json").write_text("{}")
    saved.save_best(replace(bundle, card={"validation": {"score": 1.0}}))
    assert read_card(saved.best) == {"validation": {"score": 1.0}}


def test_a_directory_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "file" / "run")
    with pytest.raises(RunError, match="run cannot be used: Not a directory"), folder.owned():
        pytest.fail("it was used")
    with pytest.raises(RunError, match="run cannot be written: Not a directory"):
        folder.claim(fresh=False, recipe="")


def test_a_checkpoint_that_cannot_be_read_is_named_and_the_older_one_taken(saved, monkeypatch):
    def load(path):
        if path.name == "step-20":
            raise PermissionError(13, "Permission denied")
        return load_bundle(path)

    monkeypatch.setattr(module, "load_bundle", load)
    warnings: list[str] = []
    assert saved.newest(warnings.append)[0].name == "step-10"
    assert len(warnings) == 1 and "step-20 cannot be read: Permission denied" in warnings[0]
