"""The road from files of text to scores and pages, as a user walks it."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.conftest import TINY, TINY_TEXT


def test_one_line_in_is_one_line_out_also_for_empty_lines(regard, trained):
    done = regard("translate", trained, stdin="The book is red.\n\nThe house is green.\n  \n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert len(lines) == 5 and lines[1] == lines[3] == lines[4] == ""
    assert regard("translate", trained, "-", stdin="The book is red.\n").stdout == lines[0] + "\n"


def test_nothing_in_is_nothing_out(regard, trained):
    done = regard("translate", trained, stdin="")
    assert (done.returncode, done.stdout) == (0, "")


def test_n_best_lists_count_lines_and_fall_in_rank(regard, trained):
    done = regard("translate", trained, "--n-best", 3, "--beam", 4, stdin="The book is red.\nThe car is old.\n")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] * 3
    assert all(float(row[1]) < 0 for row in rows)


def test_evaluate_prints_both_forms_of_bleu_with_their_signatures(regard, trained, corpus):
    done = regard("evaluate", trained, *corpus, "--json")
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


@pytest.mark.parametrize(("name", "start"), [("a.html", b"<!doctype html>"), ("a.json", b"{"), ("a.png", b"\x89PNG")])
def test_inspect_writes_what_the_name_asks_for(regard, trained, tmp_path, name, start):
    done = regard("inspect", trained, "The book is red.", "--to", tmp_path / name)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes().lower().startswith(start.lower())
    assert done.stdout.startswith("The book is red. → ")


def test_a_tsv_without_validation_data_is_trained_on_all_but_what_is_held_out(regard, corpus, tmp_path):
    lines = zip(*(path.read_text(encoding="utf-8").splitlines() for path in corpus), strict=True)
    (tmp_path / "x.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in lines), encoding="utf-8")
    done = regard("train", tmp_path / "x.tsv", "--to", tmp_path / "run", "--model", "bahdanau", *TINY)
    assert done.returncode == 0, done.stderr
    assert "25 pairs read, 25 kept, none dropped" in done.stderr
    assert "2 pairs held out" in done.stderr
    assert "preset tiny: 25 pairs" in done.stderr


def test_the_same_command_again_has_nothing_left_to_do_and_fresh_starts_anew(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY]
    assert regard(*command).returncode == 0
    weights = (tmp_path / "run" / "last" / "model.safetensors").read_bytes()
    again = regard(*command)
    assert again.returncode == 0 and "Going on from step 12" in again.stderr
    assert (tmp_path / "run" / "last" / "model.safetensors").read_bytes() == weights
    fresh = regard(*command, "--fresh")
    assert fresh.returncode == 0 and "Going on" not in fresh.stderr
    assert (tmp_path / "run" / "last" / "model.safetensors").read_bytes() == weights  # the same seed, the same weights


def test_results_go_to_stdout_and_everything_else_to_stderr(regard, corpus, tmp_path):
    done = regard("train", *corpus, "--to", tmp_path / "run", "--model", "bahdanau", *TINY)
    assert done.stdout == ""


def test_an_interrupted_training_leaves_with_130(corpus, tmp_path):
    command = [sys.executable, "-m", "regard", "train", *map(str, corpus), "--to", str(tmp_path / "run")]
    process = subprocess.Popen([*command, *TINY, "--set", "model.n_heads=2", "--set", "training.steps=100000"])
    while not (tmp_path / "run" / "checkpoints" / "step-4").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_a_training_that_nobody_listens_to_goes_on(corpus, tmp_path):
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


def test_the_demo_runs_to_its_end_and_again_only_as_it_was_begun(regard, tmp_path):
    command = ["demo", "--to", tmp_path / "demo", "--minutes"]
    done = regard(*command, 0.03)
    assert done.returncode == 0, done.stderr
    assert "unseen sentences" in done.stdout and "regard train source.txt target.txt" in done.stdout
    assert "5-gram" in done.stdout and "xz" in done.stdout and "A text that goes on" in done.stdout
    assert (tmp_path / "demo" / "translator" / "attention.html").is_file()
    again = regard(*command, 0.04)
    assert again.returncode == 2 and "training.minutes: 0.02" in again.stderr and "--fresh" in again.stderr
    assert regard(*command, 0.04, "--fresh").returncode == 0


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
    for part in ("characters of running text", "validation data: the last", "model: gpt, preset tiny", "would be seen"):
        assert part in done.stderr
    for part in ("bits a byte", "A sample, going on from", "stands in the training text has", "regard generate"):
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
    assert "tokens: more than 0 pairs, so they are kept in" in done.stderr
    assert "tokenising: 23 of 23 pairs" in done.stderr
    last = [tmp_path / run / "last" / "model.safetensors" for run in ("memory", "disk")]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_running_text_that_stays_on_the_disk_trains_the_same_model(regard, book, tmp_path):
    for run, more in (("memory", []), ("disk", ["--set", "data.characters_in_memory=0"])):
        done = regard("train", book, "--to", tmp_path / run, *TINY_TEXT, *more)
        assert done.returncode == 0, done.stderr
    assert "tokens: more than 0 characters, so they are kept in" in done.stderr
    assert len(list(tmp_path.glob("disk/tokens/shard-*"))) == 1
    last = [tmp_path / run / "last" / "model.safetensors" for run in ("memory", "disk")]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_bpe_dropout_trains_and_a_run_without_it_is_refused(regard, corpus, tmp_path):
    command = ["train", *corpus, "--to", tmp_path / "run", "--model", "rnn", *TINY]
    done = regard(*command, "--set", "data.bpe_dropout=0.1")
    assert done.returncode == 0 and "BPE dropout 0.1" in done.stderr, done.stderr
    assert regard(*command).returncode == 2


def test_validation_pairs_that_are_too_long_are_left_out_and_counted(regard, corpus, tmp_path):
    source, target = (path.read_text(encoding="utf-8").splitlines() for path in corpus)
    (tmp_path / "valid.tsv").write_text(f"{' '.join(source[:9])}\t{target[0]}\n{source[1]}\t{target[1]}\n")
    arguments = ["--valid", tmp_path / "valid.tsv", "--to", tmp_path / "run", "--set", "data.max_tokens=30"]
    done = regard("train", *corpus, *arguments, "--model", "bahdanau", *TINY)
    assert done.returncode == 0, done.stderr
    assert "validation data: 1 of 2 pairs over 30 tokens left out" in done.stderr
