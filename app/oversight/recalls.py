"""Recalls: which there are, and how far each has come. Making and lifting one is an event like others.

An authority sees all goods of a recall: it is one of the whole country, and who is in office in one place
must see how far it has come in the others. Of goods that nobody recalled, or recalls now, it sees those of
its region. Each of its looks is logged with a purpose first. A merchant, a supplier or a recall agent sees
the goods that it issued, holds or sold, and those of its own lots; of what others issued under the same
GTIN it learns nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, from_ms
from app.kit.errors import FieldFault, invalid
from app.ledger.record import stream_key
from app.ledger.store import load_heads, load_some
from app.ledger.submission import StreamHead
from app.oversight import reachstore
from app.oversight.reach import UNREADABLE, Goods, Mark, Tally, mark_of
from app.oversight.reaching import Reaching
from app.oversight.scoping import Chosen, Scope, choose
from app.parties.looking import log_look, read_purpose
from app.parties.principal import NotYours, Principal
from app.parties.roles import REGULATOR, reach
from app.trace.code import Code
from app.trace.correcting import as_corrected
from app.trace.decide import CodeUnknown
from app.trace.identifiers import parse_code
from app.trace.offices import check_goods

LOOK: Final = "reach"
"""How the log of purposes names a look at a recall's reach."""
_ACTION: Final = "recall.read"
_TOLD_OF: Final = frozenset({"recall", "correction"})
_OVER: Final = frozenset({"void", UNREADABLE})


@dataclass(frozen=True, slots=True)
class Reached:
    """What was counted. unknown: serials that were named and are nobody's. mark: of product or lot.

    notices: on product and lot since the recall, for all to read. office: the region (GB/T 2260) of which
    goods were counted that nobody recalled; None: of all.
    """

    code: Code
    as_of: datetime
    tally: Tally
    mark: Mark | None
    notices: int
    unknown: tuple[str, ...]
    office: str | None

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
class Plan:
    """What a recall of a part of the goods, or its end, comes to. goods: its lots, or its units.

    codes: those of them on which it is recorded; of the others it holds already. left_out: goods that take
    none: void, unreadable, or without a code of their own (a consignment).
    """

    found: Reached
    goods: tuple[str, ...]
    codes: tuple[str, ...]
    left_out: int = 0

    @property
    def digest(self) -> str:
        """What stands for just these goods, so that what was counted is what is recorded."""
        return sha256("\n".join(self.goods).encode("ascii")).hexdigest()


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


class _Lines(Protocol):
    """Takes goods one by one, inside the snapshot that they are read from."""

    def take(self, connection: Connection, one: Goods, /) -> None: ...

    def finish(self, connection: Connection, /) -> None: ...


@dataclass(slots=True)
class _Told:
    """Goods, each by itself."""

    goods: list[Goods] = field(default_factory=list)

    def take(self, _: Connection, one: Goods) -> None:
        self.goods.append(one)

    def finish(self, _: Connection) -> None:
        """Nothing waits."""


@dataclass(slots=True)
class _Recallable:
    """The streams of goods that take a recall, those of them to record it on, and how many take none.

    lifts: whether it is the end of one. most: on how many it may be recorded.
    """

    principal: Principal
    lifts: bool
    most: int
    names: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)
    left_out: int = 0
    _waiting: list[str] = field(default_factory=list)

    def take(self, connection: Connection, one: Goods) -> None:
        """Takes one of the goods, or counts it. Raises Invalid."""
        if "#" in one.name or one.state in _OVER:
            self.left_out += 1
            return
        self._waiting.append(one.name)
        if len(self._waiting) >= reachstore.PIECE:
            self.finish(connection)

    def finish(self, connection: Connection) -> None:
        """Looks at those taken since it last did. Raises Invalid where there is too much to record."""
        waiting, self._waiting = self._waiting, []
        self.add(waiting, load_heads(connection, waiting))

    def add(self, names: Sequence[str], heads: Mapping[str, StreamHead]) -> None:
        """Takes streams. Raises Invalid where there is too much to record."""
        self.names += names
        self.todo += [
            name
            for name in names
            if _stands(heads[name].state, self.principal, any_recall=self.lifts) is self.lifts
        ]
        if len(self.todo) > self.most:
            raise invalid(FieldFault(("code",), "too_many_to_recall", {"expected": self.most}))


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
        lines = _Told()
        return self._look(principal, scope, purpose, lines), lines.goods

    def plan(
        self, principal: Principal, scope: Scope, *, lifts: bool, purpose: str, most: int
    ) -> Plan:
        """Returns on which codes a recall of a part of the goods is recorded, or that it is over.

        purpose: what the log of purposes says of an authority's look. most: codes that it may be recorded
        on; little more is read than shows that they are too many. Raises and writes as `reach`.
        """
        picked = _Recallable(principal, lifts, most)
        if scope.is_of_lots:
            principal.check_may(_ACTION)  # before any is read
            self._pick_lots(principal, scope, picked)
            found = self._look(principal, scope, purpose, recalls=True)
        else:
            found = self._look(principal, scope, purpose, picked, recalls=True)
        return Plan(found, tuple(picked.names), tuple(picked.todo), picked.left_out)

    def _pick_lots(self, principal: Principal, scope: Scope, picked: _Recallable) -> None:
        """Picks a scope's lots; where somebody sees its own alone, of these."""
        code = parse_code(scope.code)
        own = None if reach(principal.roles, _ACTION) == "any" else principal.own_party()
        with self._database.read() as connection:
            lots = choose(connection, scope, code, own=own).lots or ()
            heads = load_heads(connection, [Code(code.gtin, lot=lot).stream for lot in lots])
        names = [
            stream
            for stream, head in heads.items()
            if own is None or own in (head.state.get("party"), head.state.get("recall_agent"))
        ]
        picked.add(names, heads)

    def _look(
        self,
        principal: Principal,
        scope: Scope,
        purpose: str | None,
        lines: _Lines | None = None,
        *,
        recalls: bool = False,
    ) -> Reached:
        """recalls: the caller is about to recall these goods, or to lift that."""
        principal.check_may(_ACTION)
        sees_all = reach(principal.roles, _ACTION) == "any"
        if sees_all:
            purpose = read_purpose(purpose, loc=("purpose",))
        code, own = parse_code(scope.code), None if sees_all else principal.own_party()
        with self._database.read() as connection:
            heads = load_heads(connection, {code.stream, code.product_stream})
            head = heads[code.stream]
            if not head.exists:
                raise CodeUnknown("code_unknown", code=code.stream)
            is_recall = (recalls and REGULATOR in principal.roles) or mark_of(
                *(one.state for one in heads.values())
            )
            office = None if is_recall else principal.region
            chosen = choose(connection, scope, code, own=own)
            reaching = Reaching(
                connection,
                gtin=code.gtin,
                own=own,
                office=office,
                sold=(scope.sold_since_ms, scope.sold_until_ms),
                apart=lines is not None,
            )
            tally = Tally()
            for one, count in _goods(reaching, chosen):
                tally.add(one, count)
                if lines is not None:
                    lines.take(connection, one)
            if lines is not None:
                lines.finish(connection)
            mine = sees_all or tally.count or (not code.serial and reaching.is_ours(code.lot))
            if not mine:
                raise NotYours("not_yours")
            if not tally.count and office is not None:
                check_goods(connection, principal, code.stream)
            found = Reached(
                code,
                self._clock.now(),
                tally,
                reaching.mark_of_lot(code.lot),
                0,
                reaching.unknown,
                office,
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


def _goods(reaching: Reaching, chosen: Chosen) -> Iterator[tuple[Goods, int]]:
    """Yields goods and how many are like them, read as they are asked for."""
    if chosen.serials is not None:
        yield from reaching.units(chosen.serials, lots=chosen.lots, named=chosen.named)
    elif chosen.lots is None:
        yield from reaching.all(None)
    else:
        for lot in chosen.lots:
            yield from reaching.all(lot)


def _stands(state: Mapping[str, Any], principal: Principal, *, any_recall: bool) -> bool:
    """Whether the caller's recall of these very goods holds; any_recall: or one that it may lift."""
    recalls = state.get("recalls", {})
    sees_all = any_recall and REGULATOR in principal.roles
    named = recalls if sees_all else {principal.party} & set(recalls)
    return any("until" not in recalls[who] for who in named)


def _notices(connection: Connection, code: Code, since_ms: int | None) -> int:
    """Returns how many notices stand on the product, and on the lot, since the recall."""
    if since_ms is None:
        return 0
    streams = {code.product_stream, code.stream} if code.lot else {code.product_stream}
    keys = [stream_key(stream) for stream in sorted(streams)]
    return reachstore.count_notices(connection, keys, since_ms)


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
