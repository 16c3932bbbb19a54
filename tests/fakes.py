"""Stand-ins that tests hold in their hands. Each can do what the real thing does, and fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.kit.clock import truncate_ms

START = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves only when told; starts at `START` unless given another time."""

    def __init__(self, start: datetime = START) -> None:
        self._now = truncate_ms(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Moves by `seconds` (negative: a clock set back) and returns the new time."""
        return self.set(self._now + timedelta(seconds=seconds))

    def set(self, moment: datetime) -> datetime:
        self._now = truncate_ms(moment)
        return self._now
