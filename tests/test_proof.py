import json
import math

import pytest
import torch

from regard import proof as module
from regard.batch import Batch, collate
from regard.bundle import Bundle, save_bundle
from regard.bundle.card import Card
from regard.cli import prove
from regard.errors import BundleError
from regard.models import MODELS
from regard.nn.ladder_proof import comparisons
from regard.proof import (
    N_CONTROL,
    TOLERANCE,
    VOCABULARY,
    Error,
    Proof,
    differentiable,
    error,
    ids,
    padded,
    prove_all,
    prove_kernels,
    prove_ladder,
    prove_model,
    signs_for,
    small_model,
    stepped,
    written,
)
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

CPU = torch.device("cpu")
SIZES = VOCABULARY, VOCABULARY


def failing(model, name="x") -> set[str]:
    return {p.name.partition(": ")[2] for p in prove_model(name, model, SIZES, CPU) if not p.holds}


@pytest.mark.parametrize("family", MODELS)
def test_every_family_holds_in_every_job(family):
    model = small_model(family)
    proofs = list(prove_model(family, model, SIZES, CPU))
    assert len(proofs) == 10 * len(model.jobs)
    assert [p.name for p in proofs if not p.holds] == []
    assert {p.dtype for p in proofs} == {torch.float64, torch.float32}


@pytest.mark.parametrize("family", MODELS)
def test_the_small_model_of_a_family_has_control_ids_and_leaves_the_random_numbers_as_they_were(family):
    before = torch.get_rng_state()
    model = small_model(family)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.never_written == slice(3, 3 + N_CONTROL)
    assert model.config == MODELS[family][0].small()
    assert all(parameter.any() for parameter in model.parameters())


@pytest.mark.parametrize("family", MODELS)
def test_a_step_that_writes_a_control_id_fails(family, monkeypatch):
    """What is never written is left out of the comparison, but not if only one path leaves it out."""
    model = small_model(family)
    monkeypatch.setattr(module, "stepped", lambda model, batch: [x.roll(1, dims=-1) for x in stepped(model, batch)])
    assert failing(model) == {"stepped = forward"}


def test_what_is_never_written_is_left_out_of_the_logits():
    model = small_model("gpt")
    logits = torch.arange(10.0).expand(2, 10)
    assert written(model, logits).tolist() == [[0.0, 1.0, 2.0, 7.0, 8.0, 9.0]] * 2


@pytest.mark.parametrize("vocabulary", [3 + N_CONTROL, 9, 50])
def test_random_ids_are_of_the_vocabulary_and_no_special_ones_where_it_has_others(vocabulary):
    drawn = ids(vocabulary, 1000, torch.Generator().manual_seed(0))
    assert max(drawn) < vocabulary and min(drawn) >= min(3 + N_CONTROL, vocabulary - 1)
    assert len(set(drawn)) == max(1, vocabulary - 3 - N_CONTROL)


def test_more_padding_is_of_an_id_that_would_matter():
    batch = collate([[5], [6, 7]], [[8, 9], []])
    longer = padded(batch)
    for name in ("source", "target", "gold"):
        before, after = getattr(batch, name), getattr(longer, name)
        assert torch.equal(after[:, :-1], before) and after[:, -1].tolist() == [2, 2]
    assert not longer.source_keep[:, -1].any() and not longer.target_keep[:, -1].any()
    text = Batch(torch.zeros(2, 0), torch.zeros(2, 0), batch.target, batch.target_keep, batch.gold)
    assert padded(text).source.shape == (2, 0)


def test_the_ladder_holds():
    proofs = list(prove_ladder(CPU))
    assert len(proofs) == 2 * len(comparisons(torch.rand(6, 6))) and all(p.holds for p in proofs)


def test_kernels_hold_or_say_that_they_are_not_here():
    results = list(prove_kernels(CPU))
    proofs = [p for p in results if isinstance(p, Proof)]
    kernels = {f"attention kernel {name}" for name in ("math", "flash_attention", "short sequences")}
    assert all(p.holds for p in proofs) and kernels <= {p.name for p in proofs}
    assert all(text.endswith("not available here") for text in results if isinstance(text, str))
    assert {p.dtype for p in proofs} == set(TOLERANCE)


def test_a_step_that_forgets_something_fails_and_nothing_else_does(monkeypatch):
    model = small_model("bahdanau")
    whole = type(model).read

    def forgetful(self, ids, state):
        hidden = whole(self, ids, state)
        state.rows = {"state": state.rows["state"] * (1 + 1e-4)}
        return hidden

    monkeypatch.setattr(type(model), "read", forgetful)
    assert failing(model) == {"stepped = forward", "decoded together = forward"}


def test_a_forward_pass_that_looks_at_padding_fails(monkeypatch):
    model = small_model("gpt")
    whole = type(model).forward

    def peeping(self, batch, trace=None):
        return whole(self, batch, trace) + 1e-3 * batch.source.shape[1]

    monkeypatch.setattr(type(model), "forward", peeping)
    assert "padded = unpadded" in failing(model)


def test_weights_that_explain_something_else_fail(monkeypatch):
    model = small_model("transformer")
    whole = type(model).forward

    def other(self, batch, trace=None):
        return whole(self, batch, trace) * (1.001 if trace is not None else 1.0)

    monkeypatch.setattr(type(model), "forward", other)
    assert failing(model) == {"explained = fast"}


def test_a_path_that_loses_gradients_fails_though_the_model_ends_in_a_fresh_norm(monkeypatch):
    config, cls = MODELS["transformer"]
    torch.manual_seed(1)
    size = {"width": 16, "n_heads": 2, "n_encoder_layers": 1, "n_decoder_layers": 1, "feed_forward": 16}
    model = cls(config(**size, initialisation="glorot"), *SIZES)
    whole = cls.encode

    def cut_off(self, batch, trace=None):
        memory = whole(self, batch, trace)
        return memory if trace is None else memory.detach()

    monkeypatch.setattr(cls, "encode", cut_off)
    lost = [p for p in prove_model("x", model, SIZES, CPU) if not p.holds]
    assert [p.name for p in lost] == ["x, pairs: explained = fast"] * 2
    assert all(p.outputs.relative <= p.tolerance and p.gradients.relative > 1e-3 for p in lost)


def test_a_model_with_a_weight_that_is_no_number_fails_everywhere():
    model = small_model("transformer")
    with torch.no_grad():
        model.decoder[0].feed_forward.inner.weight[0, 0] = math.nan
    assert len(failing(model)) == 5


def test_what_is_proven_is_left_as_it_was():
    model = small_model("rnn").train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    list(prove_model("x", model, SIZES, CPU))
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_recurrent_layers_are_in_training_mode_but_drop_nothing():
    config, cls = MODELS["rnn"]
    model = cls(config(width=8, embedding_width=8, n_layers=2, dropout_rate=0.5), *SIZES)
    assert model.encoder.dropout == 0.5
    proven = differentiable(model)
    assert proven.encoder.training and proven.encoder.dropout == 0.0
    assert not proven.training and not proven.dropout.training
    assert failing(model) == set()


@pytest.mark.parametrize("context", [6, 8, 20])
def test_sentences_fit_into_a_short_context(context):
    config, cls = MODELS["gpt"]
    torch.manual_seed(1)
    model = cls(config(width=8, n_heads=2, n_layers=1, context=context, positions="learned"), *SIZES)
    assert failing(model) == set()


def test_signs_are_one_or_minus_one_and_always_the_same():
    signs = signs_for(torch.empty(40, 30, dtype=torch.bfloat16))
    assert signs.dtype == torch.bfloat16 and torch.equal(signs, signs_for(torch.empty(40, 30)).bfloat16())
    assert signs.unique().tolist() == [-1.0, 1.0] and signs.float().mean().abs() < 0.1


def test_errors_worked_by_hand():
    one = [torch.tensor([1.0, 2.0]), torch.tensor([8.0])]
    other = [torch.tensor([1.0, 2.5]), torch.tensor([10.0])]
    assert error(one, other) == Error(2.0, 0.2)
    assert error([torch.zeros(2)], [torch.zeros(2)]) == Error(0.0, 0.0)
    assert error([torch.ones(2)], [torch.zeros(2)]) == Error(1.0, 1.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_infinitely_far_on_either_side_and_even_on_both(wrong):
    number, no_number = [torch.tensor([1.0, 2.0])], [torch.tensor([1.0, wrong])]
    for found, expected in [(number, no_number), (no_number, number), (no_number, no_number)]:
        assert error(found, expected) == Error(math.inf, math.inf)


def test_a_proof_fails_by_its_outputs_or_by_its_gradients():
    good, bad = Error(1.0, 1e-6), Error(1e-9, 1e-4)
    assert Proof("x", torch.float32, good, good).holds
    assert not Proof("x", torch.float32, bad, good).holds
    assert not Proof("x", torch.float32, good, bad).holds
    assert not Proof("x", torch.float64, good, good).holds


GOOD = Proof("even", torch.float32, Error(0.0, 0.0), Error(1e-9, 1e-9))
BAD = Proof("odd", torch.float64, Error(0.0, 0.0), Error(math.inf, math.inf))


def test_a_proof_is_json_and_an_error_that_is_no_number_is_none():
    found = [proof.as_dict() for proof in (GOOD, BAD)]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found[0] == {
        "name": "even",
        "dtype": "float32",
        "outputs": {"absolute": 0.0, "relative": 0.0},
        "gradients": {"absolute": 1e-9, "relative": 1e-9},
        "tolerance": 1e-5,
        "holds": True,
    }
    assert found[1]["gradients"] == {"absolute": None, "relative": None} and found[1]["holds"] is False


def test_all_proofs_are_of_the_ladder_the_kernels_and_a_small_model_of_each_family():
    said: list[str] = []
    names = [proof.name for proof in prove_all(None, CPU, said.append)]
    assert said[:2] == ["The ladder ...", "The kernels ..."]
    assert [line.removesuffix(" ...") for line in said if line.removesuffix(" ...") in MODELS] == list(MODELS)
    assert {line for line in said if line.endswith("not available here")} >= {
        "attention kernel cudnn_attention, float32: not available here"
    }
    assert {name.partition(",")[0] for name in names if name.endswith("stepped = forward")} == set(MODELS)
    assert any(name.startswith("rung ") for name in names)


def test_all_proofs_of_a_model_are_of_no_other(monkeypatch):
    for name in ("prove_ladder", "prove_kernels", "prove_output_layer"):
        monkeypatch.setattr(module, name, lambda device: iter(()))
    said: list[str] = []
    proofs = list(prove_all(("mine", small_model("rnn"), SIZES), CPU, said.append))
    assert len(proofs) == 10 and {proof.name.partition(",")[0] for proof in proofs} == {"mine"}
    assert said[-1] == "mine ..."


def test_nothing_is_proven_before_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(module, "prove_kernels", lambda device: pytest.fail("it was not asked for yet"))
    said: list[str] = []
    proofs = prove_all(None, CPU, said.append)
    assert said == []
    assert next(proofs).name.startswith("rung ") and said == ["The ladder ..."]


def test_the_command_prints_a_table_and_ends_with_1_if_anything_is_red(monkeypatch, capsys):
    def proving(*proofs: Proof):
        def prove(run, *, device, display):
            display.say("flash: not available here")
            return list(proofs)

        return prove

    monkeypatch.setattr(prove, "prove", proving(GOOD))
    prove.run_prove(None, "cpu", json=False)
    shown = capsys.readouterr()
    assert "1e-12" in shown.out
    (row,) = [line.split() for line in shown.out.splitlines() if "holds" in line]
    assert row == ["even", "float32", "0.0e+00", "0.0e+00", "1.0e-09", "1.0e-09", "holds"]
    assert "All 1 hold." in shown.err and "not available" in shown.err
    monkeypatch.setattr(prove, "prove", proving(GOOD, BAD))
    with pytest.raises(SystemExit) as ended:
        prove.run_prove(None, "cpu", json=False)
    assert ended.value.code == 1
    assert "FAILS" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        prove.run_prove(None, "cpu", json=True)
    assert ended.value.code == 1
    shown = capsys.readouterr()
    data = json.loads(shown.out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert not data["holds"] and [row["holds"] for row in data["proofs"]] == [True, False]
    assert data["proofs"][0]["gradients"] == {"absolute": 1e-9, "relative": 1e-9}
    assert data["proofs"][1]["gradients"] == {"absolute": None, "relative": None}
    assert "1 of 2 hold." in shown.err


def test_the_command_proves_a_small_model_of_each_family(capsys):
    prove.run_prove(None, "cpu", json=True)
    names = [proof["name"] for proof in json.loads(capsys.readouterr().out)["proofs"]]
    assert {name.partition(",")[0] for name in names if name.endswith("stepped = forward")} == set(MODELS)


def test_the_command_proves_the_weights_of_a_run(tmp_path, capsys):
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    config, cls = MODELS["gpt"]
    model = cls(config(width=8, n_heads=2, n_layers=1), tokenizer.vocabulary, tokenizer.vocabulary)
    save_bundle(Bundle(model, "gpt", tokenizer, tokenizer, Card()), tmp_path / "mine")
    prove.run_prove(tmp_path / "mine", "cpu", json=True)
    proofs = json.loads(capsys.readouterr().out)["proofs"]
    assert sum(proof["name"].startswith("mine (gpt), pairs: ") for proof in proofs) == 10
    assert sum(proof["name"].startswith("mine (gpt), text: ") for proof in proofs) == 10
    assert any(proof["name"].startswith("rung ") for proof in proofs)


def test_a_run_without_a_model_is_refused_before_anything_is_proven(tmp_path, capsys):
    with pytest.raises(BundleError, match="nothing"):
        prove.run_prove(tmp_path / "nothing", "cpu", json=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "ladder" not in shown.err
