"""Who answers for a step that is missing: the seller, or the carrier that took the goods.

Decided when the gap is looked at or begins to count: a life knows parties by name alone, and a seller
may name anybody. A carrier answers for its signature if it could have given it: if it is registered
as a carrier, and was named when the goods were handed over. One that only a correction names took
them for all we know, but the term ran before anybody said so; then, too, the seller answers.
A feed that fell silent (the tracking was aborted) answers for the signature it owed, whoever carried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from app.ledger.store import StoredRecord, load_record, load_some
from app.parties.identity import is_party_id
from app.parties.roles import AGGREGATOR, CARRIER
from app.parties.store import find_party
from app.trace.custody import silent_feed
from app.trace.gaps import Pending, responsible_for
from app.trace.life_table import Step
from app.trace.replay import happening_of
from app.trace.sides import seller_of

_MOVING = frozenset({"transit", "signature", "refusal", "return"})
_MOST_MOVES = 500


@dataclass(frozen=True, slots=True)
class Answering:
    """The two sides of a sale. carrier: None where none is registered as one; party: who answers.

    feed: whose tracking of the parcel was aborted.
    """

    seller: str
    carrier: str | None
    party: str
    feed: str | None = None


def find_answering(
    connection: Connection,
    stream: str,
    state: Mapping[str, Any],
    step: Step,
    *,
    subject: str = "",
    read: Sequence[StoredRecord] | None = None,
) -> Answering:
    """Returns who answers for a step of a life that lacks it or did it wrongly. Read-only.

    subject: "" or the consignment of a lot. read: all of the stream's records, where the caller has
    read them in this snapshot.
    """
    seller = seller_of(state)
    carrier = _carrier(connection, state)
    party = seller
    if responsible_for(state, step) != seller and carrier is not None:
        named = _named_at_dispatch(connection, stream, state["dispatch"]["seq"], read)
        party = carrier if named == carrier else seller
    feed = _feed(connection, stream, state, subject, read) if step == "signature" else None
    if feed is not None and feed != seller and is_carrier(connection, feed):
        return Answering(seller, carrier, feed, feed)
    return Answering(seller, carrier, party)


def settle(
    connection: Connection,
    stream: str,
    state: Mapping[str, Any],
    owed: Iterable[Pending],
    *,
    read: Sequence[StoredRecord],
) -> tuple[Pending, ...]:
    """Returns what is owed, each step with the party that answers for it. Read-only.

    read: all of the stream's records, as they were read in this snapshot.
    """
    seller = seller_of(state) if state else None
    return tuple(
        gap
        if gap.party == seller
        else replace(
            gap, party=find_answering(connection, stream, state, gap.step, read=read).party
        )
        for gap in owed
    )


def ask_settling(connection: Connection, state: Mapping[str, Any], owed: Iterable[Pending]) -> None:
    """Asks what `settle` asks of most lives, for `hot.ask_ahead`."""
    if any(gap.party != seller_of(state) for gap in owed):
        _carrier(connection, state)


def _carrier(connection: Connection, state: Mapping[str, Any]) -> str | None:
    """Returns the carrier as it is named now, None unless it is registered as one."""
    named = str(state.get("dispatch", {}).get("carrier", ""))
    return named if is_carrier(connection, named) else None


def is_carrier(connection: Connection, named: str) -> bool:
    """Whether this is a party registered as a carrier or an aggregator of their tracking. Read-only."""
    party = find_party(connection, named) if is_party_id(named) else None
    return party is not None and bool({CARRIER, AGGREGATOR} & set(party.roles))


def _feed(
    connection: Connection,
    stream: str,
    state: Mapping[str, Any],
    subject: str,
    read: Sequence[StoredRecord] | None,
) -> str | None:
    """Returns the feed that fell silent after the present dispatch, by records that the log holds."""
    sent = state.get("dispatch")
    if sent is None or not is_party_id(str(sent.get("carrier", ""))):
        return None  # of a carrier that is a mere name nobody tells where the goods are
    if read is None:
        read = load_some(connection, stream, types=_MOVING, limit=_MOST_MOVES)
    told = []
    for record in _moves(read):
        if record.seq > sent["seq"] and record.is_sound:
            named = record.fields["data"].get("consignment")
            if subject == (f"consignment/{named}" if named else ""):
                told.append(happening_of(record.fields, lambda *_: None))
    return silent_feed(told)


def _moves(records: Sequence[StoredRecord]) -> list[StoredRecord]:
    """Returns those that tell where goods are, by the column of their type, as `load_some` does."""
    moves = [one for one in records if one.columns is not None and one.columns.type in _MOVING]
    return moves[:_MOST_MOVES]


def _named_at_dispatch(
    connection: Connection, stream: str, seq: int, read: Sequence[StoredRecord] | None
) -> Any:
    """Returns the carrier that the dispatch itself names, told by a record that the log holds."""
    if read is None:
        record = load_record(connection, stream, seq)
    else:
        record = next((one for one in read if one.seq == seq), None)
    if record is None or not record.is_sound:
        return None
    return record.fields["data"].get("carrier")
