"""Which documents a party's records name: from records to rows, for the writer, audit and replay alike.

A document is named by its digest in the `attachments` of a step, or of the evidence of an entry,
listing or judgement; whoever sent that record is the one who keeps it or has handed it in. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.credit.matters import TYPES as MATTERS
from app.ledger.submission import Effect
from app.parties.identity import SYSTEM

Fields = Mapping[str, Any]
Named = tuple[str, str]
"""Who named a document, and its digest."""

Place = tuple[str, str, str, int]
"""Who named it, its digest, whose stream, and the record's seq there."""

TYPES: Final = frozenset(
    {"credit_entry", "credit_status", *(one for pair in MATTERS.values() for one in pair)}
)
"""Types of the records that may name documents."""


def digests_of(data: Fields) -> tuple[str, ...]:
    """Returns the digests (SHA-256, hex) that a record's data names, each once."""
    evidence = data.get("evidence")
    told = data.get("attachments") or (evidence or {}).get("attachments") or ()
    return tuple(dict.fromkeys(told))


def use_rows(data: Fields, *, actor: str, about: str, seq: int) -> list[dict[str, Any]]:
    """Returns the rows that a record of `party/{about}` gives; the service itself hands nothing in."""
    if actor == SYSTEM:
        return []
    matter = data.get("entry") or data["matter"]
    return [
        {"party": actor, "digest": digest, "about": about, "seq": seq, "matter": matter}
        for digest in digests_of(data)
    ]


def use_effects(data: Fields, *, actor: str, about: str, seq: int) -> tuple[Effect, ...]:
    """Returns what `use_rows` does, to be written with the record."""
    return tuple(
        Effect("document_use", row) for row in use_rows(data, actor=actor, about=about, seq=seq)
    )


def told_uses(about: str, records: Iterable[Fields]) -> dict[Place, dict[str, Any]]:
    """Returns the rows that a party's records give, by place."""
    return {
        place_of(row): row
        for fields in records
        if fields["type"] in TYPES
        for row in use_rows(fields["data"], actor=fields["actor"], about=about, seq=fields["seq"])
    }


def place_of(row: Any) -> Place:
    """Returns the key of a row."""
    return row["party"], row["digest"], row["about"], row["seq"]
