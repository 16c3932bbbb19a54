"""Figures through a page: records, findings and complaints by month and by place, drawn and as tables."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, region_name, text
from app.oversight.figures import WHATS
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.bars import draw_months, draw_share
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/figures"
_SPANS: Final = (6, 12, 24)


@router.get(PATH)
def show_figures(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    months: Annotated[int, Query(ge=1, le=36)] = 12,
) -> Response:
    """Shows the figures of the last months; of one's own region where one is in office there."""
    frame = frame_of(request, lang, PATH, keeps=("months",))
    counted = rooms.figures.counted(signed.person.principal(), months=months)
    most = max((counted.of_region(region, "records") for region in counted.regions), default=0)
    return answer_signed(
        "figures.html",
        frame,
        signed,
        at="figures",
        told=told_of(request),
        counted=counted,
        whats=WHATS,
        pictures={
            what: draw_months([(m, counted.of_month(m, what)) for m in counted.months])
            for what in WHATS
        },
        rows=[
            (
                _place(frame.lang, region),
                draw_share(counted.of_region(region, "records"), most),
                [counted.of_region(region, what) for what in WHATS],
            )
            for region in counted.regions
        ],
        spans=_SPANS,
        span=months,
        office=signed.person.region,
    )


def _place(lang: Lang, region: str) -> str:
    return region_name(lang, region, district=True) or text(lang, "figures.nowhere")
