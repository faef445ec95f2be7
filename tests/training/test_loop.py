import dataclasses
import json
import math
import os
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tests.fakes import CPU, Heard

from regard.batch import Batch
from regard.bundle import Bundle, load_bundle
from regard.bundle.card import Card, Progress
from regard.errors import TrainingError
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.batching.pairs import pair_stream
from regard.text.batching.stream import BatchStream
from regard.text.encoded.pairs import EncodedPairs
from regard.text.encoded.ragged import Ragged
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.training.averaging import mean_weights
from regard.training.config import TrainingConfig
from regard.training.interrupt import Interrupted
from regard.training.log import Log
from regard.training.loop import Trainer, mean_nll
from regard.training.processes import Processes
from regard.training.run import RunFolder
from regard.training.state import read_state

SMALL = TransformerConfig(
    width=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=16, dropout_rate=0.1
)
SENTENCES = [[10 + i, 20 + i, 30 + (i * 7) % 5] for i in range(8)]


def copying(batch_tokens: int) -> BatchStream:
    """Return the stream of a corpus in which each sentence is its own translation."""
    sentences = Ragged.of(SENTENCES, 300)
    return pair_stream(EncodedPairs(sentences, sentences, 0, 256), batch_tokens=batch_tokens, seed=1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)


@pytest.fixture
def start(tokenizer, tmp_path):
    """Return a trainer of a small model that learns to copy."""
    logs: list[Log] = []

    def make(stream=None, validate=lambda model: {"score": 1.0, "nll": 1.0}, **settings) -> Trainer:
        torch.manual_seed(0)
        model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary)
        run = RunFolder(tmp_path / "run")
        run.claim(fresh=False, recipe="")
        config = TrainingConfig(
            **{"steps": 60, "batch_tokens": 16, "checkpoint_steps": 20, "warmup_steps": 5, **settings}
        )
        stream = stream or copying(config.batch_tokens)
        logs.append(log := Log(run.log, Heard()))
        bundle = Bundle(model, "transformer", tokenizer, tokenizer, Card())
        return Trainer(bundle, stream, config, run, validate, log, CPU, Processes())

    yield make
    for log in logs:
        log.close()


def resume(trainer: Trainer, checkpoint: Path) -> Progress:
    """Continue from a checkpoint: with its weights and its state."""
    trainer.model.load_state_dict(load_bundle(checkpoint).model.state_dict())
    return trainer.train(read_state(checkpoint))


def said(trainer: Trainer) -> list[str]:
    """Return the sentences that a trainer has said."""
    return trainer.log.display.said


def records(trainer: Trainer, kind: str) -> list[dict]:
    """Return the records of a kind that stand in the log."""
    found = map(json.loads, trainer.run.log.read_text().splitlines())
    return [record for record in found if record["kind"] == kind]


def test_a_model_learns_to_copy(start):
    trainer = start(steps=300)
    stream = trainer.stream
    before = mean_nll(trainer.model.eval(), stream.epoch(0), CPU)
    progress = trainer.train(None)
    after = mean_nll(trainer.model.eval(), stream.epoch(0), CPU)
    assert progress.step == 300
    assert after < 0.5 < 3 < before


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(start):
    whole = start()
    whole.train(None)
    expected = [p.detach().clone() for p in whole.model.parameters()]
    for path in whole.run.steps():
        if path.name != "step-40":
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    again = start()
    progress = resume(again, again.run.checkpoints / "step-40")
    assert progress.step == 60
    assert said(again)[0] == "Continuing from step 40."
    for a, b in zip(expected, again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_best_bundle_is_the_one_with_the_highest_score(start):
    scores = iter([1.0, 3.0, 2.0])
    trainer = start(steps=30, validation_steps=10, validate=lambda model: {"score": next(scores), "nll": 1.0})
    progress = trainer.train(None)
    assert (progress.best_score, progress.best_step) == (3.0, 20)
    assert load_bundle(trainer.run.best).card.trained.step == 20
    assert load_bundle(trainer.run.last).card.trained.step == 30


def test_of_equal_scores_the_one_with_the_better_tie_is_the_best(start):
    figures = iter([(1.0, -3.0), (1.0, -2.0), (1.0, -2.5), (0.5, -1.0)])

    def validate(model: torch.nn.Module) -> dict[str, float]:
        score, tie = next(figures)
        return {"score": score, "tie": tie, "nll": 1.0}

    trainer = start(steps=40, validation_steps=10, validate=validate)
    progress = trainer.train(None)
    assert (progress.best_score, progress.best_tie, progress.best_step) == (1.0, -2.0, 20)


def test_epochs_are_validated_but_not_more_often_than_is_wanted(start):
    trainer = start(steps=60, validation_steps=None, most_validations=5)
    trainer.train(None)
    assert trainer.batches_an_epoch == 2
    assert [record["step"] for record in records(trainer, "valid")] == [12, 24, 36, 48, 60]
    again = start(steps=60, validation_steps=None, most_validations=None)
    again.train(None)
    assert [record["step"] for record in records(again, "valid")][-30:] == list(range(2, 61, 2))


def test_a_training_says_what_it_will_be_before_it_begins(start):
    trainer = start(steps=30)
    trainer.train(None)
    plan, warning = said(trainer)
    assert plan.startswith("plan: 30 steps (15.0 epochs of 2), about ")
    assert warning.startswith("warning: 30 steps are too few to learn from")


def test_the_best_may_be_the_weights_or_one_of_their_averages(start):
    for best, scores in enumerate([[5.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 5.0]]):
        found = iter(scores)
        trainer = start(
            steps=20,
            checkpoint_steps=5,
            ema_decay=0.9,
            average_checkpoints=2,
            validation_steps=1000,
            validate=lambda model, found=found: {"score": next(found), "nll": 1.0},
        )
        trainer.train(None)
        own = dict(trainer.model.named_parameters())
        mean = mean_weights(bundle.model for _, bundle in trainer.run.bundles(pytest.fail))
        candidates = [trainer.optimiser.average.weights, own, mean]
        kept = dict(load_bundle(trainer.run.best).model.named_parameters())
        same = [all(torch.equal(kept[name], weights[name]) for name in kept) for weights in candidates]
        assert same == [i == best for i in range(3)]
        shutil.rmtree(trainer.run.path)


def test_a_damaged_checkpoint_is_left_out_of_the_average(start):
    scores = iter([1.0, 5.0])

    def validate(model: torch.nn.Module) -> dict[str, float]:
        weights = trainer.run.checkpoints / "step-15" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
        return {"score": next(scores), "nll": 1.0}

    settings = {"steps": 20, "checkpoint_steps": 5, "average_checkpoints": 2, "validation_steps": 1000}
    trainer = start(validate=validate, **settings)
    trainer.train(None)
    kept = dict(load_bundle(trainer.run.best).model.named_parameters())
    assert all(torch.equal(kept[name], weight) for name, weight in trainer.model.named_parameters())
    *_, warning = said(trainer)
    assert warning.startswith("warning: ") and "step-15/model.safetensors was changed" in warning


def test_a_model_that_gets_no_better_ends_the_run(start):
    scores = iter([1.0, 2.0, 1.9, 2.1, 2.0, 2.0, 3.0])
    trainer = start(
        steps=300, validation_steps=10, patience=2, validate=lambda model: {"score": next(scores), "nll": 1.0}
    )
    progress = trainer.train(None)
    assert (progress.step, progress.best_step, progress.best_score) == (60, 40, 2.1)


def test_what_might_not_fit_is_tried_before_the_first_step(start):
    trainer, tried = start(steps=1), []
    trainer.gradients.rehearse = lambda batch, reserve, say: tried.append((trainer.progress.step, batch, reserve))
    trainer.train(None)
    extremes = trainer.stream.survey.extremes
    assert tried and tried == [(0, batch, trainer.optimiser.reserve) for batch in (*extremes, extremes[-1])]


def test_only_the_newest_checkpoints_are_kept(start):
    trainer = start(steps=60, checkpoint_steps=10)
    trainer.train(None)
    assert [path.name for path in trainer.run.steps()] == ["step-60", "step-50"]


def test_gradients_that_are_not_finite_change_nothing_and_end_the_training(start):
    trainer = start(validation_steps=1000)
    with torch.no_grad():
        trainer.model.decoder_norm.weight[0] = float("nan")
    before = [p.detach().clone() for p in trainer.model.parameters()]
    message = r"not finite 10 times in a row, last at step 10\. The saved weights are finite\. Train again with a lower"
    with pytest.raises(TrainingError, match=message) as caught:
        trainer.train(None)
    assert caught.value.ways == ("fresh",)
    for a, b in zip(before, trainer.model.parameters(), strict=True):
        assert torch.equal(a.nan_to_num(), b.nan_to_num())
    assert trainer.run.steps() == []


def test_weights_that_are_not_finite_are_never_saved(start):
    trainer = start(steps=3, checkpoint_steps=1)

    def spoil(factor: float) -> None:
        with torch.no_grad():
            trainer.model.decoder_norm.weight[0] = float("inf")

    trainer.optimiser.step = spoil
    with pytest.raises(
        TrainingError, match=r"weights are not finite at step 1\. The saved weights are finite\. Train again"
    ) as caught:
        trainer.train(None)
    assert caught.value.ways == ("fresh",)
    assert trainer.run.steps() == [] and not trainer.run.best.exists()


def test_an_update_that_is_left_out_is_logged_with_its_batch(start, monkeypatch):
    trainer = start(steps=8)
    whole = trainer.optimiser.step
    poisoned = iter([False, True, False, False, False, True, False, False])
    whole_gradients = trainer.gradients.add

    def sometimes(batch: Batch):
        loss = whole_gradients(batch)
        if next(poisoned):
            trainer.model.decoder_norm.weight.grad[0] = float("nan")
        return loss

    taken = []
    monkeypatch.setattr(trainer.gradients, "rehearse", lambda *_: None)
    monkeypatch.setattr(trainer.gradients, "add", sometimes)
    monkeypatch.setattr(trainer.optimiser, "step", lambda factor: (taken.append(factor), whole(factor)))
    trainer.train(None)
    n = trainer.batches_an_epoch
    names = ("step", "epoch", "pool", "batch", "items")
    skipped = [tuple(record[name] for name in names) for record in records(trainer, "skipped")]
    order = [list(trainer.stream.whole_order(epoch)) for epoch in range(6 // n + 1)]
    assert skipped == [(step, i // n, 0, i % n, order[i // n][i % n].tolist()) for step, i in ((2, 1), (6, 5))]
    assert len(taken) == 6


def test_a_signal_lets_the_step_end_and_saves(start):
    trainer, steps = start(steps=30), []
    whole = trainer.optimiser.step

    def step(factor: float) -> None:
        if trainer.progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        whole(factor)
        steps.append(trainer.progress.step)

    trainer.optimiser.step = step
    with pytest.raises(Interrupted):
        trainer.train(None)
    assert steps == list(range(1, 8))
    assert [path.name for path in trainer.run.steps()] == ["step-7"]
    assert said(trainer)[-1] == "Stopped at step 7. The same call continues from there."


def test_a_signal_that_comes_while_the_processes_agree_is_not_lost(start):
    trainer = start(steps=30)

    class Slow(Processes):
        def most(self, *values: float) -> list[float]:
            if trainer.progress.step == 7:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().most(*values)

    trainer.processes = Slow()
    with pytest.raises(Interrupted):
        trainer.train(None)
    assert [path.name for path in trainer.run.steps()] == ["step-8"]


def test_a_signal_after_the_last_step_is_heard(start):
    def validate(model: torch.nn.Module) -> dict[str, float]:
        return {"score": 1.0, "nll": 1.0}

    trainer = start(steps=10, validate=validate)
    save = trainer.run.save_checkpoint

    def signalled(*args, **kept) -> None:
        save(*args, **kept)
        os.kill(os.getpid(), signal.SIGINT)

    trainer.run.save_checkpoint = signalled
    with pytest.raises(Interrupted):
        trainer.train(None)
    assert [path.name for path in trainer.run.steps()] == ["step-10"]


def test_what_a_signal_saved_takes_no_place_among_the_checkpoints_that_are_averaged(start):
    settings = {"steps": 20, "checkpoint_steps": 5, "keep_checkpoints": 2, "average_checkpoints": 2}
    trainer = start(**settings)
    train_until(trainer, None, 17)
    assert [path.name for path in trainer.run.steps()] == ["step-17", "step-15"]
    again = start(**settings)
    train_until(again, again.run.steps()[0], None)
    assert [path.name for path in again.run.steps()] == ["step-20", "step-15"]


def train_until(trainer: Trainer, checkpoint: Path | None, step: int | None) -> list[list[list[int]]]:
    """Train, asked to end in the given step if there is one; return the sources of the batches in their order."""
    seen, gradients = [], trainer.gradients.add

    def add(batch: Batch):
        seen.append(batch.source.tolist())
        if len(seen) + trainer_began == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return gradients(batch)

    trainer.gradients.rehearse = lambda *_: None
    trainer.gradients.add = add
    trainer_began = int(checkpoint.name.removeprefix("step-")) if checkpoint else 0
    with pytest.raises(Interrupted) if step else nullcontext():
        resume(trainer, checkpoint) if checkpoint else trainer.train(None)
    return seen


def test_stopped_twice_at_any_place_it_sees_the_same_batches_in_the_same_order(start):
    settings = {"steps": 9, "checkpoint_steps": 100, "validation_steps": 100}
    whole = start(**settings)
    expected = train_until(whole, None, None)
    weights = [p.detach().clone() for p in whole.model.parameters()]
    assert len(expected) == 9 and whole.stream.survey.n_batches == 2, "four epochs and a half"
    for first in range(1, 8):
        shutil.rmtree(whole.run.path)
        seen = train_until(start(**settings), None, first)
        for second in (first + 1, None):
            again = start(**settings)
            seen += train_until(again, again.run.steps()[0], second)
        assert seen == expected
        assert all(torch.equal(a, b) for a, b in zip(weights, again.model.parameters(), strict=True))


def test_a_validation_that_was_cut_short_is_done_when_the_training_goes_on(start):
    def cut(model: torch.nn.Module) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the validation went on")

    first = start(steps=20, validation_steps=10, validate=cut)
    with pytest.raises(Interrupted):
        first.train(None)
    assert not first.run.best.exists()
    again = start(steps=20, validation_steps=10)
    resume(again, again.run.checkpoints / "step-10")
    assert [record["step"] for record in records(again, "valid")] == [10, 20]


def test_the_loss_of_a_uniform_model_is_the_logarithm_of_the_vocabulary():
    class UniformModel(torch.nn.Module):
        output_weight = torch.zeros(50, 4)
        never_written = slice(3, 3)

        def forward(self, batch: Batch) -> torch.Tensor:
            return torch.ones(*batch.target.shape, 4)

    stream = copying(16)
    nll = mean_nll(UniformModel(), stream.epoch(0), CPU)
    assert nll == pytest.approx(3.912023, abs=1e-5)


def test_a_loss_that_is_not_finite_is_not_logged_as_one(start, monkeypatch):
    trainer = start(steps=20)
    whole = trainer.gradients.add
    poisoned = iter([False] * 9 + [True] + [False] * 10)

    def sometimes(batch: Batch):
        loss = whole(batch)
        if next(poisoned):
            trainer.model.decoder_norm.weight.grad[0] = float("inf")
            return dataclasses.replace(loss, smoothed=loss.smoothed * float("nan"))
        return loss

    monkeypatch.setattr(trainer.gradients, "rehearse", lambda *_: None)
    monkeypatch.setattr(trainer.gradients, "add", sometimes)
    trainer.train(None)
    first, second = records(trainer, "train")
    assert 0 < first["loss"] < 10 and first["gradient_norm"] is None
    assert 0 < second["loss"] < 10 and 0 < second["gradient_norm"] < 100


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_never_the_best(start, score):
    scores = iter([score, 1.0, score])
    trainer = start(
        steps=30, validation_steps=10, validate=lambda model: {"score": (s := next(scores)), "nll": s, "bleu": 1.0}
    )
    progress = trainer.train(None)
    assert (progress.best_score, progress.best_step, progress.n_worse) == (1.0, 20, 1)
    assert load_bundle(trainer.run.best).card.validation == {"score": 1.0, "nll": 1.0, "bleu": 1.0}
    assert [record["nll"] for record in records(trainer, "valid")] == [None, 1.0, None]
    warnings = [line for line in said(trainer) if "is not finite, so the model is not saved as the best" in line]
    assert [line.split(" is not finite")[0] for line in warnings] == [
        f"warning: the validation score at step {step}" for step in (10, 30)
    ]


def test_where_no_score_was_finite_there_is_no_best_and_the_training_ends_in_order(start):
    trainer = start(steps=20, validation_steps=10, validate=lambda model: {"score": math.nan, "nll": math.nan})
    progress = trainer.train(None)
    assert progress.best_score is None and not trainer.run.best.exists()
    assert load_bundle(trainer.run.last).card.trained.step == 20


def test_figures_of_the_best_validation_stand_in_its_card(start):
    figures = {"score": 2.0, "nll": 0.5, "bleu": math.nan, "guard_nll": 3.0}
    trainer = start(steps=10, validation_steps=10, validate=lambda model: figures)
    trainer.train(None)
    card = load_bundle(trainer.run.best).card
    assert card.validation == figures | {"bleu": None}
    assert (card.trained.step, card.trained.best_score) == (10, 2.0)


def test_the_budget_is_remembered(start):
    trainer = start(steps=20, epochs=50.0)
    assert trainer.train(None).budget == {"steps": 20.0, "epochs": 50.0}
    assert read_state(trainer.run.checkpoints / "step-20").progress.budget == {"steps": 20.0, "epochs": 50.0}


def factors(trainer: Trainer) -> list[float]:
    """Have a trainer note the factor on the rates of each of its steps."""
    noted, step = [], trainer.optimiser.step
    trainer.optimiser.step = lambda factor: (noted.append(factor), step(factor))
    return noted


def test_a_larger_budget_is_planned_anew_from_where_the_training_stands_with_a_warm_up(start):
    settings = {"validation_steps": 10, "patience": 5, "warmup_share": None}
    first = start(steps=20, **settings)
    assert first.train(None).n_worse == 1
    again = start(steps=60, **settings)
    noted = factors(again)
    progress = resume(again, again.run.checkpoints / "step-20")
    assert (progress.step, progress.planned_step, progress.n_worse) == (60, 20, 4)
    assert "The budget has changed: the learning rate is planned again from step 20, with a new warm-up." in said(again)
    expected = [min((i + 1) / 6, 1 - i / 40) for i in range(40)]
    assert noted == pytest.approx(expected)


def test_with_the_same_budget_nothing_is_planned_anew(start):
    whole = start(steps=40)
    expected = factors(whole)
    whole.train(None)
    again = start(steps=40)
    noted = factors(again)
    progress = resume(again, again.run.checkpoints / "step-20")
    assert noted == expected[20:] and progress.planned_step == 0
    assert not [line for line in said(again) if "budget" in line]


def test_a_budget_of_which_a_checkpoint_says_nothing_is_taken_for_the_same(start):
    first = start(steps=40)
    first.train(None)
    again = start(steps=60)
    state = read_state(again.run.checkpoints / "step-40")
    state.progress.budget = None
    again.model.load_state_dict(load_bundle(again.run.checkpoints / "step-40").model.state_dict())
    assert again.train(state).planned_step == 0
    assert not [line for line in said(again) if "budget" in line]


def test_what_was_planned_anew_is_planned_once(start):
    first = start(steps=10, checkpoint_steps=10)
    first.train(None)
    second = start(steps=50, checkpoint_steps=10)
    expected = factors(second)
    resume(second, second.run.checkpoints / "step-10")
    for path in second.run.steps():
        if path.name != "step-40":
            shutil.rmtree(path)
    third = start(steps=50, checkpoint_steps=10)
    noted = factors(third)
    progress = resume(third, third.run.checkpoints / "step-40")
    assert noted == pytest.approx(expected[-10:]) and progress.planned_step == 10


def test_the_state_that_a_training_continues_from_is_left_as_it_was(start):
    first = start(steps=20)
    first.train(None)
    state = read_state(first.run.checkpoints / "step-20")
    before = state.progress.model_copy(deep=True)
    again = start(steps=40)
    again.model.load_state_dict(load_bundle(again.run.checkpoints / "step-20").model.state_dict())
    again.train(state)
    assert state.progress == before


def test_random_numbers_of_the_process_are_in_the_checkpoint(start):
    trainer = start(steps=20)
    trainer.train(None)
    assert read_state(trainer.run.checkpoints / "step-20").random.keys() == {0}
