"""The turn at what costs a process much: who waits for it, and who is told to come again at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.kit.errors import Overloaded
from app.kit.turn import OneAtATime

SOON_S = 10


def test_beyond_those_who_may_wait_each_is_told_at_once_and_those_have_their_turns():
    turn = OneAtATime("imports_busy", patience_s=SOON_S, most=2, retry_after_s=8)
    at_work, most_at_work, alone = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_work, most_at_work
        with turn:
            with alone:
                at_work += 1
                most_at_work = max(most_at_work, at_work)
            with alone:
                at_work -= 1

    for _ in range(3):  # every place is given back
        with ThreadPoolExecutor(6) as threads:
            with turn:
                asked = [threads.submit(work) for _ in range(6)]
                # Those who may not wait are told while the turn is still taken.
                until = time.monotonic() + SOON_S
                while sum(one.done() for one in asked) < 4 and time.monotonic() < until:
                    time.sleep(0.001)
                told = [one.exception() for one in asked if one.done()]
            assert [type(one) for one in told] == [Overloaded] * 4
            assert {(one.key, one.retry_after_s) for one in told} == {("imports_busy", 8)}
            assert sum(one.exception() is None for one in asked) == 2
    assert most_at_work == 1


def test_who_waited_too_long_or_failed_leaves_the_place_to_others():
    turn = OneAtATime("imports_busy", patience_s=0.01, most=1)
    with turn:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(Overloaded) as told, turn:
                pass
            assert told.value.retry_after_s == 2
            assert time.monotonic() - began >= 0.01, "it waited, as the only one"
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turn:
            1 / 0  # noqa: B018
    with turn:
        pass
