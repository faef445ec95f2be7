import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard import display as module
from regard.display import Bar, Lines, Silent, beside, counted, describe, minutes, on_stderr

TRAIN = {
    "kind": "train",
    "step": 20,
    "epoch": 1,
    "loss": 2.5,
    "tokens_per_second": 3210.4,
    "seconds_left": 75.2,
    "progress": 0.5,
}
VALID = {"kind": "valid", "step": 20, "nll": 1.5, "best": True}
SKIPPED = {"kind": "skipped", "step": 7, "epoch": 1, "pool": 2, "batch": 3, "items": [4]}


@pytest.fixture
def clock(monkeypatch):
    """A clock that each look moves on by four seconds."""
    ticks = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(ticks)))


def test_a_terminal_gets_a_bar_and_everything_else_plain_lines(monkeypatch):
    assert isinstance(on_stderr(), Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(on_stderr(), Bar)
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(on_stderr(), Lines)


def test_a_record_is_described_as_a_person_reads_it():
    assert describe(TRAIN) == "step 20  epoch 2  loss 2.500  3,210 tokens/s  1:15 left"
    assert describe(VALID) == "step 20  validation: 1.500 nats per token  (best so far)"
    assert describe(VALID | {"nll": None, "best": False}) == "step 20  validation: not finite"
    where = "the gradient of batch 3 in pool 2 of epoch 2 was not finite"
    assert describe(SKIPPED) == f"warning: step 7 skipped: {where}"


def test_what_nobody_watches_is_not_described():
    assert describe({"kind": "start"}) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, ""),
        ({"bleu": 31.234}, "  BLEU 31.23"),
        ({"bleu": None, "bits_per_byte": 1.23456}, "  1.235 bits per byte"),
        ({"bleu": 1.0, "guard_bleu": 2.0}, "  BLEU 1.00  guard  BLEU 2.00"),
        ({"bits_per_byte": 1.0, "guard_bits_per_byte": 0.0}, "  1.000 bits per byte  guard  0.000 bits per byte"),
    ],
)
def test_what_a_validation_found_beside_the_loss_is_said_of_both_sets(found, words):
    assert beside(VALID | found) == words
    assert describe(VALID | found) == f"step 20  validation: 1.500 nats per token{words}  (best so far)"


def test_numbers_agree_with_their_nouns():
    assert [counted(n, "pair") for n in (0, 1, 2, 1000)] == ["0 pairs", "1 pair", "2 pairs", "1,000 pairs"]
    assert [counted(n, "batch", "es") for n in (1, 2)] == ["1 batch", "2 batches"]


def test_minutes_are_minutes_and_seconds():
    assert [minutes(s) for s in (0, 59.9, 60, 3599)] == ["0:00", "0:59", "1:00", "59:59"]


@given(st.floats(0, 1e6))
def test_minutes_and_seconds_are_the_whole_seconds(seconds):
    whole, rest = map(int, minutes(seconds).split(":"))
    assert 60 * whole + rest == int(seconds) and rest < 60


def test_lines_of_training_do_not_flood_a_file(capsys):
    display = Lines(seconds=1000)
    for _ in range(5):
        display.show(TRAIN)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.usefixtures("clock")
def test_lines_of_training_come_every_ten_seconds_and_those_of_validations_always(capsys):
    display = Lines()
    for record in (TRAIN, TRAIN, VALID, VALID, TRAIN, TRAIN, TRAIN, SKIPPED, {"kind": "start"}):
        display.show(record)
    kinds = ["validation" if "validation" in line else line[:4] for line in capsys.readouterr().err.splitlines()]
    assert kinds == ["step", "validation", "validation", "step", "warn"]


def test_a_sentence_is_a_line_on_stderr_and_does_nothing_to_the_terminal(capsys):
    Lines().say("runs/a\x1b[31mb\r: größer")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "runs/a\\x1b[31mb\\r: größer\n")


@pytest.mark.usefixtures("clock")
def test_lines_of_a_count_come_every_ten_seconds_and_at_the_end(capsys):
    with Lines().counting("tokenising", "pairs") as tell:
        for n_done in range(1000, 6000, 1000):
            tell(n_done, 5000)
    assert capsys.readouterr().err.splitlines() == [
        "tokenising: 3,000 of 5,000 pairs, 250 per second, 0:08 left",
        "tokenising: 5,000 of 5,000 pairs, 250 per second, 0:00 left",
    ]


def test_a_count_that_stands_still_is_told_without_an_error(capsys):
    with Lines(seconds=0).counting("tokenising", "pairs") as tell:
        tell(0, 5)
        tell(0, 5)
        tell(5, 5)
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_terminal_gets_a_bar_for_a_count(capsys):
    with Bar().counting("tokenising", "pairs") as tell:
        tell(2, 5)
        tell(5, 5)
    err = capsys.readouterr().err
    assert "tokenising" in err and "5/5" in err and "100" not in err


def test_a_bar_shows_the_newest_figures_and_what_the_last_validation_found(capsys):
    display = Bar()
    display.show(TRAIN)
    display.show(VALID | {"bleu": 31.2})
    display.show(TRAIN | {"step": 30, "progress": 1.0})
    display.close()
    err = capsys.readouterr().err
    assert "validation: 1.500 nats per token  BLEU 31.20" in err
    assert "100%" in err and "step 30" in err


def test_a_bar_can_be_closed_twice_and_begun_again(capsys):
    display = Bar()
    display.close()
    for step in (1, 2):
        display.show(TRAIN | {"step": step})
        display.close()
        display.close()
    assert "step 2" in capsys.readouterr().err


def test_names_in_brackets_are_shown_as_they_are(capsys):
    display = Bar()
    display.say("Continuing from step 20 (runs/[old]/[/x]).")
    display.close()
    assert "(runs/[old]/[/x])" in capsys.readouterr().err


def test_a_bar_does_nothing_to_the_terminal_that_a_name_asks_for(capsys):
    display = Bar()
    display.say("runs/a\x1b[31mb\x1b]0;title\x07")
    display.close()
    assert "\x1b[31m" not in capsys.readouterr().err


def test_a_terminal_that_is_gone_does_not_end_the_work(monkeypatch):
    def gone(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    display = Bar()
    monkeypatch.setattr(display._console, "print", gone)
    display.say("hello")
    display.show(TRAIN)
    monkeypatch.setattr(display._training, "stop", gone)
    display.close()
    assert display._training is None


def test_a_silent_display_shows_nothing(capsys):
    display = Silent()
    display.say("hello")
    display.show(TRAIN)
    with display.counting("tokenising", "pairs") as tell:
        tell(1, 2)
    display.close()
    assert capsys.readouterr() == ("", "")
