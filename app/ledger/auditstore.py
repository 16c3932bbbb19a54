"""What an audit reads: heads, records beside their leaves, and what the log knows and nobody holds.

Every statement can be asked for a span of stream keys, so that an audit can go in pieces, and in
several processes. Read-only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from heapq import merge
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, exists, func, null, select, union_all

from app.db.engine import fetch_plainly
from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.ledger.record import stream_key
from app.ledger.store import HEAD, LEAF, RECORD, UNSEQUENCED, as_bytes
from app.ledger.verifier import HeadRow, LostRecord

_FETCH = 500
_QUICK_FETCH = 2_000


class Span(NamedTuple):
    """Streams by key: above `after`, up to and with `until`; None: as far as there are any.

    A key that a hand has made text stands behind every number: in a span without an end.
    """

    after: int | None = None
    until: int | None = None


EVERYTHING = Span()


def _lost_from(table: Any, leaf_index: Any) -> Any:
    there = exists().where(RECORD.c.stream == table.c.stream, RECORD.c.seq == table.c.seq)
    return select(table.c.stream, table.c.seq, table.c.hash, leaf_index).where(~there)


_BESIDE = RECORD.outerjoin(LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq))
_RECORDS = select(
    *(RECORD.c[name] for name in ("stream", "seq", "id", "type", "actor")),
    *(RECORD.c[name] for name in ("recorded_at", "hash", "body")),
    LEAF.c.leaf_index,
    LEAF.c.hash.label("entry"),
).select_from(_BESIDE)

# By name: the statement, the column of the stream's key, the order. A single stream's records are
# asked for hundreds of times a second by pages, so everything is built once.
_QUERIES: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "heads": (select(HEAD), HEAD.c.stream, (HEAD.c.stream,)),
    "records": (_RECORDS, RECORD.c.stream, (RECORD.c.stream, RECORD.c.seq)),
    "lost leaves": (
        _lost_from(LEAF, LEAF.c.leaf_index), LEAF.c.stream, (LEAF.c.stream, LEAF.c.seq),
    ),
    "lost waiting": (
        _lost_from(UNSEQUENCED, null().label("leaf_index")),
        UNSEQUENCED.c.stream, (UNSEQUENCED.c.stream, UNSEQUENCED.c.seq),
    ),
    "count leaves": (select(func.count()).select_from(LEAF), LEAF.c.stream, ()),
    "waiting": (
        select(UNSEQUENCED.c.stream, UNSEQUENCED.c.seq, UNSEQUENCED.c.hash),
        UNSEQUENCED.c.stream, (),
    ),
}  # fmt: skip


@cache
def _within(name: str, bounds: tuple[bool, bool], limit: bool) -> Any:  # noqa: FBT001 - a key of a cache
    statement, column, order = _QUERIES[name]
    if bounds[0]:
        statement = statement.where(column > bindparam("after"))
    if bounds[1]:
        statement = statement.where(column <= bindparam("until"))
    if limit:
        statement = statement.limit(bindparam("most"))
    return statement.order_by(*order).execution_options(yield_per=_FETCH)


@cache
def _of_one(name: str) -> Any:
    statement, column, order = _QUERIES[name]
    statement = statement.where(column == bindparam("stream"))
    return statement.order_by(*order).execution_options(yield_per=_FETCH)


_LOST = (_QUERIES["lost leaves"], _QUERIES["lost waiting"])
_LOST_OF_EACH = HotSelect(
    union_all(
        *(
            statement.where(column.in_(bindparam("streams", expanding=True)))
            for statement, column, _ in _LOST
        )
    )
)
_LOST_BEHIND = HotSelect(
    union_all(
        *(
            statement.where(
                column == bindparam("stream"),
                order[-1] > bindparam("after"),
                order[-1] <= bindparam("until"),
            )
            for statement, column, order in _LOST
        )
    )
)


class AuditReads:
    """Reads inside one snapshot, a few rows at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def heads(self, span: Span) -> Iterator[Row[Any]]:
        """Yields heads by stream."""
        return self._rows("heads", span)

    def records(self, span: Span) -> Iterator[Row[Any]]:
        """Yields records beside their leaves, by stream and seq."""
        return self._rows("records", span)

    def lost(self, span: Span) -> Iterator[Row[Any]]:
        """Yields, by stream and seq, what log or queue knows and no record is there for."""
        return _in_order(self._rows("lost leaves", span), self._rows("lost waiting", span))

    def head_of(self, key: int) -> Iterator[Row[Any]]:
        """Yields the one head of a stream."""
        return self._stream_rows(_of_one("heads"), stream=key)

    def records_of(self, key: int) -> Iterator[Row[Any]]:
        """Yields a stream's records."""
        return self._stream_rows(_of_one("records"), stream=key)

    def lost_of(self, key: int) -> Iterator[Row[Any]]:
        """Yields what is lost of one stream, by seq."""
        return _in_order(
            *(
                self._stream_rows(_of_one(name), stream=key)
                for name in ("lost leaves", "lost waiting")
            )
        )

    def lost_of_each(self, keys: Collection[int]) -> dict[int, list[Any]]:
        """Returns what `lost_of` yields of each of these streams that lost something."""
        lost: dict[int, list[Any]] = {}
        for part in chunks(sorted(keys)):
            rows = _LOST_OF_EACH.rows(self._connection, streams=list(part))
            for row in sorted(rows, key=_place_of):
                lost.setdefault(row.stream, []).append(row)
        return lost

    def lost_between(self, key: int, after: int, until: int) -> list[Any]:
        """Returns what `lost_of` yields of a stream behind seq `after`, up to and with `until`."""
        rows = _LOST_BEHIND.rows(self._connection, stream=key, after=after, until=until)
        return sorted(rows, key=_place_of)

    # ------------------------------------------------------------ as the driver gives it
    # For the quick proof: a Row and its columns by name cost as much as all that is done with it.
    # Each raises TextDamaged.

    def head_tuples(self, span: Span, most: int) -> list[tuple[Any, ...]]:
        """Returns at most so many heads, by stream: key, name, seq, hash, recorded_at, state."""
        return [row for page in self._pages("heads", span, most=most) for row in page]

    def record_tuples(self, span: Span) -> Iterator[list[tuple[Any, ...]]]:
        """Yields records by stream and seq, with leaf index and entry behind their columns."""
        return self._pages("records", span)

    def waiting_tuples(self, span: Span) -> list[tuple[Any, ...]]:
        """Returns what waits for its place in the log: stream, seq, hash."""
        return [row for page in self._pages("waiting", span) for row in page]

    def count_leaves(self, span: Span) -> int:
        """Returns how many leaves name a stream of the span."""
        ((count,),) = (row for page in self._pages("count leaves", span) for row in page)
        return int(count)

    def _pages(self, name: str, span: Span, **most: int) -> Iterator[list[tuple[Any, ...]]]:
        query = _within(name, _bounds(span), bool(most))
        with self._connection.execute(query, _place(span) | most) as result:
            while page := fetch_plainly(result, _QUICK_FETCH):
                yield page

    def _rows(self, name: str, span: Span) -> Iterator[Row[Any]]:
        return self._stream_rows(_within(name, _bounds(span), limit=False), **_place(span))

    def _stream_rows(self, query: Any, **place: int) -> Iterator[Row[Any]]:
        with self._connection.execute(query, place) as rows:
            yield from rows


def last_leaves(
    connection: Connection, streams: Sequence[str], *, end: int
) -> dict[str, tuple[int, bytes]]:
    """Returns (seq, hash) of the last record that the logs hold of each stream before a position.

    Only of streams that have one there. Read-only.
    """
    by_key = {stream_key(name): name for name in streams}
    found: dict[str, tuple[int, bytes]] = {}
    for keys in chunks(list(by_key)):
        last = (
            select(LEAF.c.stream, func.max(LEAF.c.seq).label("seq"))
            .where(LEAF.c.stream.in_(keys), LEAF.c.leaf_index < end)
            .group_by(LEAF.c.stream)
            .subquery()
        )
        same = (LEAF.c.stream == last.c.stream) & (LEAF.c.seq == last.c.seq)
        rows = connection.execute(select(LEAF.c.stream, LEAF.c.seq, LEAF.c.hash).join(last, same))
        found |= {by_key[row.stream]: (row.seq, as_bytes(row.hash)) for row in rows}
    return found


def rank(value: object) -> tuple[int, Any]:
    """Returns where a value stands in SQLite's order, which a column of text has numbers before."""
    return (0, value) if isinstance(value, int) else (1, str(value))


def gone(rows: Iterable[Any]) -> list[LostRecord]:
    """Returns lost rows as the check of a stream takes them."""
    return [
        LostRecord(row.seq, row.leaf_index, as_bytes(row.hash))
        for row in rows
        if isinstance(row.seq, int)
    ]


def head_row(head: Any | None) -> HeadRow | None:
    """Returns a head as the check of a stream takes it."""
    if head is None:
        return None
    return HeadRow(head.name, head.seq, as_bytes(head.hash), head.recorded_at)


def _in_order(*sources: Iterable[Any]) -> Iterator[Any]:
    return merge(*sources, key=_place_of)


def _place_of(row: Any) -> tuple[Any, ...]:
    return rank(row.stream), rank(row.seq)


def _bounds(span: Span) -> tuple[bool, bool]:
    return span.after is not None, span.until is not None


def _place(span: Span) -> dict[str, int]:
    return {name: bound for name, bound in span._asdict().items() if bound is not None}
