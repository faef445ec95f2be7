import json
import math
import os
from pathlib import Path

import pytest
from tests.fakes import Heard

from regard.display import Lines
from regard.errors import RunError
from regard.training import log as module
from regard.training.log import Log, cut_half_line, finite

TRAIN = {"step": 20, "epoch": 1, "loss": 2.5, "tokens_per_second": 3210.4, "seconds_left": 75.2, "progress": 0.5}


def test_records_are_written_and_shown(tmp_path, capsys):
    log = Log(tmp_path / "log.jsonl", Lines())
    log.write("train", **TRAIN)
    log.write("valid", step=20, nll=1.5, bleu=31.234, best=True)
    log.close()
    first, second = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert first == {"kind": "train", **TRAIN}
    assert second["bleu"] == 31.234
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "step 20  epoch 2  loss 2.500  3,210 tokens/s  1:15 left",
        "step 20  validation: 1.500 nats per token  BLEU 31.23  (best so far)",
    ]


def test_whoever_listens_gets_the_very_records_of_the_file_in_order(tmp_path):
    events, display = [], Heard()
    log = Log(tmp_path / "log.jsonl", display, events.append)
    log.write("train", **TRAIN)
    log.write("valid", step=20, nll=math.nan, best=False)
    log.close()
    written = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events == display.shown == written
    assert events[1]["nll"] is None and display.n_closed == 1


def test_a_record_stands_in_the_file_before_anybody_hears_of_it(tmp_path):
    path = tmp_path / "log.jsonl"
    seen = []
    log = Log(path, Heard(), lambda record: seen.append(path.read_text().count("\n")))
    for _ in range(3):
        log.write("train", **TRAIN)
    log.close()
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_none(value):
    assert finite(value) is None


@pytest.mark.parametrize("value", [0.0, -2.5, 3, True, None, "nan", [math.nan]])
def test_every_other_value_is_left_as_it_is(value):
    assert finite(value) is value


def test_without_a_path_nothing_is_written_nor_shown():
    events, display = [], Heard()
    log = Log(None, display, events.append)
    log.write("train", **TRAIN)
    log.close()
    assert events == display.shown == [] and display.n_closed == 1


def test_a_log_goes_on_behind_its_end(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "train"}\n{"kin')
    log = Log(path, Heard())
    log.write("valid", step=1)
    log.close()
    assert path.read_text() == '{"kind": "train"}\n{"kind": "valid", "step": 1}\n'


@pytest.mark.parametrize(
    ("content", "left"), [(b'{"a": 1}\n{"b"', b'{"a": 1}\n'), (b'{"a": 1}\n', b'{"a": 1}\n'), (b'{"a', b""), (b"", b"")]
)
@pytest.mark.parametrize("block", [1, 3, 2**16])
def test_a_half_line_of_a_killed_process_is_cut(tmp_path, monkeypatch, content, left, block):
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    cut_half_line(path)
    assert path.read_bytes() == left


def test_a_missing_log_and_a_link_are_left_alone(tmp_path):
    cut_half_line(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "other").write_text("no line end")
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "other")
    cut_half_line(tmp_path / "log.jsonl")
    assert (tmp_path / "other").read_text() == "no line end"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system follows every link")
def test_a_log_is_not_written_through_a_link(tmp_path):
    (tmp_path / "other").write_text("years of work")
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(RunError, match=r"log\.jsonl cannot be written: Too many levels of symbolic links"):
        Log(tmp_path / "log.jsonl", Heard())
    assert (tmp_path / "other").read_text() == "years of work"


def test_a_log_that_cannot_be_opened_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    display = Heard()
    with pytest.raises(RunError, match=r"log\.jsonl cannot be written: Is a directory\. Remove it, or choose"):
        Log(tmp_path / "log.jsonl", display)
    assert display.n_closed == 1


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no disk here that is always full")
def test_a_full_disk_under_the_log_is_said():
    log = Log(None, Heard())
    log._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115
    with pytest.raises(
        RunError, match=r"/dev/full cannot be written: No space left on device\. Free space, then continue"
    ):
        log.write("train", **TRAIN)
    log.close()
