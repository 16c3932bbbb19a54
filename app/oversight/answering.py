"""Who answers for a step that is missing: the seller, or the carrier that took the goods.

Decided when the gap is looked at or begins to count: a life knows parties by name alone, and a seller
may name anybody. A carrier answers for its signature if it could have given it: if it is registered
as a carrier, and was named when the goods were handed over. One that only a correction names took
them for all we know, but the term ran before anybody said so; then, too, the seller answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from app.ledger.record import record_hash
from app.ledger.store import load_record
from app.parties.identity import is_party_id
from app.parties.roles import AGGREGATOR, CARRIER
from app.parties.store import find_party
from app.trace.gaps import Pending, responsible_for, seller_of
from app.trace.life_table import Step


@dataclass(frozen=True, slots=True)
class Answering:
    """The two sides of a sale. carrier: None where none is registered as one; party: who answers."""

    seller: str
    carrier: str | None
    party: str


def find_answering(
    connection: Connection, stream: str, state: Mapping[str, Any], step: Step
) -> Answering:
    """Returns who answers for a step that a life lacks. Read-only."""
    seller = seller_of(state)
    carrier = _carrier(connection, state)
    party = seller
    if responsible_for(state, step) != seller and carrier is not None:
        named = _named_at_dispatch(connection, stream, state["dispatch"]["seq"])
        party = carrier if named == carrier else seller
    return Answering(seller, carrier, party)


def settle(
    connection: Connection, stream: str, state: Mapping[str, Any], owed: Iterable[Pending]
) -> tuple[Pending, ...]:
    """Returns what is owed, each step with the party that answers for it. Read-only."""
    seller = seller_of(state) if state else None
    return tuple(
        gap
        if gap.party == seller
        else replace(gap, party=find_answering(connection, stream, state, gap.step).party)
        for gap in owed
    )


def _carrier(connection: Connection, state: Mapping[str, Any]) -> str | None:
    """Returns the carrier as it is named now, None unless it is registered as one."""
    named = str(state.get("dispatch", {}).get("carrier", ""))
    party = find_party(connection, named) if is_party_id(named) else None
    return named if party is not None and {CARRIER, AGGREGATOR} & set(party.roles) else None


def _named_at_dispatch(connection: Connection, stream: str, seq: int) -> Any:
    """Returns the carrier that the dispatch itself names, told by a record that the log holds."""
    record = load_record(connection, stream, seq)
    if record is None or record_hash(record.body) != (record.entry or record.hash):
        return None
    return record.fields["data"].get("carrier")
