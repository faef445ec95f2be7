import json
from pathlib import Path

import pytest
from tests.fakes import CPU, Heard, small_bundle

from regard.bundle import Bundle, save_bundle
from regard.bundle.card import Card, Progress
from regard.errors import BundleError, ConfigError, RunError
from regard.jobs import JOBS
from regard.jobs.run import Run, load_model
from regard.jobs.settings import named as named_by
from regard.jobs.settings import new_recipe
from regard.models.gpt import GPT, GPTConfig
from regard.pipeline import TextGenerator, Translator
from regard.text.tokens.tokenizer import Tokenizer
from regard.training.log import Log
from regard.training.run import RunFolder
from regard.training.state import TrainState

RECIPE, _ = new_recipe(named_by(None, None, None, {}), JOBS["pairs"], 100)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A run that was begun and has saved nothing yet."""
    run = RunFolder(tmp_path / "run")
    run.claim(fresh=False, recipe=RECIPE.to_toml())
    return run


@pytest.fixture
def trained(folder) -> RunFolder:
    """A run of 1,200 steps, the best of which was the 800th."""
    best = Progress(step=800, seconds=60.0, best_score=31.25, best_step=800)
    folder.save_best(small_bundle(trained=best, validation={"bleu": 31.25, "nll": 1.5}))
    last = best.model_copy(update={"step": 1200, "seconds": 90.0})
    folder.save_checkpoint(small_bundle(trained=last), TrainState(last, {}, {}), keep=1)
    return folder


def text_bundle() -> Bundle:
    tokenizer = Tokenizer.train_running(["the cat sat"], "characters", 500)
    model = GPT(GPTConfig(width=8, n_heads=2, n_layers=1), *[tokenizer.vocabulary] * 2)
    return Bundle(model, "gpt", tokenizer, tokenizer, Card(job="text"))


def test_a_run_says_how_far_it_came_and_how_well_it_did(trained):
    run = Run.at(str(trained.path))
    assert (run.path, run.interrupted) == (trained.path, False)
    assert (run.steps, run.minutes, run.best_score) == (1200, 1.5, 31.25)
    assert run.validation == {"bleu": 31.25, "nll": 1.5}
    assert run.card.trained.step == 1200
    assert (run.best, run.last, run.log) == (trained.best, trained.last, trained.log)
    assert run.recipe.to_toml() == RECIPE.to_toml()


def test_a_run_is_shown_with_its_figures(trained, folder):
    path = str(trained.path)
    assert repr(Run(trained.path)) == f"Run({path!r}, 1,200 steps in 1.5 minutes, best score 31.25)"
    assert repr(Run(trained.path, interrupted=True)) == (
        f"Run({path!r}, 1,200 steps in 1.5 minutes, best score 31.25, interrupted)"
    )


def test_a_run_in_which_no_validation_was_finite_has_no_best_score(folder):
    save_bundle(small_bundle(trained=Progress(step=9)), folder.last)
    run = Run.at(folder.path)
    assert run.best_score is None and run.validation == {}
    assert repr(run) == f"Run({str(folder.path)!r}, 9 steps in 0.0 minutes)"


def test_a_run_that_has_saved_nothing_says_so(folder):
    run = Run.at(folder.path)
    assert repr(run) == f"Run({str(folder.path)!r}, nothing saved yet)"
    for ask in (lambda: run.steps, lambda: run.best_score, lambda: run.load("cpu")):
        with pytest.raises(BundleError):
            ask()


@pytest.mark.parametrize("name", ["nowhere", "file", "empty", "mine"])
def test_what_is_no_run_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.toml").write_text("of its user")
    message = rf"{name} is not a run: it has no recipe\.toml\. Give the directory that a training made\.$"
    with pytest.raises(RunError, match=message):
        Run.at(tmp_path / name)


def test_a_run_without_a_recipe_has_not_been_begun(tmp_path):
    with pytest.raises(RunError, match=r"run has no recipe\.toml yet\.$"):
        _ = Run(tmp_path / "run").recipe


def test_events_are_the_records_of_the_log_in_order(folder):
    events = []
    log = Log(folder.log, Heard(), events.append)
    log.write("train", step=10, loss=2.5)
    log.write("valid", step=10, nll=float("nan"), best=False)
    log.close()
    assert Run.at(folder.path).events() == events
    assert [event["kind"] for event in events] == ["train", "valid"]


def test_a_line_that_is_half_written_is_no_event(folder):
    folder.log.write_text(json.dumps({"kind": "train"}) + '\n{"kind": "val')
    assert Run.at(folder.path).events() == [{"kind": "train"}]


def test_a_run_without_a_log_has_no_events(folder):
    assert Run.at(folder.path).events() == []


@pytest.mark.parametrize("line", ["{", "\xff"])
def test_a_log_that_cannot_be_read_is_an_error_of_the_user(folder, line):
    folder.log.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(RunError, match=r"log\.jsonl"):
        Run.at(folder.path).events()


def test_a_model_is_loaded_as_what_it_was_trained_for(trained, tmp_path):
    assert isinstance(Run.at(trained.path).load("cpu"), Translator)
    assert isinstance(load_model(trained.path, CPU), Translator)
    save_bundle(text_bundle(), tmp_path / "text")
    found = load_model(str(tmp_path / "text"), "cpu")
    assert isinstance(found, TextGenerator) and found.device == CPU


def test_the_best_model_is_loaded_and_not_the_last(trained):
    assert Run.at(trained.path).load("cpu").bundle.card.trained.step == 800


def test_a_model_of_a_job_that_nobody_knows_is_refused(tmp_path):
    save_bundle(small_bundle(job="chess"), tmp_path / "chess")
    with pytest.raises(
        BundleError, match=r"chess was trained for a job unknown to this release\. Use the release that"
    ):
        load_model(tmp_path / "chess", "cpu")


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        load_model(tmp_path / "nowhere", "tpu")


def test_runs_in_one_directory_are_the_same(trained):
    assert Run.at(trained.path) == Run(Path(trained.path)) != Run(trained.path, interrupted=True)
