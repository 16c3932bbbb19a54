"""SQL of measures until they are published. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, or_, select, update

from app.db.tables import MeasureRow
from app.ledger.stage import EffectWriter
from app.parties.store import PARTY, inside

MEASURE = MeasureRow.__table__  # type: ignore[attr-defined]

Place = tuple[int, str, str]
"""When it was decided (ms), of whom, and its id."""

_OF_PARTY = select(MEASURE).where(MEASURE.c.party == bindparam("party"))
_PUBLISH = (
    update(MEASURE)
    .where(MEASURE.c.party == bindparam("k_party"), MEASURE.c.id == bindparam("k_id"))
    .values(published_on=bindparam("on"), url=bindparam("at"))
)


def rows_of(connection: Connection, party: str) -> list[Any]:
    """Returns a party's measures. Read-only."""
    return list(connection.execute(_OF_PARTY, {"party": party}))


def page(
    connection: Connection,
    *,
    authority: str,
    region: str | None,
    published: bool,
    after: Place | None,
    limit: int,
) -> list[Any]:
    """Returns an authority's measures: those that are due oldest first, published ones newest first.

    region: of the party; None: any. Read-only.
    """
    query = _of(authority, region)
    at, party, id_ = MEASURE.c.decided_at, MEASURE.c.party, MEASURE.c.id
    if published:
        query = query.where(MEASURE.c.published_on.is_not(None))
        query = query.order_by(at.desc(), party, id_)
    else:
        query = query.where(MEASURE.c.published_on.is_(None)).order_by(at, party, id_)
    if after is not None:
        later = at < after[0] if published else at > after[0]
        behind = or_(party > after[1], and_(party == after[1], id_ > after[2]))
        query = query.where(or_(later, and_(at == after[0], behind)))
    return list(connection.execute(query.limit(limit)))


def put_rows(
    connection: Connection, parties: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Makes these the measures of these parties, and no others. Writes `measure`."""
    connection.execute(delete(MEASURE).where(MEASURE.c.party.in_(parties)))
    if rows:
        connection.execute(insert(MEASURE), list(rows))


def _of(authority: str, region: str | None) -> Any:
    joined = MEASURE.join(PARTY, PARTY.c.id == MEASURE.c.party)
    query = select(MEASURE, PARTY.c.name, PARTY.c.exempt, PARTY.c.region).select_from(joined)
    query = query.where(MEASURE.c.authority == authority)
    return query if region is None else query.where(inside(PARTY.c.region, region))


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(insert(MEASURE), list(rows))


def _publish(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        _PUBLISH,
        [
            {"k_party": r["party"], "k_id": r["id"], "on": r["published_on"], "at": r["url"]}
            for r in rows
        ],
    )


WRITERS: Mapping[str, EffectWriter] = {"measure": _insert, "measure_published": _publish}
"""Writers of these rows, for the Recorder."""
