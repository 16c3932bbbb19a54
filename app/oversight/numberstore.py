"""SQL of the keyed index: which streams have records that commit to a sealed number. Read-only.

Always by stream key, which is the order of the index (migration 0028): a part of it costs what is in that
part, however many records one number has. Keys are hashes, so this is no order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import RecordRow, SideIndex
from app.oversight.store import names_of

SIDE = SideIndex.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
_TIMES = HotSelect(
    select(RECORD.c.stream, RECORD.c.seq, RECORD.c.recorded_at).where(
        RECORD.c.stream.in_(bindparam("streams", expanding=True)),
        RECORD.c.seq.in_(bindparam("seqs", expanding=True)),
    )
)
_WITHIN = HotSelect(
    select(SIDE.c.stream, SIDE.c.seq, RECORD.c.recorded_at)
    .join(RECORD, (RECORD.c.stream == SIDE.c.stream) & (RECORD.c.seq == SIDE.c.seq))
    .where(
        SIDE.c.digest == bindparam("digest"),
        SIDE.c.kind == bindparam("kind"),
        SIDE.c.stream.in_(bindparam("streams", expanding=True)),
        RECORD.c.recorded_at >= bindparam("since_ms"),
        RECORD.c.recorded_at < bindparam("until_ms"),
    )
)


class Row(NamedTuple):
    """A stream and its newest record with a number. recorded_at: ms.

    name: "" where an index that a hand has altered names what is not there, and where no such record is of
    the time asked for.
    """

    stream: int
    name: str
    seq: int
    recorded_at: int


def told(
    connection: Connection,
    kind: str,
    digest: bytes,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    from_key: int = 0,
    until_key: int | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Returns the streams with records under this HMAC, by key, each by its newest such of that time.

    The index alone says which they are; the rest is looked up of those. In one statement PostgreSQL would
    rather go through all streams beside a number that many of them have. The time, too, is asked of those:
    a search for the few of a day would go through all records with the number before the first of them.
    """
    query = select(SIDE.c.stream, func.max(SIDE.c.seq).label("seq")).where(
        SIDE.c.digest == digest, SIDE.c.kind == kind, SIDE.c.stream >= from_key
    )
    if until_key is not None:
        query = query.where(SIDE.c.stream < until_key)
    query = query.group_by(SIDE.c.stream).order_by(SIDE.c.stream)
    if limit is not None:
        query = query.limit(limit)
    found = [(row.stream, row.seq) for row in connection.execute(query)]
    streams = [stream for stream, _ in found]
    if since_ms is None and until_ms is None:
        newest = _with_times(connection, found)
    else:
        newest = _newest_within(connection, kind, digest, streams, since_ms, until_ms)
    names = names_of(connection, [*newest])
    return [
        Row(stream, names.get(stream, ""), *newest[stream])
        if stream in newest
        else Row(stream, "", 0, 0)
        for stream in streams
    ]


def _with_times(
    connection: Connection, places: Sequence[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """Returns seq and time of the records at these places (stream, seq), by stream."""
    found: dict[int, tuple[int, int]] = {}
    for some in chunks(places):
        # Pairs one by one take PostgreSQL longer to plan than these, nearly all of the same few seqs.
        wanted, streams = set(some), [one for one, _ in some]
        seqs = sorted({seq for _, seq in some})
        for row in _TIMES.rows(connection, streams=streams, seqs=seqs):
            if (row.stream, row.seq) in wanted:
                found[row.stream] = (row.seq, row.recorded_at)
    return found


def _newest_within(
    connection: Connection,
    kind: str,
    digest: bytes,
    streams: Sequence[int],
    since_ms: int | None,
    until_ms: int | None,
) -> dict[int, tuple[int, int]]:
    """Returns seq and time of the newest record of that time under this HMAC, by stream; of some none."""
    found: dict[int, tuple[int, int]] = {}
    since_ms = -(2**63) if since_ms is None else since_ms
    until_ms = 2**63 - 1 if until_ms is None else until_ms
    for some in chunks(streams):
        rows = _WITHIN.rows(
            connection, kind=kind, digest=digest, streams=list(some), since_ms=since_ms,
            until_ms=until_ms,
        )  # fmt: skip
        for row in rows:
            found[row.stream] = max(found.get(row.stream, (-1, 0)), (row.seq, row.recorded_at))
    return found


def newest_of(connection: Connection, kind: str, digest: bytes, key: int) -> int | None:
    """Returns the seq of a stream's newest record under this HMAC, None where it has none."""
    query = select(func.max(SIDE.c.seq)).where(
        SIDE.c.digest == digest, SIDE.c.kind == kind, SIDE.c.stream == key
    )
    return connection.execute(query).scalar()


def keys_of(connection: Connection, kind: str, digest: bytes, *, limit: int) -> list[int]:
    """Returns the keys of streams with records under this HMAC, in order."""
    query = (
        select(SIDE.c.stream)
        .where(SIDE.c.digest == digest, SIDE.c.kind == kind)
        .distinct()
        .order_by(SIDE.c.stream)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def among(connection: Connection, kind: str, digest: bytes, keys: Sequence[int]) -> set[int]:
    """Returns those of these streams that have a record under this HMAC."""
    found: set[int] = set()
    for some in chunks(keys):
        query = select(SIDE.c.stream).where(
            SIDE.c.digest == digest, SIDE.c.kind == kind, SIDE.c.stream.in_(some)
        )
        found.update(connection.execute(query).scalars())
    return found
