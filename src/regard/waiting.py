"""How the threads of a computation wait for each other: spinning on a quiet machine, asleep beside other programs.

Between two products OpenMP's threads spin for a few milliseconds, waiting for work. If nothing else runs on the
machine, that is fastest. Beside one other busy program they take the processor from each other, and two threads are
slower than one. libgomp, the OpenMP of PyTorch on Linux, offers a solution: while a process has more OpenMP threads
than there are processors, all of them sleep almost at once (its `gomp_throttled_spin_count_var`). So a watch thread
measures how long the computing thread has waited for a processor, and while that is long it keeps additional idle
threads. The number of computing threads never changes, so results do not change either.
"""

import os
import threading
import time
from pathlib import Path

import torch

PERIOD_S = 0.5
"""The time in seconds between two measurements. Their cost was too small to be measured."""

CROWDED, QUIET = 0.10, 0.03
"""Shares of its time that a thread waits for a processor: from the first on, others use it, too; below the second, not.

Alone on the machine the share is a thousandth, beside one busy program a third.
"""


def sleep_beside_others() -> None:
    """Measure how long this thread waits for a processor, while it lives; if it is long, make OpenMP's threads sleep.

    Nothing happens if only one thread computes, if this thread is measured already, or if the system does not report
    how long a thread waited (Linux does).
    """
    thread = threading.get_native_id()
    name, waited = f"regard-watch-{thread}", Path(f"/proc/self/task/{thread}/schedstat")
    if torch.get_num_threads() > 1 and waited.exists() and name not in (t.name for t in threading.enumerate()):
        threading.Thread(target=_watch, args=(waited,), name=name, daemon=True).start()


def _watch(waited: Path) -> None:
    idle = IdleTeams()
    then, before = time.perf_counter(), _seconds(waited)
    while before is not None:
        time.sleep(PERIOD_S)
        now, after = time.perf_counter(), _seconds(waited)
        if after is None or (after - before) / (now - then) < (QUIET if idle.held else CROWDED):
            idle.release()
        else:
            idle.hold()
        then, before = now, after


def _seconds(waited: Path) -> float | None:
    """Return how long a thread has been ready but without a processor, or None if it has ended."""
    try:
        return int(waited.read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return None


class IdleTeams:
    """Idle threads of OpenMP. Together with the computing ones they outnumber the processors, so that all may sleep.

    Each team is started by a thread of ours: OpenMP keeps a team for as long as the thread that started it lives.
    """

    def __init__(self) -> None:
        self._leaders: list[threading.Thread] = []
        self._enough = threading.Event()

    @property
    def held(self) -> bool:
        return bool(self._leaders)

    def hold(self) -> None:
        """Start them."""
        size = torch.get_num_threads()
        if self.held or size < 2:
            return
        # libgomp counts the threads of our team and of every additional one, without its leader.
        n_missing = len(os.sched_getaffinity(0)) - size
        n_teams = max(n_missing, 0) // (size - 1) + 1
        self._enough = threading.Event()
        self._leaders = [threading.Thread(target=self._lead, args=(size,), daemon=True) for _ in range(n_teams)]
        for leader in self._leaders:
            leader.start()

    def release(self) -> None:
        """End them."""
        self._enough.set()
        for leader in self._leaders:
            leader.join()
        self._leaders = []

    def _lead(self, size: int) -> None:
        torch.zeros(size * 2**16).add_(1)  # large enough for the whole team
        self._enough.wait()
