"""SQL of what was sold, held against the records of the goods and written again from them.

An audit tells the commonest lives (`plainlife`) with their row, and reads the rows beside the records in the
same order; every other life is told here. What is of no goods at all is looked for where its seller is, and
once a round where the seller is no party.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, not_, or_, select

from app.db.hot import HotSelect
from app.db.tables import Head, Party, RecordRow, SoldDay, SoldUnit
from app.db.upsert import upsert_rows
from app.ledger.rebuilt import Rebuilt
from app.ledger.record import has_key, stream_key
from app.ledger.store import load_some
from app.trace.code import Code, lot_stream
from app.trace.gaps import Graces
from app.trace.identifiers import parse_code
from app.trace.life_table import Happening
from app.trace.rebuildstore import UNTOLD, sound_records, streams_with
from app.trace.replay import happening_of
from app.trace.retold import finder
from app.trace.soldrows import FindListings, Told, told_rows

SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
DAY = SoldDay.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]

BEGIN_A_SALE = frozenset({"sale", "dispatch", "signature"})
_LISTING = frozenset({"listing"})
_EVERY = 2**31 - 1
_EVERY_KEY = 2**63 - 1
_SOLD_GOODS = ("01/%/21/%", "01/%/10/%")
_PAGE = 1_000
_BY_STREAM = HotSelect(select(SOLD).where(SOLD.c.stream == bindparam("key")))


def _strangers_of(table: Any) -> Any:
    """Returns the query for a table's sellers that are no party, `most` of them."""
    first = select(func.min(table.c.seller).label("seller"))
    told = first.cte("told", recursive=True)
    following = first.where(table.c.seller > told.c.seller).scalar_subquery()
    told = told.union_all(select(following).where(told.c.seller.is_not(None)))
    return (
        select(told.c.seller)
        .where(told.c.seller.is_not(None), ~exists().where(PARTY.c.id == told.c.seller))
        .order_by(told.c.seller)
        .limit(bindparam("most"))
    )


_STRANGERS = {table.name: _strangers_of(table) for table in (SOLD, DAY)}
_FROM = HotSelect(
    select(SOLD)
    # To SQLite any text is more than any number.
    .where(SOLD.c.stream >= bindparam("key"), SOLD.c.stream <= _EVERY_KEY)
    .order_by(SOLD.c.stream)
    .limit(bindparam("most"))
)

Fields = Mapping[str, Any]


class Listings:
    """The listings of sellers, each read once. end: the position behind those that count, None for all."""

    def __init__(self, connection: Connection, *, end: int | None = None) -> None:
        self._connection = connection
        self._end = end
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
                happening_of(row.fields, lambda *_: None)
                for row in rows
                if row.is_sound and self._counts(row.leaf_index)
            ]
        return self._kept[place]

    def _counts(self, position: int | None) -> bool:
        return self._end is None or (position is not None and position < self._end)


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
    """Returns the subjects of a unit or lot whose rows are not as its records tell them. Read-only."""
    sold = any(fields["type"] in BEGIN_A_SALE for fields in records)
    told = tell(connection, stream, records, graces, Listings(connection)) if sold else {}
    kept = _kept_rows(connection, stream_key(stream))
    return sorted(
        {
            place[0]
            for place in told.keys() | kept.keys()
            if place not in told or kept.get(place) not in told[place].rows
        }
    )


def without_goods(connection: Connection, seller: str, *, limit: int) -> list[str]:
    """Returns the streams, `#` and the key, of a seller's rows that are of no goods; at most `limit`.

    A head that says another name than its own is told of at its own place. Read-only.
    """
    query = (
        select(SOLD.c.stream, HEAD.c.name)
        .outerjoin(HEAD, HEAD.c.stream == SOLD.c.stream)
        .where(
            SOLD.c.seller == seller,
            or_(
                HEAD.c.stream.is_(None),
                not_(or_(*(HEAD.c.name.like(goods) for goods in _SOLD_GOODS))),
            ),
        )
    )
    ghosts = (row.stream for row in connection.execute(query) if _is_no_goods(row))
    return [f"#{key}" for key in islice(ghosts, limit)]


def strangers(connection: Connection, *, limit: int) -> list[str]:
    """Returns sellers of rows, or of counts by day, that are no party; at most `limit`. Read-only.

    The first by their ids. No stream of theirs is audited. Goes from one seller to the next by an index: so
    many looks as there are sellers, however many rows each has.
    """
    found: set[str] = set()
    for table in (SOLD, DAY):
        found.update(connection.execute(_STRANGERS[table.name], {"most": limit}).scalars())
    return sorted(found)[:limit]


def _is_no_goods(row: Any) -> bool:
    return row.name is None or has_key(row.name, row.stream)


class RowsInOrder:
    """The rows of units, read on in the order of their streams, as an audit reads their records."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first, self._last = 0, -1
        self._page: dict[int, list[tuple[Any, ...]]] = {}

    def of(self, key: int) -> Sequence[tuple[Any, ...]]:
        """Returns the rows of one unit without their stream. Read-only."""
        if not self._first <= key <= self._last:
            self._read(key)
        return self._page.get(key, ())

    def _read(self, key: int) -> None:
        rows = _FROM.rows(self._connection, key=key, most=_PAGE)
        page: dict[int, list[tuple[Any, ...]]] = {}
        for row in rows:
            page.setdefault(row[0], []).append(row[1:])
        # The last stream of a full page may have more rows than are on it.
        self._last = rows[-1][0] - 1 if len(rows) == _PAGE else _EVERY_KEY
        self._first, self._page = key, page


def put_right(connection: Connection, graces: Graces) -> Rebuilt:
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
    return Rebuilt(made, tuple(damaged))


def _kept_rows(connection: Connection, key: int) -> dict[tuple[str, int], dict[str, Any]]:
    rows = _BY_STREAM.rows(connection, key=key)
    return {(row.subject, row.cycle): row._asdict() for row in rows}
