"""What every family must obey. A new family adds one line to SMALL."""

import copy

import pytest
import torch

from regard.batch import BOS, EOS, Batch, collate
from regard.bundle import Bundle, load_bundle, save_bundle
from regard.decoding.search import DecodingConfig, search
from regard.models import MODELS
from regard.nn.state import repeat_rows, select_rows, select_sentences
from regard.nn.trace import Trace
from regard.text.tokenizer import Tokenizer, TokenizerConfig
from regard.training.loop import batch_loss

SMALL = {
    "bahdanau": {"width": 10, "embedding_width": 8, "attention_width": 6},
    "transformer": {"width": 8, "n_heads": 2, "n_encoder_layers": 2, "n_decoder_layers": 2, "feed_forward": 12},
}
VOCABULARY = 17
SOURCES = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14], [3, 4, 5, 16, 7, 8, 9]]
TARGETS = [[4, 5, 6], [7, 8, 9, 10, 11], [12], [13, 14, 15, 16]]


@pytest.fixture(params=sorted(MODELS))
def family(request) -> str:
    return request.param


@pytest.fixture
def model(family):
    """A model in double precision, in evaluation mode, with weights large enough to matter."""
    return build(family).double().eval()


def build(family: str, seed: int = 1, **settings):
    torch.manual_seed(seed)
    config, model = MODELS[family]
    return model(config(**SMALL[family], **settings), VOCABULARY, VOCABULARY)


def pad(batch: Batch, n_source: int, n_target: int) -> Batch:
    """Return the batch with more padding, of ids that would matter if they were read."""

    def longer(x, n, fill):
        return torch.cat([x, x.new_full((len(x), n), fill)], dim=1)

    return Batch(
        longer(batch.source, n_source, 9),
        longer(batch.source_keep, n_source, False),
        longer(batch.target, n_target, 9),
        longer(batch.target_keep, n_target, False),
        longer(batch.gold, n_target, 9),
    )


def test_every_family_has_a_small_config():
    assert set(SMALL) == set(MODELS)


def test_padding_changes_nothing(model):
    batch = collate(SOURCES, TARGETS)
    hidden, padded = model(batch), model(pad(batch, 3, 2))
    keep = batch.target_keep
    torch.testing.assert_close(padded[:, : keep.shape[1]][keep], hidden[keep], rtol=0, atol=1e-12)


def test_padding_changes_no_gradient(model):
    twin = copy.deepcopy(model)
    batch = collate(SOURCES, TARGETS)
    batch_loss(model, batch, 0.1).smoothed.backward()
    batch_loss(twin, pad(batch, 3, 2), 0.1).smoothed.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


def test_no_gradient_comes_from_the_future(model):
    batch = collate(SOURCES[:1], [[4, 5, 6, 7, 8]])
    embedded = []
    hook = model.embeddings.target.register_forward_hook(lambda module, inputs, output: embedded.append(output))
    hidden = model(batch)
    hook.remove()
    target = embedded[-1]  # the source may have read the same table before
    for t in range(hidden.shape[1]):
        (gradient,) = torch.autograd.grad(hidden[:, t].pow(3).sum(), target, retain_graph=True)
        assert torch.count_nonzero(gradient[:, t + 1 :]) == 0
        assert torch.count_nonzero(gradient[:, : t + 1]) > 0


def test_steps_repeated_equal_forward(model):
    batch = collate(SOURCES, TARGETS)
    expected = model(batch) @ model.output_weight.T  # (B, T, V)
    state = model.begin(batch)
    for t in range(batch.target.shape[1]):
        logits, state = model.step(batch.target[:, t], state)
        keep = batch.target_keep[:, t]
        torch.testing.assert_close(logits[keep], expected[keep, t], rtol=0, atol=1e-12)


def test_a_state_can_be_stepped_from_twice(model):
    batch = collate(SOURCES, TARGETS)
    _, state = model.step(batch.target[:, 0], model.begin(batch))
    first, _ = model.step(torch.full((4,), 5), state)
    model.step(torch.full((4,), 6), state)
    again, _ = model.step(torch.full((4,), 5), state)
    assert torch.equal(first, again)


def test_a_batch_equals_its_sentences_alone(model):
    hidden = model(collate(SOURCES, TARGETS))
    for i, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model(collate([source], [target]))
        torch.testing.assert_close(hidden[i, : alone.shape[1]], alone[0], rtol=0, atol=1e-12)


def test_explaining_equals_the_fast_path(model):
    twin = copy.deepcopy(model)
    batch, trace = collate(SOURCES, TARGETS), Trace()
    fast, explained = model(batch), twin(batch, trace)
    keep = batch.target_keep
    torch.testing.assert_close(explained[keep], fast[keep], rtol=0, atol=1e-12)
    fast[keep].square().sum().backward()
    explained[keep].square().sum().backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        if a.grad is not None or b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-11)


def test_traced_weights_are_distributions_over_real_positions(model):
    batch, trace = collate(SOURCES, TARGETS), Trace()
    model(batch, trace)
    cross = {name: weights for name, weights in trace.weights.items() if name.endswith("cross")}
    assert cross
    for weights in cross.values():
        assert weights.shape[0] == 4 and weights.shape[2:] == (batch.target.shape[1], batch.source.shape[1])
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert torch.count_nonzero(weights.masked_select(~batch.source_keep[:, None, None])) == 0


def test_rows_of_a_state_can_be_repeated_and_selected(model):
    batch = collate(SOURCES, TARGETS)
    logits, state = model.step(batch.target[:, 0], model.begin(batch))
    twice, repeated = model.step(batch.target[:, 0].repeat_interleave(2), repeat_rows(model.begin(batch), 2))
    torch.testing.assert_close(twice, logits.repeat_interleave(2, dim=0), rtol=0, atol=1e-12)
    one, _ = model.step(torch.full((4,), 5), state)
    chosen = select_rows(repeated, torch.tensor([1, 0, 2, 3, 5, 5, 6, 7]))
    two, _ = model.step(torch.full((8,), 5), chosen)
    torch.testing.assert_close(two, one.repeat_interleave(2, dim=0), rtol=0, atol=1e-12)
    half, _ = model.step(torch.full((4,), 5), select_sentences(chosen, torch.tensor([3, 1])))
    torch.testing.assert_close(half, one[[3, 3, 1, 1]], rtol=0, atol=1e-12)


def test_dropout_is_drawn_in_training_only(family):
    model, batch = build(family, dropout_rate=0.5), collate(SOURCES, TARGETS)
    assert not torch.equal(model.train()(batch), model(batch))
    assert torch.equal(model.eval()(batch), model(batch))


def test_the_same_seed_gives_the_same_model_and_output(family):
    batch = collate(SOURCES, TARGETS)
    assert torch.equal(build(family)(batch), build(family)(batch))
    assert not torch.equal(build(family).eval()(batch), build(family, seed=2).eval()(batch))


def test_saved_and_loaded_gives_the_same_output(family, tmp_path):
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    torch.manual_seed(1)
    config, cls = MODELS[family]
    model = cls(config(**SMALL[family]), tokenizer.vocabulary, tokenizer.vocabulary).eval()
    save_bundle(Bundle(model, family, tokenizer, tokenizer, {}), tmp_path / "bundle")
    batch = collate(SOURCES, TARGETS)
    assert torch.equal(load_bundle(tmp_path / "bundle").model(batch), model(batch))


@pytest.mark.parametrize("beam", [1, 3])
def test_search_of_a_batch_equals_search_of_its_sentences(model, beam):
    config = DecodingConfig(beam=beam)
    together = search(model, SOURCES, config)
    for source, hypotheses in zip(SOURCES, together, strict=True):
        (alone,) = search(model, [source], config)
        assert [h.ids for h in alone] == [h.ids for h in hypotheses]
        assert [h.log_probability for h in alone] == pytest.approx([h.log_probability for h in hypotheses], abs=1e-9)


@pytest.mark.parametrize("beam", [1, 4])
def test_the_log_probability_of_a_hypothesis_is_what_forward_gives_it(model, beam):
    with torch.no_grad():
        model.output_weight[EOS] += 0.5  # so that hypotheses end
    for source, hypotheses in zip(SOURCES, search(model, SOURCES, DecodingConfig(beam=beam)), strict=True):
        for hypothesis in hypotheses:
            batch = collate([source], [hypothesis.ids])
            logits = model(batch)[0] @ model.output_weight.T
            log_p = logits.log_softmax(-1).gather(1, batch.gold[0, :, None]).sum().item()
            if len(hypothesis.ids) < DecodingConfig().longest(len(source)):  # it ended by itself, so EOS is counted
                assert hypothesis.log_probability == pytest.approx(log_p, abs=1e-9)


def test_beam_search_writes_neither_padding_nor_beginnings(model):
    for hypotheses in search(model, SOURCES, DecodingConfig(beam=3)):
        assert all(token not in (0, BOS, EOS) for h in hypotheses for token in h.ids)
