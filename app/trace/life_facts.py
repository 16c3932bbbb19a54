"""What the state of a life keeps of a record, and whether that is a second voice. Pure."""

from __future__ import annotations

from typing import Any

from app.parties.identity import CONSUMER
from app.parties.roles import AGGREGATOR, CARRIER, CUSTOMS, PLATFORM, REGULATOR
from app.trace.life_table import Happening

_KEPT_AS = {"waybill_tail": "tail"}
OUTSIDE_SOURCES = frozenset({PLATFORM, CARRIER, AGGREGATOR, CONSUMER, REGULATOR, CUSTOMS})


def is_independent(event: Happening, seller: str) -> bool:
    """The hidden code inside the pack was printed by the seller: it is no second voice."""
    return (
        event.source in OUTSIDE_SOURCES
        and event.data.get("proof") != "inner"
        and event.sender != seller
    )


def fact_of(event: Happening, *names: str) -> dict[str, Any]:
    """Returns what the state keeps of a record, and these of its data."""
    fact: dict[str, Any] = {
        "seq": event.seq,
        "id": event.id,
        "at": event.occurred_ms,
        "actor": event.actor,
        "sender": event.sender,
    }
    data = event.data
    for name in names:
        if name in data and is_short(data[name]):
            fact[_KEPT_AS.get(name, name)] = data[name]
    return fact


def is_short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64
