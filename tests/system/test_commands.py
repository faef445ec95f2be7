"""The road from files of text to scores and pages, as a user walks it."""

import json
import signal
import subprocess
import sys
import time

import pytest
from tests.conftest import TINY


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


def test_the_version_is_printed(regard):
    assert regard("--version").stdout.startswith("regard 0.")


def test_the_demo_runs_to_its_end(regard, tmp_path):
    done = regard("demo", "--to", tmp_path / "demo", "--minutes", 0.02)
    assert done.returncode == 0, done.stderr
    assert "unseen sentences" in done.stdout and "regard train source.txt target.txt" in done.stdout
    assert (tmp_path / "demo" / "attention.html").is_file()
