import math
import os
import signal
import threading
import time

import pytest
from tests.conftest import forking

from regard.training import interrupt
from regard.training.interrupt import Interrupted, Interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_until_it_is_asked_for(number):
    said: list[str] = []
    interrupts = Interrupts(said.append)
    with interrupts.held():
        interrupts.check()
        os.kill(os.getpid(), number)
        assert len(said) == 1
        with pytest.raises(Interrupted) as caught:
            interrupts.check()
    assert caught.value.number == number


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_what_can_be_done_again_where_it_stands(number):
    interrupts = Interrupts(lambda _: None)
    with interrupts.held(), pytest.raises(Interrupted), interrupts.at_once():
        os.kill(os.getpid(), number)
        pytest.fail("the block went on")


def test_the_same_signal_sent_by_scheduler_and_launcher_counts_once(monkeypatch):
    monkeypatch.setattr(interrupt, "ECHO", math.inf)
    said: list[str] = []
    interrupts = Interrupts(said.append)
    with interrupts.held():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert len(said) == 1
        with pytest.raises(Interrupted):
            interrupts.check()


def signalled_twice() -> None:
    interrupt.ECHO = 0.0
    with Interrupts(lambda _: None).held():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(9)


def test_a_second_signal_ends_the_process_at_once():
    process = forking.Process(target=signalled_twice)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGTERM


def test_a_signal_that_came_before_such_a_block_keeps_it_from_beginning():
    interrupts = Interrupts(lambda _: None)
    with interrupts.held():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), interrupts.at_once():
            pytest.fail("the block began")


def test_the_handlers_of_before_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupts(lambda _: None).held():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_beside_the_main_thread_nothing_is_held():
    before, seen = [signal.getsignal(number) for number in SIGNALS], []

    def inside() -> None:
        with Interrupts(lambda _: None).held():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == before
