"""One change of the credit ledger on its way to another store. Pure.

A change is a record of `party/{id}` whose type begins with `credit_`: an entry, a step of its life, a
hold placed or lifted. It travels as that record, whole, with its hash: who receives it computes the hash
anew and sees its place and the record before it. Sealed sections do not travel, only the
commitments that stand in the record; pseudonyms and the side index are no part of it.

    {"key": "party/91…/12", "hash": "<64 hex>", "record": {…}}

`key` is the idempotency key: where the record stands in the sender's ledger. The same key with
another hash means that the sender's ledger was rewritten, and is refused for good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.credit.policy import Status
from app.credit.rows import replay
from app.kit.canonical import canonical_bytes, check_canonical
from app.kit.errors import Conflict, FieldFault, Invalid
from app.ledger.record import VERSION, record_hash
from app.parties.identity import is_party_id

TYPE = re.compile(r"credit_[a-z_]{1,40}", re.ASCII)
_PREFIX = "party/"


class ChangeRefused(Invalid):
    """This is no change of a credit ledger, or its record has another hash."""


class EarlierRefused(Conflict):
    """An earlier change of the same party was refused in this request; this one keeps its turn."""

    slug = "lifecycle-conflict"


@dataclass(frozen=True, slots=True)
class Change:
    """stream, seq: the record's place. hash: 32 bytes, SHA-256 of `body`, its canonical bytes."""

    stream: str
    seq: int
    hash: bytes
    body: bytes

    @property
    def key(self) -> str:
        return f"{self.stream}/{self.seq}"

    @property
    def party(self) -> str:
        return self.stream.removeprefix(_PREFIX)

    @property
    def record(self) -> Mapping[str, Any]:
        fields: Mapping[str, Any] = orjson.loads(self.body)
        return fields

    def as_json(self) -> dict[str, Any]:
        """Returns the change as it is sent."""
        return {"key": self.key, "hash": self.hash.hex(), "record": self.record}


def read_change(*, key: str, hash_hex: str, record: Mapping[str, Any]) -> Change:
    """Returns a change that was received. Raises ChangeRefused, Invalid for what is not canonical."""
    body = canonical_bytes(record)
    # It will stand two levels deep in a record of ours.
    check_canonical(record, ("record",), 2)
    stream, seq, kind = record.get("stream"), record.get("seq"), record.get("type")
    if record.get("v") != VERSION or not isinstance(record.get("data"), Mapping):
        raise _refused("v")
    if not isinstance(stream, str) or not is_party_id(stream.removeprefix(_PREFIX)):
        raise _refused("stream")
    if not stream.startswith(_PREFIX):
        raise _refused("stream")
    if type(seq) is not int or seq < 0 or key != f"{stream}/{seq}":
        raise _refused("seq")
    if not isinstance(kind, str) or not TYPE.fullmatch(kind):
        raise _refused("type")
    _check_data(record)
    digest = record_hash(body)
    if digest.hex() != hash_hex:
        raise ChangeRefused("change_hash", change=key, expected=digest.hex(), got=hash_hex[:64])
    return Change(stream, seq, digest, body)


_TEXTS = {
    "credit_entry": ("entry", "rule", "status", "effective_at"),
    "credit_status": ("entry", "status"),
    "credit_hold": ("finding", "lifts_at"),
    "credit_hold_lifted": ("finding",),
}
_INTEGERS = {"credit_entry": ("points", "policy"), "credit_hold": ("points",)}


def _check_data(record: Mapping[str, Any]) -> None:
    """Raises ChangeRefused where a record of a type that is known here cannot be added up.

    What is taken in stays; a record that nobody can read would make its party's score an error for ever.
    """
    data, kind = record["data"], record["type"]
    told = [
        *((name, type(data.get(name)) is str) for name in _TEXTS.get(kind, ())),
        *((name, type(data.get(name)) is int) for name in _INTEGERS.get(kind, ())),
        *((name, type(record.get(name)) is str) for name in ("actor", "id", "recorded_at")),
    ]
    for name, fits in told:
        if not fits:
            raise _refused(name)
    try:
        replay([record]).scored()
        if kind == "credit_status":
            Status(data["status"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as err:
        raise _refused("data") from err


def _refused(name: str) -> Invalid:
    return ChangeRefused("change_form", errors=(FieldFault(("record", name), "change"),), name=name)
