import pytest
import torch

from regard.batch import Batch
from regard.bundle import Bundle, load_bundle
from regard.errors import TrainingError
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.batching import BatchStream
from regard.text.tokenizer import Tokenizer, TokenizerConfig
from regard.training.config import TrainingConfig
from regard.training.log import LineDisplay, Log
from regard.training.loop import Trainer, mean_nll
from regard.training.run import RunFolder

SMALL = TransformerConfig(
    width=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=16, dropout_rate=0.1
)
CPU = torch.device("cpu")
SENTENCES = [[10 + i, 20 + i, 30 + (i * 7) % 5] for i in range(8)]


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
        stream = stream or BatchStream(SENTENCES, SENTENCES, batch_tokens=config.batch_tokens, seed=1)
        logs.append(log := Log(run.log, LineDisplay()))
        return Trainer(Bundle(model, "transformer", tokenizer, tokenizer, {}), stream, config, run, validate, log, CPU)

    yield make
    for log in logs:
        log.close()


def test_a_model_learns_to_copy(start):
    trainer = start(steps=300)
    stream = trainer.stream
    before = mean_nll(trainer.model.eval(), stream.batches_from(0, 0), CPU)
    progress = trainer.train(None)
    after = mean_nll(trainer.model.eval(), stream.batches_from(0, 0), CPU)
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
    again.model.load_state_dict(load_bundle(again.run.checkpoints / "step-40").model.state_dict())
    progress = again.train(again.run.checkpoints / "step-40")
    assert progress.step == 60
    for a, b in zip(expected, again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_best_bundle_is_the_one_with_the_highest_score(start):
    scores = iter([1.0, 3.0, 2.0])
    trainer = start(steps=30, validation_steps=10, validate=lambda model: {"score": next(scores), "nll": 1.0})
    progress = trainer.train(None)
    assert (progress.best_score, progress.best_step) == (3.0, 20)
    assert load_bundle(trainer.run.best).card["trained"]["step"] == 20
    assert load_bundle(trainer.run.last).card["trained"]["step"] == 30


def test_only_the_newest_checkpoints_are_kept(start):
    trainer = start(steps=60, checkpoint_steps=10)
    trainer.train(None)
    assert [path.name for path in trainer.run.steps()] == ["step-60", "step-50"]


def test_gradients_that_are_not_finite_change_nothing_and_end_the_training(start, monkeypatch):
    trainer = start()
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with torch.no_grad():
        trainer.model.decoder_norm.weight[0] = float("nan")
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(TrainingError, match=r"not finite 10 times in a row, last at step 10"):
        trainer.train(None)
    for a, b in zip(before, trainer.model.parameters(), strict=True):
        assert torch.equal(a.nan_to_num(), b.nan_to_num())
    assert trainer.run.steps() == []


def test_the_loss_of_a_uniform_model_is_the_logarithm_of_the_vocabulary():
    class UniformModel(torch.nn.Module):
        output_weight = torch.zeros(50, 4)

        def forward(self, batch: Batch) -> torch.Tensor:
            return torch.ones(*batch.target.shape, 4)

    stream = BatchStream(SENTENCES, SENTENCES, batch_tokens=16, seed=1)
    nll = mean_nll(UniformModel(), stream.batches_from(0, 0), CPU)
    assert nll == pytest.approx(3.912023, abs=1e-5)
