"""The authority's search: one box, what was typed as it was understood, hits by kind.

It is sent as a form that is no address: a waybill number must stand in no history and no server's log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import from_ms
from app.kit.errors import Fault, Invalid
from app.oversight.numbers import read_places, write_places
from app.oversight.seekwords import plain
from app.oversight.sought import GROUPS, Found, Group, Hit, Query
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.trace.waybills import read_waybill
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of, typed_code
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.parties import deals
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/search"
_FEW, _PAGE = 6, 50
_NARROWING: Final = ("region", "since", "until")
_KEPT: Final = ("q", "purpose", *_NARROWING)


@dataclass(frozen=True, slots=True)
class Row:
    """A hit as it is shown. page: where it can be looked at. about: its name, "" for none."""

    hit: Hit
    page: str
    about: str
    at: object


@dataclass(frozen=True, slots=True)
class Part:
    """The hits of a kind. next: of which the next page begins, None on the last."""

    group: Group
    count: int
    more: bool
    first: int
    rows: tuple[Row, ...]
    next: int | None


@router.get(PATH)
def show_search(request: Request, signed: InSigned, lang: AskedLang = None) -> Response:
    """Shows the box."""
    return _page(request, signed, lang, BLANK)


@router.post(PATH)
def search(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Shows what was found."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        query = Query(
            text=_goods_or_text(rooms, form.text("q")),
            region=form.plain("region"),
            since=form.text("since"),
            until=form.text("until"),
            purpose=form.text("purpose"),
            after=read_places(form.text("after"), loc=("q",)),
        )
        found = _find(rooms, principal, query)
    except Fault as fault:
        sent = refused(request, form, fault)
        return _page(request, signed, lang, sent, status=status_of(fault))
    sent = Sent(tuple((name, form.text(name)) for name in _KEPT))
    chosen: tuple[Group, ...] = tuple(one for one in GROUPS if one == form.text("group"))
    parts = [
        _part(rooms, found, group, _first(form) if chosen else 0, _PAGE if chosen else _FEW)
        for group in chosen or GROUPS
    ]
    return _page(
        request, signed, lang, sent, found=found, parts=parts, alone=bool(chosen),
        after=write_places(query.after),
    )  # fmt: skip


def _find(rooms: Rooms, principal: Principal, query: Query) -> Found:
    """Returns what there is under the waybill of a scanned face sheet, else under the text as it stands.

    A program may have sent the whole barcode as the number. Each of the two is a look of its own.
    """
    told = plain(query.text)
    try:
        number = read_waybill(told)
    except Invalid:
        number = ""
    if number and number != told.upper():
        found = rooms.seeking.find(principal, replace(query, text=number))
        if any(found.hits.values()):
            return found
    return rooms.seeking.find(principal, query)


def _goods_or_text(rooms: Rooms, typed: str) -> str:
    """Returns a lot, unit or bare number as it was issued; a GTIN's digits may be a waybill as well."""
    try:
        code = typed_code(rooms, typed)
    except Invalid:
        return rooms.seeking.as_issued(typed)
    return typed if code.level == "product" else code.stream


def _first(form: Form) -> int:
    told = form.text("first")
    return int(told) if told.isdecimal() and len(told) < 8 else 0


def _part(rooms: Rooms, found: Found, group: Group, first: int, limit: int) -> Part:
    hits = found.hits[group]
    shown = hits[first : first + limit]
    gtins = {hit.key.split("/")[1] for hit in shown if hit.key.startswith("01/")}
    names = rooms.seeking.product_names(sorted(gtins))
    rows = tuple(_row(group, hit, names) for hit in shown)
    last = first + limit
    return Part(
        group, len(hits), group in found.more, first, rows, last if last < len(hits) else None
    )


def _row(group: Group, hit: Hit, names: dict[str, str]) -> Row:
    at = from_ms(hit.at_ms)
    match group:
        case "parties":
            return Row(hit, f"/credit/{hit.key}", hit.name, at)
        case "products":
            return Row(hit, f"/desk/chains/01/{hit.key}", hit.name, at)
        case "lots" | "units":
            return Row(hit, f"/desk/chains/{hit.key}", names.get(hit.key.split("/")[1], ""), at)


def _page(
    request: Request,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    found: Found | None = None,
    parts: list[Part] | None = None,
    alone: bool = False,
    after: str = "",
) -> Response:
    signed.person.principal().check_may("desk.search")
    return answer_signed(
        "seek.html",
        frame_of(request, lang, PATH),
        signed,
        at="search",
        status=status,
        told="",
        sent=sent,
        found=found,
        parts=parts or [],
        alone=alone,
        after=after,
        onward="" if found is None else write_places(found.onward),
        deals=deals(signed.person),
        within=signed.person.region or "",
        narrowed=any(sent.value(name) or name in sent.errors for name in _NARROWING),
    )
