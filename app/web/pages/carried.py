"""A proof of purchase that a platform or a carrier brings along, so that its buyer types none.

Its page on an order has a form that posts the claim token to the unit's page, in a field and never in an
address. It is kept for half an hour in a cookie that goes to this unit alone, no script reads, and no other
site's form sends (`SameSite=Lax`); no page ever shows it. Whether it proves anything is found out when it is
used. The code inside the pack is not carried: the seller knows it too, and could lend it to a buyer unasked.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.requests import Request
from starlette.responses import Response

from app.trace.code import Code
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.pages.answers import code_of, frame_of
from app.web.pages.formwords import read_values
from app.web.pages.render import link_within
from app.web.pages.views import ScanView

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

COOKIE: Final = "suxin_claim"
KEPT_S: Final = 30 * 60
# What a cookie may hold; a token is of letters, digits and these signs.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}", re.ASCII)


@router.post("/01/{gtin}/21/{serial}")
async def bring_proof(request: Request, rooms: InRooms, gtin: str, serial: str) -> Response:
    """Keeps a claim token for a while and leads to what can be said with it. Writes nothing."""
    values = await read_values(request)
    code = code_of(gtin, serial=serial)
    frame = frame_of(request, values.get("lang"), f"/{code.stream}")
    answer = RedirectResponse(link_within(frame, f"/{code.stream}") + "#act", 303)
    token = values.get("proof", "").strip()
    if _TOKEN.fullmatch(token):
        answer.set_cookie(
            COOKIE,
            token,
            max_age=KEPT_S,
            path=f"/{code.stream}",
            httponly=True,
            samesite="lax",
            secure=rooms.base_url.startswith("https:"),
        )
    return answer


def carried(request: Request) -> str:
    """Returns the token that was brought along to this page, "" for none."""
    token = request.cookies.get(COOKIE, "")
    return token if _TOKEN.fullmatch(token) else ""


def drop(answer: Response, code: Code) -> None:
    """Has the browser forget the token."""
    answer.delete_cookie(COOKIE, path=f"/{code.stream}", httponly=True, samesite="lax")


def offer_carried(view: ScanView, request: Request) -> ScanView:
    """Returns the view whose forms need no proof typed, where one was brought along."""
    if not carried(request):
        return view
    if not view.actions.proofs:
        return view
    actions = replace(view.actions, proofs=("carried", *view.actions.proofs))
    return replace(view, actions=actions)
