import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.fakes import CPU, SMALL, Heard, flip_bit, letters, small_bundle

from regard.bundle import save_bundle
from regard.bundle.card import Arithmetic, Card, DataCard, Parent, Progress
from regard.errors import BundleError, ConfigError, RunError
from regard.jobs import JOBS, start
from regard.jobs.start import (
    Adapted,
    adapted_bundle,
    digest_of,
    find_checkpoint,
    new_bundle,
    parent_of,
    refuse_other_data,
    refuse_other_origin,
    refuse_too_large,
    say_arithmetic,
)
from regard.models import MODELS
from regard.recipe import Origin, Recipe, make_recipe
from regard.training.processes import ALONE
from regard.training.run import RunFolder
from regard.training.state import TrainState

PAIRS = JOBS["pairs"]


def recipe(family: str = "transformer", **layer) -> Recipe:
    model = SMALL.model_dump() if family == "transformer" else MODELS[family][0].small().model_dump()
    return make_recipe(PAIRS, family, "tiny", [{"model": model}, layer])


def split_of(source, target, reason: str = "as told.") -> SimpleNamespace:
    """Return what gives the tokenizers of a corpus."""
    return SimpleNamespace(tokenizers=lambda recipe: (source, target, reason))


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.claim(fresh=False, recipe="")
    return folder


def save(run: RunFolder, step: int) -> None:
    progress = Progress(step=step)
    run.save_checkpoint(small_bundle(trained=progress), TrainState(progress, {}, {}), keep=2)


def test_the_newest_checkpoint_is_where_a_run_continues(run):
    display = Heard()
    for step in (10, 20):
        save(run, step)
    found = find_checkpoint(run, recipe(), display)
    assert found.checkpoint.name == "step-20" and display.said == []
    assert (found.state.progress.step, found.bundle.card.trained.step) == (20, 20)


def test_a_damaged_checkpoint_is_warned_of_and_the_older_one_taken(run):
    display = Heard()
    for step in (10, 20):
        save(run, step)
    flip_bit(run.checkpoints / "step-20" / "train_state.json", 3)
    assert find_checkpoint(run, recipe(), display).checkpoint.name == "step-10"
    (warning,) = display.said
    assert warning.startswith("warning: ") and "train_state.json was changed" in warning


def test_where_nothing_was_learnt_there_is_no_checkpoint(run):
    display = Heard()
    assert find_checkpoint(run, recipe(), display) is None and display.said == []


@pytest.mark.parametrize(("step", "is_kill"), [(200, True), (201, False)])
def test_a_model_without_a_checkpoint_is_not_trained_over_unless_a_kill_explains_it(run, step, is_kill):
    """A kill between the first `last` and its checkpoint leaves a model of as many steps as lie between checkpoints."""
    save_bundle(small_bundle(trained=Progress(step=step)), run.last)
    if is_kill:
        assert find_checkpoint(run, recipe(), Heard()) is None
        return
    message = rf"run holds a model of {step} steps and no checkpoint to continue from\. Choose another directory\."
    with pytest.raises(RunError, match=message) as caught:
        find_checkpoint(run, recipe(), Heard())
    assert caught.value.ways == ("fresh",)


def test_where_all_checkpoints_are_damaged_nothing_is_trained_over(run):
    save(run, 1_000)
    (run.checkpoints / "step-1000" / "config.json").unlink()
    shutil.rmtree(run.last)
    with pytest.raises(RunError, match="holds a model of 1,000 steps and no checkpoint"):
        find_checkpoint(run, recipe(), Heard())


def card(**data) -> Card:
    return Card(data=DataCard(**{"fingerprint": "f", "pairs": 9, "validation": "v"} | data))


def test_the_same_data_is_accepted_also_if_more_is_known_of_it_today(run):
    refuse_other_data(card(), card(), run)
    less = Card(data=DataCard(fingerprint="f", validation="v"))
    refuse_other_data(less, card(), run)
    with pytest.raises(ConfigError, match="pairs: 9 -> None"):  # but not if less is known
        refuse_other_data(card(), less, run)


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (card(fingerprint="g"), "the same amount of text, but other text"),
        (card(fingerprint="g", pairs=10), "pairs: 9 -> 10"),
        (card(validation="w"), "other validation data than at the beginning"),
        (
            card(fingerprint="g", pairs=None, validation=None),
            "pairs: 9 -> None; other validation data than at the beginning",
        ),
    ],
)
def test_other_data_is_refused_with_what_changed(run, now, change):
    changed = set(change.split("; "))
    with pytest.raises(
        ConfigError, match=r"run was begun with other data \((.*)\)\. Give the same data to continue"
    ) as e:
        refuse_other_data(card(), now, run)
    assert set(str(e.value).partition("(")[2].partition(")")[0].split("; ")) == changed
    assert e.value.ways == ("start", "fresh")


def test_other_threads_or_processes_are_said():
    display, before = Heard(), Arithmetic(threads=1, processes=2, precision="float32")
    say_arithmetic(before, before.model_copy(update={"precision": "bfloat16"}), display)
    assert display.said == []
    say_arithmetic(before, Arithmetic(threads=4, processes=2), display)
    was, goes_on = "begun with threads=1 and processes=2", "continues with threads=4 and processes=2"
    assert display.said == [f"note: the run was {was}, and {goes_on}: the last digits may differ."]


def test_a_new_bundle_is_an_untrained_model_drawn_by_the_seed():
    tokenizer, display = letters(n_control=3), Heard()
    made = [
        new_bundle(recipe(training={"seed": n}), split_of(*[tokenizer] * 2), Card(), CPU, ALONE, display)
        for n in (1, 1, 2)
    ]
    assert display.said == ["tokenizer: as told."] * 3
    weights = [torch.cat([p.flatten() for p in bundle.model.parameters()]) for bundle in made]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    model = made[0].model
    assert model.config == SMALL and model.never_written == slice(3, 6)
    assert model.output_weight.shape == (tokenizer.vocabulary, SMALL.width)
    assert made[0].source_tokenizer is made[0].target_tokenizer is tokenizer


def test_each_side_may_have_a_vocabulary_of_its_own_where_the_family_has_that():
    source, target = letters(), letters("größe")
    made = new_bundle(recipe("rnn", model={"tied": "target"}), split_of(source, target), Card(), CPU, ALONE, Heard())
    assert (made.source_tokenizer, made.target_tokenizer) == (source, target)
    assert len(made.model.embeddings.source.weight) == source.vocabulary < target.vocabulary


def test_two_tokenizers_for_a_model_of_one_vocabulary_are_refused():
    message = (
        r"^tokenizer\.joint is false, and transformer with these settings needs one vocabulary for both languages\."
    )
    with pytest.raises(ConfigError, match=message):
        new_bundle(recipe(), split_of(letters(), letters()), Card(), CPU, ALONE, Heard())


def test_a_model_that_cannot_be_trained_here_is_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(start, "memory_bytes", lambda: 2**34)
    huge = recipe(model={"width": 2**15, "n_heads": 1, "feed_forward": 2**17, "n_encoder_layers": 256})
    message = (
        r"^The model has [\d,]{13,} parameters; training it takes [\d,]+\.\d GiB or more, and this machine has 16\.0\. "
    )
    with pytest.raises(ConfigError, match=message):
        new_bundle(huge, split_of(*[letters()] * 2), Card(), CPU, ALONE, Heard())


@pytest.mark.parametrize(("memory", "fits"), [(1200, True), (1199, False), (None, True)])
def test_weights_gradients_and_what_is_remembered_have_to_fit(monkeypatch, memory, fits):
    monkeypatch.setattr(start, "memory_bytes", lambda: memory)
    if fits:
        refuse_too_large(100)
    else:
        with pytest.raises(ConfigError, match="The model has 100 parameters; training it takes"):
            refuse_too_large(100)


@pytest.mark.parametrize("of_run", [False, True])
def test_the_parent_is_the_model_of_a_bundle_or_of_a_run_and_known_by_its_weights(tmp_path, of_run):
    place = tmp_path / "run" / "best" if of_run else tmp_path / "run"
    save_bundle(small_bundle(trained=Progress(step=7)), place)
    found = parent_of(tmp_path / "run")
    assert found.bundle.card.trained.step == 7
    weights = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
    assert (found.origin.path, found.origin.weights) == (str(tmp_path / "run"), weights)
    assert (found.named, digest_of(place)) == (tmp_path / "run", weights)


def test_where_a_parent_lies_is_known_whatever_directory_one_is_in(tmp_path, monkeypatch):
    save_bundle(small_bundle(), tmp_path / "old")
    monkeypatch.chdir(tmp_path)
    found = parent_of(Path("old"))
    assert (found.origin.path, found.named) == (str(tmp_path / "old"), Path("old"))


def test_a_run_continues_with_the_model_it_was_begun_from_named_by_any_name(run, tmp_path):
    save_bundle(small_bundle(), tmp_path / "old")
    begun = recipe().model_copy(update={"start": parent_of(tmp_path / "old").origin})
    refuse_other_origin(begun, tmp_path / "old", run)
    (tmp_path / "old").rename(tmp_path / "moved")
    refuse_other_origin(begun, tmp_path / "moved", run)
    refuse_other_origin(begun, tmp_path / "old", run)  # the name alone tells, though nothing stands there any more
    other = small_bundle(letters("é"))
    save_bundle(other, tmp_path / "other")
    with pytest.raises(ConfigError, match=r"was begun from .*old, not from .*other\."):
        refuse_other_origin(begun, tmp_path / "other", run)


def test_a_run_that_was_begun_otherwise_does_not_continue_from_another_model(run, tmp_path):
    save_bundle(small_bundle(), tmp_path / "old")
    with pytest.raises(ConfigError, match=r"run was begun from scratch, not from .*old\. Leave .*old out\.") as caught:
        refuse_other_origin(recipe(), tmp_path / "old", run)
    assert caught.value.ways == ("fresh",)
    begun = recipe().model_copy(update={"start": Origin(path="runs/a", weights="f" * 64)})
    with pytest.raises(ConfigError, match=r"run was begun from runs/a, not from .*old\.") as caught:
        refuse_other_origin(begun, tmp_path / "old", run)
    assert caught.value.ways == ("fresh",)


def test_a_parent_that_is_none_is_refused(tmp_path):
    with pytest.raises(BundleError, match="nowhere is not a directory"):
        parent_of(tmp_path / "nowhere")


@pytest.mark.parametrize("family", MODELS)
def test_an_adapted_model_has_the_weights_of_its_parent_and_the_settings_of_the_new_run(family):
    tokenizer = letters(n_control=3)
    config, cls = MODELS[family]
    torch.manual_seed(4)
    model = cls(config.small(), *[tokenizer.vocabulary] * 2, n_control=3).eval()
    made = small_bundle(tokenizer, trained=Progress(step=9), data=DataCard(fingerprint="old"))
    parent = type(made)(model, family, tokenizer, tokenizer, made.card)
    before = torch.get_rng_state()
    settings = recipe(family, model={**config.small().model_dump(), "dropout_rate": 0.45})
    now = Card(data=DataCard(fingerprint="new"), trained=Progress())
    adapted = adapted_bundle(Adapted(parent, Origin(path="/runs/a", weights="f" * 64), Path("a")), settings, now)
    assert torch.equal(torch.get_rng_state(), before)
    assert adapted.model.config.dropout_rate == 0.45 and adapted.model.never_written == slice(3, 6)
    ours, theirs = adapted.model.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (adapted.source_tokenizer, adapted.target_tokenizer) == (tokenizer, tokenizer)
    assert adapted.card.parent == Parent(path="a", weights="f" * 64, step=9, data=DataCard(fingerprint="old"))
    assert (adapted.card.data.fingerprint, adapted.card.trained.step) == ("new", 0)


def test_an_adapted_model_can_be_trained():
    made = small_bundle()
    adapted = adapted_bundle(Adapted(made, Origin(path="a", weights="f"), Path("a")), recipe(), Card()).model
    assert all(parameter.requires_grad and parameter.device == CPU for parameter in adapted.parameters())
