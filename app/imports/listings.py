"""Where rows of products are listed: what a dry run says of it, and what came of it.

A row registers its product and lists it at one place; a product that is listed at several has a row for
each. What holds for both halves stands in the row, so it is refused wholly where it can be known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.imports.problems import Outcome, Problem, of_fault
from app.imports.rows import Planned
from app.kit.clock import parse_time
from app.kit.errors import Fault
from app.ledger.submission import Recorded
from app.parties.principal import Principal
from app.trace.bulk import Taken
from app.trace.offering import Listed, NewOffer, Offering
from app.trace.requests import EventRequest

_PLACES_SHOWN = 20
_OF_LISTING = ("listing", "listed_at")
_CELLS = {"occurred_at": "listed_at", "title": "listing_title", "url": "url"}
"""Fields of a listing and the columns they come from; all else is about the place."""


def once_listed(rows: Sequence[Planned]) -> list[Planned]:
    """Returns the rows, each product once, and once at each place.

    A repeat is unchanged, a contradiction to an earlier row refused, whichever half it is about.
    """
    first: dict[str, Planned] = {}
    at: dict[tuple[str, str], Planned] = {}
    found = []
    for row in rows:
        if row.payload is None:
            found.append(row)
            continue
        before = first.setdefault(row.key, row)
        if before is not row and _bare(before) != _bare(row):
            found.append(_differs(row, before))
            continue
        offer = offer_of(row.payload)
        if offer is not None:
            there = at.setdefault((row.key, offer.place), row)
            if there is not row and there.payload != row.payload:
                found.append(_differs(row, there))
                continue
            before = there
        found.append(row if before is row else _twice(row, before))
    return found


def offer_of(payload: Mapping[str, Any], gtin: str = "") -> NewOffer | None:
    """Returns what a row lists, None where it lists nothing. gtin: where the row itself has none."""
    if "listing" not in payload:
        return None
    told = payload.get("listed_at")
    return NewOffer(
        payload["gtin"] or gtin,
        payload["listing"],
        None if told is None else parse_time(told),
        payload["facts"]["category"],
    )


def with_listings(
    offering: Offering, principal: Principal, rows: Sequence[Planned]
) -> tuple[list[Planned], dict[str, int]]:
    """Returns the rows, which know their products by now, and how many would be listed where.

    Raises Denied where the caller may send no events and a row lists something. Read-only.
    """
    wanted = {n: offer for n, row in enumerate(rows) if (offer := _wanted(row)) is not None}
    if not wanted:
        return list(rows), {}
    told = dict(zip(wanted, offering.plan(principal, list(wanted.values())), strict=True))
    places: Counter[str] = Counter()
    found = []
    for n, row in enumerate(rows):
        match told.get(n):
            case Fault() as fault:
                found.append(row.refused() if row.late else row.refused(_at_cell(fault)))
            case EventRequest():
                places[wanted[n].place] += 1
                found.append(replace(row, outcome="created"))
            case _:
                found.append(replace(row, late=()))
    shown = dict(places.most_common(_PLACES_SHOWN))
    rest = places.total() - sum(shown.values())
    return found, shown | ({"…": rest} if rest else {})


def result_of(product: Taken, listed: Listed) -> tuple[Outcome, tuple[Problem, ...]]:
    """Returns what came of a row that lists its product.

    Refused as a listing, the product may be registered all the same: then a warning says so.
    """
    if isinstance(listed, Fault):
        problem = _at_cell(listed)
        kept = Problem("registered", "import.warn.registered")
        return "refused", ((problem, kept) if product.is_new else (problem,))
    is_new = product.is_new or (isinstance(listed, Recorded) and not listed.replayed)
    return ("created" if is_new else "unchanged"), ()


def _wanted(row: Planned) -> NewOffer | None:
    return None if row.payload is None else offer_of(row.payload, row.gtin)


def _at_cell(fault: Fault) -> Problem:
    """Returns the problem of a listing that was refused, at the column that it is about."""
    problem = of_fault(fault)
    return replace(problem, field=_CELLS.get(problem.field, "platform"))


def _bare(row: Planned) -> dict[str, Any]:
    told = row.payload or {}
    return {name: value for name, value in told.items() if name not in _OF_LISTING}


def _twice(row: Planned, before: Planned) -> Planned:
    told = Problem("twice", "import.warn.twice", params={"row": before.row})
    return replace(row, outcome="unchanged", payload=None, warnings=(*row.warnings, told))


def _differs(row: Planned, before: Planned) -> Planned:
    told = Problem("twice_differs", "field.twice_differs", params={"row": before.row})
    return replace(row, outcome="refused", payload=None, problems=(told,))
