"""The goods of a recall as a file, for the API and for the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi.responses import Response

from app.imports.export import MEDIA_TYPES, write_csv
from app.kit.clock import format_time, from_ms
from app.oversight.reach import Goods
from app.oversight.recalls import Scope
from app.parties.principal import Principal
from app.web.deps import Rooms

_COLUMNS = (
    "code", "lot", "state", "holder", "seller", "platform", "sold_at", "recalled_since", "lifted_at",
    "ways", "notified", "heard", "opened", "returned", "voided", "reached",
)  # fmt: skip


def csv_of_reach(rooms: Rooms, principal: Principal, scope: Scope, purpose: str) -> Response:
    """Returns a line for each of the goods as an answer of CSV. Raises what the count raises."""
    _, goods = rooms.recalls.units(principal, scope, purpose=purpose)
    headers = {
        "Content-Disposition": 'attachment; filename="recall.csv"',
        "Cache-Control": "no-store",
    }
    content = b"".join(write_csv(_lines(goods)))
    return Response(content, media_type=MEDIA_TYPES["csv"], headers=headers)


def _lines(goods: Sequence[Goods]) -> Iterator[Sequence[object]]:
    yield _COLUMNS
    for one in goods:
        since, until = one.mark or (None, None)
        yield (
            one.name, one.lot or "", one.state, one.holder or "", one.seller or "",
            one.platform or "", _time(one.sold_at), _time(since), _time(until), " ".join(one.seen.ways),
            *map(int, (*one.seen[1:], one.returned, one.voided, one.is_reached)),
        )  # fmt: skip


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else format_time(from_ms(at_ms))
