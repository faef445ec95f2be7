import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tests.fakes import SMALL, change_json, flip_bit, letters, names_in, reseal, small_bundle

from regard import bundle as bundles
from regard.bundle import Bundle, files, load_bundle, read_card, run_bundle, save_bundle
from regard.bundle.card import Card, DataCard
from regard.bundle.files import read_extra
from regard.errors import BundleError, RunError
from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.models.transformer import Transformer
from regard.text.tokens.pipeline import pipeline_of
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

FILES = ["card.json", "config.json", "manifest.json", "model.safetensors", "tokenizer.json"]
CARD = {"validation": {"bleu": 41.0, "score": None}, "data": DataCard(fingerprint="Größe", pairs=3)}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return letters("Zwölf Boxkämpfer jagen Viktor.")


@pytest.fixture
def bundle(tokenizer) -> Bundle:
    return small_bundle(tokenizer, **CARD)


@pytest.fixture
def saved(bundle, tmp_path) -> Path:
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_loaded_equals_what_was_saved(bundle, saved):
    loaded = load_bundle(saved)
    assert isinstance(loaded.model, Transformer)
    assert not loaded.model.training
    assert loaded.model.config == SMALL
    assert (loaded.family, loaded.card) == (bundle.family, bundle.card)
    assert same_weights(loaded.model, bundle.model)
    text = "Zwölf Boxkämpfer, €"
    assert loaded.source_tokenizer.encode(text) == bundle.source_tokenizer.encode(text)


def test_control_ids_of_the_tokenizer_are_those_of_the_model_again(tmp_path):
    bundle = small_bundle(letters(n_control=5))
    save_bundle(bundle, tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    assert loaded.target_tokenizer.n_control == 5
    assert loaded.model.never_written == bundle.model.never_written == slice(3, 8)
    assert same_weights(loaded.model, bundle.model)


def test_what_was_tied_is_tied_again(saved):
    model = load_bundle(saved).model
    assert model.embeddings.source.weight is model.embeddings.target.weight
    assert sum("embeddings" in name for name in load_file(saved / "model.safetensors")) == 1


def test_sides_that_share_a_tokenizer_share_it_again(saved):
    assert names_in(saved) == FILES
    loaded = load_bundle(saved)
    assert loaded.source_tokenizer.shares(loaded.target_tokenizer)


def test_each_side_keeps_a_tokenizer_of_its_own(tokenizer, tmp_path):
    other = Tokenizer.train(["Portez ce vieux whisky"] * 9, TokenizerConfig(kind="bpe"), 400)
    config = BahdanauConfig(width=4, embedding_width=4, attention_width=4, tied="target")
    model = Bahdanau(config, tokenizer.vocabulary, other.vocabulary)
    save_bundle(Bundle(model, "bahdanau", tokenizer, other, Card()), tmp_path / "model")
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
    with pytest.raises(BundleError, match=r"nowhere is not a bundle: the directory does not exist\. Give"):
        load_bundle(tmp_path / "nowhere")


def test_a_directory_that_is_no_bundle_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        load_bundle(tmp_path)


def test_a_file_that_cannot_be_read_is_said(saved, monkeypatch):
    def refuse(path: Path, entry: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(bundles, "verify", refuse)
    with pytest.raises(BundleError, match=r"model cannot be read: .*Permission denied"):
        load_bundle(saved)


def test_weights_that_do_not_fit_the_settings_are_named(saved):
    change_json(saved / "config.json", model=SMALL.model_copy(update={"feed_forward": 16}).model_dump())
    with pytest.raises(
        BundleError, match=r"does not fit config.json: .* is \(8,\), expected \(16,\); .* \(and \d+ more\)"
    ):
        load_bundle(saved)


def test_settings_too_big_for_the_weights_take_no_memory(saved):
    """With so many layers of this size, the weights would take some terabytes."""
    largest = {"width": 2**15, "feed_forward": 2**17, "n_encoder_layers": 64}
    change_json(saved / "config.json", model=SMALL.model_copy(update=largest).model_dump())
    with pytest.raises(BundleError, match="does not fit"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"n_eyes": 3}, "n_eyes: "),
        ({"feed_forward": 1 << 50}, "feed_forward: "),
        ({"n_heads": 3}, "n_heads is 3; it must divide width"),
        ({"dropout_rate": "much"}, "dropout_rate: "),
    ],
)
def test_a_setting_of_the_model_that_cannot_be_used_is_named(saved, change, problem):
    change_json(saved / "config.json", model=SMALL.model_dump() | change)
    with pytest.raises(BundleError, match=rf"config\.json holds settings that cannot be used: .*{problem}"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"weights": "int4"}, "weights: "),
        ({"weights": None}, "weights: "),
        ({"family": 3}, "family: "),
        ({"regard": "9" * 65}, "regard: "),
        ({"format": "2"}, "format: "),
        ({"pipeline": "os.system"}, "pipeline: "),
    ],
)
def test_a_description_of_another_shape_is_refused_by_what_is_wrong(saved, change, problem):
    change_json(saved / "config.json", **change)
    with pytest.raises(BundleError, match=rf"config\.json holds settings that cannot be used: {problem}"):
        load_bundle(saved)


def test_an_unknown_family_is_named_with_the_known_ones(saved):
    change_json(saved / "config.json", family="perceiver\n")
    with pytest.raises(
        BundleError, match=r"names the family perceiver\\n; known families: rnn, bahdanau, transformer, gpt\."
    ):
        load_bundle(saved)


def test_settings_of_another_format_than_the_manifests_are_refused(saved):
    change_json(saved / "config.json", format=1)
    with pytest.raises(BundleError, match=r"config\.json has format 1, but manifest\.json has format 2\. Take both"):
        load_bundle(saved)


def test_a_model_of_one_vocabulary_is_not_loaded_with_two_tokenizers(saved):
    content = (saved / "tokenizer.json").read_bytes()
    (saved / "tokenizer.json").unlink()
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["source_tokenizer.json"] = manifest["files"]["target_tokenizer.json"] = manifest["files"].pop(
        "tokenizer.json"
    )
    (saved / "manifest.json").write_text(json.dumps(manifest))
    for side in ("source", "target"):
        (saved / f"{side}_tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match="describes a model with one vocabulary, but there are two tokenizers"):
        load_bundle(saved)


def test_weights_in_another_form_are_refused(saved):
    (saved / "model.safetensors").write_bytes(b"\x80\x04pickled?")
    reseal(saved)
    with pytest.raises(BundleError, match=r"model\.safetensors is not a safetensors file"):
        load_bundle(saved)


@pytest.mark.parametrize("content", ["scores: 41", "[]", '{"job": 3}', '{"trained": {"step": -1}}'])
def test_a_card_in_another_form_is_refused(saved, content):
    (saved / "card.json").write_text(content)
    reseal(saved)
    for read in (load_bundle, read_card):
        with pytest.raises(BundleError, match=r"card\.json cannot be used: "):
            read(saved)


@pytest.mark.parametrize("name", ["config.json", "card.json", "tokenizer.json"])
def test_what_is_parsed_is_not_read_if_it_is_too_large(saved, name):
    with (saved / name).open("ab") as file:
        file.write(b" " * (2**20 + (saved / "model.safetensors").stat().st_size))
    reseal(saved)
    with pytest.raises(BundleError, match=rf"{name} has [\d,]+ bytes; at most [\d,]+ are allowed"):
        load_bundle(saved)


def test_weights_of_half_precision_are_loaded_into_the_precision_of_the_model(bundle, saved):
    halves = {name: tensor.bfloat16() for name, tensor in load_file(saved / "model.safetensors").items()}
    save_file(halves, saved / "model.safetensors")
    change_json(saved / "config.json", weights="bfloat16")
    weights = load_bundle(saved).model.state_dict()
    for name, tensor in bundle.model.state_dict().items():
        assert torch.equal(weights[name], tensor.bfloat16().float())


def test_a_bundle_of_the_first_format_is_read(bundle, saved):
    """It had no type of weights, and the file of the library `tokenizers` for a tokenizer."""
    pipeline = pipeline_of(bundle.target_tokenizer._vocabulary).to_str()
    (saved / "tokenizer.json").write_text(pipeline, encoding="utf-8")
    config = json.loads((saved / "config.json").read_text())
    del config["weights"]
    (saved / "config.json").write_text(json.dumps(config | {"format": 1}))
    change_json(saved / "manifest.json", format=1)
    (saved / "card.json").write_text(json.dumps({"scores": {"bleu": 41.0}, "trained": {"step": 7, "window": 2}}))
    reseal(saved)
    loaded = load_bundle(saved)
    assert same_weights(loaded.model, bundle.model)
    assert (loaded.card.trained.step, loaded.card.trained.pool) == (7, 2)
    assert loaded.target_tokenizer.normalisation == 1  # as every model of that format was trained
    assert loaded.target_tokenizer.encode("two cats") == bundle.target_tokenizer.encode("two cats")
    save_bundle(loaded, saved)
    assert json.loads((saved / "manifest.json").read_text())["format"] == files.FORMAT == 2
    assert same_weights(load_bundle(saved).model, bundle.model)


@pytest.mark.parametrize("other_weights", [False, True])
def test_a_bundle_replaced_while_it_is_read_is_read_again(bundle, saved, monkeypatch, other_weights):
    """Whether what was read so far fits what stands there now or not."""
    verify, newer = bundles.verify, replace(bundle, card=Card(validation={"score": 2.0}))
    if other_weights:
        newer = replace(newer, model=Transformer(SMALL, *[bundle.target_tokenizer.vocabulary] * 2))

    def replace_then_verify(path: Path, entry: files.FileEntry) -> None:
        monkeypatch.setattr(bundles, "verify", verify)
        save_bundle(newer, saved)
        verify(path, entry)

    monkeypatch.setattr(bundles, "verify", replace_then_verify)
    loaded = load_bundle(saved)
    assert loaded.card == newer.card and same_weights(loaded.model, newer.model)


def test_a_bundle_replaced_at_every_reading_is_given_up(bundle, saved, monkeypatch):
    generation = iter(range(100))
    load = bundles._load

    def load_then_replace(place: Path, manifest: files.Manifest) -> Bundle:
        loaded = load(place, manifest)
        save_bundle(replace(bundle, card=Card(validation={"score": float(next(generation))})), saved)
        return loaded

    monkeypatch.setattr(bundles, "_load", load_then_replace)
    with pytest.raises(BundleError, match="was replaced repeatedly while it was read"):
        load_bundle(saved)


def test_something_else_is_not_overwritten(bundle, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="exists and is something else"):
        save_bundle(bundle, tmp_path)
    assert names_in(tmp_path) == ["thesis.txt"]


def test_weights_that_find_no_room_are_an_error_of_the_user_and_change_nothing(bundle, saved, monkeypatch):
    def no_room(weights: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of it")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(bundles, "save_file", no_room)
    with pytest.raises(RunError, match=r"model cannot be written: .*No space left on device.*Free space"):
        save_bundle(replace(bundle, card=Card(job="text")), saved)
    assert load_bundle(saved).card == bundle.card
    assert names_in(saved.parent) == ["model"]


def test_a_bundle_set_aside_by_a_killed_save_is_loaded(bundle, saved):
    saved.rename(saved.with_name(".model.old"))
    assert load_bundle(saved).card == bundle.card
    assert run_bundle(saved) == saved


def test_further_files_are_kept_and_verified(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "step", extra={"train_state.safetensors": b"momentum"})
    assert read_extra(tmp_path / "step", "train_state.safetensors", most=8) == b"momentum"
    assert read_extra(tmp_path / "step", "something", most=8) is None
    flip_bit(tmp_path / "step" / "train_state.safetensors", 3)
    with pytest.raises(BundleError, match=r"train_state\.safetensors was changed"):
        read_extra(tmp_path / "step", "train_state.safetensors", most=8)


def test_without_its_further_files_a_checkpoint_is_an_ordinary_bundle(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "step", extra={"train_state.safetensors": b"momentum"})
    (tmp_path / "step" / "train_state.safetensors").unlink()
    assert load_bundle(tmp_path / "step").card == bundle.card


def test_a_further_file_cannot_have_the_name_of_a_bundles_own(bundle, tmp_path):
    with pytest.raises(AssertionError, match="the name of a bundle's own"):
        save_bundle(bundle, tmp_path / "step", extra={"manifest.json": b"{}"})


def test_a_run_means_its_best_bundle_and_without_one_its_last(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "run" / "last")
    assert run_bundle(tmp_path / "run") == tmp_path / "run" / "last"
    save_bundle(bundle, tmp_path / "run" / "best")
    assert run_bundle(tmp_path / "run") == tmp_path / "run" / "best"
    assert run_bundle(tmp_path / "run" / "last") == tmp_path / "run" / "last"


def test_a_run_does_not_lead_out_of_itself_by_a_link(saved, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best").symlink_to(saved)
    with pytest.raises(BundleError, match=r"best is a link; a run must contain its models\. Name the bundle"):
        run_bundle(tmp_path / "run")


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


@pytest.mark.parametrize("read", [run_bundle, load_bundle, read_card])
def test_a_name_that_no_directory_can_have_is_refused(tmp_path, read):
    with pytest.raises(BundleError, match=r"cannot be read: File name too long|is not a"):
        read(tmp_path / ("n" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may search every directory")
@pytest.mark.parametrize("read", [run_bundle, load_bundle, read_card])
def test_a_directory_that_may_not_be_searched_is_refused(saved, read):
    saved.parent.chmod(0)
    try:
        with pytest.raises(BundleError, match="cannot be read: Permission denied"):
            read(saved)
    finally:
        saved.parent.chmod(0o700)


@pytest.mark.parametrize("size", [2**40, 2**62, 2**63 - 1])
def test_a_claim_about_the_weights_does_not_bound_the_tokenizer(saved, size):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["model.safetensors"]["size"] = size
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"model\.safetensors has [0-9,]+ bytes, expected [0-9,]+: it was cut short"):
        load_bundle(saved)


def test_a_job_that_the_family_cannot_do_is_refused(saved):
    change_json(saved / "card.json", job="text")
    with pytest.raises(BundleError, match=r"card\.json names the job text, which does not fit \w+ and its tokenizer"):
        load_bundle(saved)


def test_a_card_is_read_again_if_a_save_came_between(saved, bundle, monkeypatch):
    whole, n_read = bundles._card, []

    def card(place: Path, manifest: files.Manifest) -> Card:
        n_read.append(place)
        if len(n_read) == 1:
            save_bundle(replace(bundle, card=Card(job="pairs", data=DataCard(pairs=7))), saved)
        return whole(place, manifest)

    monkeypatch.setattr(bundles, "_card", card)
    assert read_card(saved).data.pairs == 7 and len(n_read) == 2


def test_the_best_of_a_run_is_no_link_either_while_it_is_set_aside(saved, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".best.old").symlink_to(saved)
    with pytest.raises(BundleError, match="best is a link"):
        run_bundle(tmp_path / "run")
