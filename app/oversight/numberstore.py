"""SQL of the keyed index: which streams have records that commit to a sealed number. Read-only.

Always by stream key, which is the order of the index (migration 0028): a part of it costs what is in that
part, however many records one number has. Keys are hashes, so this is no order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from app.db.lookup import chunks
from app.db.tables import Head, RecordRow, SideIndex
from app.oversight.store import during

SIDE = SideIndex.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]


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
) -> list[Any]:
    """Returns (stream key, name, seq, recorded_at) of streams with records under this HMAC, by key.

    Of each stream its newest such record of that time; until exclusive.
    """
    query = (
        select(
            SIDE.c.stream,
            func.max(HEAD.c.name).label("name"),
            func.max(SIDE.c.seq).label("seq"),
            func.max(RECORD.c.recorded_at).label("recorded_at"),
        )
        .join(HEAD, HEAD.c.stream == SIDE.c.stream)
        .join(RECORD, (RECORD.c.stream == SIDE.c.stream) & (RECORD.c.seq == SIDE.c.seq))
        .where(SIDE.c.digest == digest, SIDE.c.kind == kind, SIDE.c.stream >= from_key)
    )
    query = query.where(during(RECORD.c.recorded_at, since_ms, until_ms))
    if until_key is not None:
        query = query.where(SIDE.c.stream < until_key)
    query = query.group_by(SIDE.c.stream).order_by(SIDE.c.stream)
    return list(connection.execute(query if limit is None else query.limit(limit)))


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
