"""SQL of goods on their way: by their seller, in the order in which they were moved. Read-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import Head, Product, RecordRow, SoldUnit
from app.ledger.store import load_facts, read_head
from app.ledger.submission import StreamHead

SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]

Place = tuple[int, int, str]
"""Of goods on their way, in the order in which they are listed: moved_at, stream, subject."""

_NEWS = HotSelect(
    select(RECORD)
    .where(RECORD.c.stream.in_(bindparam("streams", expanding=True)), RECORD.c.type == "transit")
    .order_by(RECORD.c.stream, RECORD.c.seq)
)
_LAST = HotSelect(
    select(RECORD, HEAD.c.name)
    .join(HEAD, (HEAD.c.stream == RECORD.c.stream) & (HEAD.c.seq == RECORD.c.seq))
    .where(HEAD.c.stream.in_(bindparam("streams", expanding=True)))
)


def goods_underway(
    connection: Connection, *, seller: str, underway: str, after: Place | None, limit: int
) -> list[tuple[Any, Mapping[str, Any]]]:
    """Returns rows of `sold_unit` with their stream's name, and the life of each, longest there first.

    Raises nothing for a life that no reader knows: {} then. Read-only.
    """
    place = (SOLD.c.moved_at, SOLD.c.stream, SOLD.c.subject)
    query = (
        select(SOLD, HEAD.c.name, HEAD.c.seq, HEAD.c.hash, HEAD.c.recorded_at, HEAD.c.state)
        .join(HEAD, HEAD.c.stream == SOLD.c.stream)
        .where(SOLD.c.seller == seller, SOLD.c.underway == underway)
        .order_by(*place)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*after))
    return _with_lives(connection, list(connection.execute(query)))


def last_sent(connection: Connection, *, seller: str, limit: int) -> list[Mapping[str, Any]]:
    """Returns the lives of the units that a seller sent last and that are on their way. Read-only."""
    query = (
        select(HEAD)
        .join(SOLD, SOLD.c.stream == HEAD.c.stream)
        .where(SOLD.c.seller == seller, SOLD.c.underway == "in_transit", SOLD.c.subject == "")
        .order_by(SOLD.c.moved_at.desc())
        .limit(limit)
    )
    return [read_head(row).state for row in connection.execute(query)]


def last_arrived(connection: Connection, *, seller: str, limit: int) -> list[Mapping[str, Any]]:
    """Returns the lives of the units sold last of those that wait and travel no more. Read-only."""
    query = (
        select(HEAD)
        .join(SOLD, SOLD.c.stream == HEAD.c.stream)
        .where(SOLD.c.seller == seller, SOLD.c.underway.is_(None), SOLD.c.subject == "")
        .order_by(SOLD.c.sold_at.desc())
        .limit(limit)
    )
    return [read_head(row).state for row in connection.execute(query)]


def last_sold(connection: Connection, *, seller: str, limit: int) -> list[StreamHead]:
    """Returns the heads of the units that a seller sold last, newest first. Read-only."""
    query = (
        select(HEAD)
        .join(SOLD, SOLD.c.stream == HEAD.c.stream)
        .where(SOLD.c.seller == seller, SOLD.c.subject == "")
        .order_by(SOLD.c.sold_at.desc(), SOLD.c.stream)
        .limit(limit)
    )
    return [read_head(row) for row in connection.execute(query)]


def count_underway(connection: Connection, *, seller: str, underway: str, most: int) -> int:
    """Returns how many goods of a seller are there, at most `most`. Read-only."""
    some = (
        select(SOLD.c.stream)
        .where(SOLD.c.seller == seller, SOLD.c.underway == underway)
        .limit(most)
    )
    return int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())


def _with_lives(connection: Connection, rows: Sequence[Any]) -> list[tuple[Any, Mapping[str, Any]]]:
    """Returns rows that have their stream's head, each with the life that it is about."""
    facts = load_facts(connection, [(row.name, row.subject) for row in rows if row.subject])
    return [
        (row, facts.get((row.name, row.subject), {}) if row.subject else read_head(row).state)
        for row in rows
    ]


def news_of(connection: Connection, streams: Sequence[int]) -> dict[int, list[Any]]:
    """Returns by stream key what was told of goods underway, in order of seq. Read-only."""
    found: dict[int, list[Any]] = {}
    for chunk in chunks(streams):
        for row in _NEWS.rows(connection, streams=list(chunk)):
            found.setdefault(row.stream, []).append(row)
    return found


def newest_of(connection: Connection, seller: str, *, limit: int) -> list[Any]:
    """Returns the last record of each of the units that a seller sold, sent or finished last. Read-only.

    At most `limit` of each; newest first.
    """
    own = select(SOLD.c.stream).where(SOLD.c.seller == seller, SOLD.c.subject == "")
    ways = [own.order_by(SOLD.c.sold_at.desc()), own.order_by(SOLD.c.completed_at.desc()).where(
        SOLD.c.completed_at.is_not(None)
    )]  # fmt: skip
    ways += [
        own.where(SOLD.c.underway == state).order_by(SOLD.c.moved_at.desc())
        for state in ("sold", "in_transit")
    ]
    streams = {key for query in ways for key in connection.execute(query.limit(limit)).scalars()}
    rows = [
        row
        for chunk in chunks(sorted(streams))
        for row in _LAST.rows(connection, streams=list(chunk))
    ]
    return sorted(rows, key=lambda row: (-row.recorded_at, row.stream))


def product_names(connection: Connection, gtins: Collection[str]) -> dict[str, str]:
    """Returns the names of products by GTIN. Read-only."""
    query = select(PRODUCT.c.gtin, PRODUCT.c.name)
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(gtins))):
        found |= {
            r.gtin: r.name for r in connection.execute(query.where(PRODUCT.c.gtin.in_(chunk)))
        }
    return found
