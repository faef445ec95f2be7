import pytest

from regard.cli import counting as module
from regard.cli.counting import counting


@pytest.fixture
def clock(monkeypatch):
    """A clock that each look moves on by four seconds."""
    ticks = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(ticks)))


@pytest.mark.usefixtures("clock")
def test_lines_come_every_ten_seconds_and_at_the_end(capsys):
    with counting("tokenising", "pairs") as tell:
        for n_done in range(1000, 6000, 1000):
            tell(n_done, 5000)
    assert capsys.readouterr().err.splitlines() == [
        "tokenising: 3,000 of 5,000 pairs, 250 a second, 0:08 left",
        "tokenising: 5,000 of 5,000 pairs, 250 a second, 0:00 left",
    ]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    with counting("tokenising", "pairs") as tell:
        tell(2, 5)
        tell(5, 5)
    err = capsys.readouterr().err
    assert "tokenising" in err and "5/5" in err and "100" not in err


def test_only_the_first_of_several_processes_shows_it(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with counting("tokenising", "pairs") as tell:
        tell(5, 5)
    assert capsys.readouterr().err == ""
