"""What every product, lot and unit has below it: its story, its verification, its evidence."""

from __future__ import annotations

import json
from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Response

from app.i18n import Lang
from app.kit.clock import format_time, format_time_if
from app.ledger.places import tell_places
from app.ledger.prover import InLog
from app.ledger.store import StoredRecord
from app.oversight.looks import Look
from app.trace.code import Code, parse_lot, parse_serial
from app.trace.evidence import MOST_RECORDS, make_bundle
from app.trace.gtin import parse_gtin
from app.trace.story_page import page_of
from app.trace.story_part import Part, whole
from app.web.api.oversight import finding_body
from app.web.body import api_router
from app.web.checks import check_detail
from app.web.deps import Caller, InRooms, Language, Rooms
from app.web.links import code_path, page_path
from app.web.openapi import problems
from app.web.paging import InLongPage, Page, encode_place, read_seq

router = api_router(tag="codes")

GTINPath = Annotated[str, Path(max_length=32, examples=["06901234567892"])]
SegmentPath = Annotated[str, Path(max_length=200, examples=["8F3K2M9QZ7AB"])]
_KNOWN = problems("code-unknown")
_BUNDLED = problems("code-unknown", "chain-too-long")


@router.get("/codes/{gtin}/{serial}/events", summary="A unit's story", responses=_KNOWN)
def unit_events(rooms: InRooms, page: InLongPage, gtin: GTINPath, serial: SegmentPath) -> Response:
    """Returns the whole story: own records, listings referred to, records that apply.

    `limit` counts own records; `next` is null where there are no more, as nearly always.
    """
    return _events(rooms, unit_code(gtin, serial), page)


@router.get("/codes/{gtin}/{serial}/verification", summary="Verify a unit", responses=_KNOWN)
def unit_verification(
    rooms: InRooms, lang: Language, gtin: GTINPath, serial: SegmentPath
) -> dict[str, Any]:
    """Returns every check, re-computed now."""
    return _verification(rooms, lang, unit_code(gtin, serial))


@router.get("/codes/{gtin}/{serial}/evidence", summary="A unit's evidence", responses=_BUNDLED)
def unit_evidence(rooms: InRooms, gtin: GTINPath, serial: SegmentPath) -> Response:
    """Returns the evidence bundle, which `suxin verify` and scripts/verify_bundle.py check offline."""
    return _evidence(rooms, unit_code(gtin, serial))


@router.get("/lots/{gtin}/{lot}/events", summary="A lot's story", responses=_KNOWN)
def lot_events(rooms: InRooms, page: InLongPage, gtin: GTINPath, lot: SegmentPath) -> Response:
    """Returns the whole story of a lot."""
    return _events(rooms, lot_code(gtin, lot), page)


@router.get("/lots/{gtin}/{lot}/verification", summary="Verify a lot", responses=_KNOWN)
def lot_verification(
    rooms: InRooms, lang: Language, gtin: GTINPath, lot: SegmentPath
) -> dict[str, Any]:
    """Returns every check, re-computed now."""
    return _verification(rooms, lang, lot_code(gtin, lot))


@router.get("/lots/{gtin}/{lot}/evidence", summary="A lot's evidence", responses=_BUNDLED)
def lot_evidence(rooms: InRooms, gtin: GTINPath, lot: SegmentPath) -> Response:
    """Returns the evidence bundle of a lot."""
    return _evidence(rooms, lot_code(gtin, lot))


@router.get("/products/{gtin}/events", summary="A product's story", responses=_KNOWN)
def product_events(rooms: InRooms, page: InLongPage, gtin: GTINPath) -> Response:
    """Returns the whole story of a product."""
    return _events(rooms, product_code(gtin), page)


@router.get("/products/{gtin}/verification", summary="Verify a product", responses=_KNOWN)
def product_verification(rooms: InRooms, lang: Language, gtin: GTINPath) -> dict[str, Any]:
    """Returns every check, re-computed now."""
    return _verification(rooms, lang, product_code(gtin))


@router.get("/products/{gtin}/evidence", summary="A product's evidence", responses=_BUNDLED)
def product_evidence(rooms: InRooms, gtin: GTINPath) -> Response:
    """Returns the evidence bundle of a product."""
    return _evidence(rooms, product_code(gtin))


@router.get(
    "/codes/{gtin}/{serial}/sealed",
    summary="A unit's sealed sections",
    responses=problems("forbidden", "code-unknown"),
)
def unit_sealed(
    rooms: InRooms,
    principal: Caller,
    gtin: GTINPath,
    serial: SegmentPath,
    purpose: Annotated[str | None, Query(max_length=400)] = None,
) -> dict[str, Any]:
    """Returns what you sealed yourself; to regulators and customs all of it.

    They state a `purpose`, and every look is logged.
    """
    items = rooms.sealed.read(principal, unit_code(gtin, serial), purpose=purpose)
    return {"items": items, "next": None}


def look_body(rooms: Rooms, code: Code) -> dict[str, Any]:
    """Returns a code as it stands now; the whole of `GET /codes/{gtin}/{serial}`."""
    look = rooms.looks.look(code)
    head = look.story.head
    path = code_path(code.stream)
    body: dict[str, Any] = {
        "code": code.stream,
        "gtin": code.gtin,
        "verdict": look.verdict,
        "warnings": list(look.warnings),
        "head": {"seq": head.seq, "hash": head.hash.hex()},
        "scans": _scans(rooms, code.stream),
        "product": _product_facts(rooms, code.gtin),
        "links": {
            "self": path,
            "events": f"{path}/events",
            "verification": f"{path}/verification",
            "evidence": f"{path}/evidence",
            "page": page_path(code.stream),
        },
    }
    if code.level == "unit":
        state = look.verification.state
        lot = state.get("lot")
        body |= {
            "serial": code.serial,
            "lot": lot,
            "issuer": state.get("issuer"),
            "holder": state.get("holder"),
            "state": state.get("state"),
        }
    elif code.level == "lot":
        body["lot"] = code.lot
    return body


def _events(rooms: Rooms, code: Code, page: Page) -> Response:
    after = read_seq(page)
    look = rooms.looks.look(code, Part(page.limit, after=after))
    told = page_of(look.story, after=after, most=page.limit)
    in_log = look.verification.in_log
    items = [_item(record, in_log[(record.stream, record.seq)]) for record in told.records]
    following = None if told.following is None else encode_place((told.following,))
    body = orjson.dumps({"items": items, "next": following})
    return Response(body, media_type="application/json")


def _item(record: StoredRecord, in_log: InLog) -> dict[str, Any]:
    try:
        shown: Any = record.fields
    except ValueError:
        # Bytes that somebody destroyed are shown as what they are.
        shown = {"unreadable": record.body.decode("utf-8", "replace")}
    return {
        "record": shown,
        "hash": record.hash.hex(),
        "log": in_log.origin or None,
        "leaf_index": in_log.index,
    }


def _verification(rooms: Rooms, lang: Lang, code: Code) -> dict[str, Any]:
    look = rooms.looks.look(code)
    return {
        "code": code.stream,
        "verdict": look.verdict,
        "warnings": list(look.warnings),
        "checks": [
            {
                "name": check.name,
                "ok": check.ok,
                "detail": check_detail(lang, check.name, check.params, ok=check.ok),
            }
            for check in look.verification.checks
        ],
        "findings": [finding_body(row) for row in look.findings],
        "problems": _problems(rooms, look),
        "pending": [
            {
                "step": gap.step,
                "kind": gap.kind,
                "party": gap.party,
                "since": format_time(gap.since),
                "due_at": format_time(gap.due_at),
            }
            for gap in look.owed
        ],
        "checked_at": format_time(rooms.clock.now()),
    }


def _problems(rooms: Rooms, look: Look) -> list[dict[str, Any]]:
    problems = look.verification.problems
    if problems:
        with rooms.database.read() as connection:
            problems = tuple(tell_places(connection, problems))
    return [
        {
            "kind": problem.kind,
            "stream": problem.stream or "log",
            "seq": problem.seq,
            "leaf_index": problem.leaf_index,
            "detail": problem.detail,
        }
        for problem in problems
    ]


def _evidence(rooms: Rooms, code: Code) -> Response:
    look = rooms.looks.look(code, whole(MOST_RECORDS))
    with rooms.database.read() as connection:
        bundle = make_bundle(
            connection,
            look.story,
            look.verification,
            log_keys=rooms.keyring.logs,
            now=rooms.clock.now(),
        )
    headers = {"Content-Disposition": 'attachment; filename="evidence.json"'}
    return Response(orjson.dumps(bundle), media_type="application/json", headers=headers)


def _scans(rooms: Rooms, stream: str) -> dict[str, Any]:
    count = rooms.scans.count(stream)
    return {
        "count": count.loads,
        "devices": count.devices,
        "first_at": format_time_if(count.first_at),
    }


def _product_facts(rooms: Rooms, gtin: str) -> dict[str, Any]:
    row = rooms.catalogue.product(gtin)
    return {"gtin": row.gtin, "name": row.name, "category": row.category, **json.loads(row.facts)}


def unit_code(gtin: str, serial: str) -> Code:
    """Returns the unit that an address names. Raises Invalid as parse_gtin and parse_serial do."""
    return Code(parse_gtin(gtin, allow_item_code=True), serial=parse_serial(serial))


def lot_code(gtin: str, lot: str) -> Code:
    """Returns the lot that an address names. Raises Invalid as parse_gtin and parse_lot do."""
    return Code(parse_gtin(gtin, allow_item_code=True), lot=parse_lot(lot))


def product_code(gtin: str) -> Code:
    """Returns the product that an address names. Raises Invalid as parse_gtin does."""
    return Code(parse_gtin(gtin, allow_item_code=True))
