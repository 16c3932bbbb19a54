"""Recalls: which there are, and how far each has come. Making and lifting one is an event like others.

An authority sees all goods, one with a region those that belong there; each of its looks is logged with
a purpose first. A merchant, a supplier or a recall agent sees the goods that it issued, holds or sold,
and those of its own lots; of what others issued under the same GTIN it learns nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms
from app.kit.errors import FieldFault, invalid
from app.ledger.record import stream_key
from app.ledger.store import load_heads, load_some
from app.oversight import reachstore
from app.oversight.looking import log_look, read_purpose
from app.oversight.offices import check_goods
from app.oversight.periods import read_period
from app.oversight.reach import Goods, Mark, Tally, mark_of
from app.oversight.reaching import Reaching
from app.parties.principal import NotYours, Principal
from app.parties.roles import reach
from app.trace.code import MAX_SEGMENT, Code, parse_serial
from app.trace.correcting import as_corrected
from app.trace.decide import CodeUnknown
from app.trace.identifiers import parse_code, parse_unit

MOST_GOODS: Final = 200_000
"""Who asks about more is asked to choose a lot, serials, or a time of sale: the answer comes at once."""
MOST_SERIALS: Final = 1_000
LOOK: Final = "reach"
"""How the log of purposes names a look at a recall's reach."""
_ACTION: Final = "recall.read"
_TOLD_OF: Final = frozenset({"recall", "correction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which goods. code: a product, a lot or a unit, in any form. serials: of these units alone.

    sold_since_ms, sold_until_ms: of those sold then, until exclusive, by whichever of their sales.
    """

    code: str
    serials: tuple[str, ...] = ()
    sold_since_ms: int | None = None
    sold_until_ms: int | None = None


def scope_of(code: str, serials: Sequence[str], *, sold_since: str, sold_until: str) -> Scope:
    """Returns the goods that are asked about; days of China, "" for none. Raises Invalid."""
    names = ("sold_since", "sold_until")
    since_ms, until_ms = read_period(sold_since, sold_until, names=names)
    return Scope(code=code, serials=tuple(serials), sold_since_ms=since_ms, sold_until_ms=until_ms)


@dataclass(frozen=True, slots=True)
class Reached:
    """What was counted. unknown: serials that were named and are nobody's. mark: of product or lot.

    notices: on product and lot since the recall, for all to read.
    """

    code: Code
    as_of: datetime
    tally: Tally
    mark: Mark | None
    notices: int
    unknown: tuple[str, ...]

    @property
    def since_ms(self) -> int | None:
        """Since when any of it is recalled, or was; None: it never was."""
        told = (self.tally.since, None if self.mark is None else self.mark[0])
        return min((one for one in told if one is not None), default=None)

    @property
    def lifted_ms(self) -> int | None:
        """When the last recall of it was lifted; None: one holds, or there was none."""
        own = (None, None) if self.mark is None else self.mark
        if self.tally.recalled or (own[0] is not None and own[1] is None):
            return None
        return max((one for one in (self.tally.until, own[1]) if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class ToldRecall:
    """A recall. lifted_at: None while it holds. seller: whose goods, None for everybody's of a product.

    reason, level, basis: as the newest record of it tells, "" and None where it cannot be read.
    """

    code: str
    gtin: str
    recaller: str
    seller: str | None
    since: datetime
    lifted_at: datetime | None
    reason: str
    level: int | str | None
    basis: str
    place: tuple[int, int, str]


class Recalls:
    """Lists recalls and counts their reach. Writes `access_log` alone."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(
        self,
        principal: Principal,
        *,
        code: str | None = None,
        is_open: bool | None = None,
        after: tuple[Any, ...] | None = None,
        limit: int,
    ) -> Sequence[ToldRecall]:
        """Returns recalls of a product and all that is of it, or all, the newest first. Read-only.

        A merchant gets its own and those that touch its goods. Raises Invalid.
        """
        principal.check_may(_ACTION)
        own = reach(principal.roles, _ACTION) != "any"
        gtin = parse_code(code, loc=("query", "code")).gtin if code else None
        with self._database.read() as connection:
            rows = reachstore.recalls(
                connection,
                party=principal.own_party() if own else None,
                office=principal.region,
                gtin=gtin,
                is_open=is_open,
                after=after,
                limit=limit,
            )
            return [_told(connection, row) for row in rows]

    def still_hold(self, codes: Sequence[str]) -> bool:
        """Whether any of these goods is recalled now, by whomever: itself, its lot, its product."""
        asked = [parse_code(code) for code in codes]
        streams = {one.stream for one in asked} | {one.product_stream for one in asked}
        with self._database.read() as connection:
            heads = load_heads(connection, sorted(streams))
            lots = {
                Code(one.gtin, lot=lot).stream
                for one in asked
                if (lot := heads[one.stream].state.get("lot")) is not None
            }
            heads |= load_heads(connection, sorted(lots))
        mark = mark_of(*(head.state for head in heads.values()))
        return mark is not None and mark[1] is None

    def reach(self, principal: Principal, scope: Scope, *, purpose: str | None) -> Reached:
        """Returns how far the recall of these goods has come, or what one would have to fetch.

        Raises Invalid, CodeUnknown, NotYours, OutsideRegion. Writes `access_log`.
        """
        return self._look(principal, scope, purpose)

    def units(
        self, principal: Principal, scope: Scope, *, purpose: str | None
    ) -> tuple[Reached, Sequence[Goods]]:
        """Returns what `reach` does, and a line for each of the goods; raises and writes as that."""
        lines: list[Goods] = []
        return self._look(principal, scope, purpose, lines), lines

    def _look(
        self,
        principal: Principal,
        scope: Scope,
        purpose: str | None,
        lines: MutableSequence[Goods] | None = None,
    ) -> Reached:
        principal.check_may(_ACTION)
        sees_all = reach(principal.roles, _ACTION) == "any"
        if sees_all:
            purpose = read_purpose(purpose, loc=("purpose",))
        code, serials = _goods_of(scope)
        with self._database.read() as connection:
            head = load_heads(connection, [code.stream])[code.stream]
            if not head.exists:
                raise CodeUnknown("code_unknown", code=code.stream)
            reaching = Reaching(
                connection,
                gtin=code.gtin,
                own=None if sees_all else principal.own_party(),
                office=principal.region,
                sold=(scope.sold_since_ms, scope.sold_until_ms),
                apart=lines is not None,
            )
            tally = Tally()
            for one, count in _goods(connection, reaching, code, serials):
                tally.add(one, count)
                if lines is not None:
                    lines.append(one)
            if not tally.count:
                if not sees_all and (code.serial or not reaching.is_ours(code.lot)):
                    raise NotYours("not_yours")
                check_goods(connection, principal, code.stream)
            found = Reached(
                code, self._clock.now(), tally, reaching.mark_of_lot(code.lot), 0, reaching.unknown
            )
            notices = _notices(connection, code, found.since_ms)
        if sees_all:
            # Before anything of it is shown. One look, at however many goods.
            log_look(
                self._database,
                principal,
                code.stream,
                [(head.seq, LOOK)],
                purpose or "",
                clock=self._clock,
            )
        return replace(found, notices=notices)


def _goods(
    connection: Connection, reaching: Reaching, code: Code, serials: Sequence[str] | None
) -> Iterator[tuple[Goods, int]]:
    """Returns goods and how many are like them, read as they are asked for. Raises Invalid: too many."""
    if serials is not None:
        return reaching.units(serials, lot=None if code.serial else code.lot)
    if reachstore.count_codes(connection, code.gtin, code.lot) > MOST_GOODS:
        # Not how many: of others' goods that is nobody's business.
        raise invalid(FieldFault(("code",), "too_many_goods", {"expected": MOST_GOODS}))
    return reaching.all(code.lot)


def _notices(connection: Connection, code: Code, since_ms: int | None) -> int:
    """Returns how many notices stand on the product, and on the lot, since the recall."""
    if since_ms is None:
        return 0
    streams = {code.product_stream, code.stream} if code.lot else {code.product_stream}
    keys = [stream_key(stream) for stream in sorted(streams)]
    return reachstore.count_notices(connection, keys, since_ms)


def _goods_of(scope: Scope) -> tuple[Code, tuple[str, ...] | None]:
    """Returns the code, and the serials that were named; None: all there are. Raises Invalid."""
    code = parse_code(scope.code)
    if code.serial is not None:
        return code, (code.serial,)
    if not scope.serials:
        return code, None
    if len(scope.serials) > MOST_SERIALS:
        params = {"expected": f"≤ {MOST_SERIALS}", "got": len(scope.serials)}
        raise invalid(FieldFault(("serials",), "length", params))
    return code, tuple(dict.fromkeys(_serial_of(code, told) for told in scope.serials))


def _serial_of(code: Code, told: str) -> str:
    """Returns the serial of a serial, or of a unit's whole code. Raises Invalid."""
    told, loc = told.strip(), ("serials",)
    if len(told) <= MAX_SEGMENT and not told.startswith(("01/", "(")):
        return parse_serial(told, loc=loc)
    unit = parse_unit(told, loc=loc)
    if unit.gtin != code.gtin:
        raise invalid(FieldFault(loc, "other_product", {"got": unit.gtin}))
    return str(unit.serial)


def _told(connection: Connection, row: Any) -> ToldRecall:
    data = _newest(connection, row)
    level = data.get("level")
    return ToldRecall(
        row.name,
        row.gtin,
        row.recaller,
        row.seller,
        from_ms(row.since_at),
        None if row.lifted_at is None else from_ms(row.lifted_at),
        str(data.get("reason", "")),
        level if isinstance(level, int | str) else None,
        str(data.get("basis", "")),
        (row.since_at, row.stream, row.recaller),
    )


def _newest(connection: Connection, row: Any) -> Mapping[str, Any]:
    """Returns the data of the recaller's newest recall of these goods, as its corrections leave it.

    Nothing where it is unreadable.
    """
    corrections: list[Mapping[str, Any]] = []
    for record in reversed(load_some(connection, row.name, types=_TOLD_OF)):
        try:
            fields = record.fields
        except ValueError:
            continue  # altered bytes say nothing; the audit tells of them
        if fields["type"] == "correction":
            corrections.insert(0, fields)
        elif row.recaller in (fields["actor"], fields["source"], "*"):
            return as_corrected(fields, corrections)
    return {}
