"""The goods of a recall as a file, for the API and for the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi.responses import Response

from app.i18n import Lang, text
from app.kit.clock import format_local, from_ms
from app.kit.tables import write_csv
from app.oversight.reach import Goods
from app.oversight.scoping import Scope
from app.parties.principal import Principal
from app.web.csvfile import answer_csv
from app.web.deps import Rooms

COLUMNS = (
    "code", "lot", "state", "holder", "seller", "platform", "sold_at", "recalled_since", "lifted_at",
    "ways", "notified", "heard", "opened", "returned", "voided", "reached",
)  # fmt: skip


def csv_of_reach(
    rooms: Rooms, principal: Principal, scope: Scope, purpose: str, lang: Lang
) -> Response:
    """Returns a line for each of the goods as an answer of CSV. Raises what the count raises.

    It is for people, in their language throughout: states, ways, yes or no.
    """
    _, goods = rooms.recalls.units(principal, scope, purpose=purpose)
    return answer_csv(write_csv(_lines(goods, lang)), name="recall")


def _lines(goods: Sequence[Goods], lang: Lang) -> Iterator[Sequence[object]]:
    def word(family: str, value: str) -> str:
        return text(lang, f"recall.{family}.{value}")

    def flag(value: bool) -> str:  # noqa: FBT001 - it is what the cell says
        return text(lang, "page.yes" if value else "page.no")

    yield [text(lang, f"recall.column.{name}") for name in COLUMNS]
    joint = text(lang, "page.list.join")
    for one in goods:
        since, until = one.mark or (None, None)
        ways = joint.join(word("way", way) for way in one.seen.ways)
        yield (
            one.name, one.lot or "", word("state", one.state), one.holder or "", one.seller or "",
            one.platform or "", _time(one.sold_at), _time(since), _time(until), ways,
            *map(flag, (*one.seen[1:], one.returned, one.voided, one.is_reached)),
        )  # fmt: skip


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else format_local(from_ms(at_ms))
