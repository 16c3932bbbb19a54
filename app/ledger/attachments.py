"""What a record brings along: references, the actor's signature, commitments to sealed sections.

Asked of records whose own bytes are sound. Where it is the other end that was altered (the record
referred to, the signer's key) that is reported at its own place, and whoever relied on it is not
named for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.kit.clock import parse_time
from app.ledger import logstore, sealstore, store
from app.ledger.merkle import leaf_hash
from app.ledger.note import decode_base64
from app.ledger.record import claim_message, record_hash, seal_commitment, stream_key
from app.ledger.signatures import (
    PublicKeyRefused,
    SignatureInvalid,
    judge_time,
    verify_signature,
)
from app.ledger.vault import SealBroken, Vault
from app.ledger.verifier import Problem, read_record

_CACHE = 20_000
_PAGE = 500
_ERASURES = frozenset({"erasure"})
_EVERY = 2**31 - 1
# A section is 64 KiB at most.
_SECTIONS_AT_ONCE = 64


@dataclass(slots=True)
class _Key:
    """A signing key, and when it was registered and revoked."""

    public_key: bytes
    since: datetime
    revoked: datetime | None = None


class Attachments:
    """Checks attachments inside one snapshot. Read-only.

    vault: opens sealed sections; without it they are not checked. true_leaf: what the log truly
    holds at an index. is_sound: whether a whole stream's records are what log and columns say.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        vault: Vault | None,
        true_leaf: Callable[[int], bytes | None],
        is_sound: Callable[[str], bool],
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._true_leaf = true_leaf
        self._is_sound = is_sound
        self._entries: OrderedDict[tuple[str, int], bytes | None] = OrderedDict()
        self._keys: OrderedDict[str, dict[str, _Key]] = OrderedDict()
        self._sound: OrderedDict[str, bool] = OrderedDict()
        # Of records that were read already in this snapshot.
        self._sections: dict[tuple[str, str], dict[str, sealstore.StoredSection]] = {}
        # Of the stream that was asked about last: its erased sections, by record.
        self._erased: tuple[str, frozenset[tuple[str, str]]] = ("", frozenset())

    def check(
        self, fields: Mapping[str, Any], *, name: str, seq: int, leaf_index: int | None
    ) -> Iterator[Problem]:
        """Yields what is wrong with what a sound record brings along."""
        for ref in fields.get("refs", ()):
            got = self._ref_fault(ref)
            # Where a stream was hashed again, it is reported itself, once; who refers to it is not.
            if got is not None and self._is_sound_stream(ref["stream"]):
                evidence = {"ref": f"{ref['stream']}#{ref['seq']}", "expected": ref["hash"]}
                yield Problem(
                    "integrity.ref_mismatch", name, seq, leaf_index, evidence | {"got": got}
                )
        if "signed" in fields and (reason := self._signature_fault(fields)) is not None:
            evidence = {"key": fields["signed"]["key"], "reason": reason}
            yield Problem("integrity.signature_invalid", name, seq, leaf_index, evidence)
        if "sealed" in fields and self._vault is not None:
            for section, reason in self._sealed_faults(self._vault, name, fields):
                evidence = {"section": section, "reason": reason}
                yield Problem("integrity.sealed_mismatch", name, seq, leaf_index, evidence)

    def remember_entry(self, stream: str, seq: int, entry: bytes | None) -> None:
        """Takes what the log holds for a record that was read already in this snapshot."""
        _remember(self._entries, (stream, seq), entry)

    def read_sections(self, records: Iterable[store.StoredRecord]) -> None:
        """Reads what these records have sealed in one statement, unless they are many."""
        if self._vault is None:
            return
        sealed = set()
        for record in records:
            with suppress(ValueError):  # what cannot be read has sealed nothing
                if "sealed" in record.fields:
                    sealed.add((record.stream, record.fields["id"]))
        if 1 < len(sealed) <= _SECTIONS_AT_ONCE:
            self._sections |= sealstore.sections_of_each(self._connection, sealed)

    def refers_to_sound(self, fields: Mapping[str, Any]) -> bool:
        """Whether everything that a record refers to is there, as it was."""
        for ref in fields.get("refs", ()):
            record = store.load_record(self._connection, ref["stream"], ref["seq"])
            if record is None or record_hash(record.body).hex() != ref["hash"]:
                return False
        return True

    def _ref_fault(self, ref: Mapping[str, Any]) -> str | None:
        """Returns the hash that stands where another is referred to, or None if all is well."""
        stream, seq, wanted = ref["stream"], ref["seq"], bytes.fromhex(ref["hash"])
        entry = self._entry(stream, seq)
        # A record that is gone from the log too is reported at its own place.
        if entry is None or entry == wanted:
            return None
        leaf = logstore.find_leaf(self._connection, stream, seq)
        if leaf is not None and self._true_leaf(leaf[0]) == leaf_hash(wanted):
            return None
        record = store.load_record(self._connection, stream, seq)
        if record is not None and record_hash(record.body) == wanted:
            return None
        return entry.hex()

    def _entry(self, stream: str, seq: int) -> bytes | None:
        place = (stream, seq)
        if place not in self._entries:
            leaf = logstore.find_leaf(self._connection, stream, seq)
            entry = leaf[1] if leaf is not None else None
            if entry is None:
                entry = logstore.waiting_hash(self._connection, stream_key(stream), seq)
            _remember(self._entries, place, entry)
        self._entries.move_to_end(place)
        return self._entries[place]

    def _signature_fault(self, fields: Mapping[str, Any]) -> str | None:
        """Returns why the actor's signature does not hold, or None if it does."""
        reason = self._judge_signature(fields)
        if reason is not None and not self._is_sound_stream(f"party/{fields['actor']}"):
            # The record of the key may be what was taken or altered.
            return None
        return reason

    def _judge_signature(self, fields: Mapping[str, Any]) -> str | None:
        key = self._signing_keys(f"party/{fields['actor']}").get(fields["signed"]["key"])
        if key is None:
            return "unknown_key"
        at = parse_time(fields["recorded_at"])
        if judge_time(at, since=key.since, revoked=key.revoked) is not None:
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

    def _signing_keys(self, stream: str) -> dict[str, _Key]:
        """Returns a party's signing keys from its own records, read page by page."""
        if stream not in self._keys:
            keys: dict[str, _Key] = {}
            after = -1
            while page := store.load_stream(self._connection, stream, after_seq=after, limit=_PAGE):
                after = page[-1].seq
                for record in page:
                    if record_hash(record.body) == record.hash:
                        _take_key(keys, read_record(record.body))
            _remember(self._keys, stream, keys)
        self._keys.move_to_end(stream)
        return self._keys[stream]

    def _is_sound_stream(self, stream: str) -> bool:
        if stream not in self._sound:
            _remember(self._sound, stream, self._is_sound(stream))
        return self._sound[stream]

    def _sealed_faults(
        self, vault: Vault, name: str, fields: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        kept = self._sections.get((name, fields["id"]))
        if kept is None:
            kept = sealstore.sealed_sections(self._connection, name, fields["id"])
        for section, commitment in fields["sealed"].items():
            stored = kept.get(section)
            if stored is None:
                yield section, "missing"
            elif stored.erased_at is not None:
                if not self._is_recorded_erasure(name, fields["id"], section):
                    yield section, "erased_without_record"
            else:
                try:
                    salt, content = vault.open(
                        place=(name, fields["id"], section),
                        sealed=stored.sealed or b"",
                        wrapped_key=stored.wrapped_key or b"",
                    )
                except SealBroken:
                    yield section, "does_not_open"
                else:
                    if seal_commitment(section, salt=salt, content=content) != commitment:
                        yield section, "other_content"

    def _is_recorded_erasure(self, name: str, record_id: str, section: str) -> bool:
        """Whether the stream tells that this section was erased; else somebody's hand did it.

        An `erasure` record is the service's own: nobody can send one.
        """
        if self._erased[0] != name:
            self._erased = name, frozenset(self._erasures(name))
        return (record_id, section) in self._erased[1]

    def _erasures(self, name: str) -> Iterator[tuple[str, str]]:
        """Yields which sections of which records the stream's records say were erased."""
        for record in store.load_some(self._connection, name, types=_ERASURES, limit=_EVERY):
            fields = read_record(record.body) if record_hash(record.body) == record.hash else None
            if fields is not None and fields.get("source") == "system":
                data = fields["data"]
                for section in data.get("sections", ()):
                    yield str(data.get("of")), str(section)


def _take_key(keys: dict[str, _Key], fields: Mapping[str, Any] | None) -> None:
    """Adds what a party's record says about its signing keys."""
    if fields is None or fields["type"] not in ("signing_key", "signing_key_revoked"):
        return
    data, at = fields["data"], parse_time(fields["recorded_at"])
    key_id = data.get("key_id")
    if fields["type"] == "signing_key_revoked":
        if key_id in keys:
            keys[key_id].revoked = at
        return
    try:
        # A revoked key does not come back: what was registered first stands.
        keys.setdefault(key_id, _Key(decode_base64(data["public_key"]), at))
    except (KeyError, TypeError, ValueError):
        return  # nothing verifies under what is no key


def _remember(cache: OrderedDict[Any, Any], key: Any, value: object) -> None:
    cache[key] = value
    if len(cache) > _CACHE:
        cache.popitem(last=False)
