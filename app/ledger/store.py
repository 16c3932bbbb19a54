"""SQL of the ledger: heads, records, facts, side index. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update

from app.db.hot import HotSelect, execute_many, write_tuples
from app.db.lookup import chunks, rows_at, rows_of
from app.db.tables import (
    Fact,
    Head,
    LogLeaf,
    Outbox,
    RecordRow,
    SideIndex,
    Tile,
    Unsequenced,
)
from app.db.upsert import delete_rows, upsert, upsert_rows
from app.kit.clock import parse_time
from app.kit.errors import Conflict
from app.ledger.record import id_bytes, record_hash, stream_key
from app.ledger.submission import Recorded, StreamHead, no_head
from app.ledger.verifier import read_told_record

HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
FACT = Fact.__table__  # type: ignore[attr-defined]
LEAF = LogLeaf.__table__  # type: ignore[attr-defined]
UNSEQUENCED = Unsequenced.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]
OUTBOX = Outbox.__table__  # type: ignore[attr-defined]
TILE = Tile.__table__  # type: ignore[attr-defined]


_MOVED = ("seq", "hash", "recorded_at", "state", "k_stream", "k_seq")
_WAITING = ("stream", "seq", "recorded_at", "hash")

# Statements are built once: to build one costs more than to send it.
_HEADS_AT = HotSelect(select(HEAD).where(HEAD.c.stream.in_(bindparam("streams", expanding=True))))
_MOVE = update(HEAD).where(HEAD.c.stream == bindparam("k_stream"), HEAD.c.seq == bindparam("k_seq"))
_STORED = select(
    *(RECORD.c[name] for name in ("seq", "hash", "body")),
    LEAF.c.leaf_index,
    LEAF.c.hash.label("entry"),
    *(RECORD.c[name] for name in ("id", "type", "actor", "recorded_at")),
).select_from(
    RECORD.outerjoin(LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq))
)
_OF_STREAM = _STORED.where(
    RECORD.c.stream == bindparam("stream"), RECORD.c.seq > bindparam("after")
).order_by(RECORD.c.seq)
_SOME_OF_STREAM = _STORED.where(RECORD.c.stream == bindparam("stream")).order_by(RECORD.c.seq)
_BY_TYPE = RECORD.c.type.in_(bindparam("types", expanding=True))
_BY_SEQ = RECORD.c.seq.in_(bindparam("seqs", expanding=True))
_BY_ACTOR = RECORD.c.actor == bindparam("actor")
_WHOLE_STREAM = HotSelect(_OF_STREAM)
_PAGE_OF_STREAM = HotSelect(_OF_STREAM.limit(bindparam("most")))
_NEWEST = HotSelect(
    _STORED.where(RECORD.c.stream == bindparam("stream"))
    .order_by(RECORD.c.seq.desc())
    .limit(bindparam("most"))
)
_SOME = HotSelect(_SOME_OF_STREAM.where(or_(_BY_TYPE, _BY_SEQ)).limit(bindparam("most")))
_SOME_OF_ACTOR = HotSelect(
    _SOME_OF_STREAM.where(or_(and_(_BY_TYPE, _BY_ACTOR), _BY_SEQ)).limit(bindparam("most"))
)
_RECORD_AT = HotSelect(
    _STORED.where(RECORD.c.stream == bindparam("stream"), RECORD.c.seq == bindparam("seq"))
)
_HAS_LEAVES = HotSelect(select(LEAF.c.seq).where(LEAF.c.stream == bindparam("stream")).limit(1))
_HASH_AT = HotSelect(
    select(RECORD.c.hash).where(
        RECORD.c.stream == bindparam("stream"), RECORD.c.seq == bindparam("seq")
    )
)


class StreamKeyTaken(Conflict):
    """Two stream names share one 63-bit key; the second cannot be created."""


class HeadMoved(Exception):
    """Another process moved heads between our read and our write; decide again.

    streams: names of those that were lost.
    """

    def __init__(self, streams: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(streams)))
        self.streams = streams


class Columns(NamedTuple):
    """What stands beside a record's body, an index that whoever checks compares with it."""

    id: bytes
    type: Any
    actor: Any
    recorded_at: Any


@dataclass(frozen=True)
class StoredRecord:
    """A record as stored. leaf_index and entry (what the log holds there): None until it is sequenced."""

    stream: str
    seq: int
    hash: bytes
    body: bytes
    leaf_index: int | None
    entry: bytes | None = None
    columns: Columns | None = None

    @property
    def is_sound(self) -> bool:
        """Whether its bytes are those that the log holds, or that were stored while it has no place there."""
        return record_hash(self.body) == (self.entry or self.hash)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """All that every record has, of their types. Raises ValueError where the bytes are none of ours."""
        fields = read_told_record(self.body)
        if fields is None:
            raise ValueError(self.stream)
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
    by_key: dict[int, str] = {}
    for name in streams:
        if by_key.setdefault(stream_key(name), name) != name:
            raise StreamKeyTaken("stream_key_taken", stream=name)
    found: dict[str, StreamHead] = {}
    for keys in chunks(list(by_key)):
        for row in _HEADS_AT.rows(connection, streams=list(keys)):
            name = by_key[row.stream]
            if row.name != name:
                raise StreamKeyTaken("stream_key_taken", stream=name)
            found[name] = read_head(row)
    for name in by_key.values():
        found.setdefault(name, no_head(name))
    return found


def read_head(row: Any) -> StreamHead:
    """Returns the head of a row of `head`."""
    return StreamHead(row.name, row.seq, row.hash, row.recorded_at, read_state(row.state))


def head_rows(connection: Connection, streams: Iterable[str]) -> dict[str, Any]:
    """Returns the rows of the heads that exist, whatever stands in them, by name. Read-only."""
    by_key = {stream_key(name): name for name in streams}
    return {by_key[row.stream]: row for row in _HEADS_AT.rows(connection, streams=sorted(by_key))}


def read_state(raw: Any) -> Mapping[str, Any]:
    """Returns a head's state; nothing where a hand has made it no JSON object.

    Then only what needs the state fails, for this stream alone, and the audit says why.
    """
    try:
        state = orjson.loads(raw)
    except (ValueError, TypeError):
        return {}
    return state if isinstance(state, dict) else {}


def load_facts(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Any]:
    """Returns the facts that exist among (stream, key) pairs. Read-only."""
    by_key = {(stream_key(stream), key): (stream, key) for stream, key in wanted}
    rows = rows_at(connection, FACT, "key", list(by_key))
    return {by_key[(row.stream, row.key)]: orjson.loads(row.value) for row in rows}


def list_facts(connection: Connection, stream: str, prefix: str) -> dict[str, Any]:
    """Returns a stream's facts whose key starts with `prefix`. Read-only."""
    rows = connection.execute(
        select(FACT.c.key, FACT.c.value).where(
            FACT.c.stream == stream_key(stream),
            # Not by a range: PostgreSQL's order of texts is that of a language.
            func.substr(FACT.c.key, 1, len(prefix)) == prefix,
        )
    )
    return {row.key: orjson.loads(row.value) for row in rows}


def find_by_id(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, bytes, bytes]]:
    """Returns (seq, hash, body) of the records that exist among (stream, id) pairs. Read-only."""
    by_key = {(stream_key(s), id_bytes(i)): (s, i) for s, i in wanted}
    return {
        by_key[(row.stream, as_bytes(row.id))]: (row.seq, as_bytes(row.hash), as_bytes(row.body))
        for row in rows_at(connection, RECORD, "id", list(by_key))
    }


def load_stream(
    connection: Connection, stream: str, *, after_seq: int = -1, limit: int | None = None
) -> list[StoredRecord]:
    """Returns a stream's records in order of seq. Read-only."""
    place: dict[str, Any] = {"stream": stream_key(stream), "after": after_seq}
    if limit is None:
        return _stored(stream, _WHOLE_STREAM.rows(connection, **place))
    return _stored(stream, _PAGE_OF_STREAM.rows(connection, **place, most=limit))


def load_newest(connection: Connection, stream: str, *, limit: int) -> list[StoredRecord]:
    """Returns a stream's newest records, at most so many, in order of seq. Read-only."""
    rows = _NEWEST.rows(connection, stream=stream_key(stream), most=limit)
    return _stored(stream, reversed(rows))


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
    wanted: dict[str, Any] = {
        "stream": stream_key(stream),
        "types": sorted(types),
        "seqs": sorted(seqs),
        "most": limit,
    }
    if actor is None:
        return _stored(stream, _SOME.rows(connection, **wanted))
    return _stored(stream, _SOME_OF_ACTOR.rows(connection, **wanted, actor=actor))


def _stored(stream: str, rows: Iterable[Any]) -> list[StoredRecord]:
    return [
        StoredRecord(
            stream,
            row.seq,
            row.hash,
            row.body,
            row.leaf_index,
            row.entry,
            Columns(row.id, row.type, row.actor, row.recorded_at),
        )
        for row in rows
    ]


def has_leaves(connection: Connection, stream: str) -> bool:
    """Whether the log knows records of this stream, even if all of them are gone. Read-only."""
    return _HAS_LEAVES.first(connection, stream=stream_key(stream)) is not None


def load_record(connection: Connection, stream: str, seq: int) -> StoredRecord | None:
    """Returns one record, or None. Read-only."""
    found = _stored(stream, _RECORD_AT.rows(connection, stream=stream_key(stream), seq=seq))
    return found[0] if found else None


def hash_at(connection: Connection, stream: str, seq: int) -> bytes | None:
    """Returns a record's hash, or None. Read-only."""
    found = _HASH_AT.first(connection, stream=stream_key(stream), seq=seq)
    return None if found is None else as_bytes(found.hash)


def insert_rows(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts new rows. Writes `table`."""
    if rows:
        execute_many(connection, _insert(table), rows)


class NewRecord(NamedTuple):
    """A row of `record`. stream: the key; id: 16 bytes."""

    stream: int
    seq: int
    id: bytes
    type: str
    actor: str
    recorded_at: int
    hash: bytes
    body: bytes


def insert_records(connection: Connection, records: Sequence[NewRecord]) -> None:
    """Inserts new records, which wait for their index. Writes `record`, `unsequenced`."""
    if records:
        write_tuples(connection, _insert(RECORD), NewRecord._fields, records)
        waiting = [(r.stream, r.seq, r.recorded_at, r.hash) for r in records]
        write_tuples(connection, _insert(UNSEQUENCED), _WAITING, waiting)


class Moved(NamedTuple):
    """A row of `head` as it is to be. was: the seq that was read, -1 where there was none."""

    stream: int
    name: str
    seq: int
    hash: bytes
    recorded_at: int
    state: bytes
    was: int


def move_heads(connection: Connection, heads: Iterable[Moved]) -> None:
    """Moves heads by compare-and-swap on their seq, and creates new ones. Writes `head`.

    Raises HeadMoved unless every one still stood where it was read. In the order of keys, and moves
    before creations, so that two processes never wait for each other in a circle.
    """
    wanted = sorted(heads)
    moved = [(m.seq, m.hash, m.recorded_at, m.state, m.stream, m.was) for m in wanted if m.was >= 0]
    created = [m[:-1] for m in wanted if m.was < 0]
    done = 0
    if moved:
        done += write_tuples(connection, _MOVE, _MOVED, moved)
    if created:
        # Waits for another process that is creating the same stream, and then does nothing.
        creation = upsert(connection.dialect.name, HEAD, ("stream",), ())
        done += write_tuples(connection, creation, Moved._fields[:-1], created)
    if done != len(wanted):
        stand = {
            row.stream: (row.seq, as_bytes(row.hash))
            for row in rows_of(connection, HEAD, [m.stream for m in wanted])
        }
        lost = [m.name for m in wanted if stand.get(m.stream) != (m.seq, m.hash)]
        raise HeadMoved(frozenset(lost))


def set_facts(connection: Connection, facts: Mapping[tuple[str, str], bytes | None]) -> None:
    """Stores facts, as JSON by (stream, key); None removes one. Writes `fact`."""
    kept = [
        {"stream": stream_key(stream), "key": key, "value": value}
        for (stream, key), value in facts.items()
        if value is not None
    ]
    gone = [
        {"stream": stream_key(stream), "key": key}
        for (stream, key), value in facts.items()
        if value is None
    ]
    upsert_rows(connection, FACT, kept, keys=("stream", "key"))
    delete_rows(connection, FACT, gone, keys=("stream", "key"))


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
    """Returns stored bytes, also where a tampering hand has put text or a number in their place."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return str(value).encode("utf-8", "surrogateescape")


@cache
def _insert(table: Any) -> Any:
    return insert(table)
