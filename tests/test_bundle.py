import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from regard import bundle as bundles
from regard.bundle import Bundle, load_bundle, read_card, read_extra, run_bundle, save_bundle
from regard.errors import BundleError, RunError
from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8)
FILES = ["card.json", "config.json", "manifest.json", "model.safetensors", "tokenizer.json"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["Zwölf Boxkämpfer jagen Viktor."], TokenizerConfig(kind="characters"), 300)


@pytest.fixture
def bundle(tokenizer) -> Bundle:
    model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary)
    return Bundle(model, "transformer", tokenizer, tokenizer, {"scores": {"bleu": 41.0}, "data": "Größe"})


@pytest.fixture
def saved(bundle, tmp_path) -> Path:
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def flip_bit(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def reseal(directory: Path) -> None:
    """Make the manifest true again after a change, as somebody who means it would."""
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"] = {name: bundles._entry(directory / name).model_dump() for name in manifest["files"]}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def change_config(directory: Path, **changes: object) -> None:
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | changes))
    reseal(directory)


def test_what_is_loaded_equals_what_was_saved(bundle, saved):
    loaded = load_bundle(saved)
    assert isinstance(loaded.model, Transformer)
    assert not loaded.model.training
    assert loaded.model.config == SMALL
    assert (loaded.family, loaded.card) == (bundle.family, bundle.card)
    weights = loaded.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in bundle.model.state_dict().items())
    text = "Zwölf Boxkämpfer, €"
    assert loaded.source_tokenizer.encode(text) == bundle.source_tokenizer.encode(text)


def test_what_was_tied_is_tied_again(saved):
    model = load_bundle(saved).model
    assert model.embeddings.source.weight is model.embeddings.target.weight
    assert sum("embeddings" in name for name in load_file(saved / "model.safetensors")) == 1


def test_sides_that_share_a_tokenizer_share_it_again(saved):
    assert sorted(path.name for path in saved.iterdir()) == FILES
    loaded = load_bundle(saved)
    assert loaded.source_tokenizer is loaded.target_tokenizer


def test_each_side_keeps_a_tokenizer_of_its_own(tokenizer, tmp_path):
    other = Tokenizer.train(["Portez ce vieux whisky"] * 9, TokenizerConfig(kind="bpe"), 400)
    config = BahdanauConfig(width=4, embedding_width=4, attention_width=4, tied="target")
    model = Bahdanau(config, tokenizer.vocabulary, other.vocabulary)
    save_bundle(Bundle(model, "bahdanau", tokenizer, other, {}), tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    assert loaded.source_tokenizer.encode("vieux") == tokenizer.encode("vieux")
    assert loaded.target_tokenizer.encode("vieux") == other.encode("vieux")
    assert tokenizer.encode("vieux") != other.encode("vieux")


def test_saving_the_same_gives_the_same_bytes(bundle, saved, tmp_path):
    save_bundle(bundle, tmp_path / "again")
    assert all((saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in FILES)


def test_loading_leaves_the_random_numbers_as_they_were(saved):
    before = torch.get_rng_state()
    load_bundle(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_leaves_the_model_in_training_mode(bundle, tmp_path):
    save_bundle(replace(bundle, model=bundle.model.train()), tmp_path / "model")
    assert bundle.model.training


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_every_file_follows_the_umask(bundle, tmp_path):
    before = os.umask(0o027)
    try:
        save_bundle(bundle, tmp_path / "model")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").iterdir()} == {0o640}
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o750


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_noticed_wherever_it_is(saved, name):
    n_bits = 8 * (saved / name).stat().st_size
    for bit in range(0, n_bits, max(1, n_bits // 97)):
        flip_bit(saved / name, bit)
        with pytest.raises(BundleError, match="model" if name == "manifest.json" else name):
            load_bundle(saved)
        flip_bit(saved / name, bit)
    load_bundle(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_noticed(saved, name):
    os.truncate(saved / name, (saved / name).stat().st_size // 2)
    with pytest.raises(
        BundleError, match=f"{name} is damaged" if name == "manifest.json" else f"{name} has .* expected"
    ):
        load_bundle(saved)


def test_a_changed_file_is_named_with_both_sums(saved):
    flip_bit(saved / "model.safetensors", 8000)
    with pytest.raises(BundleError, match=r"model\.safetensors was changed: its sha256 is \w{12}…, expected \w{12}…"):
        load_bundle(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(saved)


def test_a_missing_directory_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere is not a bundle: there is no such directory\. Give"):
        load_bundle(tmp_path / "nowhere")


def test_a_directory_that_is_no_bundle_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        load_bundle(tmp_path)


def test_a_file_that_cannot_be_read_is_said(saved, monkeypatch):
    def refuse(path: Path, entry: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(bundles, "_verify", refuse)
    with pytest.raises(BundleError, match=r"model cannot be read: .*Permission denied"):
        load_bundle(saved)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"format": 1}', "[" * 100_000, '{"format": 1, "files": {}, "extra": {}}']
)
def test_a_manifest_that_says_nothing_is_damaged(saved, content):
    (saved / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=r"manifest\.json is damaged, so nothing beside it can be trusted"):
        load_bundle(saved)


def test_a_manifest_cannot_name_a_file_elsewhere(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["../elsewhere.json"] = manifest["files"]["card.json"]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="is damaged"):
        load_bundle(saved)


def test_another_format_is_refused_with_both_numbers(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({"format": 7, "something": "new", "files": manifest["files"]}))
    with pytest.raises(BundleError, match=r"is a bundle of format 7; regard \S+ reads format 1"):
        load_bundle(saved)


def test_weights_that_do_not_fit_the_settings_are_named(saved):
    change_config(saved, model=SMALL.model_copy(update={"feed_forward": 16}).model_dump())
    with pytest.raises(
        BundleError, match=r"does not fit config.json: .* is \(8,\), expected \(16,\); .* \(and \d+ more\)"
    ):
        load_bundle(saved)


def test_settings_too_big_for_the_weights_take_no_memory(saved):
    change_config(saved, model=SMALL.model_copy(update={"feed_forward": 1 << 50}).model_dump())
    with pytest.raises(BundleError, match="does not fit"):
        load_bundle(saved)


def test_an_unknown_setting_is_named(saved):
    change_config(saved, model=SMALL.model_dump() | {"n_eyes": 3})
    with pytest.raises(BundleError, match=r"config\.json holds settings that cannot be used: n_eyes: "):
        load_bundle(saved)


def test_an_unknown_family_is_named_with_the_known_ones(saved):
    change_config(saved, family="perceiver")
    with pytest.raises(BundleError, match="names the family 'perceiver'; known are rnn, bahdanau, transformer, gpt"):
        load_bundle(saved)


def test_weights_in_another_form_are_refused(saved):
    (saved / "model.safetensors").write_bytes(b"\x80\x04pickled?")
    reseal(saved)
    with pytest.raises(BundleError, match=r"model\.safetensors is not a safetensors file"):
        load_bundle(saved)


def test_a_card_in_another_form_is_refused(saved):
    (saved / "card.json").write_text("scores: 41")
    reseal(saved)
    with pytest.raises(BundleError, match=r"card\.json is not JSON"):
        load_bundle(saved)


def test_weights_of_half_precision_are_loaded_into_the_precision_of_the_model(bundle, saved):
    halves = {name: tensor.bfloat16() for name, tensor in load_file(saved / "model.safetensors").items()}
    save_file(halves, saved / "model.safetensors")
    reseal(saved)
    weights = load_bundle(saved).model.state_dict()
    for name, tensor in bundle.model.state_dict().items():
        assert torch.equal(weights[name], tensor.bfloat16().float())


def test_a_bundle_replaced_while_it_is_read_is_read_again(bundle, saved, monkeypatch):
    verify, newer = bundles._verify, replace(bundle, card={"version": "newer"})

    def replace_then_verify(path: Path, entry: bundles.FileEntry) -> None:
        monkeypatch.setattr(bundles, "_verify", verify)
        save_bundle(newer, saved)
        verify(path, entry)

    monkeypatch.setattr(bundles, "_verify", replace_then_verify)
    assert load_bundle(saved).card == newer.card


def test_a_bundle_replaced_at_every_reading_is_given_up(bundle, saved, monkeypatch):
    generation = iter(range(100))
    load = bundles._load

    def load_then_replace(place: Path, manifest: bundles.Manifest) -> Bundle:
        loaded = load(place, manifest)
        save_bundle(replace(bundle, card={"generation": next(generation)}), saved)
        return loaded

    monkeypatch.setattr(bundles, "_load", load_then_replace)
    with pytest.raises(BundleError, match="was replaced again and again while it was read"):
        load_bundle(saved)


def test_something_else_is_not_overwritten(bundle, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="exists and is something else"):
        save_bundle(bundle, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_bundle_set_aside_by_a_killed_save_is_loaded(bundle, saved):
    saved.rename(saved.with_name(".model.old"))
    assert load_bundle(saved).card == bundle.card
    assert run_bundle(saved) == saved


def test_further_files_are_kept_verified_and_may_be_deleted(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "step", extra={"train_state.safetensors": b"momentum"})
    assert read_extra(tmp_path / "step", "train_state.safetensors") == b"momentum"
    assert read_extra(tmp_path / "step", "something") is None
    flip_bit(tmp_path / "step" / "train_state.safetensors", 3)
    with pytest.raises(BundleError, match=r"train_state\.safetensors was changed"):
        read_extra(tmp_path / "step", "train_state.safetensors")
    (tmp_path / "step" / "train_state.safetensors").unlink()
    assert read_extra(tmp_path / "step", "train_state.safetensors") is None
    assert load_bundle(tmp_path / "step").card == bundle.card


def test_a_run_means_its_best_bundle_and_without_one_its_last(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "run" / "last")
    assert run_bundle(tmp_path / "run") == tmp_path / "run" / "last"
    save_bundle(bundle, tmp_path / "run" / "best")
    assert run_bundle(tmp_path / "run") == tmp_path / "run" / "best"
    assert run_bundle(tmp_path / "run" / "last") == tmp_path / "run" / "last"


def test_a_directory_that_is_neither_run_nor_bundle_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"is neither a run .* nor a bundle"):
        run_bundle(tmp_path)
    with pytest.raises(BundleError, match="nowhere is not a directory"):
        run_bundle(tmp_path / "nowhere")


def test_a_card_can_be_read_without_its_model(saved):
    assert read_card(saved) == load_bundle(saved).card
    (saved / "card.json").write_text("{}")
    with pytest.raises(BundleError, match=r"card\.json"):
        read_card(saved)
