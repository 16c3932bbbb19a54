"""SQL of the parties: the index over `party/{id}`, and API keys. Flushes, never commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from app.db.hot import HotSelect, execute_many
from app.db.tables import AccessLog, APIKey, LicenceRow, Party
from app.ledger.record import record_hash, stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import HEAD, LEAF, RECORD, StoredRecord, as_bytes
from app.parties import licence_book
from app.parties.account_rules import region_prefix

PARTY = Party.__table__  # type: ignore[attr-defined]
LICENCE = LicenceRow.__table__  # type: ignore[attr-defined]
# Above every digit: the end of what begins with a prefix, in any order of text that we use.
_BEHIND_DIGITS = ":"
KEY = APIKey.__table__  # type: ignore[attr-defined]
LOOK = AccessLog.__table__  # type: ignore[attr-defined]

_BY_ID = HotSelect(select(PARTY).where(PARTY.c.id == bindparam("id")))
_BY_IDS = HotSelect(select(PARTY).where(PARTY.c.id.in_(bindparam("ids", expanding=True))))
_NOTE_USE = (
    update(KEY)
    .where(
        KEY.c.key_id == bindparam("k_id"),
        KEY.c.used_at.is_(None) | (KEY.c.used_at < bindparam("at")),
    )
    .values(used_at=bindparam("at"))
)
_LEAF_OF_RECORD = (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq)
_FIRST = RECORD.c.hash.label("first_hash"), RECORD.c.body, LEAF.c.hash.label("entry")
_FIRST_OF = HotSelect(
    select(RECORD.c.stream, *_FIRST)
    .select_from(RECORD.outerjoin(LEAF, _LEAF_OF_RECORD))
    .where(RECORD.c.stream.in_(bindparam("streams", expanding=True)), RECORD.c.seq == 0)
)
_HEADS_WITH_FIRST = HotSelect(
    select(HEAD, *_FIRST)
    .select_from(
        HEAD.outerjoin(RECORD, (RECORD.c.stream == HEAD.c.stream) & (RECORD.c.seq == 0)).outerjoin(
            LEAF, _LEAF_OF_RECORD
        )
    )
    .where(HEAD.c.stream.in_(bindparam("streams", expanding=True)))
)


@dataclass(frozen=True, slots=True)
class PartyRow:
    """A party as indexed. name: the full one, "" once erased. created_at: ms since 1970."""

    id: str
    name: str
    roles: tuple[str, ...]
    region: str | None
    status: str
    licences: tuple[Mapping[str, Any], ...]
    exempt: bool
    next_check: str | None
    content: bytes
    created_by: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as stored. secret_hash: SHA-256 of the secret; party None: the operator's."""

    key_id: str
    party: str | None
    scopes: tuple[str, ...]
    secret_hash: bytes
    label: str | None
    created_at: int
    revoked_at: int | None
    used_at: int | None = None
    region: str | None = None


def mask_name(name: str) -> str:
    """Returns a person's name as the public sees it: the first character and two marks."""
    return f"{name[:1]}＊＊"


def find_party(connection: Connection, party: str) -> PartyRow | None:
    """Returns a party, or None where none of this id is registered. Read-only."""
    row = _BY_ID.first(connection, id=party)
    return None if row is None else _party(row)


def find_parties(connection: Connection, parties: Sequence[str]) -> list[PartyRow]:
    """Returns those of these parties that are registered. Read-only."""
    return [_party(row) for row in _BY_IDS.rows(connection, ids=list(parties))]


def _party(row: Any) -> PartyRow:
    return PartyRow(
        id=row.id,
        name=row.name,
        roles=_words(row.roles),
        region=row.region,
        status=row.status,
        licences=tuple(orjson.loads(row.licences)),
        exempt=bool(row.exempt),
        next_check=row.next_check,
        content=bytes(row.content),
        created_by=row.created_by,
        created_at=row.created_at,
    )


def inside(column: Any, region: str) -> Any:
    """Returns the condition that a region is `region` or inside it, as an index can be asked."""
    prefix = region_prefix(region)
    return and_(column >= prefix, column < prefix + _BEHIND_DIGITS)


def registered_names(connection: Connection, streams: Sequence[str]) -> dict[str, str]:
    """Returns by stream the name in each party's registration.

    Not of one whose bytes are not what was recorded: a row can be changed and prove nothing; whose
    name stands on a page should be as provable as the rest of it. Read-only.
    """
    by_key = {stream_key(stream): stream for stream in streams}
    rows = _FIRST_OF.rows(connection, streams=list(by_key))
    names = {by_key[row.stream]: _registered_name(by_key[row.stream], row) for row in rows}
    return {stream: name for stream, name in names.items() if name is not None}


def heads_with_names(
    connection: Connection, streams: Iterable[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns by stream what `ledger.store.head_rows` and `registered_names` return of it. Read-only."""
    by_key = {stream_key(stream): stream for stream in streams}
    rows = _HEADS_WITH_FIRST.rows(connection, streams=list(by_key))
    heads = {by_key[row.stream]: row for row in rows}
    told = {stream: _registered_name(stream, row) for stream, row in heads.items() if row.body}
    names = {stream: name for stream, name in told.items() if name is not None}
    headless = [stream for stream in by_key.values() if stream not in heads]
    if headless:  # somebody took the head; the name is still what was registered
        names |= registered_names(connection, headless)
    return heads, names


def ask_heads_with_names(connection: Connection, streams: Iterable[str]) -> None:
    """Asks what `heads_with_names` asks, for `hot.ask_ahead`."""
    _HEADS_WITH_FIRST.rows(connection, streams=[*map(stream_key, streams)])


def _registered_name(stream: str, row: Any) -> str | None:
    hash_, body = as_bytes(row.first_hash), as_bytes(row.body)
    entry = None if row.entry is None else as_bytes(row.entry)
    return _name_told(stream, entry or hash_, body)


@lru_cache(4_096)  # the few who sell most stand on every page
def _name_told(stream: str, hash_: bytes, body: bytes) -> str | None:
    if record_hash(body) != hash_:
        return None
    try:
        name = StoredRecord(stream, 0, hash_, body, None).fields.get("data", {}).get("name")
    except ValueError:
        return None
    return name if isinstance(name, str) else None


def insert_key(connection: Connection, key: KeyRow) -> None:
    """Stores a new API key. Writes `api_key`."""
    connection.execute(
        insert(KEY).values(
            key_id=key.key_id,
            party=key.party,
            scopes=",".join(key.scopes),
            secret_hash=key.secret_hash,
            label=key.label,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            region=key.region,
        )
    )


def find_key(connection: Connection, key_id: str) -> tuple[KeyRow, tuple[str, ...]] | None:
    """Returns an API key and the roles of its party (none: the operator's), or None. Read-only."""
    row = connection.execute(
        select(KEY, PARTY.c.roles)
        .select_from(KEY.outerjoin(PARTY, PARTY.c.id == KEY.c.party))
        .where(KEY.c.key_id == key_id)
    ).first()
    return None if row is None else (_key(row), _words(row.roles or ""))


def list_keys(connection: Connection, party: str | None) -> list[KeyRow]:
    """Returns a party's API keys, oldest first; of the operator for None. Read-only."""
    rows = connection.execute(
        select(KEY).where(KEY.c.party == party).order_by(KEY.c.created_at, KEY.c.key_id)
    )
    return [_key(row) for row in rows]


def revoke_key(connection: Connection, key_id: str, *, at_ms: int) -> None:
    """Revokes an API key, unless it was before. Writes `api_key`."""
    connection.execute(
        update(KEY)
        .where(KEY.c.key_id == key_id, KEY.c.revoked_at.is_(None))
        .values(revoked_at=at_ms)
    )


def note_uses(connection: Connection, used: Mapping[str, int]) -> None:
    """Notes when keys were last taken, in ms; a later time stays. Writes `api_key`."""
    # In order, so that processes that note the same keys at once wait for each other in one direction.
    rows = [{"k_id": key_id, "at": at_ms} for key_id, at_ms in sorted(used.items())]
    execute_many(connection, _NOTE_USE, rows)


def _insert_parties(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        insert(PARTY),
        [
            {
                **row,
                "roles": ",".join(row["roles"]),
                "licences": json.dumps(row["licences"], ensure_ascii=False),
            }
            for row in rows
        ],
    )


def _update_status(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        update(PARTY)
        .where(PARTY.c.id == bindparam("k_id"))
        .values(status=bindparam("v_status"), next_check=bindparam("v_next_check")),
        [
            {"k_id": row["id"], "v_status": row["status"], "v_next_check": row["next_check"]}
            for row in rows
        ],
    )


def _move_licences(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes what a page shows of a party's licences, and the rows by which they are found."""
    for row in rows:
        if "change" in row:
            known = _BY_ID.first(connection, id=row["party"])
            if known is not None:
                held = licence_book.change(orjson.loads(known.licences), row["change"])
                put_licences(connection, row["party"], held)
    # Of several records in one commit the last says it all.
    newest = {row["party"]: row["rows"] for row in rows}
    put_licence_rows(connection, newest)


def put_licences(connection: Connection, party: str, held: Sequence[Mapping[str, Any]]) -> None:
    """Makes these the licences that a party's row shows. Writes `party`."""
    told = json.dumps([dict(one) for one in held], ensure_ascii=False)
    connection.execute(update(PARTY).where(PARTY.c.id == party).values(licences=told))


def put_licence_rows(
    connection: Connection, rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Makes these the rows of the licences of these parties, and no others. Writes `licence`."""
    connection.execute(delete(LICENCE).where(LICENCE.c.party.in_(sorted(rows))))
    found = [row for party in sorted(rows) for row in rows[party]]
    if found:
        connection.execute(insert(LICENCE), found)


WRITERS: Mapping[str, EffectWriter] = {
    "party": _insert_parties,
    "party_status": _update_status,
    "licences": _move_licences,
}
"""Writers of this room's effects, for the Recorder."""


def insert_looks(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Logs looks at what somebody else sealed. Writes `access_log`."""
    connection.execute(insert(LOOK), list(rows))


def _key(row: Any) -> KeyRow:
    return KeyRow(
        key_id=row.key_id,
        party=row.party,
        scopes=_words(row.scopes),
        secret_hash=bytes(row.secret_hash),
        label=row.label,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
        region=row.region,
    )


def _words(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(",")) if joined else ()
