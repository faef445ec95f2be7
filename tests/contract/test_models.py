"""What every family must obey, in every job it can be trained for. A new family adds one line to SMALL."""

import copy
import dataclasses

import pytest
import torch

from regard.batch import BOS, EOS, Batch, collate, collate_prompts, collate_text
from regard.bundle import Bundle, load_bundle, save_bundle
from regard.bundle.card import Card
from regard.decoding.engine import Engine
from regard.decoding.sampling import SamplingConfig
from regard.decoding.search import DecodingConfig, search
from regard.decoding.text import stream, text_request
from regard.models import MODELS
from regard.models.protocol import Model
from regard.nn.linear import LowPrecisionLinear, in_precision
from regard.nn.trace import Trace
from regard.runtime import has_bfloat16
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig
from regard.training.gradients import batch_loss

SMALL = {
    "rnn": ("rnn", {"width": 6, "embedding_width": 8}),
    "rnn, lstm": (
        "rnn",
        {
            "width": 6,
            "cell": "lstm",
            "n_layers": 2,
            "bidirectional": False,
            "summary": "initial",
            "reverse_source": True,
        },
    ),
    "bahdanau": ("bahdanau", {"width": 10, "embedding_width": 8, "attention_width": 6}),
    "bahdanau, general": ("bahdanau", {"width": 6, "embedding_width": 8, "score": "general", "layer_norm": True}),
    "bahdanau, dot": (
        "bahdanau",
        {"width": 6, "embedding_width": 8, "score": "dot", "tied": "none", "readout_width": 5},
    ),
    "transformer": ("transformer", {"width": 8, "n_heads": 2, "n_encoder_layers": 2, "feed_forward": 12}),
    "transformer, post": ("transformer", {"width": 8, "n_heads": 2, "n_decoder_layers": 2, "norm": "post"}),
    "transformer, today's": (
        "transformer",
        {"width": 8, "n_heads": 2, "n_encoder_layers": 1, "activation": "squared_relu", "qk_norm": True},
    ),
    "gpt": ("gpt", {"width": 8, "n_heads": 2, "n_layers": 2}),
    "gpt, grouped": (
        "gpt",
        {
            "width": 8,
            "n_heads": 4,
            "n_kv_heads": 2,
            "n_layers": 2,
            "attention_span": 4,
            "activation": "swiglu",
            "tied": True,
        },
    ),
    "gpt, n-grams": ("gpt", {"width": 8, "n_heads": 2, "ngrams": 3, "ngram_buckets": 50}),
    "gpt, 2019": (
        "gpt",
        {"width": 8, "n_heads": 2, "positions": "learned", "norm": "layer", "activation": "gelu", "bias": True}
        | {"qk_norm": False, "mix": False, "initialisation": "gpt2"},
    ),
}
"""Name -> family and settings. The first of a family is its default shape, the others its variants."""

VOCABULARY, N_CONTROL = 20, 3
CONTROL = range(3, 6)
"""The control ids, which no model writes."""
SOURCES = [[8, 9, 10, 11, 12], [13, 14], [15, 16, 17], [6, 7, 8, 19, 10, 11, 12]]
TARGETS = [[7, 8, 9], [10, 11, 12, 13, 14], [15], [16, 17, 18, 19]]
ALONE = {
    "pairs": [collate([source], [target]) for source, target in zip(SOURCES, TARGETS, strict=True)],
    "text": [collate_text([[BOS, *source, EOS]]) for source in SOURCES],
}
TOGETHER = {"pairs": collate(SOURCES, TARGETS), "text": collate_text([[BOS, *source, EOS] for source in SOURCES])}
CASES = [(name, job) for name, (family, _) in SMALL.items() for job in sorted(MODELS[family][1].jobs)]


@pytest.fixture(params=CASES, ids=": ".join)
def case(request) -> tuple[str, str]:
    return request.param


@pytest.fixture
def batch(case) -> Batch:
    return TOGETHER[case[1]]


@pytest.fixture
def model(case):
    """A model in double precision, in evaluation mode, with weights large enough to matter."""
    return build(case[0]).double().eval()


@pytest.fixture(params=SMALL)
def translator(request):
    """A model that can be searched with."""
    return build(request.param).double().eval()


def build(name: str, seed: int = 1, n_control: int = N_CONTROL, **settings):
    """Return a model all of whose weights matter, also those that start at zero."""
    family, small = SMALL[name]
    config, model = MODELS[family]
    torch.manual_seed(seed)
    built = model(config(**small | settings), VOCABULARY, VOCABULARY, n_control=n_control)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += torch.randn_like(parameter) * 0.2
    return built


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


def pad_more(batch: Batch) -> Batch:
    """Return the batch with more padding wherever it may have some."""
    return pad(batch, 3 if batch.source.shape[1] else 0, 2)


def test_two_passes_of_which_nothing_is_left_out_are_one(model, batch):
    twin = copy.deepcopy(model)
    one, two = batch_loss(model, batch, 0.1), batch_loss(twin, batch, 0.1, r_drop=5.0)
    assert two.n_tokens == one.n_tokens
    for loss in (one, two):
        loss.smoothed.backward()
    torch.testing.assert_close((two.smoothed, two.nll), (one.smoothed, one.nll), rtol=0, atol=1e-11)
    for (name, a), b in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b[1].grad, rtol=0, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


def test_every_family_has_a_small_config():
    assert {family for family, _ in SMALL.values()} == set(MODELS)


def test_padding_changes_nothing(model, batch):
    hidden, padded = model(batch), model(pad_more(batch))
    keep = batch.target_keep
    torch.testing.assert_close(padded[:, : keep.shape[1]][keep], hidden[keep], rtol=0, atol=1e-12)


def test_padding_changes_no_gradient(model, batch):
    twin = copy.deepcopy(model)
    batch_loss(model, batch, 0.1).smoothed.backward()
    batch_loss(twin, pad_more(batch), 0.1).smoothed.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if a.grad is None and b.grad is None:
            continue
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


def test_no_gradient_comes_from_the_future(model, case):
    batch = ALONE[case[1]][0]
    embedded = []
    hook = model.embeddings.target.register_forward_hook(lambda module, inputs, output: embedded.append(output))
    hidden = model(batch)
    hook.remove()
    target = embedded[-1]  # the source may have read the same table before
    for t in range(hidden.shape[1]):
        (gradient,) = torch.autograd.grad(hidden[:, t].pow(3).sum(), target, retain_graph=True)
        assert torch.count_nonzero(gradient[:, t + 1 :]) == 0
        assert torch.count_nonzero(gradient[:, t]) > 0


def step(model, last, state):
    """Return the logits (R, V) after one more token in every row."""
    return model.logits(model.read(last[:, None], state)[:, 0])


def test_reading_token_by_token_equals_forward(model, batch):
    expected = model.logits(model(batch))  # (B, T, V)
    state = model.begin(batch)
    for t in range(batch.target.shape[1]):
        logits = step(model, batch.target[:, t], state)
        keep = batch.target_keep[:, t]
        torch.testing.assert_close(logits[keep], expected[keep, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize("n", [2, 4])
def test_several_tokens_read_at_once_equal_forward(model, batch, n, n_rows):
    expected = model(batch).repeat_interleave(n_rows, dim=0)
    state = model.begin(batch)
    state.repeat(n_rows)
    targets, keep = (x.repeat_interleave(n_rows, dim=0) for x in (batch.target, batch.target_keep))
    parts = [model.read(part, state) for part in targets.split(n, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1)[keep], expected[keep], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case[1] == "text"], ids=": ".join)
def test_a_prompt_that_is_begun_equals_one_that_is_read_token_by_token(model):
    begun = model.begin(collate_prompts([source[:-1] for source in SOURCES]))
    logits = step(model, torch.tensor([source[-1] for source in SOURCES]), begun)
    for row, source in zip(logits, SOURCES, strict=True):
        state = model.begin(collate_prompts([[]]))
        for token in source:
            expected = step(model, torch.tensor([token]), state)
        torch.testing.assert_close(row, expected[0], rtol=0, atol=1e-12)


def test_a_batch_equals_its_sentences_alone(model, batch, case):
    hidden = model(batch)
    for i, sentence in enumerate(ALONE[case[1]]):
        alone = model(sentence)
        torch.testing.assert_close(hidden[i, : alone.shape[1]], alone[0], rtol=0, atol=1e-12)


def test_explaining_equals_the_fast_path(model, batch):
    twin = copy.deepcopy(model)
    fast, explained = model(batch), twin(batch, Trace())
    keep = batch.target_keep
    torch.testing.assert_close(explained[keep], fast[keep], rtol=0, atol=1e-12)
    fast[keep].square().sum().backward()
    explained[keep].square().sum().backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        if a.grad is not None or b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-11)


def test_traced_weights_are_distributions_over_real_positions(model, batch):
    trace = Trace()
    model(batch, trace)
    n_source, n_target = batch.source.shape[1], batch.target.shape[1]
    columns = {"source": batch.source_keep, "target": batch.target_keep}
    for name, weights in trace.weights.items():
        seen_from, looked_at = AXES[(name.partition(".")[0], name.rpartition(".")[2])]
        keep = torch.cat([columns[axis] for axis in looked_at], dim=1)[:, None, None]  # (B, 1, 1, S)
        assert weights.shape[0] == 4 and weights.shape[2] == {"source": n_source, "target": n_target}[seen_from]
        real = columns[seen_from][:, None, :, None]
        torch.testing.assert_close(weights.sum(-1, keepdim=True)[real.expand_as(weights[..., :1])].min().item(), 1.0)
        torch.testing.assert_close(weights.sum(-1, keepdim=True)[real.expand_as(weights[..., :1])].max().item(), 1.0)
        assert torch.count_nonzero(weights.masked_select(~keep & real)) == 0


AXES = {
    ("encoder", "self"): ("source", ["source"]),
    ("decoder", "self"): ("target", ["target"]),
    ("decoder", "cross"): ("target", ["source"]),
    ("decoder", "source"): ("source", ["source"]),
    ("decoder", "context"): ("target", ["source", "target"]),
}
"""Stack and kind of an attention, as its name has them -> who looks, and what can be looked at."""


def started(case, model, i, n_tokens, n_rows=1):
    """Return a state of sentence i whose rows have read the first n_tokens of different sequences, and these."""
    batch = ALONE[case[1]][i]
    state = model.begin(batch)
    state.repeat(n_rows)
    rows = [[BOS, *(7 + (3 * i + 5 * r + t) % 12 for t in range(n_tokens - 1))] for r in range(n_rows)]
    for column in torch.tensor(rows).unbind(1):
        model.read(column[:, None], state)
    return state, rows


def fresh(case, model, i, row):
    """Return the logits after a whole sequence that is read by sentence i alone."""
    state = model.begin(ALONE[case[1]][i])
    return model.logits(model.read(torch.tensor([row]), state)[:, -1])[0]


@pytest.mark.parametrize("n_rows", [1, 3])
def test_sentences_of_different_ages_join_leave_and_reorder_their_rows(case, model, n_rows):
    """What every row then says is what it says alone, whatever happened around it."""
    state, rows = started(case, model, 0, 4, n_rows)
    sentences = [(0, rows)]

    def check(token):
        last = [token + k % 5 for k in range(len(sentences) * n_rows)]
        logits = step(model, torch.tensor(last), state)
        for k, row in enumerate(row for _, rows in sentences for row in rows):
            row.append(last[k])
            torch.testing.assert_close(
                logits[k], fresh(case, model, sentences[k // n_rows][0], row), rtol=0, atol=1e-12
            )

    check(8)
    for place, i, n_tokens in ((1, 3, 1), (2, 1, 9)):  # the second is longer than what is there, the third older
        new, rows = started(case, model, i, n_tokens, n_rows)
        state.admit(new, [place])
        sentences.append((i, rows))
        check(9)
    parents = [[(r + n) % n_rows for r in range(n_rows)] for n in range(3)]
    parents[2] = [0] * n_rows  # all continue one row
    state.reorder(torch.tensor(parents))
    sentences = [(i, [list(rows[p]) for p in chosen]) for (i, rows), chosen in zip(sentences, parents, strict=True)]
    check(8)
    check(10)
    state.keep([2, 0])
    sentences = [sentences[2], sentences[0]]
    check(11)
    new, rows = started(case, model, 2, 2, n_rows)
    state.admit(new, [0])  # in the place of one that is there
    sentences[0] = (2, rows)
    for token in (7, 12, 9, 8, 7, 13, 9, 11, 8):  # long enough for the caches to grow
        check(token)
    assert len(state) == 2 and len(state.sentence_of_row) == 2 * n_rows


def test_dropout_is_drawn_in_training_only(case, batch):
    model = build(case[0], dropout_rate=0.5)
    assert not torch.equal(model.train()(batch), model(batch))
    assert torch.equal(model.eval()(batch), model(batch))


def test_the_same_seed_gives_the_same_model_and_output(case, batch):
    assert torch.equal(build(case[0]).eval()(batch), build(case[0]).eval()(batch))
    assert not torch.equal(build(case[0]).eval()(batch), build(case[0], seed=2).eval()(batch))


def test_saved_and_loaded_gives_the_same_output(case, batch, tmp_path):
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters", n_control_ids=N_CONTROL), 300)
    family, small = SMALL[case[0]]
    config, cls = MODELS[family]
    torch.manual_seed(1)
    model = cls(config(**small), tokenizer.vocabulary, tokenizer.vocabulary, n_control=N_CONTROL).eval()
    save_bundle(Bundle(model, family, tokenizer, tokenizer, Card()), tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle").model
    assert torch.equal(loaded(batch), model(batch))
    assert torch.equal(loaded.logits(loaded(batch)), model.logits(model(batch)))


@pytest.mark.parametrize("beam", [1, 3])
def test_search_of_a_batch_equals_search_of_its_sentences(translator, beam):
    config = DecodingConfig(beam=beam)
    together = search(translator, SOURCES, config)
    for source, hypotheses in zip(SOURCES, together, strict=True):
        (alone,) = search(translator, [source], config)
        assert [h.ids for h in alone] == [h.ids for h in hypotheses]
        assert [h.log_probability for h in alone] == pytest.approx([h.log_probability for h in hypotheses], abs=1e-9)


@pytest.mark.parametrize("beam", [1, 4])
def test_the_log_probability_of_a_hypothesis_is_what_forward_gives_it(translator, beam):
    with torch.no_grad():
        translator.output_weight[EOS] += 0.5  # so that hypotheses end
    for source, hypotheses in zip(SOURCES, search(translator, SOURCES, DecodingConfig(beam=beam)), strict=True):
        for hypothesis in hypotheses:
            batch = collate([source], [hypothesis.ids])
            logits = translator.logits(translator(batch)[0])
            log_p = logits.log_softmax(-1).gather(1, batch.gold[0, :, None]).sum().item()
            if len(hypothesis.ids) < DecodingConfig().longest(len(source)):  # it ended by itself, so EOS is counted
                assert hypothesis.log_probability == pytest.approx(log_p, abs=1e-9)


@pytest.mark.parametrize("beam", [1, 3])
def test_search_writes_neither_padding_nor_beginnings_nor_control_ids(translator, beam):
    with torch.no_grad():
        translator.output_weight[[0, BOS, *CONTROL]] *= 9  # so that they would be likely
    for hypotheses in search(translator, SOURCES, DecodingConfig(beam=beam)):
        assert all(token not in (0, BOS, EOS, *CONTROL) for h in hypotheses for token in h.ids)


@pytest.mark.parametrize("case", [case for case in CASES if case[1] == "text"], ids=": ".join)
@pytest.mark.parametrize("settings", [{"greedy": True}, {"temperature": 5.0}, {"repetition_penalty": 0.5}], ids=str)
def test_a_text_that_goes_on_has_no_control_ids(model, settings):
    with torch.no_grad():
        model.output_weight[[0, BOS, *CONTROL]] *= 9
    engine = Engine(model)
    config = SamplingConfig(max_tokens=60, seed=1, **settings)
    requests = [engine.submit(text_request(engine, [BOS, *source], config)) for source in SOURCES]
    written = [pair for request in requests for pair in stream(engine, request)]
    assert written
    assert all(token not in (0, BOS, EOS, *CONTROL) and log_p < 0 for token, log_p in written)


def test_control_ids_have_no_probability_and_their_outputs_no_gradient(model, batch, case):
    assert model.never_written == slice(CONTROL.start, CONTROL.stop)
    logits = model.logits(model(batch))
    assert (logits[..., CONTROL] == float("-inf")).all()
    loss = batch_loss(model, batch, 0.1)
    log_p = logits[batch.target_keep].log_softmax(-1).gather(1, batch.gold[batch.target_keep][:, None])
    torch.testing.assert_close(loss.nll, -log_p.sum(), rtol=0, atol=1e-9)
    loss.smoothed.backward()
    assert torch.count_nonzero(model.output_weight.grad[list(CONTROL)]) == 0


def test_control_ids_change_nothing_but_what_is_written(case, batch):
    with_them, without = (build(case[0], n_control=n).double().eval() for n in (N_CONTROL, 0))
    assert without.never_written == slice(3, 3)
    hidden = with_them(batch)
    assert torch.equal(hidden, without(batch))
    others = [i for i in range(VOCABULARY) if i not in CONTROL]
    assert torch.equal(with_them.logits(hidden)[..., others], without.logits(hidden)[..., others])
    assert torch.equal(without.logits(hidden), hidden @ without.output_weight.T)


def test_control_ids_can_be_read(model, batch, case):
    """They are told to a model beside text, and make a difference there."""
    told = dataclasses.replace(batch, target=batch.target.masked_fill(batch.target == BOS, CONTROL[1]))
    hidden = model(told)
    assert hidden.isfinite().all() and not torch.equal(hidden, model(batch))
    logits = step(model, told.target[:, 0], model.begin(told))
    torch.testing.assert_close(logits, model.logits(hidden[:, 0]), rtol=0, atol=1e-12)


def test_a_model_obeys_the_protocol_and_has_a_context_if_it_continues_text(model):
    assert isinstance(model, Model)
    assert (model.context_length is not None) == ("text" in model.jobs)
    assert model.n_positions is None or model.n_positions <= model.context_length


def test_the_small_settings_of_a_family_are_those_of_a_model_that_is_quickly_built():
    for config, cls in MODELS.values():
        model = cls(config.small(), VOCABULARY, VOCABULARY)
        assert model.config == config.small() and sum(p.numel() for p in model.parameters()) < 200_000


def test_a_training_in_bfloat16_computes_nearly_the_same(case, model, batch):
    if case[0] == "rnn, lstm" and not has_bfloat16(torch.device("cpu")):
        pytest.skip("this CPU has no bfloat16 for PyTorch's LSTM")
    model = model.float()
    losses, gradients = [], []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = batch_loss(model, batch, smoothing=0.1)
        model.zero_grad()
        loss.smoothed.backward()
        losses.append(float(loss.nll))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses[1] != losses[0] and losses[1] == pytest.approx(losses[0], rel=0.02)
    assert {p.dtype for p in model.parameters()} == {gradients[1].dtype} == {torch.float32}
    assert torch.cosine_similarity(*gradients, dim=0) > 0.95


def test_in_bfloat16_every_path_is_within_its_rounding_of_float32(case, batch):
    """8 bits of a number are left: an error of 1 % in a sum of few is usual, one of 8 % of the largest a mistake."""
    exact = build(case[0]).eval()
    expected = exact.logits(exact(batch))
    model = copy.deepcopy(exact).bfloat16()
    forward = model.logits(model(batch))
    assert forward.dtype == torch.bfloat16
    state = model.begin(batch)
    read = torch.stack([step(model, token, state) for token in batch.target.unbind(1)], dim=1)
    keep = batch.target_keep
    written = [i for i in range(VOCABULARY) if i not in CONTROL]
    for found in (forward, read):
        errors = (found[keep][:, written].float() - expected[keep][:, written]).abs()
        assert errors.max() < 0.08 * expected[keep][:, written].abs().max()
        assert errors.mean() < 0.02 * expected[keep][:, written].abs().max()


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_model_in_a_lower_precision_reads_nearly_the_same_and_leaves_the_given_one_alone(
    case, batch, precision, monkeypatch
):
    monkeypatch.setattr(LowPrecisionLinear, "forward", lambda self, x: self.low(x))  # also where it takes longer
    model = build(case[0]).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    low = in_precision(model, precision)
    assert any(isinstance(module, LowPrecisionLinear) for module in low.modules())
    states = model.begin(batch), low.begin(batch)
    for last in batch.target.unbind(1):
        expected, found = (m.read(last[:, None], state) for m, state in zip((model, low), states, strict=True))
        assert 0 < (found - expected).abs().max() < 0.1 * expected.abs().max()
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not any(isinstance(module, LowPrecisionLinear) for module in model.modules())
