"""SQL of sealed sections: ciphertext and wrapped keys. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, bindparam, select, update

from app.db.hot import HotSelect
from app.db.tables import SealedSection
from app.ledger.record import id_bytes, stream_key
from app.ledger.store import as_bytes
from app.ledger.vault import SealBroken, Vault

SEALED = SealedSection.__table__  # type: ignore[attr-defined]

_ERASE = (
    update(SEALED)
    .where(
        SEALED.c.stream == bindparam("of_stream"),
        SEALED.c.record_id == bindparam("of_record"),
        SEALED.c.name == bindparam("of_name"),
    )
    .values(sealed=None, wrapped_key=None, erased_at=bindparam("at"))
)
_OF_RECORD = HotSelect(
    select(SEALED).where(
        SEALED.c.stream == bindparam("stream"), SEALED.c.record_id == bindparam("record_id")
    )
)

_OF_EACH = HotSelect(
    select(SEALED).where(
        SEALED.c.stream.in_(bindparam("streams", expanding=True)),
        SEALED.c.record_id.in_(bindparam("record_ids", expanding=True)),
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
    return {row.name: _stored(row) for row in rows}


def sections_of_each(
    connection: Connection, places: Collection[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, StoredSection]]:
    """Returns what `sealed_sections` does of several records, by stream and record id. Read-only."""
    by_key = {(stream_key(place[0]), id_bytes(place[1])): place for place in places}
    found: dict[tuple[str, str], dict[str, StoredSection]] = {place: {} for place in places}
    streams, record_ids = ([*dict.fromkeys(part)] for part in zip(*by_key, strict=True))
    for row in _OF_EACH.rows(connection, streams=streams, record_ids=record_ids):
        place = by_key.get((row.stream, as_bytes(row.record_id)))
        if place is not None:
            found[place][row.name] = _stored(row)
    return found


def _stored(row: Any) -> StoredSection:
    return StoredSection(
        row.name,
        None if row.sealed is None else as_bytes(row.sealed),
        None if row.wrapped_key is None else as_bytes(row.wrapped_key),
        row.erased_at,
    )


def open_section(connection: Connection, vault: Vault, place: tuple[str, str, str]) -> bytes | None:
    """Returns the canonical JSON that a section holds, None where it does not open.

    place: stream, record id, section. It does not open once it is erased or was altered. Read-only.
    """
    stream, record_id, name = place
    row = sealed_sections(connection, stream, record_id).get(name)
    if row is None or row.sealed is None or row.wrapped_key is None:
        return None
    try:
        _, content = vault.open(place=place, sealed=row.sealed, wrapped_key=row.wrapped_key)
    except SealBroken:
        return None
    return content


def open_words(connection: Connection, vault: Vault, place: tuple[str, str, str]) -> str | None:
    """Returns the `text` that a section holds, "" where it has none, None as `open_section` does."""
    content = open_section(connection, vault, place)
    if content is None:
        return None
    told = orjson.loads(content).get("text", "")
    return told if isinstance(told, str) else ""


def erase_sections(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Takes content and key of sections away for ever; the records that commit to them stay as they are.

    rows: of_stream, of_record, of_name, at (ms). Writes `sealed_section`.
    """
    connection.execute(_ERASE, [dict(row) for row in rows])


WRITERS: Final = {"section_erased": erase_sections}
"""Called by the recorder with the rows of an `erasure`, in that record's own transaction."""
