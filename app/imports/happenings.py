"""Rows of what happened to goods (signed for, refused, come back, on the way): from cells to events.

A row names its goods by waybill, by order or by code, whichever it has in this order of what is nearest:
the code, else the waybill, else the order. Words of shops and carriers stand for types and kinds
(words.json), ours are understood as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.imports.cells import read_code, read_moment
from app.imports.columns import choice
from app.imports.goods import is_example
from app.imports.problems import SHOWN, Problem, of_fault
from app.imports.rows import Planned, Reader
from app.imports.sheet import Row, Sheet
from app.kit.canonical import parse_json
from app.kit.clock import format_time, parse_time
from app.kit.errors import Fault, NotFound
from app.ledger.submission import Recorded
from app.parties.identity import parse_region, parse_waybill
from app.parties.principal import Principal
from app.parties.roles import MERCHANT
from app.trace.events import SIGNATURE_KINDS
from app.trace.identifiers import parse_code
from app.trace.life_table import LifecycleConflict
from app.trace.rowevents import TYPES, RowEvent, RowEvents

_MAX_ORDER = 64
_MAX_REASON = 500


def plan_events(sheet: Sheet) -> list[Planned]:
    """Returns what each row says: first what cannot be read, then the rest in the order of its times.

    A list is written by hand or by a system that puts the newest first; what happened first is
    recorded first, so that one row stands on the other.
    """
    rows = [_plan(row, sheet) for row in sheet.rows]
    return sorted(rows, key=lambda one: str(one.payload["occurred_at"]) if one.payload else "")


def event_of(payload: Any) -> RowEvent:
    """Returns the event of a row that was read, maybe by a newer release that keeps more of it."""
    told = {name: value for name, value in payload.items() if name in RowEvent._fields}
    return RowEvent(**{**told, "occurred_at": parse_time(payload["occurred_at"])})


def fault_of(payload: Any, fault: Fault, *, typed: str = "") -> Problem:
    """Returns the problem of a row that was refused, at the cell that names the goods where it is theirs.

    The number of an order or waybill is told nowhere but in the row itself. typed: the time as it stood, ""
    where only what is kept of the row is known.
    """
    problem = of_fault(fault)
    if problem.field == "occurred_at":
        return replace(problem, value=typed)
    if problem.field or not isinstance(fault, NotFound | LifecycleConflict):
        return problem
    field = next(name for name in ("code", "waybill", "order") if payload[name] or name == "order")
    return replace(problem, field=field, value=payload["code"])


def with_outcomes(
    events: RowEvents, principal: Principal, rows: Sequence[Planned]
) -> list[Planned]:
    """Returns the rows with what each would come to, seeing those before it. Read-only.

    Of a seller's own signatures it is said, once, that they weigh less than the carrier's.
    """
    at = [n for n, row in enumerate(rows) if row.payload is not None]
    told = [event_of(rows[n].payload) for n in at]
    found = list(rows)
    is_said = False
    for n, one in zip(at, events.preview(principal, told), strict=True):
        row = rows[n]
        if isinstance(one, Fault):
            problems = (*row.problems, fault_of(row.payload, one, typed=row.typed))
            found[n] = replace(row, outcome="refused", payload=None, problems=problems)
        elif not one.is_new:
            found[n] = replace(row, outcome="unchanged", payload=None)
        elif not is_said and any(_is_weak(recorded) for recorded in one.events):
            is_said = True
            weak = Problem("self_told", "import.warn.self_told", "type")
            found[n] = replace(row, warnings=(*row.warnings, weak))
    return found


def _is_weak(recorded: Recorded) -> bool:
    if recorded.type not in ("signature", "refusal"):
        return False
    return bool(parse_json(recorded.body)["source"] == MERCHANT)


def _plan(row: Row, sheet: Sheet) -> Planned:
    if is_example(row, sheet):
        return Planned(row.number, "skipped")
    reader = Reader(row, sheet.columns, sheet.defaults)
    code = reader.read("code", lambda told: parse_code(told).stream) or ""
    waybill = reader.read("waybill", lambda told: parse_waybill(read_code(told))) or ""
    order = reader.read("order", read_code) or ""
    if len(order) > _MAX_ORDER:
        reader.refuse_with("order", "length", expected=f"1..{_MAX_ORDER}", got=len(order))
    if not (code or waybill or order or reader.problems):
        reader.refuse_with("waybill", "goods_unnamed")
    moment = reader.read("occurred_at", read_moment, required=True)
    if moment is not None:
        reader.warn("occurred_at", moment[1], time=format_time(moment[0]))
    type_, data = _said(reader)
    if reader.problems or moment is None:
        return reader.refused()
    # The release before knows these names alone, and may be the one that applies the row.
    payload: dict[str, Any] = {
        "type": type_,
        "data": data,
        "occurred_at": format_time(moment[0]),
        "code": code,
        "waybill": waybill if not code else "",
        "order": order if not (code or waybill) else "",
        "consignment": reader.text("consignment") if code else "",
    }
    return Planned(
        row.number, "created", payload, warnings=tuple(reader.warnings),
        typed=reader.text("occurred_at")[:SHOWN],
    )  # fmt: skip


def _said(reader: Reader) -> tuple[str, dict[str, Any]]:
    """Returns type and data; what does not belong to the type is not taken."""
    told = reader.text("type", required=True)
    found = choice("event", told) if told else None
    type_, _, kind = (found or "").partition("/")
    if told and not type_:
        reader.refuse_choice("type", told, TYPES, family="event")
    match type_:
        case "signature":
            return type_, {"kind": _kind(reader, kind)}
        case "refusal" | "return":
            reason = kind or reader.text("reason", required=True)
            if len(reason) > _MAX_REASON:
                reader.refuse_with(
                    "reason", "length", expected=f"1..{_MAX_REASON}", got=len(reason)
                )
            return type_, {"reason": reason}
        case _:
            region = reader.read("region", parse_region)
            return type_, {"status": kind or "in_transit", **({"region": region} if region else {})}


def _kind(reader: Reader, kind: str) -> str:
    """Returns how it was signed for; a bare "signed" is the plain statement, as of carriers' feeds."""
    told = reader.text("kind")
    if not told:
        return kind or SIGNATURE_KINDS[0]
    found = choice("signed_by", told)
    if found is None:
        reader.refuse_choice("kind", told, SIGNATURE_KINDS, family="goods.kind")
    return found or SIGNATURE_KINDS[0]
