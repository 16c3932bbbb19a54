"""/log: the transparency log for the curious: how large, last signed when, who saw it, how to check."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import from_ms
from app.ledger import logstore
from app.ledger.note import encode_base64
from app.ledger.served import load_checkpoint
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import answer_page, frame_of
from app.web.pages.consumer_views import LogEpoch, LogView
from app.web.pages.render import render_page
from app.web.pages.views import Frame

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_LANG = Annotated[str | None, Query(max_length=8)]


@router.get("/log")
def show_log(request: Request, rooms: InRooms, lang: _LANG = None) -> Response:
    """Shows every log of this deployment as last signed, the one that goes on first."""
    frame = frame_of(request, lang, "/log")
    page = render_page("log.html", frame, view=_view(rooms, frame), indexable=True)
    return answer_page(page, frame.lang)


def _view(rooms: Rooms, frame: Frame) -> LogView:
    keys = rooms.keyring.logs
    with rooms.database.read() as connection:
        logs = [(key, load_checkpoint(connection, key)) for key in keys]
        state = logstore.load_state(connection)
        waiting = logstore.count_waiting(connection)
    epochs = [
        LogEpoch(
            origin=key.name,
            key=str(key),
            size=one.size,
            root=encode_base64(one.root),
            published_at=from_ms(one.published_at_ms),
            frozen=key is not keys[-1],
            path=f"/log/of/{number}",
        )
        for number, (key, one) in enumerate(logs)
        if one is not None
    ]
    served = logs[-1][1]
    unsigned = 0 if state is None else state.size - (0 if served is None else served.size)
    return LogView(
        frame=frame,
        logs=tuple(reversed(epochs)),
        pending=waiting + unsigned,
        note="" if served is None else served.note,
        witnesses=tuple(
            (one.key.name, one.at)
            for one in (() if served is None else rooms.cosigning.read(served.note))
        ),
        base_url=rooms.base_url,
    )
