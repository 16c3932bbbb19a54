"""Order counts of a platform by form: one offer and month; a program sends many by the API."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.credit.orders import MOST_ORDERS, OrderCount
from app.kit.clock import china_day
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import InForm, Sent, prefilled, refused
from app.web.pages.signed.numbers import whole
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/order-counts"


@router.get(PATH)
def show_form(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows the form."""
    last = china_day(rooms.clock.now())[:7]
    return _form(request, signed, lang, prefilled(period=last))


@router.post(PATH)
def report(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Records how many orders one seller's product had in one month."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        names = ("seller", "gtin", "period", "orders")
        missing = [FieldFault((n,), "missing", {"name": n}) for n in names if not form.text(n)]
        if missing:
            raise invalid(*missing)
        row = OrderCount(
            form.plain("seller").upper(),
            form.plain("gtin"),
            form.text("period"),
            whole(form, "orders", 0, MOST_ORDERS),
        )
        rooms.order_counts.report(principal, [row], id_=form.uuid("id"))
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid", "id-conflict", "party-unverified"))
        return _form(request, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="orders_told")


def _form(
    request: Request,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    signed.person.principal().check_may("orders.report")
    return answer_signed(
        "order_counts.html",
        frame_of(request, lang, PATH),
        signed,
        at="order_counts",
        status=status,
        told=told_of(request),
        sent=sent,
    )
