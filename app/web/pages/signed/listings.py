"""Several products listed at one place in one go: chosen on /desk/products, the place named here.

Sent again it lists nothing twice: what is listed there already, saying the same, is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault, FieldFault, invalid
from app.ledger.submission import Recorded
from app.parties.sessions import SignedIn
from app.trace.events import check_event
from app.trace.gtin import display_gtin
from app.trace.offering import MAX_OFFERS, offers_of_form
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.problems import say_fault, status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/products/listings"
_FIELDS: Final = ("platform", "url", "title")


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of it. count: newly listed; known: were there already; refused: (GTIN, name, why)."""

    place: str
    count: int
    known: int
    refused: tuple[tuple[str, str, str], ...]


@router.post(PATH)
def list_products(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Asks for the place of the products that were chosen; with one, lists them and says what came of it."""
    principal = signed.person.principal()
    principal.check_may("event.send")
    gtins = list(dict.fromkeys(form.many("gtin")))[:MAX_OFFERS]
    if form.text("do") != "list" or not gtins:
        return _page(request, rooms, signed, form, gtins)
    data: dict[str, Any] = {name: form.text(name) for name in _FIELDS if form.text(name)}
    try:
        if not (data.get("platform") or data.get("url")):
            raise invalid(FieldFault(("platform",), "missing", sentence="listing_place"))
        check_event("listing", "product", data, ())
        offers = offers_of_form(gtins, data)
        answers = rooms.offering.list_all(principal, offers)
    except Fault as fault:
        sent = refused(request, form, fault)
        return _page(request, rooms, signed, form, gtins, sent, status=status_of(fault))
    frame = frame_of(request, form.text("lang") or None, PATH)
    told = list(zip(offers, answers, strict=True))
    new = sum(isinstance(one, Recorded) and not one.replayed for _, one in told)
    wrong = [(offer.gtin, one) for offer, one in told if isinstance(one, Fault)]
    names = _names(rooms, [gtin for gtin, _ in wrong])
    done = Listed(
        offers[0].place,
        new,
        len(told) - new - len(wrong),
        tuple((gtin, names.get(gtin, ""), say_fault(why, frame.lang)) for gtin, why in wrong),
    )
    return _page(request, rooms, signed, form, gtins, done=done)


def _names(rooms: Rooms, gtins: list[str]) -> dict[str, str]:
    return {row.gtin: row.name for row in rooms.catalogue.products(gtins)}


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    form: Form,
    gtins: list[str],
    sent: Sent = BLANK,
    *,
    status: int = 200,
    done: Listed | None = None,
) -> Response:
    return answer_signed(
        "listings.html",
        # A form has no address of its own to come back to.
        frame_of(request, form.text("lang") or None, "/desk/products"),
        signed,
        at="products",
        status=status,
        told="",
        sent=sent,
        done=done,
        products=[(row, display_gtin(row.gtin)) for row in rooms.catalogue.products(gtins)],
        path=PATH,
        may_issue="codes" in signed.person.principal().scopes,
    )
