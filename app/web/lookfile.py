"""The log of purposes as a file, for the API and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi.responses import Response

from app.i18n import Lang, text
from app.kit.clock import format_local
from app.kit.tables import write_csv
from app.oversight.lookbook import LoggedLook, WantedLooks
from app.parties.principal import Principal
from app.web.csvfile import answer_csv
from app.web.deps import Rooms

_COLUMNS = ("at", "by", "party", "region", "code", "seq", "section", "purpose")


def csv_of_looks(rooms: Rooms, principal: Principal, wanted: WantedLooks, lang: Lang) -> Response:
    """Returns the log as an answer of CSV. Raises what the log raises."""
    # A first look is made here: who may not see it is answered so, and not with half a file.
    rooms.lookbook.list(principal, wanted, after=None, limit=1)
    lines = _lines(rooms.lookbook.all(principal, wanted), lang)
    return answer_csv(write_csv(lines), name="access-log")


def _lines(looks: Iterator[LoggedLook], lang: Lang) -> Iterator[Sequence[object]]:
    yield [text(lang, f"looks.column.{name}") for name in _COLUMNS]
    for one in looks:
        yield (
            format_local(one.at), one.by, one.party or "", one.region or "", one.code,
            text(lang, "looks.nothing") if one.seq is None else one.seq, one.section, one.purpose,
        )  # fmt: skip
