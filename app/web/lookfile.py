"""The log of purposes as a file, for the API and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi.responses import Response, StreamingResponse

from app.imports.export import MEDIA_TYPES, write_csv
from app.kit.clock import format_time
from app.oversight.lookbook import LoggedLook, WantedLooks
from app.parties.principal import Principal
from app.web.deps import Rooms

_COLUMNS = ("at", "by", "party", "region", "code", "seq", "section", "purpose")


def csv_of_looks(rooms: Rooms, principal: Principal, wanted: WantedLooks) -> Response:
    """Returns the log as an answer of CSV. Raises what the log raises."""
    # A first look is made here: who may not see it is answered so, and not with half a file.
    rooms.lookbook.list(principal, wanted, after=None, limit=1)
    headers = {
        "Content-Disposition": 'attachment; filename="access-log.csv"',
        "Cache-Control": "no-store",
    }
    lines = _lines(rooms.lookbook.all(principal, wanted))
    return StreamingResponse(write_csv(lines), media_type=MEDIA_TYPES["csv"], headers=headers)


def _lines(looks: Iterator[LoggedLook]) -> Iterator[Sequence[object]]:
    yield _COLUMNS
    for one in looks:
        yield (
            format_time(one.at), one.by, one.party or "", one.region or "", one.code, one.seq,
            one.section, one.purpose,
        )  # fmt: skip
