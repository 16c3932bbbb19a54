"""A party's own records of goods, each as its corrections leave it: what may be set right, and from what.

A record is never edited. A correction is a further record of the same actor that names the wrong one, and
both stay; what is asked here is what the next correction would start from. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db.engine import Database
from app.kit.clock import parse_time
from app.ledger.store import load_some
from app.parties.principal import Principal
from app.trace.code import Code
from app.trace.events import EVENT_TYPES
from app.trace.naming import OfUnknown

CORRECTABLE = frozenset(
    {
        "listing", "sale", "dispatch", "transit", "signature", "refusal", "return", "transfer",
        "acceptance", "notice", "void", "recall",
    }
)  # fmt: skip
"""Types whose fields have a form of their own; anything else is corrected by the API."""

_MOST = 2_000


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A record of the party's. data: as told; now: as its corrections leave it. corrections: how many."""

    stream: str
    seq: int
    id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    data: Mapping[str, Any]
    now: Mapping[str, Any]
    sealed: frozenset[str]
    corrections: int


class Correcting:
    """Finds what a party may correct."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self, principal: Principal, code: Code) -> list[OwnRecord]:
        """Returns the party's records of these goods that a form can correct, the newest first.

        Of the first 2,000 that it has in this stream.
        """
        principal.check_may("event.send")
        types = frozenset({*CORRECTABLE, "correction"}) & EVENT_TYPES.keys()
        with self._database.read() as connection:
            stored = load_some(
                connection, code.stream, types=types, actor=principal.own_party(), limit=_MOST
            )
            told = [record.fields for record in stored]
        corrections = [one for one in told if one["type"] == "correction"]
        found = [_own(one, corrections) for one in told if one["type"] in CORRECTABLE]
        return found[::-1]

    def record(self, principal: Principal, code: Code, of: str) -> OwnRecord:
        """Returns one of them. Raises OfUnknown."""
        for one in self.records(principal, code):
            if one.id == of:
                return one
        raise OfUnknown("of_unknown", of=of[:80])


def as_corrected(
    fields: Mapping[str, Any], corrections: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns a record's data as the corrections leave it, of which those of its own actor count."""
    now = dict(fields["data"])
    for one in corrections:
        data = one["data"]
        if data.get("of") != fields["id"] or one["actor"] != fields["actor"]:
            continue
        changes = data.get("changes")
        now |= changes if isinstance(changes, Mapping) else {}
        if "waybill_tail" in data:
            now["waybill_tail"] = data["waybill_tail"]
    return now


def _own(fields: Mapping[str, Any], corrections: Sequence[Mapping[str, Any]]) -> OwnRecord:
    return OwnRecord(
        fields["stream"],
        fields["seq"],
        fields["id"],
        fields["type"],
        parse_time(fields["occurred_at"]),
        parse_time(fields["recorded_at"]),
        fields["data"],
        as_corrected(fields, corrections),
        frozenset(fields.get("sealed", {})),
        sum(one["data"].get("of") == fields["id"] for one in corrections),
    )
