"""/badge/{party}: the trust badge as picture, as signed JSON, and as the page that says whether it is right.

The picture and the page compare the site that they were asked from (`Referer`, which browsers send for
pictures and links unless the site forbids it) with the domain that the badge is for. Where nothing tells
the site, they say the domain and ask the reader to compare it with the address bar; they never guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, format_moment, text
from app.kit.errors import Fault, NotFound
from app.oversight.badges import FORMAT, Badge, BadgeUnknown, read_domain, without_usual_port
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, answer_page, frame_of, lang_of
from app.web.pages.badge_picture import draw_badge
from app.web.pages.render import render_page

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

Standing = Literal["right", "unseen", "foreign", "unknown"]
"""right: asked from the domain it is for. unseen: nothing tells from where. foreign: from another one.
unknown: there is no badge for the party there."""

_DOMAIN = Annotated[str, Query(max_length=300)]
_FRESH: Final = {"Cache-Control": "no-store", "Vary": "Referer"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What was asked. domain: for which the badge is; asked_from: the site, "" where nothing tells."""

    standing: Standing
    domain: str
    asked_from: str
    badge: Badge | None


@router.get("/badge/{party}.svg")
def read_picture(
    request: Request, rooms: InRooms, party: str, domain: _DOMAIN = "", lang: AskedLang = None
) -> Response:
    """Returns the picture. Where it does not belong it says so, in the picture."""
    shown = _look(request, rooms, party, domain)
    told = lang_of(request, lang)
    drawing = draw_badge(
        told,
        shown.standing,
        domain=shown.domain if shown.standing != "foreign" else shown.asked_from,
        grade=shown.badge.claim["grade"] if shown.badge else "",
        name=shown.badge.claim["name"] if shown.badge else "",
        until=_until(told, shown.badge),
    )
    headers = {**_FRESH, "Content-Language": told}
    return Response(drawing.encode(), media_type="image/svg+xml", headers=headers)


@router.get("/badge/{party}.json")
def read_badge(rooms: InRooms, party: str, domain: _DOMAIN) -> Response:
    """Returns the signed badge of a party for a domain. Raises BadgeUnknown."""
    badge = rooms.badges.give(party, _domain(domain))
    body = {"format": FORMAT, "badge": badge.claim, "key": rooms.badges.key, "note": badge.note}
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)


@router.get("/badge/{party}")
def show_badge(
    request: Request, rooms: InRooms, party: str, domain: _DOMAIN = "", lang: AskedLang = None
) -> Response:
    """Shows whether the badge belongs where the reader comes from, and what it says."""
    frame = frame_of(request, lang, f"/badge/{party}", keeps=("domain",))
    shown = _look(request, rooms, party, domain)
    try:
        view = rooms.parties.get(party)
    except Fault as fault:
        raise NotFound("path_unknown") from fault
    page = render_page(
        "badge.html",
        frame,
        shown=shown,
        party=view,
        domains=rooms.badges.domains_shown(party),
        until=_until(frame.lang, shown.badge),
        key=rooms.badges.key,
    )
    # Another site's name alone must not make an answer of ours look found.
    return answer_page(page, frame.lang, status=200 if view.status == "verified" else 404)


def _look(request: Request, rooms: Rooms, party: str, domain: str) -> Shown:
    asked_from = _site(request)
    own = (urlsplit(rooms.base_url).netloc, request.headers.get("host", ""))
    if asked_from in map(without_usual_port, own):
        asked_from = ""  # a page of ours leads here: it tells nothing about a shop
    named = _named(domain) or asked_from
    try:
        badge = rooms.badges.give(party, named)
    except BadgeUnknown:
        foreign = bool(asked_from) and asked_from != named
        return Shown("foreign" if foreign else "unknown", named, asked_from, None)
    if asked_from and asked_from != named:
        return Shown("foreign", named, asked_from, None)
    return Shown("right" if asked_from else "unseen", named, asked_from, badge)


def _site(request: Request) -> str:
    """Returns host and port of the page that asked, "" where the browser does not tell."""
    try:
        site = urlsplit(request.headers.get("referer", "")).netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return without_usual_port(site.lower()[:300])


def _named(domain: str) -> str:
    try:
        return read_domain(domain)
    except Fault:
        return ""


def _domain(domain: str) -> str:
    named = _named(domain)
    if not named:
        raise BadgeUnknown("badge_unknown", domain=domain[:80])
    return named


def _until(lang: Lang, badge: Badge | None) -> str:
    if badge is None:
        return ""
    at: datetime = badge.expires_at
    return text(lang, "badge.until", at=format_moment(lang, at))
