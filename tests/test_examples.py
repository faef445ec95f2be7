"""Every example runs as it stands, but for a shorter training, and every recipe is one."""

import runpy
import sys
from pathlib import Path

import pytest

import regard
from regard import face
from regard.jobs import JOBS
from regard.jobs.settings import named, new_recipe

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs(script, tmp_path, monkeypatch, capsys):
    train, runs = face.train, []

    def briefly(*data, settings, **options):
        few = {name: value for name, value in settings.items() if name != "training.minutes"}
        few |= {"training.steps": 4, "training.validation_steps": 2, "training.checkpoint_steps": 2}
        runs.append(train(*data, settings=few, **options))
        return runs[-1]

    monkeypatch.setattr(face, "train", briefly)
    monkeypatch.setattr(sys, "argv", [script.name, str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert runs and all(run.steps == 4 for run in runs)
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_is_one(path):
    recipe, _ = new_recipe(named(None, None, path, {}), JOBS["pairs"], 10_000)
    assert recipe.family in regard.jobs.settings.MODELS
