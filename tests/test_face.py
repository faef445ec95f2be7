"""What the library's own calls refuse before anything is read or written."""

import os

import pytest

import regard
from regard.errors import ConfigError, RunError


def test_a_seed_that_is_given_twice_must_be_the_same(tmp_path):
    with pytest.raises(ConfigError, match=r"seed is 3, and training\.seed is 4\. Give one of them"):
        regard.train([("a", "b")], to=tmp_path / "run", seed=3, settings={"training.seed": 4})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"to": None}, "to is NoneType; expected a path"),
        ({"recipe": 3}, "recipe is int; expected a path"),
        ({"start": b"a"}, "start is bytes; expected a path"),
        ({"settings": ["training.steps=3"]}, "settings is list; expected a dict"),
        ({"settings": {"training.minutes": True}}, "training.minutes is True: input should be a valid number"),
        ({"settings": {"training.steps": "3"}}, "training.steps is '3': input should be a valid integer"),
        ({"display": 3}, "display is int; expected a display"),
        ({"on_event": 3}, "on_event is int; expected a function"),
        ({"data": ["A man.", "Ein Mann."]}, r"data: there is no file A man\."),
        ({"data": None, "texts": __file__}, "the name of a file; it takes the text itself. Give data"),
    ],
)
def test_what_a_training_cannot_use_is_named_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(regard.RegardError, match=message):
        regard.train(**{"data": [("a", "b")] * 9, "to": tmp_path / "run"} | wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regard.load(None), "path is NoneType; expected a path"),
        (lambda: regard.load("a\ud800b"), "which cannot be a file name"),
        (lambda: regard.Run.at(3), "path is int; expected a path"),
        (lambda: regard.evaluate("a", [("a", "b")], language=3), "language is int"),
        (lambda: regard.evaluate("a", [("a", "b")], display=3), "display is int"),
        (lambda: regard.prove(display=3), "display is int"),
        (lambda: regard.score_translations("ab", ["a", "b"]), "hypotheses is one string"),
        (lambda: regard.score_translations(["a"], ["a"], language=3), "language is int"),
    ],
)
def test_what_another_call_cannot_use_is_named(call, message):
    with pytest.raises(regard.RegardError, match=message):
        call()


def test_a_run_stands_wherever_its_directory_may(tmp_path):
    assert os.fspath(regard.Run(tmp_path)) == str(tmp_path)


def test_a_process_trains_one_model_at_a_time(tmp_path):
    small = {"training.steps": 2, "model.width": 8, "model.embedding_width": 8, "training.validation_steps": 1}
    pairs = [(f"a {i}", "b") for i in range(9)]
    refused = []

    def again(event: dict) -> None:
        try:
            regard.train(pairs, to=tmp_path / "other", settings=small, model="rnn")
        except RunError as error:
            refused.append(str(error))

    regard.train(pairs, to=tmp_path / "run", settings=small, model="rnn", on_event=again)
    assert refused and all("Another training is running in this process. Wait for it" in message for message in refused)
    assert not (tmp_path / "other").exists()
