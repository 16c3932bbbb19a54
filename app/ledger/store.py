"""SQL of the ledger: heads, records, facts, sealed sections, the log. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, and_, bindparam, delete, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.db.tables import (
    Fact,
    Head,
    LogLeaf,
    Outbox,
    RecordRow,
    SealedSection,
    SideIndex,
    Tile,
    Unsequenced,
)
from app.kit.clock import parse_time
from app.kit.errors import Conflict
from app.ledger.record import stream_key
from app.ledger.submission import Recorded, StreamHead, no_head

# SQLite binds at most 32,766 variables a statement; PostgreSQL plans short lists better.
_CHUNK = 400

HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
FACT = Fact.__table__  # type: ignore[attr-defined]
LEAF = LogLeaf.__table__  # type: ignore[attr-defined]
UNSEQUENCED = Unsequenced.__table__  # type: ignore[attr-defined]
SEALED = SealedSection.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]
OUTBOX = Outbox.__table__  # type: ignore[attr-defined]
TILE = Tile.__table__  # type: ignore[attr-defined]


class StreamKeyTaken(Conflict):
    """Two stream names share one 63-bit key; the second cannot be created."""


class HeadMoved(Exception):
    """Another process moved a head between our read and our write; decide again."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as stored; `leaf_index` is None until it is sequenced."""

    stream: str
    seq: int
    hash: bytes
    body: bytes
    leaf_index: int | None

    @property
    def fields(self) -> dict[str, Any]:
        """The record's fields. Raises ValueError where the stored bytes are no JSON object."""
        fields = orjson.loads(self.body)
        if not isinstance(fields, dict):
            raise ValueError(self.stream)  # noqa: TRY004 - damaged bytes, not a wrong argument
        return fields


def recorded_from(stream: str, seq: int, hash_: bytes, body: bytes, *, replayed: bool) -> Recorded:
    """Returns a stored record as the answer to its submission."""
    fields = StoredRecord(stream, seq, hash_, body, None).fields
    return Recorded(
        stream=stream,
        seq=seq,
        id=fields["id"],
        type=fields["type"],
        hash=hash_,
        prev=bytes.fromhex(fields["prev"]),
        recorded_at=parse_time(fields["recorded_at"]),
        body=body,
        replayed=replayed,
    )


def load_heads(connection: Connection, streams: Iterable[str]) -> dict[str, StreamHead]:
    """Returns a head for every name asked for. Read-only.

    Raises StreamKeyTaken where another stream already has a name's key.
    """
    by_key = {stream_key(name): name for name in streams}
    found: dict[str, StreamHead] = {}
    for keys in _chunks(list(by_key)):
        for row in connection.execute(select(HEAD).where(HEAD.c.stream.in_(keys))):
            name = by_key[row.stream]
            if row.name != name:
                raise StreamKeyTaken("stream_key_taken", stream=name)
            found[name] = StreamHead(
                name, row.seq, bytes(row.hash), row.recorded_at, orjson.loads(row.state)
            )
    for name in by_key.values():
        found.setdefault(name, no_head(name))
    return found


def load_facts(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Any]:
    """Returns the facts that exist among (stream, key) pairs. Read-only."""
    by_key = {(stream_key(stream), key): (stream, key) for stream, key in wanted}
    found: dict[tuple[str, str], Any] = {}
    for pairs in _chunks(list(by_key)):
        rows = connection.execute(select(FACT).where(tuple_(FACT.c.stream, FACT.c.key).in_(pairs)))
        for row in rows:
            found[by_key[(row.stream, row.key)]] = orjson.loads(row.value)
    return found


def list_facts(connection: Connection, stream: str, prefix: str) -> dict[str, Any]:
    """Returns a stream's facts whose key starts with `prefix`. Read-only."""
    rows = connection.execute(
        select(FACT.c.key, FACT.c.value).where(
            FACT.c.stream == stream_key(stream),
            FACT.c.key >= prefix,
            FACT.c.key < prefix + "\U0010ffff",
        )
    )
    return {row.key: orjson.loads(row.value) for row in rows}


def find_by_id(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, bytes, bytes]]:
    """Returns (seq, hash, body) of the records that exist among (stream, id) pairs. Read-only."""
    by_key = {(stream_key(s), UUID(i).bytes): (s, i) for s, i in wanted}
    found: dict[tuple[str, str], tuple[int, bytes, bytes]] = {}
    columns = (RECORD.c.stream, RECORD.c.id, RECORD.c.seq, RECORD.c.hash, RECORD.c.body)
    for pairs in _chunks(list(by_key)):
        rows = connection.execute(
            select(*columns).where(tuple_(RECORD.c.stream, RECORD.c.id).in_(pairs))
        )
        for row in rows:
            found[by_key[(row.stream, bytes(row.id))]] = (row.seq, bytes(row.hash), bytes(row.body))
    return found


def load_stream(
    connection: Connection, stream: str, *, after_seq: int = -1, limit: int | None = None
) -> list[StoredRecord]:
    """Returns a stream's records in order of seq. Read-only."""
    key = stream_key(stream)
    query = (
        select(RECORD.c.seq, RECORD.c.hash, RECORD.c.body, LEAF.c.leaf_index)
        .select_from(
            RECORD.outerjoin(
                LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq)
            )
        )
        .where(RECORD.c.stream == key, RECORD.c.seq > after_seq)
        .order_by(RECORD.c.seq)
    )
    if limit is not None:
        query = query.limit(limit)
    return [
        StoredRecord(stream, row.seq, bytes(row.hash), as_bytes(row.body), row.leaf_index)
        for row in connection.execute(query)
    ]


def load_some(
    connection: Connection,
    stream: str,
    *,
    types: frozenset[str],
    seqs: Iterable[int] = (),
    actor: str | None = None,
    limit: int = 1_000,
) -> list[StoredRecord]:
    """Returns a stream's records of these types (by one actor), and those of these seqs. Read-only."""
    by_type = RECORD.c.type.in_(types)
    if actor is not None:
        by_type = and_(by_type, RECORD.c.actor == actor)
    query = (
        select(RECORD.c.seq, RECORD.c.hash, RECORD.c.body, LEAF.c.leaf_index)
        .select_from(
            RECORD.outerjoin(
                LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq)
            )
        )
        .where(RECORD.c.stream == stream_key(stream), or_(by_type, RECORD.c.seq.in_(list(seqs))))
        .order_by(RECORD.c.seq)
        .limit(limit)
    )
    return [
        StoredRecord(stream, row.seq, bytes(row.hash), as_bytes(row.body), row.leaf_index)
        for row in connection.execute(query)
    ]


def has_leaves(connection: Connection, stream: str) -> bool:
    """Whether the log knows records of this stream, even if all of them are gone. Read-only."""
    query = select(LEAF.c.seq).where(LEAF.c.stream == stream_key(stream)).limit(1)
    return connection.execute(query).first() is not None


def load_record(connection: Connection, stream: str, seq: int) -> StoredRecord | None:
    """Returns one record, or None. Read-only."""
    found = load_stream(connection, stream, after_seq=seq - 1, limit=1)
    return found[0] if found and found[0].seq == seq else None


def insert_rows(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts new rows. Writes `table`."""
    if rows:
        connection.execute(insert(table), rows)


def upsert_rows(
    connection: Connection,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    only_new: Mapping[str, Any] | None = None,
) -> None:
    """Inserts rows, or gives existing ones (same `keys`) the new values, in order. Writes `table`.

    only_new: further values for rows that are new; in existing ones they stay as they are.
    """
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    statement = (
        statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
        if changed
        else statement.on_conflict_do_nothing(index_elements=list(keys))
    )
    connection.execute(statement, [{**row, **(only_new or {})} for row in rows])


def delete_rows(
    connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]], *, keys: Sequence[str]
) -> None:
    """Deletes the rows with these key values. Writes `table`."""
    if rows:
        statement = delete(table).where(*(table.c[name] == bindparam(f"k_{name}") for name in keys))
        connection.execute(statement, [{f"k_{name}": row[name] for name in keys} for row in rows])


def move_heads(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Moves existing heads by compare-and-swap on `old_seq`. Writes `head`.

    Raises HeadMoved unless every one still stood where we read it.
    """
    if not rows:
        return
    statement = (
        update(HEAD)
        .where(HEAD.c.stream == bindparam("k_stream"), HEAD.c.seq == bindparam("k_seq"))
        .values({name: bindparam(f"v_{name}") for name in ("seq", "hash", "recorded_at", "state")})
    )
    if connection.execute(statement, rows).rowcount != len(rows):
        raise HeadMoved


def set_facts(connection: Connection, facts: Mapping[tuple[str, str], Any | None]) -> None:
    """Stores facts by (stream, key); None removes one. Writes `fact`."""
    kept = [
        {"stream": stream_key(s), "key": k, "value": orjson.dumps(v, option=orjson.OPT_SORT_KEYS)}
        for (s, k), v in facts.items()
        if v is not None
    ]
    gone = [{"stream": stream_key(s), "key": k} for (s, k), v in facts.items() if v is None]
    upsert_rows(connection, FACT, kept, keys=("stream", "key"))
    delete_rows(connection, FACT, gone, keys=("stream", "key"))


def sealed_sections(connection: Connection, stream: str, record_id: str) -> dict[str, Any]:
    """Returns a record's sealed sections by name, as rows. Read-only."""
    rows = connection.execute(
        select(SEALED).where(
            SEALED.c.stream == stream_key(stream), SEALED.c.record_id == UUID(record_id).bytes
        )
    )
    return {row.name: row for row in rows}


def find_side(connection: Connection, digest: bytes) -> list[tuple[int, int, str]]:
    """Returns (stream key, seq, kind) of the records indexed under an HMAC. Read-only."""
    rows = connection.execute(
        select(SIDE.c.stream, SIDE.c.seq, SIDE.c.kind).where(SIDE.c.digest == digest)
    )
    return [(row.stream, row.seq, row.kind) for row in rows]


def stream_name(connection: Connection, key: int) -> str | None:
    """Returns the name of a stream's key, or None where its head is gone. Read-only."""
    return connection.execute(select(HEAD.c.name).where(HEAD.c.stream == key)).scalar()


def as_bytes(value: object) -> bytes:
    """Returns stored bytes, also where a tampering hand has turned a BLOB column into text."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)  # type: ignore[call-overload, no-any-return]


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
