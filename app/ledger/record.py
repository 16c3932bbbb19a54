"""The record format: what is hashed, and therefore what can never be changed.

A record is canonical JSON (app.kit.canonical); its hash is SHA-256 over those bytes; `prev` is the
hash of the record before it in the same stream. The stored body is the canonical bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import quote, unquote

from app.kit.canonical import canonical_bytes_unchecked
from app.kit.clock import format_time

VERSION = 1
ZERO_HASH = bytes(32)
MAX_EVENT_BYTES = 64 * 1024
# By how much a stream's last record may be ahead of the clock; one written by a clock gone further
# wrong takes nothing more: waiting is better than dragging the stream into the future.
MAX_AHEAD = timedelta(seconds=5)

_CLAIM_PREFIX = b"suxin-claim/1\n"
_SEALED_PREFIX = b"suxin-sealed/1\n"


class Ref(NamedTuple):
    """A record that this one relies on: stream name, its seq and its 32-byte hash."""

    stream: str
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """The actor's Ed25519 signature over `claim_message`; `value` is base64 of 64 bytes."""

    key: str
    value: str


class Claim(NamedTuple):
    """What a sender asserts, before the ledger gives it a place.

    stream: canonical stream name. id: lower-case UUID text, unique in its stream.
    data: values of the canonical subset, already checked. sealed: section name -> 64 hex commitment.
    """

    stream: str
    id: str
    type: str
    actor: str
    occurred_at: datetime
    data: Mapping[str, Any]
    sealed: Mapping[str, str]

    def fields(self) -> dict[str, Any]:
        """Returns the claim as signed: the record without what the ledger adds."""
        shown: dict[str, Any] = {
            "actor": self.actor,
            "data": dict(self.data),
            "id": self.id,
            "occurred_at": format_time(self.occurred_at),
            "stream": self.stream,
            "type": self.type,
            "v": VERSION,
        }
        if self.sealed:
            shown["sealed"] = dict(self.sealed)
        return shown


def claim_message(claim_fields: Mapping[str, Any]) -> bytes:
    """Returns the bytes an actor signs, from `Claim.fields()` or from a stored record's fields."""
    kept = {
        name: value
        for name, value in claim_fields.items()
        if name not in ("prev", "recorded_at", "refs", "seq", "signed", "source", "via")
    }
    return _CLAIM_PREFIX + canonical_bytes_unchecked(kept)


def record_body(
    claim: Claim,
    *,
    seq: int,
    prev: bytes,
    recorded_at: datetime,
    source: str,
    via: str | None,
    refs: tuple[Ref, ...],
    signed: Signed | None,
) -> bytes:
    """Returns the canonical bytes of the record; `record_hash` of them is its identity."""
    fields = claim.fields()
    fields["prev"] = prev.hex()
    fields["recorded_at"] = format_time(recorded_at)
    fields["seq"] = seq
    fields["source"] = source
    if refs:
        fields["refs"] = [{"hash": r.hash.hex(), "seq": r.seq, "stream": r.stream} for r in refs]
    if signed is not None:
        fields["signed"] = {"key": signed.key, "value": signed.value}
    if via is not None:
        fields["via"] = via
    return canonical_bytes_unchecked(fields)


def record_hash(body: bytes) -> bytes:
    """Returns the 32-byte SHA-256 of a record's canonical bytes: its leaf entry in the log."""
    return hashlib.sha256(body).digest()


def seal_commitment(name: str, *, salt: bytes, content: bytes) -> str:
    """Returns the 64 hex commitment to a sealed section; `content` is its canonical bytes."""
    return hashlib.sha256(
        _SEALED_PREFIX + name.encode("ascii") + b"\x00" + salt + content
    ).hexdigest()


@lru_cache(maxsize=8192)
def stream_key(name: str) -> int:
    """Returns the 63-bit key under which tables hold the stream: SHA-256 of its name, shortened.

    Names are long and random, keys are short: B-trees stay small and old databases fast. Two names
    with one key are refused when the second is created (see store), never mixed.
    """
    return int.from_bytes(hashlib.sha256(name.encode("ascii")).digest()[:8], "big") >> 1


def has_key(name: object, key: object) -> TypeGuard[str]:
    """Whether a stream's name, whatever stands in its place, is one and has this key."""
    return isinstance(name, str) and name.isascii() and stream_key(name) == key


def id_bytes(record_id: str) -> bytes:
    """Returns the 16 bytes as which tables hold a record's id; `record_id` is a lower-case UUID.

    Raises ValueError for what is none.
    """
    raw = bytes.fromhex(record_id.replace("-", ""))
    if len(raw) != 16:
        raise ValueError(record_id)
    return raw


def encode_segment(value: str) -> str:
    """Returns an AI value as it stands in a stream name: percent-encoded as in GS1 Digital Link.

    Only RFC 3986 unreserved characters stay as they are, so a value has exactly one spelling.
    """
    return value if value.isascii() and value.isalnum() else quote(value, safe="")


def decode_segment(segment: str) -> str:
    """Returns the AI value of a stream name's segment."""
    return unquote(segment)
