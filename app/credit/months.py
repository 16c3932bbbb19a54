"""Months and days of China in which platforms count orders, and which of them are compared. Pure.

A platform reports a whole month, or days of it; a month's figure stands in place of its days. Both
are the platform's word, kept as the fact of one offer and month beside the platform's records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from app.kit.clock import SHANGHAI, local_day, to_ms

_PERIOD = re.compile(r"\d{4}-\d{2}(-\d{2})?", re.ASCII)


class Reported(NamedTuple):
    """Orders that platforms report of one offer in a month. since, until: ms that they cover."""

    since: int
    until: int
    orders: int


@dataclass(frozen=True, slots=True)
class Period:
    """A month `2026-11`, or a day of it: `day` 1 to 31, None for the whole month."""

    month: str
    day: int | None

    @property
    def first(self) -> date:
        """The first day."""
        return date.fromisoformat(f"{self.month}-{self.day or 1:02}")


def parse_period(text: str) -> Period:
    """Returns the period of `YYYY-MM` or `YYYY-MM-DD`. Raises ValueError."""
    if not _PERIOD.fullmatch(text):
        raise ValueError(text)
    period = Period(text[:7], int(text[8:]) if len(text) > 7 else None)
    _ = period.first
    return period


def fold_count(fact: Mapping[str, Any], period: Period, orders: int) -> dict[str, Any]:
    """Returns an offer's month after one more report; the same period said again is corrected."""
    if period.day is None:
        return {**fact, "whole": orders}
    return {**fact, "days": {**fact.get("days", {}), f"{period.day:02}": orders}}


def told_month(month: str, fact: Mapping[str, Any]) -> Reported:
    """Returns what an offer's month comes to."""
    if "whole" in fact:
        first = date.fromisoformat(f"{month}-01")
        return Reported(_ms(first), _ms(_next_month(first)), fact["whole"])
    days: Mapping[str, int] = fact.get("days", {})
    first, last = (date.fromisoformat(f"{month}-{day}") for day in (min(days), max(days)))
    return Reported(_ms(first), _ms(last + timedelta(days=1)), sum(days.values()))


def first_month_of(since: datetime) -> str:
    """Returns the first month that lies in the window as a whole."""
    first = local_day(since)
    return f"{first if first.day == 1 else _next_month(first):%Y-%m}"


def reported_run(months: Sequence[tuple[str, Reported]]) -> Reported:
    """Returns the sum of the months back from the latest reported one, up to the first missing.

    Chains of a month that nobody reported must not be held against another month's orders.
    """
    (expected, last), orders, since = months[-1], 0, months[-1][1].since
    for month, told in reversed(months):
        if month != expected:
            break
        since, orders = told.since, orders + told.orders
        expected = f"{date.fromisoformat(f'{month}-01') - timedelta(days=1):%Y-%m}"
    return Reported(since, last.until, orders)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _ms(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC))
