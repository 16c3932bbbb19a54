"""What an authority looks for, as it was given, all that is wrong with it at once; and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.kit.errors import FieldFault, invalid, read_all
from app.oversight.periods import read_period
from app.oversight.seekwords import MAX_QUERY, Kind, Reading
from app.parties.identity import parse_region
from app.parties.looking import read_purpose

By = Kind | Literal["region", "sold", "issued"]
"""As what something was found. `region`: it was registered there, or anywhere, in the time asked for."""
Group = Literal["parties", "products", "lots", "units"]
GROUPS: tuple[Group, ...] = ("parties", "products", "lots", "units")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for. text: any number or name, "" for all of a region or a time. region: GB/T 2260.

    since, until: days of the hit's own time (registered, issued, sold, recorded), both included.
    after: the places where an answer before this one left off with sealed numbers: only what is behind them.
    """

    text: str = ""
    region: str = ""
    since: str = ""
    until: str = ""
    purpose: str = ""
    after: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found. key: a party's id, a GTIN or a code. by: as what it was found.

    at_ms: when it was registered, issued, sold, or the record with the number was made.
    """

    key: str
    by: By
    at_ms: int
    party: str | None = None
    name: str = ""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. readings: what was typed, as it was understood.

    hits: of each kind at most MOST, or all that this part of a sealed number has; more: of which kinds there
    are more. elsewhere: public things outside the caller's region that were named in full. unasked: as which
    sealed numbers it was not looked for, since no purpose was stated. onward: the places from where to go on
    with sealed numbers, none: all was looked through; percent: how much of it up to here.
    """

    readings: tuple[Reading, ...]
    hits: Mapping[Group, tuple[Hit, ...]]
    more: frozenset[Group] = frozenset()
    elsewhere: tuple[str, ...] = ()
    unasked: tuple[Kind, ...] = ()
    onward: Mapping[Kind, int] = field(default_factory=dict)
    percent: int = 100


def read_asked(query: Query, *, is_read: bool) -> tuple[int | None, int | None, str]:
    """Returns (from, until exclusive) in ms, None for an open end, and the purpose, "" for none.

    is_read: whether the text can be anything. Raises Invalid with everything that is wrong.
    """
    (since_ms, until_ms), purpose, *_ = read_all(
        lambda: read_period(query.since, query.until),
        lambda: read_purpose(query.purpose, loc=("purpose",)) if query.purpose.strip() else "",
        lambda: parse_region(query.region, loc=("region",)) if query.region else None,
        lambda: None if is_read else _check_bounded(query),
        lambda: _check_length(query.text),
    )
    return since_ms, until_ms, purpose


def _check_length(text: str) -> None:
    if len(text) > MAX_QUERY:
        params = {"expected": f"≤ {MAX_QUERY}", "got": len(text)}
        raise invalid(FieldFault(("q",), "length", params))


def _check_bounded(query: Query) -> None:
    if not (query.region or query.since or query.until):
        raise invalid(FieldFault(("q",), "missing", {"name": "q"}))
