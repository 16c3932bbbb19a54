"""Products, their lots and their codes, by form; what is registered is never changed here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.clock import from_ms
from app.kit.errors import Fault, FieldFault, invalid, read_all
from app.parties.sessions import SignedIn
from app.trace.catalogue import check_facts
from app.trace.categories import REQUIRED_LICENCES, missing_licences
from app.trace.code import parse_lot
from app.trace.gtin import display_gtin, parse_gtin
from app.trace.issuing import MAX_COUNT
from app.trace.offering import may_list
from app.trace.requests import SealedInput
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.numbers import day, whole
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/products"

_TEXT = Annotated[str, Query(max_length=100)]
_PAGE = 30
_FACTS: Final = ("brand", "spec", "origin", "standard", "licence")


@router.get(PATH)
def show_products(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    q: _TEXT = "",
    after: _TEXT = "",
    chosen: _TEXT = "",
) -> Response:
    """Shows the party's products, those found by part of a name or GTIN; chosen: all with a mark."""
    principal = signed.person.principal()
    principal.check_may("product.register")
    rows = rooms.catalogue.find_products(
        text=q.strip() or None,
        seller=principal.party,
        category=None,
        after=after or None,
        limit=_PAGE + 1,
    )
    shown = rows[:_PAGE]
    return answer_signed(
        "products.html",
        frame_of(request, lang, PATH, keeps=("q", "after", "chosen")),
        signed,
        at="products",
        told=told_of(request),
        q=q,
        chosen=bool(chosen),
        here=f"{PATH}?{urlencode({'q': q, 'after': after})}",
        may_list=does("event.send")(signed.person) and may_list(principal),
        unlisted=rooms.offering.unlisted(principal, [row.gtin for row in shown]),
        products=[(row, display_gtin(row.gtin)) for row in shown],
        next_after=shown[-1].gtin if len(rows) > _PAGE else None,
    )


@router.get(f"{PATH}/new")
def show_new_product(request: Request, signed: InSigned, lang: AskedLang = None) -> Response:
    """Shows the form for a product."""
    return _new(request, signed, lang, BLANK)


@router.post(f"{PATH}/new")
def register_product(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Registers a product; one that others registered is led to as it is."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    facts = {name: form.text(name) for name in ("name", "category", *_FACTS) if form.text(name)}
    gtin = form.plain("gtin") or None
    try:
        read_all(
            lambda: check_facts("product", {"issuer": principal.own_party(), **facts}, ()),
            lambda: None if gtin is None else parse_gtin(gtin, allow_item_code=True),
        )
        done = rooms.catalogue.register_product(
            principal, facts, gtin=gtin, claim=bool(form.text("claim"))
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _new(request, signed, lang, sent, status=status_of(fault))
    told = "product_others" if done.differs else "product_kept"
    path = f"{PATH}/{done.row.gtin}"
    return go_on(frame_of(request, lang, path), path, told=told)


@router.get(f"{PATH}/{{gtin}}")
def show_product(
    request: Request, rooms: InRooms, signed: InSigned, gtin: str, lang: AskedLang = None
) -> Response:
    """Shows a product with the party's lots and batches of it."""
    return _product(request, rooms, signed, gtin, lang)


@router.post(f"{PATH}/{{gtin}}/lots")
def register_lot(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, gtin: str
) -> Response:
    """Registers a lot."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        number, facts, quantity = read_all(
            lambda: parse_lot(form.text("lot"), loc=("lot",)),
            lambda: _days(form),
            lambda: whole(form, "quantity", 1, 10**12, default=0),
        )
        sealed = {"quantity": SealedInput({"quantity": quantity})} if quantity else {}
        rooms.catalogue.register_lot(principal, gtin=gtin, lot=number, facts=facts, sealed=sealed)
    except Fault as fault:
        return _product(request, rooms, signed, gtin, lang, "lot", form, fault)
    path = f"{PATH}/{gtin}"
    return go_on(frame_of(request, lang, path), path, told="lot_kept")


@router.post(f"{PATH}/{{gtin}}/codes")
def order_codes(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, gtin: str
) -> Response:
    """Orders codes; the form sent twice is one order."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        batch, _ = rooms.issuing.order(
            principal,
            order_id=form.uuid("entry"),
            gtin=gtin,
            count=whole(form, "count", 1, MAX_COUNT),
            lot=form.text("of_lot") or None,
            inner=bool(form.text("inner")),
        )
    except Fault as fault:
        return _product(request, rooms, signed, gtin, lang, "codes", form, fault)
    return go_on(frame_of(request, lang, PATH), f"/desk/batches/{batch.batch_id}")


def _days(form: Form) -> dict[str, str]:
    """Returns the days of a lot that were told. Raises Invalid."""
    made, ends = read_all(lambda: day(form, "produced_on"), lambda: day(form, "expires_on"))
    if made and ends and ends < made:
        params = {"expected": f"≥ {made}", "got": ends}
        raise invalid(FieldFault(("expires_on",), "range", params))
    return {name: told for name, told in (("produced_on", made), ("expires_on", ends)) if told}


def _categories(lang: Lang) -> list[tuple[str, str]]:
    """Returns the choices of a form, none of them made: what is registered can never be changed."""
    known = [(one, text(lang, f"page.category.{one}")) for one in REQUIRED_LICENCES]
    return [("", text(lang, "form.choose")), *known]


def _new(
    request: Request, signed: SignedIn, lang: str | None, sent: Sent, *, status: int = 200
) -> Response:
    signed.person.principal().check_may("product.register")
    frame = frame_of(request, lang, f"{PATH}/new")
    return answer_signed(
        "product_new.html",
        frame,
        signed,
        at="products",
        status=status,
        told="",
        sent=sent,
        categories=_categories(frame.lang),
        facts=_FACTS,
    )


def _product(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    gtin: str,
    lang: str | None,
    which: str = "",
    form: Form | None = None,
    fault: Fault | None = None,
) -> Response:
    """which: the form that was refused with `fault`, "lot" or "codes"."""
    principal = signed.person.principal()
    principal.check_may("product.register")
    row = rooms.catalogue.product(parse_gtin(gtin, allow_item_code=True))
    party = principal.party or ""
    frame = frame_of(request, lang, f"{PATH}/{row.gtin}")
    sent = refused(request, form, fault) if form and fault else BLANK
    lots = rooms.catalogue.lots_of(party, row.gtin)
    may_issue = "codes" in principal.scopes
    return answer_signed(
        "product.html",
        frame,
        signed,
        at="products",
        status=status_of(fault) if fault else 200,
        told=told_of(request),
        row=row,
        display=display_gtin(row.gtin),
        facts=[(name, value) for name, value in _facts(row).items()],
        is_owner=row.brand_owner == party,
        lots=[(one, json.loads(one.facts)) for one in lots],
        batches=[
            (one, from_ms(one.created_at)) for one in rooms.issuing.batches_of(party, row.gtin)
        ]
        if may_issue
        else [],
        may_issue=may_issue,
        may_list=does("event.send")(signed.person) and may_list(principal),
        sees_recalls=does("recall.read")(signed.person),
        offers=_offers(rooms, party, row.gtin),
        missing=_missing(rooms, party, row.category, frame.lang),
        lot_sent=sent if which == "lot" else BLANK,
        codes_sent=sent if which == "codes" else BLANK,
        most=MAX_COUNT,
    )


def _offers(rooms: Rooms, party: str, gtin: str) -> list[tuple[str, datetime]]:
    """Returns where the party offers the product, a platform that is a party by its name, since when."""
    found = rooms.catalogue.offers(gtin, seller=party)
    known = rooms.parties.get_some(one.place for one in found)
    return [
        (known[one.place].name if one.place in known else one.place, from_ms(one.listed_at))
        for one in found
    ]


def _missing(rooms: Rooms, party: str, category: str, lang: Lang) -> list[list[str]]:
    """Returns, by its words, each group of licences of which one is needed and none is there."""
    licences = rooms.parties.get(party).licences if party else ()
    groups = missing_licences(category, licences, rooms.clock.now())
    return [[text(lang, f"licence.{kind}") for kind in group] for group in groups]


def _facts(row: Any) -> dict[str, str]:
    stored = json.loads(row.facts)
    return {name: stored[name] for name in _FACTS if stored.get(name)}
