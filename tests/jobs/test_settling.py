import pytest
from tests.fakes import CPU, small_bundle

from regard.bundle import load_bundle
from regard.errors import ConfigError
from regard.jobs import JOBS
from regard.jobs.given import given
from regard.jobs.settings import named, recipe_of_run
from regard.jobs.settling import Request, refuse_other_job
from regard.jobs.training import train_run
from regard.presets import ON_PAIRS
from regard.recipe import make_recipe, nested
from regard.training.run import RunFolder


def test_the_budget_of_a_recipe_is_what_it_names():
    recipe = make_recipe(JOBS["pairs"], "rnn", "tiny", [{"training": {"steps": 3, "minutes": 1.5}}])
    assert recipe.training.budget == {"steps": 3.0, "minutes": 1.5}


def test_a_run_is_of_the_job_whose_sections_its_recipe_has(tmp_path):
    for job in JOBS.values():
        for other in JOBS.values():
            recipe = make_recipe(job, "gpt", "tiny", [])
            if other is job:
                refuse_other_job(recipe, other, RunFolder(tmp_path))
            else:
                with pytest.raises(ConfigError, match=f"was begun on {job.title}, and these data are {other.title}"):
                    refuse_other_job(recipe, other, RunFolder(tmp_path))


@pytest.mark.parametrize("named_anew", [{}, {"model.width": 16}])
def test_a_run_that_was_ended_before_its_first_checkpoint_begins_with_its_own_recipe(tmp_path, named_anew):
    settings = {"model.width": 8, "model.embedding_width": 8, "training.steps": 8, "training.batch_tokens": 99}
    run = RunFolder(tmp_path / "run")
    begun = make_recipe(JOBS["pairs"], "rnn", "tiny", [nested(settings)])
    run.claim(fresh=False, recipe=begun.to_toml())
    pairs = [("a b", "c d"), ("e f", "g h")] * 9
    names = named(None, None, None, nested({**named_anew, "training.steps": 2}))
    request = Request(run.path, given(pairs, None), None, None, names, None, CPU, fresh=False)
    train_run(request, None)
    found = recipe_of_run(run)
    assert (found.family, found.training.batch_tokens, found.training.steps) == ("rnn", 99, 2)
    assert found.model.width == named_anew.get("model.width", 8)


def begun(run: RunFolder, preset: str = "tiny", **settings) -> None:
    """Leave what a run is that was ended before its first checkpoint."""
    values = {"model.width": 8, "model.embedding_width": 8, "training.steps": 2, "training.batch_tokens": 99}
    run.claim(fresh=False, recipe=make_recipe(JOBS["pairs"], "rnn", preset, [nested(values | settings)]).to_toml())


PAIRS = [("a b", "c d"), ("e f", "g h")] * 9


def test_a_run_without_a_checkpoint_takes_another_preset_with_all_its_settings(tmp_path):
    run = RunFolder(tmp_path / "run")
    begun(run, "base")
    small = {"model.width": 8, "model.embedding_width": 8, "training.steps": 2}
    request = Request(
        run.path, given(PAIRS, None), None, None, named("rnn", "tiny", None, nested(small)), None, CPU, fresh=False
    )
    train_run(request, None)
    found = recipe_of_run(run)
    assert (found.preset, found.training.batch_tokens) == (
        "tiny",
        make_recipe(JOBS["pairs"], "rnn", "tiny", [ON_PAIRS["tiny"]["rnn"]]).training.batch_tokens,
    )


def test_weights_of_a_start_that_came_to_nothing_do_not_stay_the_best(tmp_path):
    run = RunFolder(tmp_path / "run")
    begun(run)
    run.save_best(small_bundle(validation={"score": 99.0}))
    request = Request(run.path, given(PAIRS, None), None, None, named(None, None, None, {}), None, CPU, fresh=False)
    train_run(request, None)
    assert load_bundle(run.best).family == "rnn"
