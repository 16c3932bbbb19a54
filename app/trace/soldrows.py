"""The rows of what was sold (`sold_unit`) as the records of the goods tell them. Pure.

A row is written with each step of a life, and once more when a listing that came late is taken in, which the
worker does a moment later. So of a life whose listing came late there are rows that were true before and
after; each may stand, until the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from app.kit.clock import parse_ms
from app.ledger.record import stream_key
from app.trace import lifecycle
from app.trace.code import Code
from app.trace.gaps import Graces, underway_since, vouched_steps
from app.trace.life_table import Happening
from app.trace.replay import FindRecord, happening_of
from app.trace.sides import seller_of

Fields = Mapping[str, Any]
Row = Mapping[str, Any]
Place = tuple[str, int]
"""Subject ("" for a unit, `consignment/<id>` on a lot) and sale cycle."""

FindListings = Callable[[str], Sequence[Happening]]
"""Returns a seller's listings of the goods' product and lot, in the order in which they were recorded."""

OVER: Mapping[str, Any] = {"gap_due_at": None, "underway": None, "moved_at": None}
"""What a row says of a cycle that has ended."""


class Told(NamedTuple):
    """Of one sale cycle the rows that may stand, the newest last. is_over: of a life that went on since."""

    rows: tuple[Row, ...]
    is_over: bool = False

    @property
    def newest(self) -> Row:
        """What is to be written."""
        return self.rows[-1]


def told_rows(
    code: Code, records: Sequence[Fields], find: FindRecord, graces: Graces, late: FindListings
) -> dict[Place, Told]:
    """Returns the sale cycles of a unit or lot. records: all of its stream, in order of seq."""
    found: dict[Place, Told] = {}
    lives: dict[str, dict[str, Any]] = {}
    for fields in records:
        subject = subject_of(code, fields)
        if subject is None:
            continue
        at = parse_ms(fields["recorded_at"])
        old = lives.get(subject)
        if old is None:
            old = lifecycle.begin(records[0]["actor"], lot=code.lot) if subject else {}
        # What the worker wrote since the step before this one, and what this one wrote.
        _add_healed(found, code, subject, old, late, at)
        new = lifecycle.fold(old, happening_of(fields, find), graces)
        lives[subject] = new
        _take(found, code, subject, old, new)
        _add_healed(found, code, subject, new, late, at)
    for subject, life in lives.items():
        _add_healed(found, code, subject, life, late, None)
    return found


def sold_row(
    code: Code, stream: str, subject: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Returns the present sale cycle as it is counted, its place alone where it is over; None: no sale."""
    key = {"stream": stream_key(stream), "subject": subject, "cycle": new["cycle"]}
    first = new.get("sale") or new.get("dispatch") or new.get("signature")
    if not new["cycle"] or (first is None and old.get("cycle") != new["cycle"]):
        return None
    if first is None:
        return key
    steps, independent = vouched_steps(new)
    underway, moved_at = underway_since(new)
    return {
        **key,
        "gtin": code.gtin,
        "seller": seller_of(new),
        "sold_at": first["at"],
        "gap_due_at": min((gap["due"] for gap in new["gaps"].values()), default=None),
        "steps": steps,
        "independent": independent,
        "completed_at": new.get("completed"),
        "underway": underway,
        "moved_at": moved_at,
    }


def _take(
    found: dict[Place, Told], code: Code, subject: str, old: Fields, new: dict[str, Any]
) -> None:
    cycle = new.get("cycle")
    for place, told in found.items():
        if place[0] == subject and place[1] != cycle and not told.is_over:
            found[place] = Told(told.rows, is_over=True)
    row = sold_row(code, code.stream, subject, old, new)
    if row is not None:
        place = (subject, row["cycle"])
        if "seller" in row:
            found[place] = Told((row,))
        elif place in found:
            rows = tuple({**one, **OVER} for one in found[place].rows)
            found[place] = Told(rows, is_over=True)


def _add_healed(
    found: dict[Place, Told],
    code: Code,
    subject: str,
    life: Fields,
    late: FindListings,
    until_ms: int | None,
) -> None:
    """Adds the row of a life that a late listing was taken in by, behind those that may stand already."""
    later = healed(life, late, until_ms)
    row = None if later is life else sold_row(code, code.stream, subject, {}, later)
    if row is not None:
        place = (subject, row["cycle"])
        kept = found[place].rows if place in found else ()
        found[place] = Told((*(one for one in kept if one != row), row))


def healed(life: Fields, late: FindListings, until_ms: int | None) -> Fields:
    """Returns the life with its seller's late listings taken in, of those recorded until then."""
    gap = life.get("gaps", {}).get("listing")
    seller = life.get("sale", {}).get("actor")
    if gap is None or seller is None:
        return life
    for listing in late(seller):
        if gap["since"] <= listing.recorded_ms and (
            until_ms is None or listing.recorded_ms <= until_ms
        ):
            life = lifecycle.heal(life, listing)
    return life


def subject_of(code: Code, fields: Fields) -> str | None:
    """Returns of which life a record is, None where it is of none."""
    if code.level == "unit":
        return ""
    consignment = fields["data"].get("consignment")
    return None if consignment is None else f"consignment/{consignment}"
