"""Rows of orders as shipments: what each would come to, and at which cell a refusal of one stands.

A row is decided by the recorder's own rules, on a snapshot and as if the others were not. That a file sells
a unit once is found here: of two rows the second is refused, whichever is applied first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from app.imports.problems import Problem, of_error, of_fault
from app.imports.rows import Planned
from app.kit.clock import parse_time
from app.kit.errors import Fault, FieldFault
from app.kit.turn import OneAtATime
from app.ledger.stage import IdConflict
from app.parties.principal import Principal
from app.trace import shipment
from app.trace.catalogue import ItemNotYours, LotNotYours, ProductUnknown
from app.trace.decide import CodeUnknown
from app.trace.life_table import LifecycleConflict
from app.trace.shipment import NewUnits, Shipment
from app.trace.shipments import MOST_TOLD, Foreseen, Shipments

MOST_ASKED = 10_000
"""Units of a file that are asked about, at 0.75 ms of a core each: 8 MiB of codes are 240,000."""
FEW_ASKED = 200
"""Units of a file that are asked about at once, in 0.15 s: it need not wait for a large one."""
# Most that is asked about takes 8 s of a core, from the pages that this process serves: so one at a time.
# Who waits holds a thread from which pages are served, too: so two, and others come again.
_turn = OneAtATime("imports_busy", patience_s=15.0, most=2, retry_after_s=8)
_AS_COLUMN = {"to": "region"}


def shipment_of(told: Mapping[str, Any]) -> Shipment:
    """Returns the shipment of a row that was read."""
    units = None
    if "gtin" in told:
        units = NewUnits(told["gtin"], told["quantity"], told.get("lot"))
    return Shipment(
        order=told["order"],
        ordered_at=parse_time(told["ordered_at"]),
        carrier=told["carrier"],
        waybill=told["waybill"],
        shipped_at=parse_time(told["shipped_at"]),
        codes=codes_of(told),
        units=units,
        id=told["id"],
        platform=told.get("platform"),
        to=told.get("to"),
    )


def codes_of(told: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Returns the units that a row names, () where they are to be issued."""
    return tuple(told.get("codes", ())) if told else ()


def content_of(told: Mapping[str, Any], principal: Principal) -> bytes:
    """Returns what is kept of the shipment of a row, by which it is known again."""
    return shipment.content_of(principal, shipment_of(told), shipment.read_codes(codes_of(told)))


def differing(told: Mapping[str, Any]) -> Problem:
    """Returns the problem of a row whose line of its order was sent with other content."""
    return fault_of(told, IdConflict("shipment_differs", order=told["order"]))


def fault_of(told: Mapping[str, Any], fault: Fault) -> Problem:
    """Returns the problem of a row that was refused, at the cell that it is about where it is about one."""
    problem = of_fault(fault)
    field, value = _cell_of(told, fault, problem.field)
    return replace(problem, field=field, value=value)


def with_outcomes(
    shipments: Shipments, principal: Principal, rows: Sequence[Planned]
) -> list[Planned]:
    """Returns the rows, those refused that the recorder would refuse now, for all that it finds. Read-only.

    What is on record already must be told apart beforehand: it is a repeat, in which the recorder finds no
    fault, and would count as new. Beyond MOST_ASKED units nobody is asked, and the first such row says so.
    Raises Overloaded where others' files take too long, if it asks about more than FEW_ASKED units.
    """
    at = [n for n, row in enumerate(rows) if row.outcome == "created" and row.payload is not None]
    asked = _within(MOST_ASKED, [rows[n].payload or {} for n in at])
    told = [Foreseen() for _ in at]
    if asked:
        with nullcontext() if _units(asked) <= FEW_ASKED else _turn:
            told[: len(asked)] = shipments.preview(principal, asked)
    found = list(rows)
    sold: dict[str, int] = {}
    for n, seen in zip(at, told, strict=True):
        row = rows[n]
        payload = row.payload or {}
        twice = [code for code in codes_of(payload) if code in sold]
        if seen.faults or twice:
            problems = [fault_of(payload, fault) for fault in seen.faults]
            room = MOST_TOLD - len(problems)
            problems += (_twice(code, sold[code]) for code in twice[:room])
            left_out = seen.left_out + len(twice[room:])
            found[n] = row.refused(*problems, *_others(left_out))
        else:
            sold |= dict.fromkeys(codes_of(payload), row.row)
    unasked = [n for n in at[len(asked) :] if found[n].outcome == "created"]
    if unasked:
        row = found[unasked[0]]
        params: dict[str, str | int] = {"count": len(unasked), "most": MOST_ASKED}
        rest = Problem("not_foreseen", "import.warn.not_foreseen", params=params)
        found[unasked[0]] = replace(row, warnings=(*row.warnings, rest))
    return found


def _within(most: int, told: Sequence[Mapping[str, Any]]) -> list[Shipment]:
    """Returns the shipments of the first rows, of which no more than so many units are to be asked about."""
    found: list[Shipment] = []
    units = 0
    for payload in told:
        one = shipment_of(payload)
        units += _units([one])
        if units > most:
            break
        found.append(one)
    return found


def _units(asked: Sequence[Shipment]) -> int:
    """Returns about how many units is asked; goods that are to be issued are asked about once."""
    return sum(max(1, len(one.codes)) for one in asked)


def _twice(code: str, row: int) -> Problem:
    return of_error(FieldFault(("codes",), "codes_twice", {"row": row}), "codes", "", code)


def _others(count: int) -> tuple[Problem, ...]:
    """Returns what is said of further faults of a row's codes, which are not told one by one."""
    if not count:
        return ()
    return (of_error(FieldFault(("codes",), "codes_more", {"count": count}), "codes", "", ""),)


def _cell_of(told: Mapping[str, Any], fault: Fault, field: str) -> tuple[str, str]:
    """Returns the column of what was refused and what stood there, "" for what is not known.

    field: where the fault itself says it.
    """
    units = {"goods": str(told.get("gtin", "")), "lot": str(told.get("lot", ""))}
    loc = fault.errors[0].loc if fault.errors else ()
    if loc[:1] == ("codes",) and isinstance(loc[-1], int):
        return "codes", codes_of(told)[loc[-1]]
    if loc:
        return _AS_COLUMN.get(field, field), told.get("typed", {}).get(field, "")
    if isinstance(fault, LotNotYours | CodeUnknown) and units["lot"]:
        return "lot", units["lot"]
    if isinstance(fault, ProductUnknown | ItemNotYours) or (
        # A seller that may not sell now may sell none of its goods.
        isinstance(fault, LifecycleConflict) and fault.reason != "suspended"
    ):
        return "goods", units["goods"]
    return field, ""
