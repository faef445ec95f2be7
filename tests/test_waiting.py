"""Threads that sleep beside other programs: when they are told to, and that it ends."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch

from regard import waiting as module
from regard.waiting import IdleTeams, sleep_beside_others


def n_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def soon(true_of, seconds: float = 20.0) -> bool:
    """Wait until something is true, and return whether it was."""
    end = time.monotonic() + seconds
    while not true_of() and time.monotonic() < end:
        time.sleep(0.01)
    return true_of()


class Teams:
    """What a watch has held, in place of real threads."""

    def __init__(self) -> None:
        self.held = False
        self.calls: list[str] = []

    def hold(self) -> None:
        self.held = True
        self.calls.append("hold")

    def release(self) -> None:
        self.held = False
        self.calls.append("release")


def watched(monkeypatch, shares: list[float]) -> list[str]:
    """Return what a watch does of a thread that waits for these parts of its time, one look after the other."""
    teams = Teams()
    seconds = [0.0]
    for share in shares:
        seconds.append(seconds[-1] + share)
    left = [*seconds, None]
    clock = iter(range(len(left) + 1))
    monkeypatch.setattr(module, "IdleTeams", lambda: teams)
    monkeypatch.setattr(module, "_seconds", lambda waited: left.pop(0))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    module._watch(Path("unread"))
    return teams.calls[:-1]  # without the release when the thread has ended


def test_a_thread_that_waits_long_lets_all_sleep(monkeypatch):
    assert watched(monkeypatch, [0.0, 0.09, 0.11, 0.4]) == ["release", "release", "hold", "hold"]


def test_they_sleep_until_it_hardly_waits_any_more(monkeypatch):
    assert watched(monkeypatch, [0.5, 0.09, 0.04, 0.02, 0.09]) == ["hold", "hold", "hold", "release", "release"]


def test_they_are_released_when_the_thread_ends(monkeypatch):
    teams = Teams()
    left = [0.0, 1.0, None]
    monkeypatch.setattr(module, "IdleTeams", lambda: teams)
    monkeypatch.setattr(module, "_seconds", lambda waited: left.pop(0))
    monkeypatch.setattr(module, "PERIOD_S", 0.001)
    module._watch(Path("unread"))
    assert teams.calls == ["hold", "release"]


def test_how_long_a_thread_waited_is_read_in_seconds(tmp_path):
    (tmp_path / "schedstat").write_text("630916 2500000000 17\n")
    assert module._seconds(tmp_path / "schedstat") == 2.5
    assert module._seconds(tmp_path / "none") is None


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this system does not say how long a thread waited"
)
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
class TestOnLinux:
    @pytest.fixture(autouse=True)
    def two_threads(self):
        """Compute with two threads, though the suite computes with one."""
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        yield
        torch.set_num_threads(before)

    def test_idle_threads_outnumber_the_processors_and_go_again(self):
        torch.zeros(2**20).add_(1)  # our own team
        before = n_threads()
        teams = IdleTeams()
        teams.hold()
        size, n_processors = torch.get_num_threads(), len(os.sched_getaffinity(0))
        n_teams = max(n_processors - size, 0) // (size - 1) + 1
        assert size + n_teams * (size - 1) > n_processors
        assert soon(lambda: n_threads() == before + n_teams * size)
        teams.hold()
        assert teams.held and n_threads() == before + n_teams * size
        teams.release()
        assert not teams.held and soon(lambda: n_threads() == before)
        teams.release()

    def test_the_number_of_threads_that_compute_stays(self):
        before = torch.get_num_threads()
        teams = IdleTeams()
        teams.hold()
        assert torch.get_num_threads() == before
        teams.release()
        assert torch.get_num_threads() == before

    def test_a_watch_ends_with_the_thread_it_watches(self):
        seen = []

        def compute() -> None:
            sleep_beside_others()
            seen.extend(thread for thread in threading.enumerate() if thread.name.startswith("regard-watch"))

        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
        assert seen and soon(lambda: not seen[0].is_alive())

    def test_a_thread_is_watched_once_however_often_it_asks(self):
        n_watches = []

        def compute() -> None:
            for _ in range(3):
                sleep_beside_others()
            own = f"regard-watch-{threading.get_native_id()}"
            n_watches.append([thread.name for thread in threading.enumerate()].count(own))

        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
        assert n_watches == [1]

    def test_no_thread_is_held_for_one_that_computes_alone(self, monkeypatch):
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # set after the watch began
        teams = IdleTeams()
        teams.hold()
        assert not teams.held

    def test_nothing_is_watched_where_one_thread_computes(self, monkeypatch):
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        before = threading.active_count()
        sleep_beside_others()
        assert threading.active_count() == before
