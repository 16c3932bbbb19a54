"""SQL of a table whose rows are made again from the records that give them, stream by stream.

What was damaged stops nothing: a record whose bytes are not those that the log holds is passed over, as
if it were not there, and named, so that whoever asked for the rows knows which of them to doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from app.db.tables import Head, RecordRow
from app.kit.errors import Fault
from app.ledger.rebuilt import Rebuilt
from app.ledger.record import has_key
from app.ledger.store import StoredRecord, load_stream

HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]

Fields = Mapping[str, Any]
_PAGE = 500
UNTOLD = (Fault, KeyError, TypeError, ValueError, AttributeError)
"""Raised by what tells a stream's rows where what is left, without what was altered, tells no story."""


def retell(
    connection: Connection,
    table: Any,
    types: Iterable[str],
    told: Callable[[str, Sequence[Fields]], Iterable[dict[str, Any]]],
) -> Rebuilt:
    """Makes a table's rows again from the streams that have records of these types. Writes `table`.

    told: a stream's rows, from its sound records in order.
    """
    connection.execute(delete(table))
    made, damaged = 0, list[str]()
    for row in streams_with(connection, types):
        sound, passed = sound_records(connection, row)
        damaged += passed
        try:
            rows = list(told(row.name, sound)) if sound else []
        except UNTOLD:
            rows, damaged = [], [*damaged, row.name]
        made += len(rows)
        if rows:
            connection.execute(insert(table), rows)
    return Rebuilt(made, tuple(damaged))


def streams_with(connection: Connection, types: Iterable[str]) -> Iterator[Any]:
    """Yields `stream` and `name` of the streams that have records of these types. Read-only."""
    query = (
        select(RECORD.c.stream, HEAD.c.name)
        .outerjoin(HEAD, HEAD.c.stream == RECORD.c.stream)
        .where(RECORD.c.type.in_(sorted(types)))
        .distinct()
        .order_by(RECORD.c.stream)
        .limit(_PAGE)
    )
    found = list(connection.execute(query))
    while found:
        yield from found
        after = query.where(RECORD.c.stream > found[-1].stream)
        found = list(connection.execute(after)) if len(found) == _PAGE else []


def sound_records(connection: Connection, row: Any) -> tuple[list[Fields], list[str]]:
    """Returns a stream's sound records in order, and what was passed over. row: of `streams_with`."""
    name = row.name
    if not has_key(name, row.stream):
        return [], [f"#{row.stream}"]  # a head that is gone, or has somebody else's name
    sound, passed = [], []
    for record in load_stream(connection, name):
        fields = _sound_fields(record)
        if fields is None:
            passed.append(f"{name}#{record.seq}")
        else:
            sound.append(fields)
    return sound, passed


def _sound_fields(record: StoredRecord) -> Fields | None:
    """Returns a record's fields, None where they are not what was recorded."""
    if not record.is_sound:
        return None
    try:
        return record.fields
    except ValueError:
        return None
