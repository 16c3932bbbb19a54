"""Where a party stands when a record is decided: verified, mandated. Pure.

Asked inside the recorder's transaction about the heads and facts of `party/{id}`, so that a mandate
taken back counts from the next record on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.kit.clock import to_ms
from app.kit.errors import Denied
from app.ledger.submission import View
from app.parties import licence_book

VERIFIED = "verified"


class PartyUnverified(Denied):
    """The party's identity was not verified, or its verification was rejected."""

    slug = "party-unverified"


class MandateMissing(Denied):
    """The actor gave the sender no mandate for this, or it has ended."""

    slug = "no-mandate"
    words: Mapping[str, str] = {"type": "event"}


def check_verified(view: View, party: str) -> None:
    """Raises PartyUnverified unless the party's identity was verified."""
    head = view.heads.get(f"party/{party}")
    if head is None or not head.exists or head.state.get("status") != VERIFIED:
        raise PartyUnverified("party_unverified", party=party)


def check_mandate(view: View, *, actor: str, agent: str, event_type: str, now: datetime) -> None:
    """Raises MandateMissing unless `actor` gave `agent` a mandate that covers this type now."""
    given: Mapping[str, Any] = view.facts.get((f"party/{actor}", f"mandate/{agent}"), {})
    if not covers(given, event_type, now=now):
        raise MandateMissing("no_mandate", actor=actor, agent=agent, type=event_type)


def covers(given: Mapping[str, Any], event_type: str, *, now: datetime) -> bool:
    """Whether the mandates that an agent was given, by id, cover a type now."""
    at = to_ms(now)
    for mandate in given.values():
        ends = [end for end in (mandate.get("until_ms"), mandate.get("revoked_ms")) if end]
        if event_type in mandate["types"] and all(at < end for end in ends):
            return True
    return False


def standing_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a party's state that others act on: status, roles, measures in force, licences."""
    measures = {i: m["kind"] for i, m in state.get("measures", {}).items()}
    return {
        "status": state.get("status"),
        "roles": list(state.get("roles", ())),
        "measures": measures,
        "licences": list(state.get("licences", ())),
        "licences_told": state.get("licences_told", {}),
    }


def replay_standing(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the same from the party's records alone, for audits."""
    status: str | None = None
    roles: list[str] = []
    measures: dict[str, str] = {}
    for fields in records:
        data = fields["data"]
        match fields["type"]:
            case "registration":
                status, roles = "pending", list(data["roles"])
            case "verification":
                status = data["status"]
            case "measure":
                measures[fields["id"]] = data["kind"]
            case "measure_lifted":
                measures = {i: kind for i, kind in measures.items() if kind != data["kind"]}
            case _:
                continue
    held, told = licence_book.replay(records)
    return {
        "status": status,
        "roles": roles,
        "measures": measures,
        "licences": licence_book.without_url(held),
        "licences_told": told,
    }
