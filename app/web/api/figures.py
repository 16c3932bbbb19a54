"""Figures for authorities, by month and by place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from app.kit.clock import format_time
from app.oversight.figures import MOST_MONTHS, WHATS, What
from app.web.body import api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems

router = api_router(tag="oversight")


class FigureOut(BaseModel):
    """One month of one place. region: GB/T 2260; "" for what no party with a place did."""

    month: str
    region: str
    records: int
    findings: int
    complaints: int


class FiguresOut(BaseModel):
    """months: of China, oldest first. items: where there is anything to count."""

    months: list[str]
    items: list[FigureOut]
    as_of: str


@router.get("/figures", summary="Figures by month and place", responses=problems("forbidden"))
def read_figures(
    rooms: InRooms,
    principal: Caller,
    months: Annotated[int, Query(ge=1, le=MOST_MONTHS)] = 12,
) -> FiguresOut:
    """Returns records, findings and complaints of the last months, for regulators, customs, operator."""
    counted = rooms.figures.counted(principal, months=months)
    items = []
    for month in counted.months:
        for region in counted.regions:
            found: dict[What, int] = {w: counted.counts.get((month, region, w), 0) for w in WHATS}
            if any(found.values()):
                items.append(FigureOut(month=month, region=region, **found))
    return FiguresOut(months=list(counted.months), items=items, as_of=format_time(counted.as_of))
