"""Chinese working days: moved days, years nobody has announced yet, the end of the day."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit import workdays
from app.credit.workdays import (
    add_months,
    add_working_days,
    deadline,
    end_of_day,
    is_official,
    is_working_day,
)
from app.kit.clock import SHANGHAI, local_day

MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def in_china(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_five_working_days_skip_a_weekend_and_end_with_the_day():
    assert add_working_days(MONDAY, 5) == in_china("2026-11-30T23:59:59.999")
    assert add_working_days(MONDAY, 5) == datetime(2026, 11, 30, 15, 59, 59, 999_000, tzinfo=UTC)


def test_the_first_day_is_that_of_china_not_of_utc():
    # 17:00 UTC on Monday is Tuesday in China already.
    late = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert local_day(add_working_days(late, 1)) == date(2026, 11, 25)


def test_a_moved_working_saturday_counts_and_a_holiday_week_does_not():
    # The notice for 2025: 1-8 October off, Sunday 28 September and Saturday 11 October worked.
    assert is_working_day(date(2025, 9, 28))
    assert not is_working_day(date(2025, 10, 8))
    assert is_working_day(date(2025, 10, 11))
    friday = in_china("2025-09-26T10:00")
    assert local_day(add_working_days(friday, 5)) == date(2025, 10, 10)


def test_a_year_without_a_notice_counts_statutory_days_and_says_so():
    # Labour Day of 2036 falls on Thursday and Friday; no notice can exist yet.
    wednesday = in_china("2036-04-30T10:00")
    found = deadline(wednesday, working_days=1)
    assert local_day(found.at) == date(2036, 5, 5)
    assert found.approximate
    assert not deadline(MONDAY, working_days=5).approximate


@pytest.mark.parametrize(
    "day",
    [date(2027, 2, 8), date(2027, 6, 9), date(2030, 9, 12), date(2099, 10, 1), date(2103, 1, 1)],
)
def test_statutory_holidays_of_later_years_are_no_working_days(day):
    assert day.weekday() < 5
    assert not is_working_day(day)


def test_the_last_days_of_the_last_announced_year_may_still_be_moved():
    last = max(workdays._NOTICED)
    if last + 1 in workdays._later_years() and workdays._later_years()[last + 1].official:
        pytest.skip("the year after the library's last is official in workdays.json")
    assert is_official(date(last, 12, 27))
    assert not is_official(date(last, 12, 28))


def test_an_official_year_in_the_file_moves_working_days(monkeypatch):
    year = workdays._Year(
        official=True,
        holidays=frozenset({date(2050, 1, 3)}),
        workdays=frozenset({date(2050, 1, 1), date(2050, 1, 2)}),
    )
    monkeypatch.setattr(workdays, "_later_years", lambda: {2050: year})
    assert is_working_day(date(2050, 1, 2))  # a Sunday
    assert is_working_day(date(2050, 1, 1))  # by the notice, against the yearly list
    assert not is_working_day(date(2050, 1, 3))  # a Monday
    assert is_official(date(2050, 1, 4))


@given(
    st.datetimes(datetime(2005, 1, 1), datetime(2060, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)),
    st.integers(1, 30),
)
def test_a_deadline_leaves_exactly_so_many_working_days(moment, count):
    end = add_working_days(moment, count)
    days = [local_day(moment) + timedelta(days=n) for n in range(1, 200)]
    assert sum(is_working_day(day) for day in days if day <= local_day(end)) == count
    assert is_working_day(local_day(end))
    assert end == end_of_day(local_day(end))
    assert end > moment


def test_less_than_one_working_day_and_a_naive_time_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        add_working_days(MONDAY, 0)
    with pytest.raises(ValueError, match="zone"):
        add_working_days(datetime(2026, 11, 23), 1)
    with pytest.raises(ValueError, match="zone"):
        add_months(datetime(2026, 11, 23), 1)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-11-23T10:00", 3, "2027-02-23T10:00"),
        ("2026-11-30T10:00", 3, "2027-02-28T10:00"),
        ("2027-11-30T10:00", 3, "2028-02-29T10:00"),
        ("2026-12-31T23:59:59.999", 36, "2029-12-31T23:59:59.999"),
        ("2026-11-23T10:00", 0, "2026-11-23T10:00"),
    ],
)
def test_months_end_on_the_same_day_or_the_months_last(start, months, end):
    assert add_months(in_china(start), months) == in_china(end)


def test_months_are_those_of_china():
    # 2027-02-28 in UTC, 1 March in China.
    moment = datetime(2027, 2, 28, 17, 0, tzinfo=UTC)
    assert add_months(moment, 1) == datetime(2027, 3, 31, 17, 0, tzinfo=UTC)


def test_the_calendar_leaks_no_warning():
    code = (
        "from app.credit.workdays import *; import datetime as d;"
        "add_working_days(d.datetime(2049, 1, 1, tzinfo=d.UTC), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
