"""SQL of sealed sections: ciphertext and wrapped keys. Flushes, never commits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from app.db.hot import HotSelect
from app.db.tables import SealedSection
from app.ledger.record import id_bytes, stream_key
from app.ledger.store import as_bytes

SEALED = SealedSection.__table__  # type: ignore[attr-defined]

_OF_RECORD = HotSelect(
    select(SEALED).where(
        SEALED.c.stream == bindparam("stream"), SEALED.c.record_id == bindparam("record_id")
    )
)


@dataclass(frozen=True, slots=True)
class StoredSection:
    """A sealed section as stored; both parts are None once it is erased."""

    name: str
    sealed: bytes | None
    wrapped_key: bytes | None
    erased_at: int | None


def sealed_sections(
    connection: Connection, stream: str, record_id: str
) -> dict[str, StoredSection]:
    """Returns a record's sealed sections by name. Read-only."""
    place = {"stream": stream_key(stream), "record_id": id_bytes(record_id)}
    rows = _OF_RECORD.rows(connection, **place)
    return {
        row.name: StoredSection(
            row.name,
            None if row.sealed is None else as_bytes(row.sealed),
            None if row.wrapped_key is None else as_bytes(row.wrapped_key),
            row.erased_at,
        )
        for row in rows
    }
