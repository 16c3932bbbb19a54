"""The signed-in person's own page: what waits for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.web.body import StrictRoute
from app.web.pages.answers import frame_of
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_LANG = Annotated[str | None, Query(max_length=8)]


@router.get("/desk")
def show_desk(request: Request, signed: InSigned, lang: _LANG = None) -> Response:
    """Shows what waits."""
    frame = frame_of(request, lang, "/desk")
    return answer_signed("desk.html", frame, signed, at="desk", told=told_of(request))
