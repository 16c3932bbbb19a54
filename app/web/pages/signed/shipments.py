"""/desk/shipments: what is missing, what waits to be sent, what is under way, what was said last."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault, FieldFault, Invalid, invalid
from app.labels.layouts import LAYOUTS, LayoutName
from app.oversight.owed import MOST_COUNTED, Gap, closed_on
from app.parties.identity import is_party_id
from app.parties.principal import Principal
from app.parties.roles import SELLER_ROLES
from app.parties.sessions import SignedIn
from app.trace.parcel_labels import Unprinted
from app.trace.parcels import Goods, Latest, Underway
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.signed.batches import layout_words
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, go_on, told_of
from app.web.paging import Page
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/shipments"
LABELS: Final = f"{PATH}/labels"
PARTS: Final = ("gaps", "sold", "in_transit", "latest")

_FEW = 6
_MANY = 50
_CURSOR = Annotated[str | None, Query(max_length=1_000)]
_SHAPES: Final[dict[str, tuple[type, ...]]] = {
    "gaps": (int, int, str, str),
    "sold": (int, int, str),
    "in_transit": (int, int, str),
}


@dataclass(frozen=True, slots=True)
class Line:
    """Goods that stand together: one unit or consignment, or all of a parcel that come one after another."""

    goods: Sequence[Goods]

    @property
    def first(self) -> Goods:
        return self.goods[0]


@dataclass(frozen=True, slots=True)
class Missing:
    """A gap with the page on which it is closed. until: the next date at which it becomes worse."""

    gap: Gap
    page: str
    act: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Part:
    """One of the lists: its first rows, and how to go on. count: of all, None where nobody counts."""

    name: str
    rows: Sequence[Any]
    count: int | None = None
    cursor: str | None = None


@router.get(PATH)
def show_shipments(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    show: str = "",
    cursor: _CURSOR = None,
) -> Response:
    """Shows the beginning of every list, or one of them as far as somebody goes."""
    return _page(request, rooms, signed, lang, BLANK, show=show, cursor=cursor)


@router.post(LABELS)
def print_labels(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Returns the labels of the parcels that have none as a file."""
    lang, layout = form.text("lang") or None, form.text("layout")
    out = io.BytesIO()
    try:
        if layout not in LAYOUTS:
            params = {"expected": ", ".join(LAYOUTS), "got": layout[:40]}
            raise invalid(FieldFault(("layout",), "enum", params))
        rooms.parcel_labels.write(
            signed.person.principal(),
            out,
            layout=cast("LayoutName", layout),
            symbol="qr",
            lang=lang_of(request, lang),
        )
    except Invalid as fault:
        if fault.key == "no_labels":
            return go_on(frame_of(request, lang, PATH), PATH, told="labels_none")
        sent = refused(request, form, fault)
        return _page(request, rooms, signed, lang, sent, status=status_of(fault))
    headers = {"Content-Disposition": 'attachment; filename="labels-parcels.pdf"'}
    return Response(out.getvalue(), media_type="application/pdf", headers=headers)


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    show: str = "",
    cursor: str | None = None,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("event.send")
    principal.own_party()
    alone = show if show in PARTS else ""
    with rooms.database.one_snapshot():
        parts = [
            _part(rooms, principal, name, cursor, alone=bool(alone))
            for name in ((alone,) if alone else PARTS)
        ]
    return answer_signed(
        "shipments.html",
        frame_of(request, lang, PATH, keeps=("show", "cursor")),
        signed,
        at="shipments",
        status=status,
        told=told_of(request),
        parts=parts,
        alone=alone,
        names=_names(rooms, parts),
        most=MOST_COUNTED,
        page_of=page_path,
        act_of=_act,
        unprinted=None if alone else _unprinted(rooms, signed),
        sent=sent,
        layouts=layout_words(lang_of(request, lang)),
    )


def _unprinted(rooms: Rooms, signed: SignedIn) -> Unprinted | None:
    if not does("code.print")(signed.person) or not signed.person.roles & SELLER_ROLES:
        return None
    return rooms.parcel_labels.unprinted(signed.person.principal())


def _part(
    rooms: Rooms, principal: Principal, name: str, cursor: str | None, *, alone: bool
) -> Part:
    if name == "latest":
        found = rooms.parcels.latest(principal, limit=_MANY if alone else _FEW)
        return Part(name, found)
    page = Page(_MANY if alone else _FEW, cursor if alone else None)
    try:
        after: Any = page.after(*_SHAPES[name])
    except Fault:  # of another list, or no cursor of ours: from the beginning
        after = None
    if name == "gaps":
        gaps = rooms.owed.gaps(principal, after=after, limit=page.limit + 1)
        shown, following = page.cut(gaps, lambda one: one.place)
        return Part(name, [_missing(one) for one in shown], rooms.owed.count(principal), following)
    state: Underway = "sold" if name == "sold" else "in_transit"
    goods = rooms.parcels.underway(principal, state, after=after, limit=page.limit + 1)
    few, following = page.cut(goods, lambda one: one.place)
    return Part(name, _lines(few), rooms.parcels.count(principal, state), following)


def _lines(goods: Iterable[Goods]) -> list[Line]:
    """Returns goods put together by parcel; what stands apart in the list stays apart."""
    together = groupby(goods, lambda one: (one.since, one.carrier, one.tail, one.state))
    lines: list[Line] = []
    for (_, _, tail, _), found in together:
        run = list(found)
        parcels = [run] if tail else [[one] for one in run]
        lines.extend(Line(some) for some in parcels)
    return lines


def _act(one: Goods) -> str:
    """Returns the page of the one action that brings goods on."""
    if one.state == "in_transit":
        return _entry("signature", one.stream, one.consignment)
    if one.consignment is not None:
        return _entry("dispatch", one.stream, one.consignment)
    return f"/desk/dispatch?{urlencode({'code': one.stream})}"


def _missing(gap: Gap) -> Missing:
    on = closed_on(gap)
    act = _entry(gap.step, on, gap.consignment if on == gap.stream else None)
    until = gap.due_at if gap.status == "grace" else gap.costs_from
    return Missing(gap, page_path(gap.stream), act, until if gap.status != "charged" else None)


def _entry(event: str, code: str, consignment: str | None) -> str:
    told = {"type": event, "code": code}
    if consignment is not None:
        told["consignment"] = consignment
    return f"/desk/entry?{urlencode(told)}"


def _names(rooms: Rooms, parts: Iterable[Part]) -> dict[str, str]:
    """Returns the names of the carriers that are parties."""
    said = {
        carrier
        for part in parts
        for row in part.rows
        for carrier in (
            [one.carrier for one in row.goods]
            if isinstance(row, Line)
            else [str(row.data.get("carrier", ""))]
            if isinstance(row, Latest)
            else ()
        )
    }
    known = rooms.parties.get_some(one for one in said if is_party_id(one))
    return {party: view.name or party for party, view in known.items()}
