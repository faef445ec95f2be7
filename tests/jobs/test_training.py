import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.fakes import CPU, Heard, change_json, names_in

from regard.bundle import load_bundle, read_card, run_bundle
from regard.bundle.card import Progress
from regard.errors import ConfigError, DataError, RunError
from regard.jobs import JOBS, settings, settling
from regard.jobs.given import given, spooled_in
from regard.jobs.run import Run
from regard.jobs.settings import named, recipe_of_run
from regard.jobs.settling import Request
from regard.jobs.start import parent_of, same_parent
from regard.jobs.training import Surroundings, again, claim, data_of, own_random_numbers, refuse_used_up, train_run
from regard.recipe import make_recipe, nested
from regard.training.interrupt import Interrupted
from regard.training.loop import Trainer
from regard.training.processes import ALONE
from regard.training.run import RunFolder
from regard.training.state import read_state

COLOURS = [("red", "rot"), ("green", "grün"), ("blue", "blau"), ("old", "alt"), ("new", "neu")]
THINGS = [("car", "Auto"), ("book", "Buch"), ("house", "Haus"), ("bread", "Brot"), ("glass", "Glas")]
ROWS = [(f"The {s} is {c}.", f"Das {t} ist {d}.") for s, t in THINGS for c, d in COLOURS]
TEXT = "".join(f"{who} saw the {what}.\n" for _ in range(8) for who in "ABC" for what in ("sea", "sky"))
SMALL = {
    "rnn": {"model.width": 8, "model.embedding_width": 8},
    "gpt": {"model.width": 8, "model.n_heads": 2, "model.n_layers": 1, "model.context": 32},
}
OFTEN = {"training.checkpoint_steps": 4, "training.warmup_steps": 2, "training.batch_tokens": 256}


def asked(
    to: Path, family: str = "rnn", data=ROWS, texts=None, start=None, fresh=False, valid=None, **values
) -> Request:
    """Return what asks for a small training of a few steps. values: settings by name, with "__" for a dot."""
    small = SMALL[family] | OFTEN | {"tokenizer.vocabulary": 300 if family == "rnn" else None, "training.steps": 8}
    small |= {"training.precision": "float32"} | {name.replace("__", "."): value for name, value in values.items()}
    wanted = nested({name: value for name, value in small.items() if value is not None})
    return Request(
        to=to,
        data=given(data if texts is None else None, texts),
        valid=given(valid, None),
        guard=None,
        names=named(None if start else family, None, None, {} if start else wanted),
        start=start,
        device=CPU,
        fresh=fresh,
    )


def weights_of(bundle: Path) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in load_bundle(bundle).model.parameters()])


def test_a_training_leaves_a_run_with_all_its_parts(tmp_path):
    display, events = Heard(), []
    progress = train_run(asked(tmp_path / "run"), display, events.append)
    run = Run.at(tmp_path / "run")
    assert progress.step == run.steps == 8
    assert names_in(run.path) == [".lock", "best", "checkpoints", "data", "last", "log.jsonl", "recipe.toml"]
    assert names_in(run.path / "checkpoints") == ["step-4", "step-8"]
    assert events == display.shown == run.events()
    assert run.card.arithmetic.precision == "float32" and run.card.data.pairs == 23
    assert run.card.trained.budget == {"steps": 8.0}
    recipe = run.recipe
    assert "auto" not in recipe.to_toml()
    assert (recipe.tokenizer.kind, recipe.tokenizer.vocabulary, recipe.training.best_by) == ("bpe", 300, "bleu")
    kinds = [line.partition(":")[0] for line in display.said]
    before = ["training data", "best model", "languages", "model", "device", "validation data", "tokenizer", "model"]
    assert kinds == [*before, "plan", "warning", kinds[-1]] and kinds[-1].startswith("Done")
    assert display.n_closed == 1


def test_a_training_without_a_display_says_and_shows_nothing(tmp_path, capsys):
    assert train_run(asked(tmp_path / "run"), None).step == 8
    assert capsys.readouterr() == ("", "")


def test_a_training_leaves_the_random_numbers_of_the_process_as_they_were(tmp_path):
    torch.manual_seed(77)
    before = torch.get_rng_state()
    train_run(asked(tmp_path / "run"), None)
    assert torch.equal(torch.get_rng_state(), before)
    with own_random_numbers(CPU):
        torch.manual_seed(1)
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_call_again_continues_from_where_it_stands(tmp_path):
    train_run(asked(tmp_path / "whole", training__steps=12), None)
    request, said = asked(tmp_path / "run", training__steps=12), Heard()
    train_run(request, None)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-12")
    assert train_run(asked(tmp_path / "run", training__steps=12), said).step == 12
    assert "Continuing from step 8." in said.said and "model: rnn, preset tiny, from the run's recipe" in said.said
    assert torch.equal(weights_of(tmp_path / "run" / "last"), weights_of(tmp_path / "whole" / "last"))


def test_a_run_continues_on_what_it_holds_and_without_any_setting(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    before = recipe_of_run(RunFolder(tmp_path / "run"))
    more = asked(tmp_path / "run")
    more = replace(more, data=None, names=named(None, None, None, nested({"training.steps": 12})))
    said = Heard()
    assert train_run(more, said).step == 12
    assert "note: training.steps: 8 -> 12" in said.said
    assert any(line.startswith("The budget has changed") for line in said.said)
    after = recipe_of_run(RunFolder(tmp_path / "run"))
    assert after.to_toml() == before.with_section("training", steps=12).to_toml()


def test_without_data_a_run_that_holds_none_is_refused(tmp_path):
    request = replace(asked(tmp_path / "run"), data=None)
    with pytest.raises(
        DataError, match=r"^No data was given, and .*run holds none\. Give the data that it was begun with\.$"
    ):
        train_run(request, None)
    assert not (tmp_path / "run").exists()


def test_files_are_read_where_they_are_and_not_kept_in_the_run(tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in ROWS), encoding="utf-8")
    train_run(asked(tmp_path / "run", data=tmp_path / "pairs.tsv"), None)
    assert not (tmp_path / "run" / "data").exists()
    train_run(asked(tmp_path / "same", data=ROWS), None)
    assert Run.at(tmp_path / "run").card.data == Run.at(tmp_path / "same").card.data
    assert torch.equal(weights_of(tmp_path / "run" / "last"), weights_of(tmp_path / "same" / "last"))


def test_data_of_a_request_is_spooled_or_that_of_the_run(tmp_path):
    run = RunFolder(tmp_path / "run")
    spooled = data_of(asked(run.path), run, tmp_path / "spool")
    assert list(spooled.read_pairs()) == ROWS
    run.path.mkdir()
    around = Surroundings(asked(run.path), tmp_path / "spool", ALONE, Heard(), None)
    claim(run, None, make_recipe(JOBS["pairs"], "rnn", "tiny", []), around)
    assert not (tmp_path / "spool").exists()
    held = data_of(replace(asked(run.path), data=None), run, tmp_path / "spool")
    assert list(held.read_pairs()) == ROWS and held.files[0].parent == run.data


def test_other_data_is_refused_with_the_ways_out(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    before = weights_of(tmp_path / "run" / "last")
    with pytest.raises(ConfigError, match=r"was begun with other data \(pairs: 23 -> 22\)") as caught:
        train_run(asked(tmp_path / "run", data=ROWS[:-1]), None)
    assert caught.value.ways == ("start", "fresh")
    assert torch.equal(weights_of(tmp_path / "run" / "last"), before)
    held = given([str(tmp_path / "run" / "data" / name) for name in ("source.txt", "target.txt")], None)
    assert list(held.read_pairs()) == ROWS
    assert not [name for name in names_in(tmp_path / "run") if ".tmp-" in name]


def test_a_text_where_pairs_were_trained_on_is_refused_and_taken_by_a_fresh_run(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    text = replace(asked(tmp_path / "run", "gpt", texts=TEXT), names=named(None, None, None, {}))
    message = r"run was begun on pairs of sentences, and these data are running text\. Choose another directory\."
    with pytest.raises(ConfigError, match=message) as caught:
        train_run(text, None)
    assert caught.value.ways == ("fresh",)
    train_run(asked(tmp_path / "run", "gpt", texts=TEXT, fresh=True), None)
    assert Run.at(tmp_path / "run").card.job == "text"


def test_other_settings_are_refused_and_nothing_is_changed(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    with pytest.raises(ConfigError, match=r"was begun with other settings: model\.width: 8 -> 12") as caught:
        train_run(asked(tmp_path / "run", model__width=12), None)
    assert caught.value.ways == ("start", "fresh") and (tmp_path / "run" / "recipe.toml").read_text() == recipe
    assert train_run(asked(tmp_path / "run", model__width=12, fresh=True), None).step == 8
    assert Run.at(tmp_path / "run").recipe.model.width == 12


def test_fresh_begins_anew(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    said = Heard()
    train_run(asked(tmp_path / "run", fresh=True, data=ROWS[:-1]), said)
    assert not [line for line in said.said if line.startswith("Continuing")]
    assert [event["step"] for event in Run.at(tmp_path / "run").events() if event["kind"] == "valid"][-1] == 8
    assert Run.at(tmp_path / "run").card.data.pairs == 22


def test_a_budget_that_is_used_up_is_refused(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    message = r"^training\.steps=6 is used up: the run has made 8 steps in \d+\.\d\d minutes\. A budget counts from"
    with pytest.raises(ConfigError, match=message):
        train_run(asked(tmp_path / "run", training__steps=6), None)
    assert train_run(asked(tmp_path / "run"), None).step == 8, "the same budget is no new one"


@pytest.mark.parametrize(
    ("budget", "step", "seconds", "used_up"),
    [
        *(({"steps": 10}, 10, 0.0, True), ({"steps": 11}, 10, 0.0, False), ({"minutes": 1}, 10, 60.0, True)),
        *(({"epochs": 2}, 10, 0.0, True), ({"epochs": 3, "minutes": 1}, 10, 61.0, True)),
    ],
)
def test_a_new_budget_must_be_larger_than_what_was_used(budget, step, seconds, used_up):
    recipe = make_recipe(JOBS["pairs"], "rnn", "tiny", [{"training": budget}])
    progress = Progress(step=step, seconds=seconds, budget={"steps": 7.0})
    if used_up:
        with pytest.raises(
            ConfigError, match=rf"is used up: the run has made {step} steps in {seconds / 60:.2f} minutes\."
        ):
            refuse_used_up(recipe, progress, n_batches=5)
    else:
        refuse_used_up(recipe, progress, n_batches=5)
    refuse_used_up(recipe, progress.model_copy(update={"budget": recipe.training.budget}), n_batches=5)


def test_the_budget_of_a_run_of_the_first_format_was_that_of_its_recipe(tmp_path):
    """Its checkpoints did not say it, so the same settings are no new budget."""
    train_run(asked(tmp_path / "run", training__steps=12), None)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-12")
    path = tmp_path / "run" / "checkpoints" / "step-8"
    change_json(path / "train_state.json", budget=None)
    said = Heard()
    progress = train_run(asked(tmp_path / "run", training__steps=12), said)
    assert (progress.step, progress.planned_step) == (12, 0)
    assert not [line for line in said.said if "budget has changed" in line]
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-12")
    said = Heard()
    progress = train_run(asked(tmp_path / "run", training__steps=20), said)
    assert (progress.step, progress.planned_step) == (20, 8)
    assert [line for line in said.said if "budget has changed" in line]


def test_another_process_has_again_what_the_first_has_found(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    checkpoint = tmp_path / "run" / "checkpoints" / "step-8"
    bundle, state = again(checkpoint)
    assert bundle.card == load_bundle(checkpoint).card and state.progress.step == 8


@pytest.mark.parametrize(
    ("before", "has_it", "taken"),
    [
        *[("bfloat16", True, "bfloat16"), ("bfloat16", False, "float32")],
        *[("float32", True, "float32"), ("float32", False, "float32")],
    ],
)
def test_a_run_continues_in_the_precision_it_began_with_where_that_is_to_be_had(
    tmp_path, monkeypatch, before, has_it, taken
):
    monkeypatch.setattr(settings, "has_bfloat16", lambda device: True)
    train_run(asked(tmp_path / "run", training__precision=before), None)
    for module in (settings, settling):
        monkeypatch.setattr(module, "has_bfloat16", lambda device: has_it)
    monkeypatch.setattr(settings, "choose_precision", lambda *_: pytest.fail("nothing is chosen anew"))
    for asked_for in ("auto", None):
        said = Heard()
        train_run(asked(tmp_path / "run", training__precision=asked_for), said)
        assert Run.at(tmp_path / "run").recipe.training.precision == taken
        note = "note: begun in bfloat16, which this machine does not support; the run continues in float32."
        assert (note in said.said) == (before != taken and asked_for == "auto")  # from then on it is a run in float32


def test_a_new_run_chooses_its_precision_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(
        settings, "choose_precision", lambda device, width, in_one_graph: ("float32", f"{width}, {in_one_graph}")
    )
    said = Heard()
    train_run(asked(tmp_path / "run", training__precision="auto"), said)
    assert "precision: 8, False" in said.said
    assert Run.at(tmp_path / "run").recipe.training.precision == "float32"


def test_a_run_that_begins_from_another_has_its_model_tokenizer_and_settings(tmp_path):
    train_run(asked(tmp_path / "old"), None)
    said = Heard()
    request = asked(tmp_path / "new", start=tmp_path / "old", data=ROWS[::-1])
    train_run(request, said)
    old, new = Run.at(tmp_path / "old"), Run.at(tmp_path / "new")
    assert any(line.startswith(f"model: rnn, from {tmp_path / 'old'} after ") for line in said.said)
    best = run_bundle(tmp_path / "old")
    assert new.card.parent.step == read_card(best).trained.step and new.card.parent.data == old.card.data
    assert new.recipe.start.weights == new.card.parent.weights and new.recipe.start.path == str(tmp_path / "old")
    tokenizers = [load_bundle(run.last).source_tokenizer.fingerprint for run in (old, new)]
    assert tokenizers[0] == tokenizers[1]
    assert new.recipe.training == old.recipe.training and new.recipe.model == old.recipe.model


def test_a_run_that_was_begun_from_another_continues_without_it(tmp_path):
    train_run(asked(tmp_path / "old"), None)
    train_run(asked(tmp_path / "new", start=tmp_path / "old"), None)
    parent = Run.at(tmp_path / "new").card.parent
    shutil.rmtree(tmp_path / "old")
    more = replace(asked(tmp_path / "new"), names=named(None, None, None, nested({"training.steps": 12})))
    said = Heard()
    assert train_run(more, said).step == 12 and "Continuing from step 8." in said.said
    assert Run.at(tmp_path / "new").card.parent == parent


def test_a_run_that_ended_before_its_first_checkpoint_begins_again_as_it_was_begun(tmp_path):
    train_run(asked(tmp_path / "run", training__seed=7), None)
    before = Run.at(tmp_path / "run").recipe
    for name in ("best", "last", "checkpoints"):
        shutil.rmtree(tmp_path / "run" / name)
    (tmp_path / "run" / "checkpoints").mkdir()
    said = Heard()
    request = replace(asked(tmp_path / "run"), names=named(None, None, None, nested({"training.steps": 5})))
    assert train_run(request, said).step == 5
    assert "model: rnn, from the run's recipe" in said.said
    after = Run.at(tmp_path / "run").recipe
    assert after.to_toml() == before.with_section("training", steps=5).to_toml() and after.training.seed == 7


def test_a_run_that_was_begun_anew_is_not_begun_from_another(tmp_path):
    for name in ("old", "new"):
        train_run(asked(tmp_path / name), None)
    with pytest.raises(
        ConfigError, match=r"new was begun from scratch, not from .*old\. Leave .*old out\. fresh=True starts anew"
    ):
        train_run(asked(tmp_path / "new", start=tmp_path / "old"), None)


def test_the_first_weights_of_a_run_that_begins_from_another_are_the_parents(tmp_path, monkeypatch):
    train_run(asked(tmp_path / "old"), None)
    seen = []
    whole = Trainer.train
    monkeypatch.setattr(
        Trainer,
        "train",
        lambda self, state: (
            seen.append(torch.cat([p.detach().flatten() for p in self.model.parameters()])),
            whole(self, state),
        )[1],
    )
    train_run(asked(tmp_path / "new", start=tmp_path / "old"), None)
    assert torch.equal(seen[0], weights_of(run_bundle(tmp_path / "old")))


def test_a_signal_ends_a_training_with_a_checkpoint_and_leaves_nothing_behind(tmp_path):
    def stop(event: dict) -> None:
        if event["kind"] == "valid":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train_run(asked(tmp_path / "run", training__validation_steps=3), None, stop)
    step = Run.at(tmp_path / "run").steps
    assert 0 < step < 8 and read_state(tmp_path / "run" / "checkpoints" / f"step-{step}") is not None
    assert not [name for name in names_in(tmp_path / "run") if ".tmp-" in name or name == ".owner.json"]
    assert train_run(asked(tmp_path / "run", training__validation_steps=3), None).step == 8


def test_running_text_is_trained_on_too(tmp_path):
    said = Heard()
    progress = train_run(asked(tmp_path / "run", "gpt", texts=[TEXT, "A saw the sky.\n"]), said)
    run = Run.at(tmp_path / "run")
    assert progress.step == 8 and run.card.job == "text" and run.card.data.documents == 1
    assert run.recipe.training.best_by == "loss" and run.best_score == -run.validation["nll"]
    assert names_in(run.path / "data") == ["texts", "texts.ends", "whole"]
    assert said.said[-1].startswith("Done: 8 steps in 0.0 minutes, best loss on validation ")


def test_a_directory_of_something_else_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    def unread():
        pytest.fail("it was read")
        yield

    with pytest.raises(RunError, match=r"exists and is not a run of regard \(it holds thesis\.txt\)"):
        train_run(asked(tmp_path, data=None, texts=unread()), None)
    assert names_in(tmp_path) == ["thesis.txt"]


def test_a_mistake_in_the_data_leaves_no_directory_behind(tmp_path):
    with pytest.raises(DataError, match=r"^data, item 26: found int"):
        train_run(asked(tmp_path / "run", data=[*ROWS, 3]), None)
    assert names_in(tmp_path) == []


def test_the_log_is_closed_whatever_happens(tmp_path):
    display = Heard()

    def broken(event: dict) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_run(asked(tmp_path / "run"), display, broken)
    assert display.n_closed == 1
    assert [json.loads(line)["kind"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()] == ["valid"]


def test_a_parent_that_was_trained_on_since_is_refused(tmp_path):
    train_run(asked(tmp_path / "old"), None)
    origin = parent_of(tmp_path / "old").origin
    assert same_parent(origin).origin == origin
    train_run(asked(tmp_path / "old", training__steps=12), None)
    with pytest.raises(RunError, match=r"has other weights than when the run was begun from it\. Restore them"):
        same_parent(origin.model_copy(update={"weights": "0" * 64}))


def test_a_place_that_the_data_have_not_is_refused(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    newest = tmp_path / "run" / "checkpoints" / "step-8"
    change_json(newest / "train_state.json", batch=10**6)
    with pytest.raises(RunError, match="would continue at a batch that these data do not have"):
        train_run(asked(tmp_path / "run", training__steps=12), None)


def test_a_corpus_that_a_run_keeps_goes_when_another_one_is_trained_on(tmp_path):
    train_run(asked(tmp_path / "run"), None)
    assert spooled_in(tmp_path / "run" / "data") is not None
    file = tmp_path / "new.tsv"
    file.write_text("".join(f"{s}\t{t}\n" for s, t in ROWS[:20]), encoding="utf-8")
    train_run(asked(tmp_path / "run", data=file, fresh=True), None)
    assert not (tmp_path / "run" / "data").exists()
    with pytest.raises(DataError, match="No data was given"):
        train_run(replace(asked(tmp_path / "run"), data=None), None)


def test_texts_from_memory_are_documents_already(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.documents is line, but each text from memory is one document"):
        train_run(asked(tmp_path / "run", "gpt", texts=[TEXT], data__documents="line"), None)
