"""SQL of what was sold, held against the records of the goods and written again from them.

A life of the commonest kind (`plainlife`) is proven by the audit without a look at rows; so what is kept of
it is looked at where its seller is: nearly all by the database itself, by how the state is spelled, the rest
by the life. Every other life is looked at where it is, and there is said what no seller's stream would tell.
Known gap: that a row of such a common life is missing is seen by the counts of its day alone (`sold_day`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, not_, or_, select, tuple_

from app.db.lookup import holds_bytes, holds_told, last_bytes
from app.db.tables import Head, RecordRow, SoldUnit
from app.db.upsert import upsert_rows
from app.ledger.record import has_key, stream_key
from app.ledger.store import load_some, load_stream, read_state
from app.trace.code import Code, lot_stream
from app.trace.gaps import Graces
from app.trace.identifiers import parse_code
from app.trace.life_table import STEPS, Happening
from app.trace.rebuildstore import UNTOLD, Retold, sound_records, streams_with
from app.trace.replay import happening_of
from app.trace.retold import finder
from app.trace.soldrows import FindListings, Told, rows_of_life, told_rows

SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]

BEGIN_A_SALE = frozenset({"sale", "dispatch", "signature"})
_LISTING = frozenset({"listing"})
_EVERY = 2**31 - 1
_PAGE = 2_000
_PLACE = (SOLD.c.sold_at, SOLD.c.stream, SOLD.c.subject, SOLD.c.cycle)

Fields = Mapping[str, Any]


class Listings:
    """The listings of sellers, each read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[tuple[str, str], list[Happening]] = {}

    def of(self, code: Code, lot: object = None) -> FindListings:
        """Returns how a seller's listings of goods are found. lot: the unit's, as its life has it."""
        lot = code.lot or lot
        streams = [code.product_stream]
        streams += [lot_stream(code.gtin, lot)] if isinstance(lot, str) else []

        def late(seller: str) -> Sequence[Happening]:
            found = [told for stream in streams for told in self._read(stream, seller)]
            return sorted(found, key=lambda told: told.recorded_ms)

        return late

    def _read(self, stream: str, seller: str) -> list[Happening]:
        place = (stream, seller)
        if place not in self._kept:
            rows = load_some(self._connection, stream, types=_LISTING, actor=seller, limit=_EVERY)
            self._kept[place] = [
                happening_of(row.fields, lambda *_: None) for row in rows if row.is_sound
            ]
        return self._kept[place]


def tell(
    connection: Connection,
    stream: str,
    records: Sequence[Fields],
    graces: Graces,
    listings: Listings,
) -> dict[tuple[str, int], Told]:
    """Returns what the records of a unit or lot say was sold. Raises what UNTOLD has. Read-only."""
    code = parse_code(stream)
    lot = records[0]["data"].get("lot") if records else None
    return told_rows(code, records, finder(connection), graces, listings.of(code, lot))


def wrong_at_goods(
    connection: Connection, stream: str, records: Sequence[Fields], graces: Graces
) -> list[str]:
    """Returns the subjects of a unit or lot whose rows are not as its records tell them. Read-only.

    Of a unit's present cycle, which its seller's stream tells of, only if it is missing or somebody else's.
    """
    told = tell(connection, stream, records, graces, Listings(connection))
    kept = _kept_rows(connection, stream_key(stream)) if told else {}
    is_lot = parse_code(stream).level == "lot"
    return sorted(
        {
            subject
            for (subject, cycle), one in told.items()
            if not _may_stand(kept.get((subject, cycle)), one, all_of_it=is_lot or one.is_over)
        }
    )


def _may_stand(row: Mapping[str, Any] | None, told: Told, *, all_of_it: bool) -> bool:
    if row is None or all_of_it:
        return row in told.rows
    return bool(row["seller"] == told.newest["seller"])


def wrong_at_seller(
    connection: Connection, seller: str, graces: Graces, *, limit: int
) -> list[str]:
    """Returns the units whose row of their present sale, by this seller, is not as their records tell it.

    Those that never were sold too, one without a stream by its key; at most `limit`. Read-only.
    """
    listings = Listings(connection)
    found: list[str] = []
    for row, name, life in _unlike(connection, seller):
        if len(found) == limit:
            break
        if name is None:
            found.append(f"#{row['stream']}")
            continue
        if not has_key(name, row["stream"]):
            continue  # a head that says another name than its own is told of at its own place
        try:
            code, cycle = parse_code(name), life.get("cycle")
            if cycle == row["cycle"] or not isinstance(cycle, int):
                rows = rows_of_life(code, life, listings.of(code, life.get("lot")))
            elif cycle > row["cycle"]:
                continue  # of a cycle that is over its own stream tells
            else:
                rows = ()
            if (not rows and cycle == row["cycle"]) or row in rows:
                continue
        except UNTOLD:
            pass  # of kinds that no life has
        # The life may have been altered, and is named at its own stream then.
        records = [record.fields for record in load_stream(connection, name) if record.is_sound]
        try:
            told = tell(connection, name, records, graces, listings).get(("", row["cycle"]))
        except UNTOLD:
            continue
        if records and (told is None or row not in told.rows):
            found.append(name)
    return found


def _unlike(
    connection: Connection, seller: str
) -> Iterator[tuple[dict[str, Any], object, Mapping[str, Any]]]:
    """Yields rows of units that are not spelled in the life kept of them, each with stream and life.

    The stream's name as it stands there, None where there is no such stream.
    """
    query = (
        select(SOLD, HEAD.c.name, HEAD.c.state)
        .outerjoin(HEAD, HEAD.c.stream == SOLD.c.stream)
        .where(
            SOLD.c.seller == seller,
            SOLD.c.subject == "",
            or_(HEAD.c.stream.is_(None), not_(_is_spelled(connection, HEAD.c.state))),
        )
        .order_by(*_PLACE)
        .limit(_PAGE)
    )
    rows = list(connection.execute(query))
    while rows:
        for row in rows:
            fields = dict(row._mapping)
            name, raw = fields.pop("name"), fields.pop("state")
            try:
                life = {} if raw is None else read_state(raw)
            except (ValueError, TypeError):
                life = {}
            yield fields, name, life
        last = tuple(getattr(rows[-1], column.name) for column in _PLACE)
        rows = list(connection.execute(query.where(tuple_(*_PLACE) > tuple_(*last))))


def _is_spelled(connection: Connection, state: Any) -> Any:
    """Returns the condition that the state tells of a whole sale, signed for, what the row says of it.

    Canonical JSON, in which nothing but the field itself is spelled so: quotes in texts are escaped.
    """
    ends = [
        and_(
            SOLD.c.independent == count,
            last_bytes(connection, state, len(_END % ((0,) * len(STEPS)))).in_(
                [_end(vouched) for vouched in combinations(_STEPS, count)]
            ),
        )
        for count in range(len(STEPS) + 1)
    ]
    return and_(
        # As the stream is named: `01/{gtin}/21/{serial}`.
        func.substr(HEAD.c.name, 4, 14) == SOLD.c.gtin,
        SOLD.c.steps == len(STEPS),
        SOLD.c.gap_due_at.is_(None),
        SOLD.c.underway.is_(None),
        SOLD.c.moved_at.is_(None),
        SOLD.c.completed_at.is_not(None),
        or_(*ends),
        holds_told(
            connection, state,
            '"completed":', SOLD.c.completed_at, ',"cycle":', SOLD.c.cycle, ',"dispatch":{',
        ),
        holds_bytes(connection, state, b'"gaps":{},"holder":"'),
        holds_told(
            connection, state, '"sale":{"actor":"', SOLD.c.seller, '","at":', SOLD.c.sold_at, ","
        ),
    )  # fmt: skip


_STEPS = sorted(STEPS)
_END = b'"state":"signed","steps":{"dispatch":%d,"listing":%d,"sale":%d,"signature":%d},"v":1}'


def _end(vouched: Sequence[str]) -> bytes:
    """Returns how the state of a whole sale ends, of which these steps are not by the seller's word."""
    return _END % tuple(step in vouched for step in _STEPS)


def put_right(connection: Connection, graces: Graces) -> Retold:
    """Writes again what was sold, wherever the records say something else. Writes `sold_unit`.

    Of goods with a damaged record the rows stay as they are. Counts by day are not touched.
    """
    listings = Listings(connection)
    # Of goods that no record says were sold.
    beginning = exists().where(RECORD.c.stream == SOLD.c.stream, RECORD.c.type.in_(BEGIN_A_SALE))
    made = connection.execute(delete(SOLD).where(~beginning)).rowcount
    damaged: list[str] = []
    for stream in streams_with(connection, BEGIN_A_SALE):
        records, passed = sound_records(connection, stream)
        damaged += passed
        if passed:
            continue
        try:
            told = tell(connection, stream.name, records, graces, listings)
        except UNTOLD:
            damaged.append(stream.name)
            continue
        kept = _kept_rows(connection, stream.stream)
        wrong = [dict(one.newest) for place, one in told.items() if kept.get(place) not in one.rows]
        if wrong:
            upsert_rows(connection, SOLD, wrong, keys=("stream", "subject", "cycle"))
        for subject, cycle in kept.keys() - told.keys():
            connection.execute(
                delete(SOLD).where(
                    SOLD.c.stream == stream.stream,
                    SOLD.c.subject == subject,
                    SOLD.c.cycle == cycle,
                )
            )
        made += len(wrong) + len(kept.keys() - told.keys())
    return Retold(made, tuple(damaged))


def _kept_rows(connection: Connection, key: int) -> dict[tuple[str, int], dict[str, Any]]:
    rows = connection.execute(select(SOLD).where(SOLD.c.stream == key))
    return {(row.subject, row.cycle): dict(row._mapping) for row in rows}
