"""Months and days of reported orders: what is summed, and over which time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.months import (
    Period,
    Reported,
    first_month_of,
    fold_count,
    parse_period,
    reported_run,
    told_month,
)
from app.kit.clock import from_ms

DAY_MS = 86_400_000


def month(*counts: tuple[str, int]) -> Reported:
    fact: dict = {}
    for period, orders in counts:
        fact = fold_count(fact, parse_period(period), orders)
    return told_month(counts[0][0][:7], fact)


def test_days_are_summed_and_cover_what_lies_between():
    told = month(("2026-11-03", 4), ("2026-11-01", 6))
    assert told.orders == 10
    assert told.until - told.since == 3 * DAY_MS
    assert from_ms(told.since) == datetime(2026, 10, 31, 16, tzinfo=UTC), "midnight in China"


def test_the_same_period_again_is_a_correction():
    assert month(("2026-11-01", 6), ("2026-11-01", 2)).orders == 2


def test_a_month_stands_in_place_of_its_days():
    told = month(("2026-02-01", 6), ("2026-02", 50), ("2026-02-02", 7))
    assert told.orders == 50
    assert told.until - told.since == 28 * DAY_MS


@pytest.mark.parametrize(
    "text", ["2026", "2026-13", "2026-02-30", "2026-1", "26-01", "", "２０２６-01"]
)
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ValueError):
        parse_period(text)


def test_a_month_that_nobody_reported_ends_the_run():
    told = [(f"2026-{n:02}", month((f"2026-{n:02}", n))) for n in (6, 8, 9, 10)]
    run = reported_run(told)
    assert (run.orders, run.since, run.until) == (27, told[1][1].since, told[3][1].until)
    assert reported_run(told[:1]).orders == 6


def test_a_run_goes_over_the_new_year():
    told = [("2026-12", month(("2026-12", 1))), ("2027-01", month(("2027-01", 2)))]
    assert reported_run(told).orders == 3


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))
def test_the_first_month_lies_in_the_window_as_a_whole(moment):
    since = moment.replace(tzinfo=UTC)
    first = parse_period(first_month_of(since))
    assert first == Period(first.month, None)
    begun = from_ms(told_month(first.month, {"whole": 1}).since)
    assert begun > since - timedelta(days=1)
    assert begun - since <= timedelta(days=31)
