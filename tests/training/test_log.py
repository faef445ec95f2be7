import json
from pathlib import Path

import pytest

from regard.errors import RunError
from regard.training.log import BarDisplay, LineDisplay, Log, cut_half_line, describe, minutes

TRAIN = {"step": 20, "epoch": 1, "loss": 2.5, "tokens_per_second": 3210.4, "seconds_left": 75.2, "progress": 0.5}


def test_records_are_written_and_shown(tmp_path, capsys):
    log = Log(tmp_path / "log.jsonl", LineDisplay())
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
        "step 20  validation: 1.500 nats a token  BLEU 31.23  (best so far)",
    ]


def test_lines_of_training_do_not_flood_a_file(capsys):
    display = LineDisplay(seconds=1000)
    for _ in range(5):
        display.show({"kind": "train", **TRAIN})
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "left"), [(b'{"a": 1}\n{"b"', b'{"a": 1}\n'), (b'{"a": 1}\n', b'{"a": 1}\n'), (b'{"a', b""), (b"", b"")]
)
def test_a_half_line_of_a_killed_process_is_cut(tmp_path, content, left):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    cut_half_line(path)
    assert path.read_bytes() == left


def test_what_nobody_watches_is_not_described():
    assert describe({"kind": "start"}) == ""


def test_minutes_are_minutes_and_seconds():
    assert [minutes(s) for s in (0, 59.9, 60, 3599)] == ["0:00", "0:59", "1:00", "59:59"]


def test_a_log_that_cannot_be_opened_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(RunError, match=r"log.jsonl cannot be written: Is a directory. Free the way"):
        Log(tmp_path / "log.jsonl", LineDisplay())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
def test_a_full_disk_under_the_log_is_said():
    log = Log(None, LineDisplay())
    log._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115
    with pytest.raises(RunError, match="/dev/full cannot be written: No space left on device"):
        log.write("train", **TRAIN)
    log.close()


def test_names_in_brackets_are_shown_as_they_are(capsys):
    display = BarDisplay()
    display.say("Going on from step 20 (runs/[old]/[/x]).")
    display.close()
    assert "(runs/[old]/[/x])" in capsys.readouterr().err
