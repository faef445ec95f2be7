"""The road from files of text to scores and pages, as a user walks it."""

import hashlib
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from tests.conftest import EXACTLY, TINY, TINY_TEXT, as_a_shell_sees_it, assert_refused

from regard.bundle import load_bundle
from regard.pipeline import Translator


def end_of(run: Path, step: int = 12) -> list[bytes]:
    """Return what a training has left after a step: the weights, and what the optimisers remember."""
    checkpoint = run / "checkpoints" / f"step-{step}"
    return [(checkpoint / name).read_bytes() for name in ("model.safetensors", "train_state.safetensors")]


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what every file in a directory holds."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_its_end(run: Path, copy: Path) -> Path:
    """Return a copy of a run of twelve steps that has lost the last four: it stands at its eighth."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints" / "step-12")
    return copy


def validations(run: Path) -> list[dict[str, float]]:
    """Return the records of the validations of a run."""
    records = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == "valid"]


@pytest.fixture
def begun(trained, tmp_path) -> Path:
    """A run that stands at its eighth step of twelve."""
    return without_its_end(trained, tmp_path / "begun")


@pytest.fixture
def other(corpus, tmp_path) -> Path:
    """Other pairs than those of the corpus."""
    lines = zip(*(path.read_text(encoding="utf-8").splitlines() for path in corpus), strict=True)
    (tmp_path / "other.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in reversed([*lines])), encoding="utf-8")
    return tmp_path / "other.tsv"


def test_one_line_in_is_one_line_out_also_for_empty_lines(regard, trained):
    done = regard("translate", trained, stdin="The book is red.\n\nThe house is green.\n  \n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert len(lines) == 5 and lines[1] == lines[3] == lines[4] == ""
    assert regard("translate", trained, "-", stdin="The book is red.\n").stdout == lines[0] + "\n"


def test_nothing_in_is_nothing_out(regard, trained):
    done = regard("translate", trained, stdin="")
    assert (done.returncode, done.stdout) == (0, "")


def test_n_best_lists_count_lines_and_fall_by_the_score_that_is_printed(regard, trained):
    sentences = ["The book is red.", "", "The car is old. The glass is new."]
    done = regard("translate", trained, "--n-best", 4, "--beam", 6, stdin="".join(f"{s}\n" for s in sentences))
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    by_line = [[(score, text) for number, score, text in rows if number == str(i)] for i in (1, 2, 3)]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows) and sum(map(len, by_line)) == len(rows)
    assert by_line[1] == [("0.0000", "")]
    for found in by_line[::2]:
        scores, texts = [float(score) for score, _ in found], [text for _, text in found]
        assert 2 <= len(found) <= 4 and len(set(texts)) == len(texts)
        assert scores == sorted(scores, reverse=True) and scores[0] < 0
    best = regard("translate", trained, "--beam", 6, stdin="".join(f"{s}\n" for s in sentences)).stdout.splitlines()
    assert best == [found[0][1] for found in by_line]
    expected = Translator.load(trained, "cpu").n_best(sentences, 4, beam=6)
    assert by_line == [[(f"{t.score:.4f}", t.text) for t in translations] for translations in expected]
    first = expected[2][0]
    assert first.score == pytest.approx(first.log_probability / (len(first.ids) + 1))  # length_penalty is 1


def test_a_line_that_is_too_long_is_left_empty_and_all_others_are_translated(regard, trained):
    lines = ["The book is red.", "x" * 10_001, "", "The car is old.", "q" * 9_000, "The glass is new."]
    done = regard("translate", trained, stdin="\n".join(lines) + "\n")
    assert done.returncode == 2
    alone = regard("translate", trained, stdin="\n".join(line for line in lines if len(line) < 100) + "\n")
    assert alone.returncode == 0, alone.stderr
    expected = alone.stdout.splitlines()
    assert done.stdout.splitlines() == [expected[0], "", "", expected[2], "", expected[3]]
    warnings = done.stderr.splitlines()
    assert len(warnings) == 3 and warnings[0].startswith("warning: line 2 has 10,001 characters; the limit is")
    assert (
        warnings[1].startswith("warning: line 5 has ") and "tokens; decoding.max_source_tokens is 1,024" in warnings[1]
    )
    assert warnings[2].startswith("regard: 2 of 6 lines could not be translated")
    rows = regard("translate", trained, "--n-best", 2, stdin="\n".join(lines[:2]) + "\n").stdout.splitlines()
    assert [row.split("\t")[0] for row in rows] in (["1", "2"], ["1", "1", "2"]) and rows[-1] == "2\t0.0000\t"


def test_a_line_beyond_the_learned_positions_is_left_empty_and_all_others_are_translated(regard, corpus, tmp_path):
    small = ["--set", "model.n_heads=2", "--set", "model.n_layers=1", "--set", "model.feed_forward=16"]
    learned = ["--set", "model.positions=learned", "--set", "model.context=64"]
    done = regard("train", *corpus, "--to", tmp_path / "run", "--model", "gpt", *TINY, *small, *learned)
    assert done.returncode == 0, done.stderr
    lines = ["The book is red.", "The book is red. " * 20, "The car is old."]
    done = regard("translate", tmp_path / "run", stdin="\n".join(lines))
    assert done.returncode == 2
    expected = regard("translate", tmp_path / "run", stdin=f"{lines[0]}\n{lines[2]}").stdout.splitlines()
    assert done.stdout.splitlines() == [expected[0], "", expected[1]]
    assert "warning: line 2 has " in done.stderr and "this model has learned 64 positions" in done.stderr


def test_an_evaluation_counts_what_is_too_long_as_an_empty_translation(regard, trained, tmp_path):
    (tmp_path / "x.tsv").write_text(f"The book is red.\tDas Buch ist rot.\n{'q' * 9_000}\tDas Auto ist alt.\n")
    done = regard("evaluate", trained, tmp_path / "x.tsv", "--json")
    assert done.returncode == 0, done.stderr
    assert "warning: pair 2 has " in done.stderr and "it counts as an empty translation (1 in all)" in done.stderr
    translated = regard("translate", trained, stdin="The book is red.\n\n").stdout
    (tmp_path / "h").write_text(translated, encoding="utf-8")
    (tmp_path / "r").write_text("Das Buch ist rot.\nDas Auto ist alt.\n")
    files = regard("evaluate", "--hypothesis", tmp_path / "h", "--reference", tmp_path / "r", "--json")
    assert json.loads(done.stdout)["bleu"] == json.loads(files.stdout)["bleu"]


def test_evaluate_prints_both_forms_of_bleu_with_their_signatures(regard, trained, corpus):
    done = regard("evaluate", trained, *corpus, "--language", "de", "--json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert scores["n_sentences"] == 25
    assert "tok:13a" in scores["bleu"]["signature"] and "case:mixed" in scores["bleu"]["signature"]
    assert "tok:none" in scores["bleu_literature"]["signature"] and "case:lc" in scores["bleu_literature"]["signature"]
    table = regard("evaluate", trained, *corpus).stdout
    assert f"{scores['chrf']['value']:.2f}" in table


def test_files_are_scored_without_a_model(regard, corpus):
    done = regard("evaluate", "--hypothesis", corpus[1], "--reference", corpus[1], "--language", "de", "--json")
    assert json.loads(done.stdout)["bleu"]["value"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", b"<!doctype html>"), ("a.json", b"{"), ("a.png", b"\x89PNG"), ("a.svg", b"<?xml")]
)
def test_inspect_writes_what_the_name_asks_for_and_replaces_what_is_ours_only(regard, trained, tmp_path, name, start):
    page = tmp_path / name
    for i, sentence in enumerate(("The book is red.", "The car is old.")):
        done = regard("inspect", trained, sentence, "--to", page)
        assert done.returncode == 0, done.stderr
        assert page.read_bytes().lower().startswith(start.lower())
        assert done.stdout.startswith(f"{sentence} → ")
        shutil.copy(page, tmp_path / f"{i}{page.suffix}")
    assert (tmp_path / f"0{page.suffix}").read_bytes() != (tmp_path / f"1{page.suffix}").read_bytes()
    page.write_bytes(start + b"precious")
    done = regard("inspect", trained, "The book is red.", "--to", page)
    assert_refused(done, f"{name} exists and regard did not write it", "--force to replace it")
    assert page.read_bytes() == start + b"precious"
    done = regard("inspect", trained, "The book is red.", "--to", page, "--force")
    assert done.returncode == 0, done.stderr
    assert page.read_bytes() == (tmp_path / f"0{page.suffix}").read_bytes()
    assert [path for path in tmp_path.iterdir() if ".tmp-" in path.name] == []


def test_inspect_takes_no_more_memory_than_it_may(regard, trained, tmp_path):
    sentence = "q " * 500
    done = regard("inspect", trained, sentence, "--target", sentence, "--to", tmp_path / "x.json", "--memory", 1)
    assert_refused(done, "The attention of this text needs about ", "and 1 MiB are allowed")
    assert not (tmp_path / "x.json").exists()
    done = regard("inspect", trained, "q " * 9, "--target", "q " * 9, "--to", tmp_path / "x.json", "--memory", 1)
    assert done.returncode == 0, done.stderr


def test_a_tsv_without_validation_data_is_trained_on_all_but_what_is_held_out(regard, corpus, tmp_path):
    lines = zip(*(path.read_text(encoding="utf-8").splitlines() for path in corpus), strict=True)
    (tmp_path / "x.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in lines), encoding="utf-8")
    done = regard("train", tmp_path / "x.tsv", "--to", tmp_path / "run", "--model", "bahdanau", *TINY)
    assert done.returncode == 0, done.stderr
    assert "25 pairs read, 25 kept, none dropped" in done.stderr
    assert "validation data: none was given; 2 random pairs held out" in done.stderr
    assert "preset tiny: 25 pairs" in done.stderr


def test_the_same_command_again_has_nothing_left_to_do_and_fresh_starts_anew(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY]
    assert regard(*command).returncode == 0
    weights = (tmp_path / "run" / "last" / "model.safetensors").read_bytes()
    again = regard(*command)
    assert again.returncode == 0 and "Continuing from step 12." in again.stderr
    assert (tmp_path / "run" / "last" / "model.safetensors").read_bytes() == weights
    fresh = regard(*command, "--fresh")
    assert fresh.returncode == 0 and "Continuing" not in fresh.stderr
    assert (tmp_path / "run" / "last" / "model.safetensors").read_bytes() == weights  # the same seed, the same weights


def test_results_go_to_stdout_and_everything_else_to_stderr(regard, corpus, tmp_path):
    done = regard("train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY)
    assert done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_and_ends_as_by_the_signal(regard, corpus, tmp_path, number):
    run = tmp_path / "run"
    running = regard.start("train", *corpus, "--to", run, "--model", "rnn", *TINY, "--set", "training.steps=100000")
    while not (run / "checkpoints" / "step-4").exists():
        assert running.process.is_alive(), running.wait().stderr
        time.sleep(0.02)
    running.send(number)
    done = running.wait()
    assert as_a_shell_sees_it(done.returncode) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], done.stderr
    assert "The same call continues from there." in done.stderr and "Next: " not in done.stderr
    step = int(done.stderr.partition("Stopped at step ")[2].partition(".")[0])
    assert (run / "checkpoints" / f"step-{step}").is_dir() and load_bundle(run / "last").card.trained.step == step


def test_a_signal_that_is_ignored_from_the_start_stays_ignored_while_it_trains(corpus, tmp_path):
    run = tmp_path / "run"
    settings = [*TINY, "--set", "training.steps=60", "--model", "rnn"]
    command = [sys.executable, "-m", "regard", "train", *map(str, corpus), "--to", str(run), *settings]
    ignoring = ["bash", "-c", "trap '' INT; exec \"$@\"", "bash", *command]  # as of a job in the background
    with subprocess.Popen(ignoring, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while not (run / "checkpoints" / "step-4").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        err = process.communicate()[1]
    assert process.returncode == 0 and "Stopped" not in err, err
    assert "Done: 60 steps" in err, err


def test_a_training_that_nobody_listens_to_continues(corpus, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "regard", "train", *map(str, corpus), "--to", str(tmp_path / "run")]
    done = subprocess.run([*command, *TINY, "--set", "model.n_heads=2"], stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 0
    assert (tmp_path / "run" / "checkpoints" / "step-12").is_dir()


def test_pairs_that_are_not_scored_are_counted(regard, corpus, trained, tmp_path):
    source, target = (path.read_text().splitlines() for path in corpus)
    (tmp_path / "test.tsv").write_text(f"{source[0]}\t{target[0]}\n{source[1]}\t \n{source[2]}\t{target[2]}\n")
    done = regard("evaluate", trained, tmp_path / "test.tsv", "--json")
    assert json.loads(done.stdout)["n_sentences"] == 2
    assert "3 pairs read, 2 kept, 1 dropped" in done.stderr


def test_inspecting_running_text_of_another_system_names_the_same_words(regard, written, tmp_path):
    for name, text in (("a.json", "A saw\nthe sea"), ("b.json", "A saw\r\nthe sea")):
        done = regard("inspect", written, text, "--to", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_version_is_printed(regard):
    assert regard("--version").stdout.startswith("regard 0.")


def test_the_demo_runs_to_its_end_and_continues_with_more_minutes(regard, tmp_path):
    command = ["demo", "--to", tmp_path / "demo", "--minutes"]
    done = regard(*command, 0.03)
    assert done.returncode == 0, done.stderr
    assert "unseen sentences" in done.stdout and "regard train source.txt target.txt" in done.stdout
    assert "5-gram" in done.stdout and "xz" in done.stdout and 'A continuation of \'The "with"' in done.stdout
    assert "bits per byte" in done.stdout
    assert (tmp_path / "demo" / "translator" / "attention.html").is_file()
    again = regard(*command, 0.06)
    assert again.returncode == 0, again.stderr
    for run, was, now in (("translator", 0.02, 0.04), ("topics", 0.01, 0.02)):
        assert f"note: training.minutes: {was} -> {now}" in again.stderr
        assert load_bundle(tmp_path / "demo" / run / "last").card.trained.planned_step > 0
    assert again.stderr.count("The budget has changed: ") == 2
    fresh = regard(*command, 0.03, "--fresh")
    assert fresh.returncode == 0 and "Continuing" not in fresh.stderr, fresh.stderr


def test_every_family_translates_by_the_same_commands(regard, corpus, tmp_path):
    for family in ("rnn", "transformer", "gpt"):
        run, page = tmp_path / family, tmp_path / f"{family}.json"
        heads = [] if family == "rnn" else ["--set", "model.n_heads=2"]
        done = regard("train", *corpus, "--to", run, "--model", family, *TINY, *heads)
        assert done.returncode == 0, done.stderr
        done = regard("translate", run, stdin="The book is red.\n")
        assert done.returncode == 0 and done.stdout.count("\n") == 1
        done = regard("inspect", run, "The book is red.", "--to", page)
        if family == "rnn":
            assert done.returncode == 2 and "rnn has no attention" in done.stderr
        else:
            assert done.returncode == 0, done.stderr
            first = json.loads(page.read_text())["maps"][-1]
            assert first["rows"] == "target" and first["columns"] == {"transformer": "source", "gpt": "context"}[family]


def test_a_language_model_says_what_it_does_and_why(regard, book, tmp_path):
    done = regard("train", book, "--to", tmp_path / "run", *TINY_TEXT)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    for part in (
        "characters of running text",
        "so the last 157 characters",
        "model: gpt, preset tiny",
        "would be too rare",
    ):
        assert part in done.stderr
    for part in ("bits per byte", "A sample, continuing ", "also occurs in the training text has", "regard generate"):
        assert part in done.stderr


def test_generate_repeats_with_its_seed_and_streams_the_same_text(regard, written):
    command = ["generate", written, "--prompt", "A saw", "--max-tokens", 60, "--temperature", 1.5]
    plain = regard(*command)
    assert plain.returncode == 0 and len(plain.stdout) > 1, plain.stderr
    assert regard(*command, "--stream").stdout == plain.stdout
    assert regard(*command, "--seed", 1).stdout != plain.stdout
    assert regard("generate", written).returncode == 0


def test_generate_stops_before_a_stop_string_also_when_it_streams(regard, written):
    command = ["generate", written, "--prompt", "A saw the sea", "--max-tokens", 80]
    whole = regard(*command).stdout
    stop = whole[10:14]
    for stream in ([], ["--stream"]):
        assert regard(*command, "--stop", stop, *stream).stdout == whole[: whole.index(stop)] + "\n"


def test_a_file_is_a_prompt(regard, written, tmp_path):
    (tmp_path / "prompt.txt").write_text("A saw\n")
    one = regard("generate", written, tmp_path / "prompt.txt")
    assert one.returncode == 0 and one.stdout == regard("generate", written, "--prompt", "A saw").stdout


def test_evaluating_running_text_prints_the_floors_beside_the_model(regard, written, book):
    done = regard("evaluate", written, book, "--json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert scores["n_characters"] == len(book.read_text(encoding="utf-8"))
    assert scores["nats_per_token"] == pytest.approx(math.log(scores["perplexity"]))
    assert len(scores["floors"]) == 2
    table = regard("evaluate", written, book, "--trained-on", book).stdout
    assert "5-gram" in table and "xz" in table and f"{scores['bits_per_byte']:.4f}" in table


def test_inspecting_running_text_shows_what_each_word_looked_back_at(regard, written, tmp_path):
    done = regard("inspect", written, "A saw the sea", "--to", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["source"] == [] and data["target"] == ["A", "saw", "the", "sea", "<end>"]
    assert data["maps"][0]["columns"] == "context" and data["context"][0] == "<start>"


def test_prove_is_green_on_the_own_weights_of_any_run(regard, trained, written):
    for run in (trained, written):
        done = regard("prove", run, "--json")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_corpus_that_stays_on_the_disk_trains_the_same_model(regard, corpus, tmp_path):
    for run, more in (("memory", []), ("disk", ["--set", "data.pairs_in_memory=0"])):
        done = regard("train", *corpus, "--to", tmp_path / run, "--model", "rnn", *TINY, *more)
        assert done.returncode == 0, done.stderr
    assert "tokens: more than 0 pairs, so they are stored in" in done.stderr
    assert "tokenising: 23 of 23 pairs" in done.stderr
    last = [tmp_path / run / "last" / "model.safetensors" for run in ("memory", "disk")]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_running_text_that_stays_on_the_disk_trains_the_same_model(regard, book, tmp_path):
    for run, more in (("memory", []), ("disk", ["--set", "data.characters_in_memory=0"])):
        done = regard("train", book, "--to", tmp_path / run, *TINY_TEXT, *more)
        assert done.returncode == 0, done.stderr
    assert "tokens: more than 0 characters, so they are stored in" in done.stderr
    assert len(list(tmp_path.glob("disk/tokens/shard-*"))) == 1
    last = [tmp_path / run / "last" / "model.safetensors" for run in ("memory", "disk")]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_bpe_dropout_trains_and_a_run_is_not_continued_without_it(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "rnn", *TINY]
    done = regard(*command, "--set", "data.bpe_dropout=0.1")
    assert done.returncode == 0 and "BPE dropout 0.1" in done.stderr, done.stderr
    again = regard(*command)
    assert again.returncode == 0 and "BPE dropout 0.1" in again.stderr, again.stderr
    assert_refused(regard(*command, "--set", "data.bpe_dropout=0"), "other settings: data.bpe_dropout: 0.1 -> 0.0.")


def test_validation_pairs_that_are_too_long_are_left_out_and_counted(regard, corpus, tmp_path):
    source, target = (path.read_text(encoding="utf-8").splitlines() for path in corpus)
    (tmp_path / "valid.tsv").write_text(f"{' '.join(source[:9])}\t{target[0]}\n{source[1]}\t{target[1]}\n")
    arguments = ["--valid", tmp_path / "valid.tsv", "--to", tmp_path / "run", "--set", "data.max_tokens=30"]
    done = regard("train", *corpus, *arguments, "--model", "bahdanau", *TINY)
    assert done.returncode == 0, done.stderr
    assert "validation data: 1 of 2 pairs over 30 tokens left out" in done.stderr


def test_a_run_continues_without_its_settings_being_named_again(regard, corpus, trained, begun):
    done = regard("train", *corpus, "--to", begun)
    assert done.returncode == 0, done.stderr
    assert "model: bahdanau, preset tiny, from the run's recipe" in done.stderr
    assert "Continuing from step 8." in done.stderr and "note: " not in done.stderr
    assert end_of(begun) == end_of(trained)
    assert (begun / "recipe.toml").read_bytes() == (trained / "recipe.toml").read_bytes()


def test_a_finished_run_continues_with_a_larger_budget(regard, corpus, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    done = regard("train", *corpus, "--to", run, "--set", "training.steps=20")
    assert done.returncode == 0, done.stderr
    planned = "The budget has changed: the learning rate is planned again from step 12, with a new warm-up."
    for part in ("note: training.steps: 12 -> 20", "Continuing from step 12.", planned, "Done: 20 steps"):
        assert part in done.stderr
    assert tomllib.loads((run / "recipe.toml").read_text())["training"]["steps"] == 20
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-2])
    assert (last["kind"], last["step"]) == ("train", 20)
    assert last["learning_rate_factor"] == pytest.approx(1 / 8)  # before the last of the eight steps that were added
    expected = end_of(run, 20)
    shutil.rmtree(run / "checkpoints" / "step-20")
    done = regard("train", *corpus, "--to", run)
    assert done.returncode == 0, done.stderr
    assert "Continuing from step 16." in done.stderr and "budget" not in done.stderr
    assert end_of(run, 20) == expected


@pytest.mark.parametrize("budget", ["steps=8", "epochs=4", "minutes=0.001"])
def test_a_budget_that_is_used_up_already_is_refused(regard, corpus, trained, budget):
    before = contents(trained)
    done = regard("train", *corpus, "--to", trained, "--set", f"training.{budget}")
    assert_refused(
        done, f"training.{budget} is used up: the run has made 12 steps in ", "A budget counts from the beginning"
    )
    assert contents(trained) == before


def test_settings_that_do_not_change_the_weights_may_change_when_a_run_continues(regard, corpus, trained, begun):
    changed = {
        "training.validation_steps": ("not set", "5"),
        "training.checkpoint_steps": ("4", "2"),
        "training.keep_checkpoints": ("2", "3"),
        "training.patience": ("not set", "50"),
        "data.pairs_in_memory": ("2000000", "0"),
        "data.target_language": ("not set", "de"),
        "decoding.beam": ("5", "2"),
    }
    settings = [argument for name, (_, new) in changed.items() for argument in ("--set", f"{name}={new}")]
    done = regard("train", *corpus, "--to", begun, *settings)
    assert done.returncode == 0, done.stderr
    notes = [line.partition(";")[0] for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes == [f"note: {name}: {old} -> {new}" for name, (old, new) in sorted(changed.items())]
    assert "Continuing from step 8." in done.stderr and "budget" not in done.stderr
    assert end_of(begun) == end_of(trained)
    assert sorted(path.name for path in (begun / "checkpoints").iterdir()) == ["step-10", "step-12", "step-8"]
    assert [record["step"] for record in validations(begun)][-2:] == [10, 12]
    card = load_bundle(begun / "last").card
    assert card.decoding["beam"] == 2 and card.languages == (None, "de")


def test_other_data_are_refused_and_every_way_on_is_named(regard, other, trained):
    before = contents(trained)
    done = regard("train", other, "--to", trained)
    assert_refused(done, f"{trained} was begun with other data (", "Give the same data to continue")
    assert "--from RUN, with another --to, begins a new run from this one." in done.stderr
    assert "--fresh starts anew there and deletes what it holds." in done.stderr
    assert contents(trained) == before


def test_data_of_the_other_job_are_other_data(regard, corpus, book, trained, written):
    for run, data, jobs in ((trained, [book], "on pairs of sentences"), (written, corpus, "on running text")):
        before = contents(run)
        done = regard("train", *data, "--to", run)
        assert_refused(done, f"{run} was begun {jobs}, and these data are ", "--fresh")
        assert "is not a setting" not in done.stderr  # nobody named one
        assert contents(run) == before


def with_windows_ends(path: Path, folder: Path) -> Path:
    """Return a copy of a file as an editor on Windows saves it: with a byte order mark, lines ending at CR LF."""
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    return folder / path.name


@pytest.mark.parametrize("kind", ["two files", "tsv", "text"])
def test_data_that_were_saved_on_windows_continue_the_same_run(regard, corpus, book, trained, written, tmp_path, kind):
    lines = zip(*(path.read_text(encoding="utf-8").splitlines() for path in corpus), strict=True)
    (tmp_path / "a.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in lines), encoding="utf-8")
    whole = written if kind == "text" else trained
    data = {"two files": corpus, "tsv": [tmp_path / "a.tsv"], "text": [book]}[kind]
    begun = without_its_end(whole, tmp_path / "begun")
    done = regard("train", *(with_windows_ends(path, tmp_path / "saved") for path in data), "--to", begun)
    assert done.returncode == 0, done.stderr
    assert "Continuing from step 8." in done.stderr
    assert end_of(begun) == end_of(whole)


@pytest.mark.parametrize("of", ["run", "bundle"])
def test_a_run_begins_with_the_weights_of_another(regard, other, trained, tmp_path, of):
    parent = shutil.copytree(trained, tmp_path / "parent")
    start, run = parent if of == "run" else parent / "best", tmp_path / "run"
    slowly = ["--set", "training.learning_rate=1e-9", "--set", "training.muon_learning_rate=1e-9", *EXACTLY]
    settings = ["--set", "model.dropout_rate=0.3", "--set", "training.steps=4", *slowly]
    before = contents(parent)
    done = regard("train", other, "--to", run, "--from", start, *settings)
    assert done.returncode == 0, done.stderr
    assert contents(parent) == before
    old, new = load_bundle(parent / "best"), load_bundle(run / "last")
    assert f"model: bahdanau, from {start} after {old.card.trained.step} steps, " in done.stderr
    found = json.loads((run / "last" / "card.json").read_text())["parent"]
    assert found["path"] == str(start) and found["step"] == old.card.trained.step
    assert found["weights"] == hashlib.sha256((parent / "best" / "model.safetensors").read_bytes()).hexdigest()
    assert found["data"]["fingerprint"] == old.card.data.fingerprint != new.card.data.fingerprint
    assert (run / "last" / "tokenizer.json").read_bytes() == (parent / "best" / "tokenizer.json").read_bytes()
    assert "tokenizer: " not in done.stderr  # none was learnt
    torch.testing.assert_close(new.model.state_dict(), old.model.state_dict(), atol=1e-6, rtol=0)
    recipe = tomllib.loads((run / "recipe.toml").read_text())
    assert recipe["model"]["dropout_rate"] == 0.3 and recipe["model"]["width"] == 16
    assert recipe["training"]["batch_tokens"] == (256 if of == "run" else 2048)  # the run's own, or its preset's
    shutil.rmtree(parent)  # it is needed to begin only
    again = regard("train", other, "--to", run)
    assert again.returncode == 0 and "Continuing from step 4." in again.stderr, again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "model.width=32"], "model.width is 32, the model's is 16."),
        (["--set", "tokenizer.kind=characters"], "tokenizer.kind is characters, the model's is bpe."),
        (["--model", "rnn"], "The model to start from is bahdanau, not rnn."),
    ],
)
def test_what_a_model_is_cannot_change_where_a_run_begins_with_its_weights(
    regard, other, trained, tmp_path, arguments, message
):
    done = regard("train", other, "--to", tmp_path / "run", "--from", trained, *arguments)
    assert_refused(done, message)
    assert not (tmp_path / "run").exists()


def test_a_model_of_the_other_job_or_none_is_nothing_to_begin_with(regard, other, book, trained, written, tmp_path):
    done = regard("train", other, "--to", tmp_path / "run", "--from", written)
    assert_refused(done, "to start from was trained on running text, and these data are pairs of sentences")
    done = regard("train", book, "--to", tmp_path / "run", "--from", trained)
    assert_refused(done, "to start from was trained on pairs of sentences, and these data are running text")
    done = regard("train", other, "--to", tmp_path / "run", "--from", tmp_path / "nothing")
    assert_refused(done, "nothing is not a directory")
    assert not (tmp_path / "run").exists()


def test_a_run_continues_from_what_it_was_begun_with_and_from_nothing_else(regard, corpus, other, trained, tmp_path):
    run, same = tmp_path / "run", shutil.copytree(trained, tmp_path / "same")
    done = regard("train", other, "--to", run, "--from", trained, "--set", "training.steps=4")
    assert done.returncode == 0, done.stderr
    for right in (trained, same):  # the same weights, wherever they lie
        assert regard("train", other, "--to", run, "--from", right).returncode == 0
    done = regard("train", other, "--to", run, "--from", run)
    assert_refused(done, f"{run} was begun from {trained}, not from {run}", "--fresh")
    assert_refused(regard("train", other, "--to", run, "--from", tmp_path / "nothing"), "nothing is not a directory")
    done = regard("train", *corpus, "--to", trained, "--from", same)
    assert_refused(done, f"{trained} was begun from scratch, not from {same}", "--fresh")


def test_guarded_pairs_are_measured_beside_the_validation_and_decide_nothing(regard, corpus, other, trained, tmp_path):
    run = tmp_path / "run"
    done = regard("train", *corpus, "--to", run, "--model", "bahdanau", *TINY, "--guard", other)
    assert done.returncode == 0, done.stderr
    assert "guarded data: 25 pairs read, 25 kept, none dropped." in done.stderr and "  guard  BLEU " in done.stderr
    expected = validations(trained)
    assert len(expected) == len(validations(run)) == 2
    for record, without in zip(validations(run), expected, strict=True):
        guarded = {name: record.pop(name) for name in ("guard_nll", "guard_bleu", "guard_chrf")}
        assert all(math.isfinite(value) for value in guarded.values()) and guarded["guard_nll"] != record["nll"]
        assert record | {"seconds": 0} == without | {"seconds": 0}
    assert end_of(run) == end_of(trained)


def test_guarded_text_is_measured_beside_the_validation_and_decides_nothing(regard, book, written, tmp_path):
    (tmp_path / "old.txt").write_text("Something else was said of the sea.\n" * 9)
    done = regard("train", book, "--to", tmp_path / "run", *TINY_TEXT, "--guard", tmp_path / "old.txt")
    assert done.returncode == 0, done.stderr
    for record, without in zip(validations(tmp_path / "run"), validations(written), strict=True):
        guarded = record.pop("guard_nll"), record.pop("guard_bits_per_byte")
        assert guarded[1] == pytest.approx(guarded[0] / math.log(2), rel=0.02)  # characters of one byte, and the end
        assert f"  guard  {guarded[1]:.3f} bits per byte" in done.stderr
        assert record | {"seconds": 0} == without | {"seconds": 0}
    assert end_of(tmp_path / "run") == end_of(written)


def test_guarded_data_of_the_other_job_are_refused(regard, corpus, book, other, tmp_path):
    done = regard("train", book, "--to", tmp_path / "run", *TINY_TEXT, "--guard", other)
    assert_refused(done, "The guarded data are pairs", "one .txt file")
    done = regard("train", *corpus, "--to", tmp_path / "run", *TINY, "--guard", book)
    assert_refused(done, "The guarded data are running text", "Pairs are two files")
    assert not (tmp_path / "run").exists()


def in_a_shell(streams: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell that closes some of its streams, such as ">&-"."""
    command = shlex.join([sys.executable, "-m", "regard", *map(str, arguments)])
    call = ["bash", "-c", f"exec {command} {streams}"]
    return subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)


def test_a_closed_stdout_is_said_before_the_work(trained, written, corpus):
    commands = [("translate", trained, corpus[0]), ("evaluate", trained, *corpus), ("generate", written)]
    for command in commands:
        assert_refused(in_a_shell(">&-", *command), "regard: Standard output is closed, so there is nowhere to write.")


def test_a_closed_stdin_matters_to_those_only_who_would_read_it(regard, trained, written, corpus):
    done = in_a_shell("<&-", "translate", trained)
    assert_refused(done, "regard: Standard input is closed, so there is nothing to read. Name a file.")
    commands = [("translate", trained, corpus[0]), ("evaluate", trained, *corpus, "--json"), ("generate", written)]
    for command in commands:
        done = in_a_shell("<&-", *command)
        assert done.returncode == 0 and done.stdout == regard(*command).stdout, done.stderr


def test_a_closed_stderr_sends_no_message_among_the_results(regard, trained, written):
    done = in_a_shell("2>&-", "translate", written)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    done = in_a_shell("2>&-", "generate", written)
    assert done.returncode == 0 and done.stdout == regard("generate", written).stdout


def test_a_training_whose_streams_are_all_closed_writes_the_same_files(corpus, trained, tmp_path):
    run = tmp_path / "run"
    done = in_a_shell("<&- >&- 2>&-", "train", *corpus, "--to", run, "--model", "bahdanau", *TINY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert end_of(run) == end_of(trained)


NAMES = {"255 bytes": "n" * 255, "300 bytes": "n" * 300, "not UTF-8": os.fsdecode(b"\xff")}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_no_run_can_have(regard, corpus, tmp_path, name):
    done = regard("train", *corpus, "--to", tmp_path / NAMES[name], "--model", "rnn", *TINY)
    assert_refused(done, f"has {name}; at most 200 are allowed" if "bytes" in name else "is not UTF-8", "Choose")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["300 bytes", "not UTF-8"])
@pytest.mark.parametrize("verb", ["train", "demo"])
def test_a_name_that_no_directory_of_a_run_can_have(regard, corpus, tmp_path, name, verb):
    place = tmp_path / NAMES[name]
    train = ["train", *corpus, "--to", place / "run", "--model", "rnn", *TINY]
    done = regard(*(train if verb == "train" else ["demo", "--to", place, "--minutes", 0.02]))
    assert_refused(done, "ame too long" if "bytes" in name else "UTF-8", "Choose")
    assert list(tmp_path.iterdir()) == []  # it is found before the training


@pytest.mark.parametrize("name", ["n" * 250, "ä" * 125, os.fsdecode(b"\xff")], ids=["ASCII", "UTF-8", "neither"])
def test_a_page_may_have_any_name_that_a_file_can_have(regard, trained, tmp_path, name):
    page = tmp_path / f"{name}.html"
    done = regard("inspect", trained, "The book is red.", "--to", page)
    assert done.returncode == 0, done.stderr
    assert [*tmp_path.iterdir()] == [page]


def test_a_name_that_no_page_can_have(regard, trained, tmp_path):
    (tmp_path / "loop.html").symlink_to("loop.html")
    for name, reason in (("n" * 300 + ".html", "File name too long"), ("loop.html", "ymbolic link")):
        done = regard("inspect", trained, "The book is red.", "--to", tmp_path / name)
        assert_refused(done, f"{name} cannot be written: ", reason)


def test_a_run_that_is_a_link_to_itself(regard, corpus, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert_refused(regard("train", *corpus, "--to", tmp_path / "loop", *TINY), "loop cannot be used", "ymbolic link")
    assert_refused(regard("translate", tmp_path / "loop", stdin="a\n"), "loop")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.steps=" + "9" * 400, "training.steps is 9999"),
        ("training.epochs=" + "9" * 400, "training.epochs is 9999"),
        ("training.steps=" + "9" * 5000, "has 5,000 characters; a setting may have at most 1,000"),
        ("data.max_tokens=" + "[" * 5000, "has 5,000 characters; a setting may have at most 1,000"),
        ("data.max_tokens=" + "[" * 999, "data.max_tokens is '[[["),
        ("[" * 5000 + "=3", "is not a setting; expected section.key"),
        ("training.minutes=1e-300", "training.minutes is 1e-300: input should be greater than or equal to 0.001"),
        ("training.steps=", "training.steps is '': "),
        ("rules.split=2", "rules is not a setting"),
        ("=3", "is not a setting; expected section.key"),
    ],
    ids=lambda text: text[:24],
)
def test_a_setting_that_is_absurd_is_one_short_message(regard, corpus, tmp_path, setting, message):
    done = regard("train", *corpus, "--to", tmp_path / "run", "--set", setting)
    assert_refused(done, message)
    assert len(done.stderr) < 1000
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["recipe.toml", "log.jsonl", "best", "last", "checkpoints", "checkpoints/step-16"])
def test_a_part_of_a_run_that_is_something_else_is_left_alone(regard, corpus, trained, tmp_path, name):
    run = shutil.copytree(trained, tmp_path / "run")
    if name.endswith(("toml", "jsonl")):
        (run / name).unlink()
        (run / name).mkdir()
    else:
        shutil.rmtree(run / name, ignore_errors=True)
        (run / name).write_text("mine")
    before = contents(run)
    for more in ([], ["--fresh"]):
        done = regard("train", *corpus, "--to", run, "--model", "bahdanau", *TINY, *more)
        assert_refused(done, f"{name} is not a ", "but a run needs one there. Remove it")
        assert contents(run) == before


@pytest.mark.parametrize("kind", ["no UTF-8", "no TOML", "too deep", "too short"])
def test_a_recipe_of_a_run_that_cannot_be_read(regard, corpus, trained, tmp_path, kind):
    run = shutil.copytree(trained, tmp_path / "run")
    raw = {"no UTF-8": b"\xff", "no TOML": b"steps =", "too deep": b"x=" + b"[" * 60_000, "too short": b""}[kind]
    (run / "recipe.toml").write_bytes(raw)
    before = contents(run)
    done = regard("train", *corpus, "--to", run, "--model", "bahdanau", *TINY)
    assert_refused(done, "recipe.toml cannot be ", "Restore it from a copy.", "--fresh starts anew there")
    assert contents(run) == before
    fresh = regard("train", *corpus, "--to", run, "--model", "bahdanau", *TINY, "--fresh")  # as the message says
    assert fresh.returncode == 0, fresh.stderr
    assert end_of(run) == end_of(trained)


def test_what_is_no_checkpoint_is_left_alone(regard, corpus, trained, begun):
    strange = [begun / "checkpoints" / name for name in ("step-²", "step-٣", "step-", "step-0012", "step-99x", "x")]
    for path in strange:
        path.mkdir()
    done = regard("train", *corpus, "--to", begun)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "warning" in line and "steps are too few" not in line]
    assert "Continuing from step 8." in done.stderr and not warnings
    assert all(path.is_dir() for path in strange)
    assert end_of(begun) == end_of(trained)


@pytest.mark.parametrize(
    "settings", [["model.width=32768", "model.n_encoder_layers=256", "model.n_decoder_layers=256"]], ids=["transformer"]
)
def test_a_model_too_large_for_the_memory_is_refused_before_it_is_built(regard, corpus, tmp_path, settings):
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    done = regard("train", *corpus, "--to", tmp_path / "run", *arguments)
    assert_refused(done, "The model has 3,", "parameters; training it takes ", "and this machine has ", "smaller model")
    assert not (tmp_path / "run").exists()
