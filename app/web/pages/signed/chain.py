"""A chain as an authority reads it, with every check; what is sealed is opened for a stated purpose."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import from_ms
from app.kit.errors import Fault
from app.oversight.casework import MOST_ON_CHAIN
from app.oversight.chains import Chain
from app.oversight.kinds import severity_of
from app.parties.identity import is_party_id
from app.parties.roles import reach
from app.parties.sessions import SignedIn
from app.trace.code import Code
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, code_of, frame_of
from app.web.pages.signed.clues import clues_of, parties_named
from app.web.pages.signed.entry import types_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.parties import deals
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does
from app.web.pages.signed.values import in_words
from app.web.paging import Page, encode_place, read_seq
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/chains"
_MOST: Final = 200
_CURSOR = Annotated[str, Query(max_length=1_000)]


@router.get(f"{PATH}/01/{{gtin}}")
def show_product_chain(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    gtin: str,
    lang: AskedLang = None,
    cursor: _CURSOR = "",
) -> Response:
    """Shows a product's chain."""
    return _page(request, rooms, signed, code_of(gtin), lang, cursor=cursor)


@router.get(f"{PATH}/01/{{gtin}}/10/{{lot}}")
def show_lot_chain(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    gtin: str,
    lot: str,
    lang: AskedLang = None,
    cursor: _CURSOR = "",
) -> Response:
    """Shows a lot's chain."""
    return _page(request, rooms, signed, code_of(gtin, lot=lot), lang, cursor=cursor)


@router.get(f"{PATH}/01/{{gtin}}/21/{{serial}}")
def show_unit_chain(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    gtin: str,
    serial: str,
    lang: AskedLang = None,
    cursor: _CURSOR = "",
) -> Response:
    """Shows a unit's chain."""
    return _page(request, rooms, signed, code_of(gtin, serial=serial), lang, cursor=cursor)


@router.post(f"{PATH}/01/{{gtin}}")
def open_product(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, gtin: str
) -> Response:
    """Opens what is sealed in a product's chain."""
    return _opened(request, rooms, signed, form, code_of(gtin))


@router.post(f"{PATH}/01/{{gtin}}/10/{{lot}}")
def open_lot(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, gtin: str, lot: str
) -> Response:
    """Opens what is sealed in a lot's chain."""
    return _opened(request, rooms, signed, form, code_of(gtin, lot=lot))


@router.post(f"{PATH}/01/{{gtin}}/21/{{serial}}")
def open_unit(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, gtin: str, serial: str
) -> Response:
    """Opens what is sealed in a unit's chain."""
    return _opened(request, rooms, signed, form, code_of(gtin, serial=serial))


def _opened(request: Request, rooms: Rooms, signed: SignedIn, form: InForm, code: Code) -> Response:
    principal, lang = signed.person.principal(), form.text("lang") or None
    cursor = form.text("cursor")
    try:
        items = rooms.sealed.read(principal, code, purpose=form.text("purpose"))
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid",))
        return _page(
            request, rooms, signed, code, lang, sent, status=status_of(fault), cursor=cursor
        )
    opened = {(code.stream, one["seq"]): one["sections"] for one in items}
    return _page(request, rooms, signed, code, lang, opened=opened, cursor=cursor)


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    code: Code,
    lang: str | None,
    sent: Sent = BLANK,
    *,
    cursor: str,
    status: int = 200,
    opened: dict[Any, Any] | None = None,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("desk.search")
    chain = rooms.chains.read(code, after=read_seq(Page(_MOST, cursor or None)), most=_MOST)
    path = f"{PATH}/{code.stream}"
    sees = reach(principal.roles, "sealed.read") == "any" and "events" in principal.scopes
    frame = frame_of(request, lang, path, keeps=("cursor",))
    names = {one.id: one.name for one in rooms.parties.get_some(_parties_in(chain)).values()}
    found, untold = rooms.casework.on_chain(principal, {code.stream, *chain.look.story.shelves})
    return answer_signed(
        "chain.html",
        frame,
        signed,
        at="search",
        status=status,
        told="",
        chain=chain,
        code=code,
        path=path,
        cursor=cursor,
        following="" if chain.following is None else encode_place((chain.following,)),
        product=rooms.catalogue.product(code.gtin).name,
        names=names,
        found=[(one, severity_of(one.row.kind), from_ms(one.row.opened_at)) for one in found],
        untold=untold,
        most_found=MOST_ON_CHAIN,
        works=does("finding.work")(signed.person),
        sent=sent,
        sees_recalls=does("recall.read")(signed.person),
        hides=does("text.hide")(signed.person),
        inspects="inspection" in types_of(signed.person) and "events" in principal.scopes,
        deals=deals(signed.person),
        opened=opened or {},
        in_words=partial(in_words, frame.lang),
        clues_of=partial(clues_of, frame.lang, names=names),
        # Of a stream above, the page of that stream opens its own.
        may_open=sees and any(line.own and "sealed" in line.fields for line in chain.lines),
        checked_at=rooms.clock.now(),
    )


def _parties_in(chain: Chain) -> Iterator[str]:
    for line in chain.lines:
        for name in ("actor", "via"):
            told = line.fields.get(name)
            if isinstance(told, str) and is_party_id(told):
                yield told
    for problem in chain.others:
        yield from parties_named(problem.evidence)
