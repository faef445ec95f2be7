"""Every mistake of a user: one message, exit code 2, nothing overwritten."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import TINY, assert_refused


@pytest.fixture
def train(regard, tmp_path):
    """Run `regard train` on two files made of the given bytes."""

    def run(source: bytes | None, target: bytes | None, *more: str):
        paths = [tmp_path / "s.en", tmp_path / "t.de"]
        for path, content in zip(paths, (source, target), strict=True):
            if content is not None:
                path.write_bytes(content)
        done = regard("train", *paths, "--to", tmp_path / "run", *more)
        assert not (tmp_path / "run").exists() or done.returncode == 0
        return done

    return run


def test_a_missing_file(train):
    assert_refused(train(b"a\n", None), "t.de", "does not exist")


def test_an_empty_file(train):
    assert_refused(train(b"a\n", b""), "t.de", "is empty")


def test_line_counts_that_differ(train):
    source, target = b"one\ntwo words\nthree little words\n", b"eins\nzwei Worte\n"
    assert_refused(train(source, target), "has 3", "has 2", "Line ")


def test_invalid_utf_8(train):
    assert_refused(train(b"ok\nM\xfcller\n", b"a\nb\n"), "s.en, line 2, byte 2", "0xFC")


def test_nul_bytes(train):
    assert_refused(train(b"ok\na\0b\n", b"a\nb\n"), "s.en, line 2, byte 2", "NUL")


def test_a_wrong_column_count(regard, tmp_path):
    (tmp_path / "x.tsv").write_text("a\tb\nc\td\te\n")
    done = regard("train", tmp_path / "x.tsv", "--to", tmp_path / "run")
    assert_refused(done, "x.tsv, line 2", "3 columns", "expected 2")


def test_only_sentences_of_100_000_characters(train):
    assert_refused(train(b"x" * 100_000 + b"\n", b"y\n"), "no pair is left", "1 too long")


def test_a_sentence_to_translate_that_is_not_utf_8(regard, trained, tmp_path):
    (tmp_path / "latin 1.txt").write_bytes(b"M\xfcller\n")
    done = regard("translate", trained, tmp_path / "latin 1.txt")
    assert (done.returncode, done.stdout) == (2, "\n")
    assert "line 1 has byte 0xFC at place 2, which is not UTF-8" in done.stderr
    assert f"iconv -f LATIN1 -t UTF-8 '{tmp_path}/latin 1.txt' > '{tmp_path}/latin 1-2.txt'" in done.stderr


def test_an_unknown_recipe_key_names_its_path_and_the_nearest(train):
    done = train(b"a\nb\n", b"a\nb\n", "--set", "training.learnign_rate=1")
    assert_refused(done, "training.learnign_rate is not a setting", "Did you mean training.learning_rate?")


def test_an_unknown_section(train, tmp_path):
    (tmp_path / "r.toml").write_text("[trainig]\nsteps = 3\n")
    assert_refused(
        train(b"a\nb\n", b"a\nb\n", "--recipe", str(tmp_path / "r.toml")), "trainig", "Did you mean training?"
    )


def test_a_recipe_that_is_no_toml(train, tmp_path):
    (tmp_path / "r.toml").write_text("steps =")
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--recipe", str(tmp_path / "r.toml")), "r.toml is not a TOML file")


def test_a_recipe_that_cannot_be_read(train, tmp_path):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--recipe", str(tmp_path)), "cannot be read: Is a directory")


@pytest.mark.parametrize("line", ["family = 3", "preset = ['tiny']"])
def test_a_recipe_whose_family_or_preset_is_no_name(train, tmp_path, line):
    (tmp_path / "r.toml").write_text(f"{line}\n")
    done = train(b"a\nb\n", b"a\nb\n", "--recipe", str(tmp_path / "r.toml"))
    assert_refused(done, f"{line.split()[0]} is {line.split()[2]}; it must be a name in quotes")


@pytest.mark.parametrize(
    ("setting", "message"),
    [("minutes=inf", "finite"), ("epochs=nan", "finite"), ("seed=-1", "greater than or equal to 0")],
)
def test_a_training_without_an_end_or_a_seed_that_is_none(train, setting, message):
    done = train(b"a\nb\n", b"a\nb\n", "--set", f"training.{setting}")
    assert_refused(done, f"training.{setting.replace('=', ' is ')}", message)


def test_an_average_of_more_checkpoints_than_are_kept(train):
    done = train(b"a\nb\n", b"a\nb\n", "--set", "training.average_checkpoints=3")
    assert_refused(done, "average_checkpoints is 3", "only keep_checkpoints (2) stay on disk")


def test_a_value_out_of_range(train):
    done = train(b"a\nb\n", b"a\nb\n", "--set", "model.dropout_rate=1.5", "--set", "training.steps=-1")
    assert_refused(done, "model.dropout_rate is 1.5", "training.steps is -1")


def test_heads_that_do_not_divide_the_width(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--set", "model.n_heads=3"), "n_heads is 3", "must divide width (128)")


def test_an_override_without_a_section(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--set", "steps=4"), "'steps' is not a setting; expected section.key")


def test_an_override_without_a_value(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--set", "training.steps"), "expected section.key=value")


def test_an_unknown_family(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--model", "transfomer"), "Did you mean transformer?")


def test_an_unknown_preset(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--preset", "tinny"), "Did you mean tiny?")


def test_a_preset_of_the_other_job(train):
    done = train(b"a\nb\n", b"a\nb\n", "--preset", "quick")
    assert_refused(done, "preset: quick is for running text, not for pairs of sentences. Known are tiny,")


def test_a_single_pair(train):
    assert_refused(train(b"a\n", b"b\n"), "Found 1 distinct source in 1 pair; at least 2 are needed")


def test_one_table_for_two_vocabularies(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--set", "tokenizer.joint=false"), "model.tied", "tokenizer.joint")


def test_an_output_directory_that_is_something_else(regard, corpus, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    assert_refused(regard("train", *corpus, "--to", tmp_path), "is not a run of regard", "thesis.tex")
    assert_refused(regard("train", *corpus, "--to", tmp_path, "--fresh"), "is not a run of regard")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_output_directory_that_is_a_file(regard, corpus, tmp_path):
    (tmp_path / "run").write_text("precious")
    assert_refused(regard("train", *corpus, "--to", tmp_path / "run"), "is a file")
    assert (tmp_path / "run").read_text() == "precious"


def test_a_run_begun_with_other_settings_is_left_alone(regard, corpus, trained):
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    done = regard("train", *corpus, "--to", trained, "--model", "bahdanau", "--set", "model.width=32")
    assert_refused(done, "was begun with other settings: model.width: 16 -> 32.", "--fresh starts anew there")
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


def test_a_run_begun_with_other_text_to_validate_on_is_left_alone(regard, corpus, trained):
    source, target = corpus
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    done = regard("train", *corpus, "--to", trained, "--model", "bahdanau", *TINY, "--valid", source, "--valid", target)
    assert_refused(
        done,
        "was begun with other data (pairs: 23 -> 25; other validation data than at the beginning",
        "--from RUN",
        "--fresh",
    )
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


@pytest.fixture
def mine(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "mine")
    return tmp_path / "mine"


def test_a_model_whose_checkpoints_are_gone_is_not_trained_over(regard, corpus, mine):
    shutil.rmtree(mine / "checkpoints")
    before = {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    done = regard("train", *corpus, "--to", mine, "--model", "bahdanau", *TINY)
    assert_refused(done, "holds a model of 12 steps and no checkpoint to continue from", "--fresh")
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before


def test_checkpoints_that_cannot_be_loaded_are_not_trained_over(regard, corpus, mine):
    for path in [*mine.rglob("config.json")]:
        path.write_text("of another release")
    before = {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    done = regard("train", *corpus, "--to", mine, "--model", "bahdanau", *TINY)
    assert_refused(done, "Trying an older checkpoint", "config.json")
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before


def test_a_run_whose_recipe_is_damaged_is_left_alone(regard, corpus, mine):
    (mine / "recipe.toml").write_bytes(b"\xff\xfe = [")
    done = regard("train", *corpus, "--to", mine, "--model", "bahdanau", *TINY)
    assert_refused(done, "recipe.toml cannot be read", "--fresh")
    assert (mine / "best" / "model.safetensors").exists()


def test_a_sentence_longer_than_the_positions_is_found_before_the_first_step(regard, corpus, tmp_path):
    source, target = (path.read_text().splitlines() for path in corpus)
    lines = [*map("\t".join, zip(source, target, strict=True)), "\t".join([" ".join(source[:4]), " ".join(target[:4])])]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
    few = [
        "--model",
        "gpt",
        "--set",
        "model.positions=learned",
        "--set",
        "model.context=32",
        "--set",
        "model.n_heads=2",
    ]
    valid = [argument for path in corpus for argument in ("--valid", path)]
    every = ["--set", "training.checkpoint_steps=1", "--set", "training.batch_tokens=128"]
    done = regard("train", tmp_path / "pairs.tsv", *valid, "--to", tmp_path / "run", *TINY, *few, *every)
    assert_refused(done, "this model has learned 32 positions", "model.positions=rotary")
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_a_missing_run(regard, tmp_path):
    assert_refused(regard("translate", tmp_path / "nothing", stdin="a\n"), "nothing")


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    shutil.copytree(trained / "best", tmp_path / "copy")
    return tmp_path / "copy"


def test_weights_that_were_truncated(regard, copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert_refused(regard("translate", copy, stdin="a\n"), "model.safetensors", "cut short")


def test_weights_changed_by_one_bit(regard, copy):
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert_refused(regard("translate", copy, stdin="a\n"), "model.safetensors was changed", "sha256")


def test_a_bundle_of_another_version(regard, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    assert_refused(regard("translate", copy, stdin="a\n"), "format 99", "formats 1 and 2")


def test_a_beam_out_of_range(regard, trained):
    for beam, bound in ((0, "greater than or equal to 1"), (101, "less than or equal to 100")):
        done = regard("translate", trained, "--beam", beam, stdin="a\n")
        assert_refused(done, f"beam is {beam}: input should be {bound}")


def test_more_translations_than_the_beam_has(regard, trained):
    assert_refused(
        regard("translate", trained, "--beam", 2, "--n-best", 3, stdin="a\n"),
        "3 translations per text were requested",
        "with a beam of 2 there are 1 to 2",
    )


def test_a_page_of_an_unknown_kind(regard, trained, tmp_path):
    assert_refused(regard("inspect", trained, "a", "--to", tmp_path / "x.pdf"), ".html, .json, .png, .svg")


def test_a_page_in_a_directory_that_is_not_there(regard, trained, tmp_path):
    assert_refused(regard("inspect", trained, "a", "--to", tmp_path / "no" / "x.html"), "does not exist")


def test_a_page_where_a_directory_stands(regard, trained, tmp_path):
    (tmp_path / "x.html").mkdir()
    assert_refused(regard("inspect", trained, "a", "--to", tmp_path / "x.html"), "x.html cannot be written")


def test_a_beam_beside_a_translation_that_is_given(regard, trained, tmp_path):
    done = regard("inspect", trained, "a", "--target", "b", "--beam", 2, "--to", tmp_path / "x.html")
    assert_refused(done, "beam is for searching a translation, and a target was given")


def test_a_beam_where_no_model_translates(regard, corpus):
    done = regard("evaluate", "--hypothesis", corpus[1], "--reference", corpus[1], "--beam", 2)
    assert_refused(done, "--beam and --trained-on are for a RUN")


def test_translations_without_a_limit(train):
    assert_refused(train(b"a\nb\n", b"a\nb\n", "--set", "decoding.max_ratio=inf"), "decoding.max_ratio", "finite")


def test_an_empty_sentence_to_inspect(regard, trained, tmp_path):
    assert_refused(regard("inspect", trained, " ", "--to", tmp_path / "x.html"), "is empty")


def test_a_run_and_nothing_to_score_it_on(regard, trained):
    assert_refused(regard("evaluate", trained), "evaluate needs a RUN and data")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
def test_a_full_disk_under_the_output():
    command = [sys.executable, "-m", "regard", "--version"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "regard: the disk is full, so the output is incomplete. Free space, then run the command again.\n"
    )


def test_a_hypothesis_without_a_reference(regard, corpus):
    assert_refused(regard("evaluate", "--hypothesis", corpus[1]), "must be given together")


def test_hypotheses_and_references_of_different_counts(regard, corpus, tmp_path):
    (tmp_path / "h").write_text("a\n")
    assert_refused(regard("evaluate", "--hypothesis", tmp_path / "h", "--reference", corpus[1]), "1", "25")


def test_a_gpu_that_is_not_there(regard, corpus, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert_refused(regard("train", *corpus, "--to", tmp_path / "r", "--device", "cuda"), "no GPU")


def test_a_family_that_does_not_read_running_text(regard, book, tmp_path):
    done = regard("train", book, "--to", tmp_path / "r", "--model", "transformer")
    assert_refused(done, "transformer is trained on pairs", "these data are running text", "model gpt")


def test_a_preset_of_another_family(train):
    done = train(b"a\nb\n", b"a\nb\n", "--preset", "paper")
    assert_refused(done, "preset paper is for bahdanau, not for transformer")


def test_compiling_a_model_with_a_loop_over_positions(train):
    done = train(b"a\nb\n", b"c\nd\n", "--model", "rnn", "--set", "training.compiled=true")
    assert_refused(done, "training.compiled", "rnn has a loop over positions")


@pytest.mark.parametrize(
    ("setting", "message"), [("tokenizer.kind=characters", "has no merges"), ("data.pairs_in_memory=1", "in memory")]
)
def test_bpe_dropout_where_there_is_none(train, setting, message):
    done = train(b"a\nb\n" * 9, b"c\nd\n" * 9, "--set", "data.bpe_dropout=0.1", "--set", setting)
    assert_refused(done, "data.bpe_dropout is 0.1", message)


def test_separate_vocabularies_where_one_is_shared(train):
    done = train(b"a\nb\n", b"a\nb\n", "--model", "gpt", "--set", "tokenizer.joint=false")
    assert_refused(done, "tokenizer.joint is false", "gpt", "Set tokenizer.joint=true")


def test_a_text_shorter_than_one_window(regard, tmp_path):
    (tmp_path / "x.txt").write_text("Too short to learn from.\n")
    done = regard("train", tmp_path / "x.txt", "--to", tmp_path / "r")
    assert_refused(done, "fewer than one window of 128", "model.context")
    assert not (tmp_path / "r").exists()


def test_a_text_validated_on_pairs(regard, book, corpus, tmp_path):
    done = regard("train", book, "--to", tmp_path / "r", "--valid", corpus[0])
    assert_refused(done, "The validation data are pairs", "one .txt file")


def test_settings_of_the_other_job(regard, book, corpus, tmp_path):
    done = regard("train", book, "--to", tmp_path / "r", "--set", "data.max_tokens=3", "--set", "decoding.beam=2")
    assert_refused(done, "data.max_tokens is not a setting", "decoding.beam is not a setting")
    done = regard("train", *corpus, "--to", tmp_path / "r", "--set", "data.documents=line")
    assert_refused(done, "data.documents is not a setting")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", 0, "greater than 0. For the likeliest token, use greedy"),
        ("--temperature", -1, "greater than 0"),
        ("--temperature", "nan", "finite"),
        ("--top-p", 0, "greater than 0"),
        ("--top-p", 1.5, "less than or equal to 1"),
        ("--top-k", 0, "greater than or equal to 1"),
        ("--min-p", -0.5, "greater than or equal to 0"),
        ("--repetition-penalty", 0, "greater than 0"),
        ("--max-tokens", 0, "greater than or equal to 1"),
    ],
)
def test_options_of_generate_out_of_range(regard, written, option, value, message):
    name = option.removeprefix("--").replace("-", "_")
    assert_refused(regard("generate", written, option, value), f"{name} is {value}", message)


@pytest.mark.parametrize(
    ("option", "message"), [("--stop", "A stop string is empty"), ("--prompt", "The prompt is empty")]
)
def test_texts_for_generate_that_are_empty(regard, written, option, message):
    assert_refused(regard("generate", written, option, ""), message)


def test_a_prompt_longer_than_the_context(regard, written):
    done = regard("generate", written, "--prompt", "A saw the sea and said nothing more of it.")
    assert_refused(done, "has 42 tokens", "context has 32", "never cut silently")


def test_a_prompt_twice(regard, written, book):
    assert_refused(regard("generate", written, book, "--prompt", "A"), "not both")


def test_a_run_that_was_trained_for_the_other_job(regard, trained, written, book, corpus, tmp_path):
    done = regard("translate", written, stdin="a\n")
    assert_refused(done, f"{written} was trained on running text, and continues it", "not a model for pairs")
    done = regard("evaluate", written, *corpus)
    assert_refused(done, f"{written} was trained on running text", "the data are pairs of sentences")
    assert_refused(regard("generate", trained), f"{trained} was trained to translate", "not a model for running text")
    done = regard("evaluate", trained, book)
    assert_refused(done, f"{trained} was trained on pairs of sentences", "the data are running text")
    done = regard("inspect", written, "A saw", "--target", "x", "--to", tmp_path / "x.json")
    assert_refused(done, "--target and --beam are for translations")


def test_options_of_evaluate_that_do_not_fit_the_data(regard, trained, written, book, corpus):
    assert_refused(
        regard("evaluate", written, book, "--beam", 3), "A beam is for translations, and the data are running text."
    )
    done = regard("evaluate", written, book, "--language", "de")
    assert_refused(done, "A target language is for translations, and the data are running text. Leave it out.")
    done = regard("evaluate", trained, *corpus, "--trained-on", book)
    assert_refused(done, "The text that a model was trained on is for running text, and the data are pairs")


def test_a_text_to_inspect_that_is_empty_or_too_long(regard, written, tmp_path):
    for text in ("", " \n"):
        assert_refused(regard("inspect", written, text, "--to", tmp_path / "x.html"), "The text is empty")
    done = regard("inspect", written, "A saw the sea and the sky and the sea.", "--to", tmp_path / "x.html")
    assert_refused(done, "has 38 tokens", "context has 32")


def test_a_demo_directory_that_is_a_file(regard, tmp_path):
    (tmp_path / "demo").write_text("precious")
    assert_refused(regard("demo", "--to", tmp_path / "demo"), "is a file")


def test_an_unknown_option(regard):
    done = regard("train", "--nonsense")
    assert done.returncode == 2 and "--nonsense" in done.stderr and "Traceback" not in done.stderr
