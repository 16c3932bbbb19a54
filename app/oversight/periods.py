"""A period as people give it: two days of China's calendar, both included, either left open. Pure."""

from __future__ import annotations

from datetime import date, datetime, time

from app.kit.clock import SHANGHAI, to_ms
from app.kit.errors import FieldFault, invalid, read_all
from app.parties.registration import read_date

_DAY_MS = 86_400_000

Loc = tuple[str | int, ...]


def read_period(
    since: str | None,
    until: str | None,
    *,
    loc: Loc = (),
    names: tuple[str, str] = ("since", "until"),
) -> tuple[int | None, int | None]:
    """Returns (from, until exclusive) in ms of two days `YYYY-MM-DD`; "" and None leave an end open.

    names: of the two fields. Raises Invalid at each that is wrong, kinds `date` and `range`.
    """
    first, last = read_all(
        lambda: read_date(since, (*loc, names[0])) if since else None,
        lambda: read_date(until, (*loc, names[1])) if until else None,
    )
    if first and last and last < first:
        params = {"expected": f"≥ {first}", "got": last}
        raise invalid(FieldFault((*loc, names[1]), "range", params))
    return (
        None if first is None else _begin_ms(date.fromisoformat(first)),
        None if last is None else _begin_ms(date.fromisoformat(last)) + _DAY_MS,
    )


def _begin_ms(day: date) -> int:
    return to_ms(datetime.combine(day, time(), SHANGHAI))
