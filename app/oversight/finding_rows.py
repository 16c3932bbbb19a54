"""Findings as rows: their ids, whose they are, and how they are shown. Reads; never writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Connection

from app.kit.clock import format_time, from_ms, to_ms
from app.ledger import store as ledger_store
from app.ledger.record import stream_key
from app.ledger.verifier import Problem
from app.oversight.answering import Answering
from app.oversight.kinds import severity_of
from app.parties.identity import is_party_id

_NAMESPACE = UUID("b7d5a0c4-54c2-5cf4-a0f3-6a5d3e2b7f03")
GRACE, OPEN, CLOSED, DISMISSED = "grace", "open", "closed", "dismissed"
# What tells findings on the log apart that have no leaf.
_PLACES_IN_LOG = ("tile", "stream", "key", "page")
LOG = "log"
DOCUMENT = "document."
"""Before the digest of a document, where a finding names a column."""
LIFE_CHECK = "life.check"
"""Topic of the outbox: goods that are to be looked at again, `{code}`."""
# Of these the evidence names the seller, and the carrier where there is one.
_WITH_SIDES = ("continuity.", "brushing.", "licence.", "listing.", "identity.")
_ANSWERING = frozenset({"registration", "sale"})


def finding_id(problem: Problem) -> str:
    """Returns the id of the finding for a problem: one a kind and place, however often it is met.

    A document that a party handed in is a place of its own.
    """
    told = (problem.evidence[name] for name in _PLACES_IN_LOG if name in problem.evidence)
    place = problem.stream or " ".join(
        (LOG, str(next(told, problem.leaf_index)), problem.evidence.get("log", ""))
    )
    column = str(problem.evidence.get("column", ""))
    if column.startswith(DOCUMENT):
        place = f"{place} {column}"
    return str(uuid5(_NAMESPACE, f"{problem.kind} {place} {problem.seq}"))


def discovery_id(*, kind: str, stream: str, subject: str, key: str) -> str:
    """Returns the id of what a detector found: one a kind, goods and key, however often it is met."""
    return str(uuid5(_NAMESPACE, f"found {kind} {stream} {subject} {key}"))


def missing_id(stream: str, subject: str, step: str, since_ms: int) -> str:
    return str(uuid5(_NAMESPACE, f"missing {stream} {subject} {step} {since_ms}"))


def answers_for(row: Any) -> str | None:
    """Returns who answers for a finding, None where it was attributed to nobody that trades here."""
    party: str | None = row.party if row.attributed_to is None else side_of(row, row.attributed_to)
    return party


def concerned_by(row: Any) -> frozenset[str]:
    """Returns the parties whose finding it is: who answers, and of a missing step both sides."""
    return frozenset(p for p in (row.party, side_of(row, "merchant"), side_of(row, "carrier")) if p)


def concerned_in(told: Mapping[str, Any]) -> frozenset[str]:
    """Returns the same of a finding as the API shows it (`as_text`)."""
    return concerned_by(
        SimpleNamespace(kind=told["kind"], party=told.get("party"), evidence=dump(told["evidence"]))
    )


def side_of(row: Any, role: str) -> str | None:
    """Returns the party in this role (`merchant`, `carrier`) that a missing step's evidence names."""
    if not row.kind.startswith(_WITH_SIDES):
        return None
    told = json.loads(row.evidence).get({"merchant": "seller"}.get(role, role))
    return told if isinstance(told, str) and is_party_id(told) else None


def with_evidence(row: Any, **more: str) -> Any:
    """Returns a finding's row whose evidence says more; the stored one stays."""
    told = {**json.loads(row.evidence), **more}
    return SimpleNamespace(**{**row._mapping, "evidence": dump(told)})


def missing_row(
    finding: str, due: Any, stream: str, answering: Answering, now: datetime
) -> dict[str, Any]:
    evidence = {
        "step": due.step,
        "kind": due.kind,
        "since": format_time(from_ms(due.since_at)),
        "due_at": format_time(from_ms(due.due_at)),
        "seller": answering.seller,
    }
    sides = {"carrier": answering.carrier, "feed": answering.feed}
    evidence |= {role: party for role, party in sides.items() if party is not None}
    return {
        "id": finding,
        "kind": f"continuity.missing_{due.step}",
        "stream": due.stream,
        "stream_name": stream,
        "subject": due.subject,
        "seq": None,
        "party": answering.party,
        "gtin": gtin_of(stream),
        "status": OPEN,
        "evidence": dump(evidence),
        "opened_at": to_ms(now),
        "closed_at": None,
        "attributed_to": None,
        "reason": None,
    }


def owner_of(connection: Connection, stream: str) -> tuple[str | None, str | None]:
    """Returns (party, gtin) that a stream belongs to: the seller's goods, the registrant's product.

    Told by records that are what the log says, never by the state beside them: who can alter that
    could otherwise charge whom he likes.
    """
    if stream.startswith("#"):
        return None, None
    if stream.startswith("party/"):
        return stream.removeprefix("party/"), None
    party = None
    for record in ledger_store.load_some(connection, stream, types=_ANSWERING):
        if not record.is_sound:
            continue
        fields = record.fields
        # The last seller; before any sale the one who issued or registered.
        told = fields["actor"] if fields["type"] == "sale" else fields["data"].get("issuer")
        party = told if isinstance(told, str) and is_party_id(told) else party
    return party, gtin_of(stream)


def gtin_of(stream: str) -> str | None:
    parts = stream.split("/")
    return parts[1] if parts[0] == "01" and len(parts) > 1 else None


def key_of(stream: str) -> int:
    return int(stream[1:]) if stream.startswith("#") else stream_key(stream)


def dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def as_text(row: Any) -> dict[str, Any]:
    """Returns a finding as the API shows it, times as text."""
    return {
        name: format_time(value) if isinstance(value, datetime) else value
        for name, value in as_json(row).items()
    }


def as_json(row: Any) -> dict[str, Any]:
    """Returns a finding as the API shows it, times as datetimes."""
    shown: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "severity": severity_of(row.kind),
        "stream": row.stream_name,
        "status": row.status,
        "evidence": json.loads(row.evidence),
        "opened_at": from_ms(row.opened_at),
    }
    for name in ("seq", "party", "gtin", "attributed_to", "reason"):
        if getattr(row, name) is not None:
            shown[name] = getattr(row, name)
    for name in ("closed_at", "due_at"):
        if getattr(row, name) is not None:
            shown[name] = from_ms(getattr(row, name))
    if row.subject:
        shown["subject"] = row.subject
    return shown
