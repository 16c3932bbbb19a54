"""Backoff and the circuit breaker: plain values, the time and the dice are given."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.exchange.breaker import (
    FIRST_DELAY_MS,
    LONGEST_DELAY_MS,
    OPENS_AFTER,
    Breaker,
    State,
    delay_ms,
)


def after(failures: int, *, now_ms: int = 0, jitter: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(failures):
        breaker = breaker.failed(now_ms, jitter=jitter)
    return breaker


def test_it_opens_after_some_failures_in_a_row_and_an_answer_closes_it():
    states = [after(n).state(0) for n in range(OPENS_AFTER + 2)]
    assert states == [State.CLOSED] * OPENS_AFTER + [State.OPEN] * 2
    assert after(50).answered() == Breaker()
    assert after(OPENS_AFTER - 1).answered().failed(0, jitter=0).state(0) is State.CLOSED


def test_while_it_is_open_nothing_goes_then_one_try_decides():
    opened = after(OPENS_AFTER, now_ms=1_000)
    last_ms = opened.next_at_ms - 1
    assert (opened.lets(last_ms), opened.state(last_ms)) == (False, State.OPEN)
    assert (opened.lets(last_ms + 1), opened.state(last_ms + 1)) == (True, State.HALF_OPEN)
    again = opened.failed(opened.next_at_ms, jitter=0)
    assert again.state(opened.next_at_ms) is State.OPEN
    assert again.next_at_ms - opened.next_at_ms == 2 * (opened.next_at_ms - 1_000)


def test_a_closed_breaker_pauses_too():
    assert not after(1).lets(0)
    assert after(1).lets(FIRST_DELAY_MS)


def test_after_a_day_of_failures_it_asks_again_within_the_longest_delay():
    now_ms, breaker, tries = 0, Breaker(), 0
    while now_ms < 24 * 3600 * 1000:
        breaker = breaker.failed(now_ms, jitter=0.999)
        now_ms, tries = breaker.next_at_ms, tries + 1
    assert breaker.next_at_ms - now_ms + LONGEST_DELAY_MS > LONGEST_DELAY_MS * 0.99
    assert tries < 320, "a day costs few requests"


def test_the_partner_may_ask_for_more_time_but_not_for_ever():
    assert Breaker().failed(0, jitter=0, retry_after_s=60).next_at_ms == 60_000
    assert Breaker().failed(0, jitter=0, retry_after_s=10**6).next_at_ms == LONGEST_DELAY_MS
    assert after(30).failed(0, jitter=0, retry_after_s=1).next_at_ms == LONGEST_DELAY_MS // 2


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_between_half_and_the_whole_of_what_doubles(failures, jitter):
    whole = min(FIRST_DELAY_MS * 2 ** (failures - 1), LONGEST_DELAY_MS)
    assert whole // 2 <= delay_ms(failures, jitter=jitter) <= whole
    assert delay_ms(failures, jitter=jitter) <= delay_ms(failures + 1, jitter=jitter)


def test_jitter_spreads_senders_over_half_the_delay():
    spread = {delay_ms(5, jitter=n / 100) for n in range(100)}
    assert len(spread) == 100
    assert all(low < high for low, high in itertools.pairwise(sorted(spread)))
