"""The audit of the ledger: every stream and the whole log, re-verified from stored bytes.

One read snapshot; memory does not grow with the log. Records are read in order of stream and seq,
heads and leaves without a record alongside, so each stream is seen once and whole. What a stream
means is not known here: `check_state` lets the rooms above compare the state they keep in its head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Row, exists, select

from app.ledger import sealstore, store
from app.ledger.note import decode_base64
from app.ledger.record import claim_message, record_hash, seal_commitment, stream_key
from app.ledger.signatures import PublicKeyRefused, SignatureInvalid, verify_signature
from app.ledger.store import HEAD, LEAF, RECORD, UNSEQUENCED
from app.ledger.vault import SealBroken, Vault
from app.ledger.verifier import HeadRow, Problem, RecordRow, StreamCheck

_FETCH = 2_000
_CACHE = 20_000

CheckState = Callable[[str, list[Mapping[str, Any]], Mapping[str, Any]], bool]
"""Whether a head's state is the fold of its stream's records; asked only for sound streams."""


class LedgerAudit:
    """Checks streams inside one snapshot; `streams` and `records` count what was read. Read-only.

    vault: opens sealed sections; without it (no keys at hand) they are not checked. progress: told
    the number of records done, now and then.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        vault: Vault | None,
        check_state: CheckState | None = None,
        keeps_state: Callable[[str], bool] = lambda _: False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._check_state = check_state
        self._keeps_state = keeps_state
        self._progress = progress
        self._entries: OrderedDict[tuple[str, int], bytes | None] = OrderedDict()
        self._keys: OrderedDict[str, dict[str, _Key]] = OrderedDict()
        self.streams = 0
        self.records = 0

    def check_all(self) -> Iterator[Problem]:
        """Yields every problem of every stream."""
        missing = self._missing_leaves()
        every_head = select(HEAD).order_by(HEAD.c.stream).execution_options(yield_per=_FETCH)
        heads = iter(self._connection.execute(every_head))
        head = next(heads, None)
        for key, rows in groupby(self._records(), key=itemgetter(0)):
            while head is not None and head.stream < key:
                yield from self._check(head.stream, head, (), missing.pop(head.stream, {}))
                head = next(heads, None)
            own = head if head is not None and head.stream == key else None
            yield from self._check(key, own, rows, missing.pop(key, {}))
            if own is not None:
                head = next(heads, None)
        while head is not None:
            yield from self._check(head.stream, head, (), missing.pop(head.stream, {}))
            head = next(heads, None)
        for key, lost in missing.items():
            yield from self._check(key, None, (), lost)

    def check_lost(self) -> Iterator[Problem]:
        """Yields the records of streams that lost their head and every record."""
        heads = select(HEAD.c.stream)
        lost = select(LEAF.c.stream).where(LEAF.c.stream.not_in(heads)).distinct()
        for key in self._connection.execute(lost).scalars().all():
            yield from self.check_key(key)

    def check_streams(self, names: Iterable[str]) -> Iterator[Problem]:
        """Yields every problem of these streams."""
        for name in names:
            yield from self.check_key(stream_key(name))

    def check_key(self, key: int) -> Iterator[Problem]:
        """Yields every problem of one stream."""
        head = self._connection.execute(select(HEAD).where(HEAD.c.stream == key)).first()
        rows = self._records(key)
        yield from self._check(key, head, rows, self._missing_leaves(key).get(key, {}))

    def check_records(self, records: Iterable[store.StoredRecord]) -> Iterator[Problem]:
        """Yields what is wrong with single records, and with the completeness of their streams.

        A stream from which a record was taken is at fault as a whole: what it said may have been
        what mattered, a recall.
        """
        seen: set[str] = set()
        for record in records:
            key = stream_key(record.stream)
            if record.stream not in seen:
                seen.add(record.stream)
                for seq, (leaf_index, _) in self._missing_leaves(key).get(key, {}).items():
                    yield Problem("integrity.record_missing", record.stream, seq, leaf_index)
            row = next(self._records(key, record.seq), None)
            if row is None:
                continue
            self.records += 1
            check = StreamCheck.single(record.stream, record.seq)
            yield from check.feed(self._record_row(row))
            if check.fields is not None:
                yield from self._check_within(record.stream, row, check.fields)

    def _check(
        self,
        key: int,
        head: Row[Any] | None,
        rows: Iterable[Row[Any]],
        missing: Mapping[int, tuple[int, bytes]],
    ) -> Iterator[Problem]:
        self.streams += 1
        check: StreamCheck | None = None
        name = head.name if head is not None else None
        if name is not None and stream_key(name) != key:
            yield Problem("integrity.index_mismatch", name, None, None, {"column": "head.name"})
            name = None
        sound = True
        kept: list[Mapping[str, Any]] = []
        for row in rows:
            self.records += 1
            if self.records % _FETCH == 0:
                self._progress(self.records)
            if check is None:
                name = name or _name_in(row.body) or f"#{key}"
                check = StreamCheck(name, missing=missing)
            keep = sound and name is not None and self._keeps_state(name)
            for problem in check.feed(self._record_row(row)):
                sound = False
                yield problem
            fields = check.fields
            if fields is None:
                continue
            for problem in self._check_within(name or "", row, fields):
                sound = False
                yield problem
            if keep:
                kept.append(fields)
        check = check or StreamCheck(name or f"#{key}", missing=missing)
        for problem in check.finish(_head_row(head)):
            sound = False
            yield problem
        if sound and kept and head is not None and self._check_state is not None:
            if not self._check_state(name or "", kept, orjson.loads(head.state)):
                yield Problem(
                    "integrity.index_mismatch", name, head.seq, None, {"column": "head.state"}
                )

    def _check_within(
        self, name: str, row: Row[Any], fields: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """Yields what is wrong with what a sound record refers to, was signed with, or sealed."""
        for ref in fields.get("refs", ()):
            entry = self._entry(ref["stream"], ref["seq"])
            # A record that is gone from the log too is reported at its own place.
            if entry is not None and entry.hex() != ref["hash"]:
                yield Problem(
                    "integrity.ref_mismatch",
                    name,
                    row.seq,
                    row.leaf_index,
                    {
                        "ref": f"{ref['stream']}#{ref['seq']}",
                        "expected": ref["hash"],
                        "got": entry.hex(),
                    },
                )
        if "signed" in fields and (reason := self._signature_fault(fields)) is not None:
            yield Problem(
                "integrity.signature_invalid",
                name,
                row.seq,
                row.leaf_index,
                {"key": fields["signed"]["key"], "reason": reason},
            )
        if "sealed" in fields and self._vault is not None:
            for section, reason in self._sealed_faults(self._vault, name, fields):
                yield Problem(
                    "integrity.sealed_mismatch",
                    name,
                    row.seq,
                    row.leaf_index,
                    {"section": section, "reason": reason},
                )

    def _signature_fault(self, fields: Mapping[str, Any]) -> str | None:
        """Returns why the actor's signature does not hold, or None if it does."""
        key = self._signing_keys(fields["actor"]).get(fields["signed"]["key"])
        if key is None:
            return "unknown_key"
        at = fields["recorded_at"]
        if not key.since <= at or (key.revoked is not None and at >= key.revoked):
            return "key_not_valid_then"
        try:
            verify_signature(
                public_key=key.public_key,
                signature=decode_base64(fields["signed"]["value"]),
                message=claim_message(fields),
            )
        except (SignatureInvalid, PublicKeyRefused, ValueError):
            return "does_not_verify"
        return None

    def _sealed_faults(
        self, vault: Vault, name: str, fields: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        rows = sealstore.sealed_sections(self._connection, name, fields["id"])
        for section, commitment in fields["sealed"].items():
            row = rows.get(section)
            if row is None:
                yield section, "missing"
            elif row.erased_at is None:
                try:
                    salt, content = vault.open(
                        place=(name, fields["id"], section),
                        sealed=row.sealed or b"",
                        wrapped_key=row.wrapped_key or b"",
                    )
                except SealBroken:
                    yield section, "does_not_open"
                else:
                    if seal_commitment(section, salt=salt, content=content) != commitment:
                        yield section, "other_content"

    def _signing_keys(self, party: str) -> dict[str, _Key]:
        """Returns a party's signing keys from its own records, as far as those are sound."""
        if party in self._keys:
            self._keys.move_to_end(party)
            return self._keys[party]
        keys: dict[str, _Key] = {}
        for record in store.load_stream(self._connection, f"party/{party}"):
            if record_hash(record.body) != record.hash:
                continue
            fields = record.fields
            if fields["type"] == "signing_key":
                data = fields["data"]
                keys[data["key_id"]] = _Key(
                    decode_base64(data["public_key"]), fields["recorded_at"]
                )
            elif fields["type"] == "signing_key_revoked" and fields["data"]["key_id"] in keys:
                keys[fields["data"]["key_id"]].revoked = fields["recorded_at"]
        return _remember(self._keys, party, keys)

    def _entry(self, stream: str, seq: int) -> bytes | None:
        place = (stream, seq)
        if place in self._entries:
            self._entries.move_to_end(place)
            return self._entries[place]
        key = stream_key(stream)
        entry = (
            self._connection.execute(
                select(LEAF.c.hash).where(LEAF.c.stream == key, LEAF.c.seq == seq)
            ).scalar()
            or self._connection.execute(
                select(UNSEQUENCED.c.hash).where(
                    UNSEQUENCED.c.stream == key, UNSEQUENCED.c.seq == seq
                )
            ).scalar()
        )
        return _remember(self._entries, place, None if entry is None else bytes(entry))

    def _record_row(self, row: Row[Any]) -> RecordRow:
        waiting = row.leaf_index is None and self._is_waiting(row.stream, row.seq)
        return RecordRow(
            row.seq,
            bytes(row.id),
            row.type,
            row.actor,
            row.recorded_at,
            bytes(row.hash),
            store.as_bytes(row.body),
            row.leaf_index,
            None if row.entry is None else bytes(row.entry),
            waiting,
        )

    def _is_waiting(self, key: int, seq: int) -> bool:
        query = select(UNSEQUENCED.c.seq).where(
            UNSEQUENCED.c.stream == key, UNSEQUENCED.c.seq == seq
        )
        return self._connection.execute(query).first() is not None

    def _records(self, key: int | None = None, seq: int | None = None) -> Iterator[Row[Any]]:
        query = (
            select(RECORD, LEAF.c.leaf_index, LEAF.c.hash.label("entry"))
            .select_from(
                RECORD.outerjoin(
                    LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq)
                )
            )
            .order_by(RECORD.c.stream, RECORD.c.seq)
        )
        if key is not None:
            query = query.where(RECORD.c.stream == key)
        if seq is not None:
            query = query.where(RECORD.c.seq == seq)
        return iter(self._connection.execute(query.execution_options(yield_per=_FETCH)))

    def _missing_leaves(self, key: int | None = None) -> dict[int, dict[int, tuple[int, bytes]]]:
        """Returns, by stream and seq, the leaves whose record is gone."""
        query = select(LEAF).where(
            ~exists().where(RECORD.c.stream == LEAF.c.stream, RECORD.c.seq == LEAF.c.seq)
        )
        if key is not None:
            query = query.where(LEAF.c.stream == key)
        found: dict[int, dict[int, tuple[int, bytes]]] = {}
        for row in self._connection.execute(query):
            found.setdefault(row.stream, {})[row.seq] = (row.leaf_index, bytes(row.hash))
        return found


class _Key:
    """A signing key and the times, as in records, between which it is valid."""

    def __init__(self, public_key: bytes, since: str) -> None:
        self.public_key = public_key
        self.since = since
        self.revoked: str | None = None


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> Any:
    cache[key] = value
    if len(cache) > _CACHE:
        cache.popitem(last=False)
    return value


def _head_row(head: Row[Any] | None) -> HeadRow | None:
    if head is None:
        return None
    return HeadRow(head.name, head.seq, bytes(head.hash), head.recorded_at)


def _name_in(body: object) -> str | None:
    """Returns the stream name that a record itself gives, where its head is lost."""
    try:
        name = store.StoredRecord("", 0, b"", store.as_bytes(body), None).fields.get("stream")
    except ValueError:
        return None
    return name if isinstance(name, str) else None
