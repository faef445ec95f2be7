import json

import pytest

from regard.training.log import LineDisplay, Log, cut_half_line, describe, minutes

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
