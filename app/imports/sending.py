"""Rows of orders as shipments: what each would come to, and at which cell a refusal of one stands.

A row is decided by the recorder's own rules, on a snapshot and as if the others were not. That a file sells
a unit once is found here: of two rows the second is refused, whichever is applied first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.imports.problems import Problem, of_error, of_fault
from app.imports.rows import Planned
from app.kit.clock import parse_time
from app.kit.errors import Fault, FieldFault
from app.parties.principal import Principal
from app.trace.catalogue import ItemNotYours, LotNotYours, ProductUnknown
from app.trace.decide import CodeUnknown
from app.trace.life_table import LifecycleConflict
from app.trace.shipment import NewUnits, Shipment
from app.trace.shipments import Shipments

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


def fault_of(told: Mapping[str, Any], fault: Fault) -> Problem:
    """Returns the problem of a row that was refused, at the cell that it is about where it is about one."""
    problem = of_fault(fault)
    field, value = _cell_of(told, fault, problem.field)
    return replace(problem, field=field, value=value)


def with_outcomes(
    shipments: Shipments, principal: Principal, rows: Sequence[Planned]
) -> list[Planned]:
    """Returns the rows, those refused that the recorder would refuse now, for all that it finds. Read-only.

    What is on record already must be told apart beforehand: to the recorder its units are sold.
    """
    at = [n for n, row in enumerate(rows) if row.outcome == "created" and row.payload is not None]
    told = [shipment_of(rows[n].payload or {}) for n in at]
    found = list(rows)
    sold: dict[str, int] = {}
    for n, faults in zip(at, shipments.preview(principal, told), strict=True):
        row = rows[n]
        payload = row.payload or {}
        twice = [code for code in codes_of(payload) if code in sold]
        if faults or twice:
            problems = [fault_of(payload, fault) for fault in faults]
            found[n] = row.refused(*problems, *(_twice(code, sold[code]) for code in twice))
        else:
            sold |= dict.fromkeys(codes_of(payload), row.row)
    return found


def _twice(code: str, row: int) -> Problem:
    return of_error(FieldFault(("codes",), "codes_twice", {"row": row}), "codes", "", code)


def _cell_of(told: Mapping[str, Any], fault: Fault, field: str) -> tuple[str, str]:
    """Returns the column of what was refused and what stood there, "" for what is not known.

    field: where the fault itself says it.
    """
    units = {"goods": str(told.get("gtin", "")), "lot": str(told.get("lot", ""))}
    match fault.errors:
        case (FieldFault(loc=("codes", int(n))), *_) if n < len(codes_of(told)):
            return "codes", codes_of(told)[n]
        case (_, *_):
            typed = told.get("typed", {})
            return _AS_COLUMN.get(field, field), typed.get(field, "")
    if isinstance(fault, LotNotYours | CodeUnknown) and units["lot"]:
        return "lot", units["lot"]
    if isinstance(fault, ProductUnknown | ItemNotYours) or (
        # A seller that may not sell now may sell none of its goods.
        isinstance(fault, LifecycleConflict) and fault.reason != "suspended"
    ):
        return "goods", units["goods"]
    return field, ""
