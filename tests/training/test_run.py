import os
import shutil
from pathlib import Path

import pytest
import torch
from tests.fakes import CPU, flip_bit, names_in, small_bundle

from regard.bundle import load_bundle, read_card, save_bundle
from regard.bundle.card import Card, Progress
from regard.errors import BundleError, RunError
from regard.training import run as module
from regard.training.config import TrainingConfig
from regard.training.optimiser import Optimiser
from regard.training.run import LONGEST_NAME, RunFolder, step_of
from regard.training.state import RANDOM_BYTES, TrainState, most_bytes, read_state, restore

CONFIG = TrainingConfig()


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.claim(fresh=False, recipe="")
    return folder


@pytest.fixture
def saved(run) -> RunFolder:
    """A run with checkpoints of steps 10 and 20."""
    for step in (10, 20):
        run.save_checkpoint(small_bundle(), state(step), keep=2)
    return run


def state(step: int) -> TrainState:
    """Return where a training stands that has made so many steps and remembers nothing."""
    return TrainState(Progress(step=step, seconds=1.5), {}, {})


def test_the_newest_checkpoint_is_found_and_restored(saved):
    path, bundle, found = saved.newest(CONFIG, pytest.fail)
    assert path.name == "step-20"
    progress = restore(found, Optimiser(bundle.model, CONFIG), CPU)
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
    found = saved.newest(CONFIG, warnings.append)
    assert found is not None and found[0].name == "step-10"
    assert len(warnings) == 1 and "step-20" in warnings[0]


def test_a_checkpoint_without_a_state_is_named_and_the_older_one_taken(saved):
    save_bundle(small_bundle(), saved.checkpoints / "step-20")
    warnings: list[str] = []
    assert saved.newest(CONFIG, warnings.append)[0].name == "step-10"
    assert warnings == [f"{saved.checkpoints / 'step-20'} has no training state. Trying an older checkpoint."]


def test_a_checkpoint_of_another_training_is_named_and_the_older_one_taken(saved):
    optimiser = Optimiser(small_bundle().model, CONFIG)
    strange = TrainState(Progress(step=20), {"0.0.momentum": torch.zeros(3)}, {})
    saved.save_checkpoint(small_bundle(), strange, keep=2)
    warnings: list[str] = []
    path, _, found = saved.newest(CONFIG, warnings.append)
    assert path.name == "step-10" and found.tensors == {}
    (warning,) = warnings
    assert "0.0.momentum is (3,) of torch.float32, expected (" in warning
    assert warning.endswith("Trying an older checkpoint.")
    assert optimiser.remembered().keys() >= {"0.0.momentum"}


def test_a_state_that_cannot_be_read_is_named_and_the_older_one_taken(saved, monkeypatch):
    def read(path, most):
        if path.name == "step-20":
            raise PermissionError(13, "Permission denied")
        return read_state(path, most)

    monkeypatch.setattr(module, "read_state", read)
    warnings: list[str] = []
    assert saved.newest(CONFIG, warnings.append)[0].name == "step-10"
    path = saved.checkpoints / "step-20"
    assert warnings == [f"{path} cannot be read: Permission denied. Trying an older checkpoint."]


def test_without_any_checkpoint_there_is_nothing_to_continue_from(run, tmp_path):
    for folder in (run, RunFolder(tmp_path / "none")):
        assert folder.newest(CONFIG, pytest.fail) is None and list(folder.bundles(pytest.fail)) == []


def test_what_killed_saves_have_left_is_removed_by_the_next_training(saved):
    for folder in (saved.path, saved.checkpoints, saved.tokens):
        (folder / ".step-30.tmp-77" / "deep").mkdir(parents=True)
    with saved.owned():
        assert not [path for path in saved.path.rglob(".*") if ".tmp-" in path.name]
        assert len(saved.steps()) == 2


def test_models_that_are_intact_are_those_of_checkpoints_without_a_state_too(saved):
    save_bundle(small_bundle(), saved.checkpoints / "step-15")
    flip_bit(saved.checkpoints / "step-20" / "model.safetensors", 8000)
    warnings: list[str] = []
    assert [path.name for path, _ in saved.bundles(warnings.append)] == ["step-15", "step-10"]
    assert len(warnings) == 1 and "step-20/model.safetensors was changed" in warnings[0]


def test_after_a_fall_back_new_checkpoints_take_the_place_of_the_damaged(saved):
    (saved.checkpoints / "step-20" / "model.safetensors").unlink()
    (saved.checkpoints / "step-15").mkdir()
    (saved.checkpoints / "step-15" / "half").write_text("a removal that was killed")
    for step in (12, 15):
        saved.save_checkpoint(small_bundle(), state(step), keep=1)
        assert [path.name for path in saved.steps()] == [f"step-{step}"]


def test_a_damaged_checkpoint_that_cannot_be_removed_costs_no_other(saved, monkeypatch):
    monkeypatch.setattr(saved, "_remove", lambda checkpoints: removed.extend(path.name for path in checkpoints))
    removed: list[str] = []
    saved.save_checkpoint(small_bundle(), state(15), keep=1)
    assert removed == ["step-20", "step-10"]


def test_a_checkpoint_between_the_regular_ones_takes_nobodys_place(saved):
    for step, left in ((23, [23, 20, 10]), (27, [27, 20, 10]), (30, [30, 20])):
        saved.save_checkpoint(small_bundle(), state(step), keep=2 if step == 30 else 3, every=10)
        assert [step_of(path) for path in saved.steps()] == left


@pytest.mark.parametrize("name", ["step-007", "step-", "step--3", "step-1e3", "step-٣", "other", "step-9" + "9" * 18])
def test_what_has_no_number_of_a_step_is_no_checkpoint(saved, name):
    shutil.copytree(saved.checkpoints / "step-20", saved.checkpoints / name)
    assert [path.name for path in saved.steps()] == ["step-20", "step-10"]


def test_a_link_and_a_file_are_no_checkpoints(saved, tmp_path):
    (saved.checkpoints / "step-30").symlink_to(saved.checkpoints / "step-20")
    (saved.checkpoints / "step-40").write_text("")
    assert [path.name for path in saved.steps()] == ["step-20", "step-10"]


def test_what_a_killed_save_left_behind_is_no_checkpoint(saved):
    shutil.copytree(saved.checkpoints / "step-20", saved.checkpoints / ".step-30.tmp-77")
    (saved.checkpoints / "step-30").mkdir()
    warnings: list[str] = []
    found = saved.newest(CONFIG, warnings.append)
    assert found is not None and found[0].name == "step-20"
    assert len(warnings) == 1 and "step-30" in warnings[0]


def test_fresh_deletes_what_a_run_holds_and_nothing_else(saved):
    (saved.path / "notes.txt").write_text("mine")
    shutil.copytree(saved.last, saved.path / ".last.old")
    saved.claim(fresh=True, recipe="")
    assert names_in(saved.path) == ["checkpoints", "notes.txt", "recipe.toml"]
    assert saved.steps() == []


def test_a_directory_that_is_no_run_is_not_claimed(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match=r"not a run of regard \(it holds precious.txt"):
        RunFolder(tmp_path).claim(fresh=True, recipe="")
    with pytest.raises(RunError, match=r"precious\.txt is a file; a run needs a directory\. Choose another name"):
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
        with pytest.raises(RunError, match=rf"in use by process {os.getpid()} on .* since 20\d\d-"), run.owned():
            pytest.fail("the second one came in")
        for broken in ("{", "[]", "{}", "[" * 10_000, '{"process": 3}'):
            (run.path / ".owner.json").write_text(broken)
            with pytest.raises(RunError, match="in use by another process"), run.owned():
                pytest.fail("the second one came in")
    with run.owned():
        assert run.recipe.exists()


def test_a_directory_in_which_nothing_came_about_is_not_left_behind(tmp_path):
    folder = RunFolder(tmp_path / "new")
    with pytest.raises(ValueError, match="by design"), folder.owned():
        raise ValueError("by design")
    assert not folder.path.exists()


@pytest.mark.parametrize(("score", "kept"), [(1.9, 2.0), (2.1, 2.1), (2.0, 2.0), (None, None)])
def test_a_better_model_that_a_kill_has_left_is_not_replaced(saved, score, kept):
    """With a budget of minutes, what comes after a kill is not what came before it."""
    for value in (2.0, score):
        saved.save_best(small_bundle(validation={"score": value}))
    assert read_card(saved.best).validation == {"score": kept}


@pytest.mark.parametrize("validation", [{"score": None}, {}])
def test_a_best_model_without_a_score_is_replaced(saved, validation):
    saved.save_best(small_bundle(validation=validation))
    saved.save_best(small_bundle(validation={"score": -9.0}))
    assert read_card(saved.best).validation == {"score": -9.0}


def test_a_damaged_best_model_is_replaced(saved):
    saved.save_best(small_bundle(validation={"score": 2.0}))
    (saved.best / "card.json").write_text("{}")
    saved.save_best(small_bundle(validation={"score": 1.0}))
    assert read_card(saved.best).validation == {"score": 1.0}


def test_the_card_of_the_last_model_is_that_of_the_best_where_there_is_no_last(saved):
    saved.save_best(small_bundle(trained=Progress(step=3)))
    assert saved.card_of_last() == Card()
    shutil.rmtree(saved.last)
    assert saved.card_of_last() == Card(trained=Progress(step=3))
    (saved.best / "card.json").unlink()
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        saved.card_of_last()
    shutil.rmtree(saved.best)
    assert saved.card_of_last() is None


@pytest.mark.parametrize("name", ["recipe.toml", "log.jsonl", "best", "last", "checkpoints", "data", "tokens", ".lock"])
def test_a_run_is_not_written_through_a_link(saved, tmp_path, name):
    path = saved.path / name
    if path.is_dir() or path.exists():
        path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        RunError, match=rf"{name} is a link; a run must contain its files\. Remove it, or choose another"
    ):
        saved.check()


@pytest.mark.parametrize("name", ["best", "last", "checkpoints", "data", "tokens", "checkpoints/step-10"])
def test_a_file_where_a_directory_of_the_run_belongs_is_refused(saved, name):
    path = saved.path / name
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("years of work")
    with pytest.raises(RunError, match=rf"{name} is not a directory, but a run needs one there\. Remove it, or choose"):
        saved.check()
    assert path.read_text() == "years of work"


@pytest.mark.parametrize("name", ["recipe.toml", "log.jsonl", ".lock", ".owner.json"])
def test_a_directory_where_a_file_of_the_run_belongs_is_refused(saved, name):
    (saved.path / name).unlink(missing_ok=True)
    (saved.path / name).mkdir()
    with pytest.raises(
        RunError, match=rf"{name} is not a file, but a run needs one there\. Remove it, or choose another"
    ):
        saved.check()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * (LONGEST_NAME + 1), rf"The name x+… has 201 bytes; at most {LONGEST_NAME} are allowed\. Choose"),
        ("ä" * (LONGEST_NAME // 2 + 1), r"The name ä+… has 202 bytes; at most 200 are allowed"),
        ("a\ud800", r"The path '.*a\\ud800' is not UTF-8, so files cannot store it\. Choose another path\."),
        ("a\0b", r"a\\x00b cannot be used: embedded null byte\. Choose another directory"),
    ],
    ids=["long", "many bytes", "surrogate", "null"],
)
def test_a_name_that_no_run_can_have_is_refused(tmp_path, name, message):
    with pytest.raises(RunError, match=message):
        RunFolder(Path(f"{tmp_path}/{name}")).check()


def test_the_longest_name_is_one(tmp_path):
    folder = RunFolder(tmp_path / ("x" * LONGEST_NAME))
    folder.claim(fresh=False, recipe="")
    folder.save_checkpoint(small_bundle(), state(10**17), keep=1)
    assert folder.newest(CONFIG, pytest.fail) is not None


def test_what_a_directory_holds_is_shown_and_does_nothing_to_the_terminal(tmp_path):
    (tmp_path / "a\x1b[31m").write_text("")
    with pytest.raises(RunError, match=r"it holds a\\x1b\[31m\)"):
        RunFolder(tmp_path).check()


def test_the_recipe_of_a_run_is_what_was_claimed(run, tmp_path):
    run.claim(fresh=False, recipe="größe = 3\n")
    assert run.recipe_text() == "größe = 3\n"
    assert RunFolder(tmp_path / "none").recipe_text() is None
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.toml").write_text("a user's own")
    assert RunFolder(tmp_path / "mine").recipe_text() is None


def test_a_recipe_that_cannot_be_read_is_said_with_what_to_do(run):
    run.recipe.write_bytes(b"\xff")
    with pytest.raises(
        RunError, match=r"recipe\.toml cannot be read: .*Restore it from a copy\. fresh=True starts anew"
    ):
        run.recipe_text()
    run.recipe.write_bytes(b"x" * (2**16 + 1))
    with pytest.raises(RunError, match=r"recipe\.toml has more than 65,536 bytes, so regard did not write it"):
        run.recipe_text()


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
    assert saved.newest(CONFIG, warnings.append)[0].name == "step-10"
    assert len(warnings) == 1 and "step-20 cannot be read: Permission denied" in warnings[0]


@pytest.mark.parametrize("name", ["data", "tokens"])
def test_a_directory_that_holds_only_something_of_its_user_is_no_run(tmp_path, name):
    own = tmp_path / "project" / name / "corpus.tsv"
    own.parent.mkdir(parents=True)
    own.write_text("a\tb\n")
    with pytest.raises(RunError, match=f"is not a run of regard .it holds {name}.. Nothing was changed"):
        RunFolder(tmp_path / "project").check()
    assert own.exists()


def test_shards_of_a_killed_start_are_no_obstacle(tmp_path):
    (tmp_path / "run" / "tokens" / "shard-00000").mkdir(parents=True)
    (tmp_path / "run" / "tokens" / ".shard-00001.tmp-9").mkdir()
    RunFolder(tmp_path / "run").check()
    assert sorted(path.name for path in (tmp_path / "run" / "tokens").iterdir()) == [
        ".shard-00001.tmp-9",
        "shard-00000",
    ]


def test_whatever_a_killed_save_has_left_is_cleared_away(saved, tmp_path):
    (saved.path / ".page.html.tmp-1").write_text("half a page")
    (saved.path / ".link.tmp-2").symlink_to(tmp_path)
    (saved.path / ".best.tmp-3").mkdir()
    with saved.owned():
        assert [path for path in saved.path.iterdir() if ".tmp-" in path.name] == []
    assert tmp_path.exists()


def test_a_recipe_is_not_written_through_a_link(run, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (run.path / ".recipe.toml.tmp").symlink_to(precious)
    with pytest.raises(RunError, match=r"\.recipe\.toml\.tmp is a link"):
        run.claim(fresh=False, recipe="x = 1")
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("name", ["recipe.toml", "log.jsonl"])
def test_nobody_waits_at_a_pipe(run, name):
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    with pytest.raises(RunError, match=f"{name} is not a file"):
        run.check()
    if name == "recipe.toml":
        with pytest.raises(RunError, match="not a regular file"):
            run.recipe_text()


def test_a_claim_that_begins_anew_leaves_no_model_of_before(run):
    run.save_best(small_bundle())
    run.claim(fresh=True, recipe="")
    assert not run.best.exists()


def test_a_state_that_is_larger_than_this_training_leaves_one_is_not_loaded(saved, monkeypatch):
    monkeypatch.setattr(module, "most_bytes", lambda optimiser: 10)
    warnings: list[str] = []
    assert saved.newest(CONFIG, warnings.append) is None
    assert all("this training has at most 10" in warning for warning in warnings)


def test_the_size_of_a_state_is_bounded_by_what_its_optimiser_remembers():
    optimiser = Optimiser(small_bundle().model, CONFIG)
    n_bytes = sum(4 * torch.Size(shape).numel() for shape, _ in optimiser.remembered().values())
    assert most_bytes(optimiser) == n_bytes + RANDOM_BYTES
