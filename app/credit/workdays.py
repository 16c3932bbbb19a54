"""Chinese working days and calendar months, for every deadline that the policy counts in them.

Days are those of Asia/Shanghai. Which of them are worked on is decided each autumn for one year by
the State Council (moved working Saturdays included): `chinesecalendar` carries these notices up to
the year it was released for. Later years come from workdays.json: weekends and statutory holidays
only, so such a deadline is approximate and says so: off by the few days that a notice moves.
Whoever has the new notice before the library does writes it into that file.

A deadline is computed once and then stands in its record; a better calendar never moves an old one.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources

from chinese_calendar import constants

from app.kit.canonical import parse_json
from app.kit.clock import SHANGHAI, local_day

_FORMAT = "suxin-workdays/1"
_NOTICED = frozenset(day.year for day in constants.holidays)
# A notice for New Year may move working days of the December before it, back to the 28th so far.
_SETTLED_UNTIL = (12, 27)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last millisecond of a working day; approximate: counted over days without a notice."""

    at: datetime
    approximate: bool


@dataclass(frozen=True, slots=True)
class _Year:
    official: bool
    holidays: frozenset[date]
    workdays: frozenset[date]


def is_working_day(day: date) -> bool:
    """Returns whether people in China work on this day, moved working days included."""
    if day.year in _NOTICED:
        if day in constants.workdays:
            return True
        return day.weekday() < 5 and day not in constants.holidays
    year = _later_years().get(day.year)
    if year is not None and day in year.workdays:
        return True
    return (
        day.weekday() < 5
        and (day.month, day.day) not in _yearly_holidays()
        and (year is None or day not in year.holidays)
    )


def is_official(day: date) -> bool:
    """Returns whether the answer of `is_working_day` rests on a published notice."""
    if not _year_is_official(day.year):
        return False
    return (day.month, day.day) <= _SETTLED_UNTIL or _year_is_official(day.year + 1)


def deadline(moment: datetime, *, working_days: int) -> Deadline:
    """Returns the end of the n-th working day after the day of `moment`.

    The day on which something happens does not count, and the last day counts whole (Civil Code
    art. 201 and 203): noticed on Friday, 5 working days end with the next Friday. At least one.
    """
    if working_days < 1:
        raise ValueError(f"working_days: expected at least 1, got {working_days}")
    day = local_day(moment)
    left = working_days
    approximate = False
    while left:
        day += timedelta(days=1)
        approximate = approximate or not is_official(day)
        left -= is_working_day(day)
    return Deadline(end_of_day(day), approximate)


def add_working_days(moment: datetime, working_days: int) -> datetime:
    """Returns `deadline`'s moment alone, in UTC."""
    return deadline(moment, working_days=working_days).at


def end_of_day(day: date) -> datetime:
    """Returns the last millisecond of a day in Asia/Shanghai, in UTC.

    Not the midnight after it: printed, that would name the next day.
    """
    last = datetime(day.year, day.month, day.day, 23, 59, 59, 999_000, tzinfo=SHANGHAI)
    return last.astimezone(UTC)


def add_months(moment: datetime, months: int) -> datetime:
    """Returns the same day and time of day so many months later, in UTC.

    Where the later month has no such day, its last one (Civil Code art. 202).
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    local = moment.astimezone(SHANGHAI)
    years, month0 = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month0 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(UTC)


def _year_is_official(year: int) -> bool:
    if year in _NOTICED:
        return True
    later = _later_years().get(year)
    return later is not None and later.official


@cache
def _data() -> Mapping[str, object]:
    raw = (resources.files("app.credit") / "workdays.json").read_bytes()
    found = parse_json(raw)
    if found.get("format") != _FORMAT:
        raise ValueError(f"workdays.json: expected {_FORMAT}, got {found.get('format')}")
    return found  # type: ignore[no-any-return]


@cache
def _yearly_holidays() -> frozenset[tuple[int, int]]:
    days = _data()["yearly"]
    assert isinstance(days, list)
    # Any leap year reads every month and day.
    parsed = [date.fromisoformat(f"2000-{day}") for day in days]
    return frozenset((day.month, day.day) for day in parsed)


@cache
def _later_years() -> Mapping[int, _Year]:
    years = _data()["years"]
    assert isinstance(years, dict)
    return {
        int(year): _Year(
            official=known["official"],
            holidays=frozenset(map(date.fromisoformat, known["holidays"])),
            workdays=frozenset(map(date.fromisoformat, known["workdays"])),
        )
        for year, known in years.items()
    }
