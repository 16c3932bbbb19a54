"""When to ask a partner again that does not answer: backoff with jitter, and a circuit breaker.

Pure: the time and the jitter are given. Closed: everything goes. Open, after `OPENS_AFTER` failures
in a row: nothing goes until a time. Half-open, from that time on: one small try decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

OPENS_AFTER = 3
FIRST_DELAY_MS = 500
LONGEST_DELAY_MS = 5 * 60 * 1000
"""A partner that was away for a day is asked again within five minutes of its return."""


class State(StrEnum):
    """What may be sent."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """failures: in a row. next_at_ms: nothing is sent before; 0 where nothing failed."""

    failures: int = 0
    next_at_ms: int = 0

    def state(self, now_ms: int) -> State:
        """Returns the state at a time."""
        if self.failures < OPENS_AFTER:
            return State.CLOSED
        return State.OPEN if now_ms < self.next_at_ms else State.HALF_OPEN

    def lets(self, now_ms: int) -> bool:
        """Whether anything may be sent now; a closed breaker pauses after a failure, too."""
        return now_ms >= self.next_at_ms

    def failed(self, now_ms: int, *, jitter: float, retry_after_s: int | None = None) -> Breaker:
        """Returns the breaker after a failure. jitter: 0 ≤ j < 1, as `delay_ms` takes it.

        retry_after_s: what the partner asked for; followed as far as the longest delay.
        """
        failures = self.failures + 1
        pause_ms = delay_ms(failures, jitter=jitter)
        if retry_after_s is not None:
            pause_ms = max(pause_ms, min(retry_after_s * 1000, LONGEST_DELAY_MS))
        return replace(self, failures=failures, next_at_ms=now_ms + pause_ms)

    def answered(self) -> Breaker:
        """Returns the breaker after an answer: closed."""
        return Breaker()


def delay_ms(failures: int, *, jitter: float) -> int:
    """Returns the pause after so many failures in a row: half of it fixed, half of it random.

    Doubles from FIRST_DELAY_MS to LONGEST_DELAY_MS, so that many senders that lost one partner at
    the same moment do not come back at the same moment.
    """
    whole = min(FIRST_DELAY_MS << min(max(failures, 1) - 1, 20), LONGEST_DELAY_MS)
    half = whole // 2
    return half + int(half * jitter)
