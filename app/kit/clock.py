"""Time: UTC, whole milliseconds, one text form. The only place that asks the machine's clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Protocol

# China keeps one time zone and has had no summer time since 1991: no zone table is needed.
SHANGHAI = timezone(timedelta(hours=8))

_RFC3339 = re.compile(
    r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$", re.ASCII
)
_OURS = re.compile(r"^[^.]{19}\.\d{3}Z$", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Clock(Protocol):
    """Anything that tells the time; tests and the demo bring their own."""

    def now(self) -> datetime:
        """Returns an aware UTC time, truncated to milliseconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def truncate_ms(moment: datetime) -> datetime:
    """Returns `moment` in UTC without the digits below the millisecond (truncated, never rounded)."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# All records of a batch have one time, and each is written several times.
@lru_cache(maxsize=4_096)
def format_time(moment: datetime) -> str:
    """Returns the one text form of a time: `2026-11-23T07:00:00.000Z`."""
    # isoformat truncates to the timespec, and is five times as fast as strftime.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def format_local(moment: datetime) -> str:
    """Returns a time as China's clocks show it, with its offset, for tables: `2026-11-23T15:00:00+08:00`."""
    return moment.astimezone(SHANGHAI).isoformat(timespec="seconds")


def format_time_if(moment: datetime | None) -> str | None:
    """Returns the time as `format_time` does, None where there is none."""
    return None if moment is None else format_time(moment)


def format_ms_if(milliseconds: int | None) -> str | None:
    """Returns a time of a row as `format_time` does, None where there is none."""
    return None if milliseconds is None else format_time(from_ms(milliseconds))


# An audit reads the times of a record again and again, and those of its neighbours.
@lru_cache(maxsize=8_192)
def parse_time(text: str) -> datetime:
    """Returns the UTC time of an RFC 3339 text with any offset, truncated to milliseconds.

    Raises ValueError if the text is not RFC 3339 section 5.6 (an offset is required).
    """
    if not _RFC3339.match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    # The one form in which we write times has nothing to truncate.
    return moment if _OURS.match(text) else truncate_ms(moment)


def to_ms(moment: datetime) -> int:
    """Returns milliseconds since 1970-01-01 UTC, as stored in tables."""
    return (moment - _EPOCH) // _MS


def from_ms(milliseconds: int) -> datetime:
    """Returns the UTC time of `to_ms`'s number, exactly."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def from_ms_if(milliseconds: int | None) -> datetime | None:
    """Returns the time of a row as `from_ms` does, None where there is none."""
    return None if milliseconds is None else from_ms(milliseconds)


def local_day(moment: datetime) -> date:
    """Returns the calendar day of an aware time in Asia/Shanghai."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(SHANGHAI).date()


def china_day(moment: datetime) -> str:
    """Returns the same day as `YYYY-MM-DD`."""
    return local_day(moment).isoformat()


class _Days(dict[str, int]):
    """Milliseconds since 1970 at which days begin; each is reckoned once."""

    _MOST = 20_000

    def __missing__(self, day: str) -> int:
        if _DAY.fullmatch(day) is None:
            raise ValueError(day)
        begins = (date.fromisoformat(day) - _EPOCH.date()).days * 86_400_000
        if len(self) >= self._MOST:
            self.clear()
        self[day] = begins
        return begins


_DAYS = _Days()
_MINUTES = {f"T{n // 60:02}:{n % 60:02}:": n * 60_000 for n in range(1440)}
_SECONDS = {f"{n:02}.": n * 1000 for n in range(60)}
_MILLISECONDS = {f"{n:03}Z": n for n in range(1000)}


def read_ms(text: str) -> int:
    """Returns the milliseconds of a time in the one form that `format_time` gives.

    By looking its parts up: an audit reads three of these for each record. Raises ValueError for
    every other form, also for one that `parse_time` reads.
    """
    try:
        return (
            _DAYS[text[:10]] + _MINUTES[text[10:17]] + _SECONDS[text[17:20]]
            + _MILLISECONDS[text[20:]]
        )  # fmt: skip
    except KeyError:
        raise ValueError(text) from None


class _Hours(dict[bytes, int]):
    """Milliseconds since 1970 at which hours begin; each is reckoned once."""

    _MOST = 20_000

    def __missing__(self, text: bytes) -> int:
        begins = read_ms(text.decode("ascii") + ":00:00.000Z")
        if len(self) >= self._MOST:
            self.clear()
        self[text] = begins
        return begins


# A time in the form of `read_ms`, as bytes in three parts, of 13, 6 and 5; the sum is its milliseconds.
# Raises KeyError or, for an hour that is none, ValueError.
HOURS_MS = _Hours()
CLOCK_MS = {f":{n // 60:02}:{n % 60:02}".encode("ascii"): n * 1000 for n in range(3_600)}
REST_MS = {f".{n:03}Z".encode("ascii"): n for n in range(1000)}


def parse_ms(text: str) -> int:
    """Returns the milliseconds of any time that `parse_time` reads. Raises ValueError as it does."""
    try:
        return (
            _DAYS[text[:10]] + _MINUTES[text[10:17]] + _SECONDS[text[17:20]]
            + _MILLISECONDS[text[20:]]
        )  # fmt: skip
    except (KeyError, ValueError):  # not as `read_ms` has it
        return to_ms(parse_time(text))
