"""SQL of cases: which units are in which. WRITERS are called by the recorder (app.trace.store)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, update

from app.db.hot import HotSelect
from app.db.lookup import chunks, holds_bytes, rows_at
from app.db.tables import CaseUnit, Head, RecordRow
from app.db.upsert import upsert_rows
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import StoredRecord, read_state
from app.trace.caserows import case_row

CASE = CaseUnit.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]


def _write_units(connection: Connection, rows: Rows) -> None:
    """Rows stand in the order of their records: the last word on a unit in a case counts.

    One that only says `inside` is false is of a unit that left.
    """
    last: dict[tuple[int, str], Mapping[str, Any]] = {}
    for row in rows:
        place = (row["stream"], row["sscc"])
        last[place] = {**last.get(place, {}), **row}
    packed = [row for row in last.values() if "party" in row]
    left = [row for row in last.values() if "party" not in row]
    if packed:
        upsert_rows(connection, CASE, packed, keys=("stream", "sscc"))
    if left:
        _leave(connection, left)


def _leave(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(CASE)
        .where(CASE.c.stream == bindparam("k_stream"), CASE.c.sscc == bindparam("k_sscc"))
        .values(inside=False),
        [{"k_stream": row["stream"], "k_sscc": row["sscc"]} for row in rows],
    )


WRITERS: Mapping[str, EffectWriter] = {"case_unit": _write_units}


def units_of(connection: Connection, sscc: str, *, of: str | None, limit: int) -> list[Any]:
    """Returns the units that are, or were, in a case: rows with the name of their stream. Read-only.

    Those that `of` holds come first: whoever else writes the same number on its units displaces none.
    """
    others = case((CASE.c.party == of, 0), else_=1)
    return list(
        connection.execute(
            select(CASE, HEAD.c.name)
            .join(HEAD, HEAD.c.stream == CASE.c.stream)
            .where(CASE.c.sscc == sscc)
            .order_by(others, CASE.c.inside.desc(), CASE.c.packed_at, CASE.c.stream)
            .limit(limit)
        )
    )


def last_before(
    connection: Connection, places: Mapping[str, int], *, types: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Returns the fields of each stream's last record of these types before a seq, by the stream's name.

    Two statements for hundreds of streams. Raises ValueError where the bytes are none of ours. Read-only.
    """
    names = {stream_key(name): name for name in places}
    found: dict[str, Mapping[str, Any]] = {}
    for chunk in chunks([(key, places[name]) for key, name in names.items()]):
        # The last pair stands again and again, so that few statements are written.
        width = 1 << (len(chunk) - 1).bit_length()
        filled = [*chunk, *[chunk[-1]] * (width - len(chunk))]
        values = {f"{at}{n}": pair[at == "q"] for n, pair in enumerate(filled) for at in "sq"}
        last = _last_before(width).rows(connection, types=sorted(types), **values)
        for row in rows_at(connection, RECORD, "seq", [(one.stream, one.seq) for one in last]):
            name = names[row.stream]
            found[name] = StoredRecord(name, row.seq, row.hash, row.body, None).fields
    return found


@cache
def _last_before(width: int) -> HotSelect:
    places = (
        and_(RECORD.c.stream == bindparam(f"s{n}"), RECORD.c.seq < bindparam(f"q{n}"))
        for n in range(width)
    )
    types = RECORD.c.type.in_(bindparam("types", expanding=True))
    last = func.max(RECORD.c.seq).label("seq")
    query = select(RECORD.c.stream, last).where(or_(*places), types)
    return HotSelect(query.group_by(RECORD.c.stream))


def cases_of(
    connection: Connection, party: str, *, after: str | None, limit: int
) -> list[tuple[str, int, int]]:
    """Returns the party's cases with something in them: SSCC, units, packed last (ms). Read-only.

    In order of SSCC, behind `after`.
    """
    query = (
        select(CASE.c.sscc, func.count(), func.max(CASE.c.packed_at))
        .where(CASE.c.party == party, CASE.c.inside.is_(True))
        .group_by(CASE.c.sscc)
        .order_by(CASE.c.sscc)
        .limit(limit)
    )
    if after is not None:
        query = query.where(CASE.c.sscc > after)
    return [(sscc, int(count), int(at)) for sscc, count, at in connection.execute(query)]


def unfounded(connection: Connection, party: str, *, limit: int) -> list[Any]:
    """Returns the rows that put a unit of this holder where the life that is kept of it does not. Read-only.

    At most `limit`, with the stream's `name`. A row that a life gives and that is not there is found at
    the unit; whether row or life was altered is not asked.
    """
    return list(islice(_unfounded(connection, party), limit))


def _unfounded(connection: Connection, party: str) -> Iterator[Any]:
    query = (
        select(CASE, HEAD.c.name, HEAD.c.state)
        .join(HEAD, HEAD.c.stream == CASE.c.stream)
        .where(CASE.c.party == party, CASE.c.inside.is_(True))
    )
    for row in connection.execute(query):
        if not says(row, _told_by_life(row)):
            yield row


def _told_by_life(head: Any) -> dict[str, Any] | None:
    """Returns the row that a life gives: None of a unit in no case, and of a kind that no life has."""
    try:
        return case_row(head.stream, read_state(head.state))
    except (KeyError, TypeError):
        return None


def put_right(connection: Connection) -> int:
    """Says again which units are in which case, by their lives; returns of how many. Writes `case_unit`."""
    holders = select(CASE.c.party).where(CASE.c.inside.is_(True)).distinct()
    gone = [
        {"stream": row.stream, "sscc": row.sscc}
        for party in list(connection.execute(holders).scalars())
        for row in _unfounded(connection, party)
    ]
    if gone:
        _leave(connection, gone)
    # Canonical JSON: nothing but the field itself is spelled so, quotes in texts are escaped.
    lives = select(HEAD.c.stream, HEAD.c.state).where(
        holds_bytes(connection, HEAD.c.state, b'"case":{')
    )
    inside = [told for head in connection.execute(lives) if (told := _told_by_life(head))]
    if inside:
        upsert_rows(connection, CASE, inside, keys=("stream", "sscc"))
    return len(gone) + len(inside)


def says(row: Any, told: Mapping[str, Any] | None) -> bool:
    """Whether a row says what a life tells of its case."""
    return told is not None and all(getattr(row, name) == value for name, value in told.items())


def has_row(connection: Connection, told: Mapping[str, Any]) -> bool:
    """Whether there is this very row. Read-only."""
    query = select(CASE.c.packed_at).where(*(CASE.c[name] == value for name, value in told.items()))
    return connection.execute(query).first() is not None
