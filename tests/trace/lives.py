"""Lives made of plain events, for the tests of the life table, its gaps and its detectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.kit.clock import to_ms
from app.trace.lifecycle import (
    Around,
    Graces,
    Happening,
    LifecycleConflict,
    begin,
    check,
    fold,
)

SHOP = "91441200MA4TE5T00Q"
CARRIER = "92441202MA4TE5T01M"
PLATFORM = "91441204MA4TE5T02Q"
REGULATOR = "11441200007000000A"

CASE, OTHER_CASE = "306912345000000018", "306912345000000025"

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LATER = NOON + 10 * HOUR
GRACES = Graces(late=timedelta(hours=24), dispatch=timedelta(days=7), signature=timedelta(days=15))

DATA: dict[str, dict[str, Any]] = {
    "sale": {"platform": PLATFORM, "region": "440100"},
    "dispatch": {"carrier": CARRIER, "from": "441200", "to": "440100", "waybill_tail": "0001"},
    "transit": {"region": "440100"},
    "signature": {"kind": "in_person"},
    "refusal": {"reason": "damaged"},
    "return": {"reason": "seven days"},
    "review": {"rating": 5, "proof": "platform"},
    "follow_up": {"rating": 4, "proof": "platform"},
    "complaint": {"category": "quality", "proof": "platform"},
    "pack": {"case": CASE},
    "unpack": {"case": CASE},
    "transfer": {"to": PLATFORM},
    "acceptance": {"from": SHOP},
    "void": {"reason": "damaged label"},
    "listing": {"platform": PLATFORM},
    "recall": {"reason": "glass"},
    "recall_lifted": {"reason": "checked"},
}
WHO = {
    "dispatch": (SHOP, "merchant"),
    "transit": (CARRIER, "carrier"),
    "signature": (CARRIER, "carrier"),
    "refusal": (CARRIER, "carrier"),
    "review": ("consumer", "consumer"),
    "follow_up": ("consumer", "consumer"),
    "complaint": ("consumer", "consumer"),
    "acceptance": (PLATFORM, "merchant"),
}


def event(type: str, at: datetime = NOON, *, seq: int = 1, **given: Any) -> Happening:
    """An event of the type's usual sender and data; recorded when it occurred unless told."""
    actor, source = WHO.get(type, (SHOP, "merchant"))
    actor = given.pop("actor", actor)
    fields: dict[str, Any] = {
        "seq": seq,
        "id": f"00000000-0000-7000-8000-{seq:012d}",
        "actor": actor,
        "sender": actor,
        "source": source,
        "recorded_at": at,
        "data": DATA.get(type, {}),
        "listed": type == "sale",
        **given,
    }
    fields["recorded_ms"] = to_ms(fields.pop("recorded_at"))
    return Happening(type=type, occurred_ms=to_ms(at), **fields)


def live(*events: Happening) -> dict[str, Any]:
    """The state after these events on a unit of the shop; each must be acceptable."""
    state = begin(SHOP, lot="L1", brand_owner=True)
    for happening in events:
        check(state, happening, around=Around())
        state = fold(state, happening, GRACES)
    return state


def in_state(name: str) -> dict[str, Any]:
    """The shortest proper life that leads to the state."""
    paths = {
        "registered": (),
        "sold": ("sale",),
        "in_transit": ("sale", "dispatch"),
        "signed": ("sale", "dispatch", "signature"),
        "returned": ("sale", "return"),
        "void": ("void",),
    }
    return live(*(event(t, NOON + n * HOUR, seq=n + 1) for n, t in enumerate(paths[name])))


def reason_of(state: Any, happening: Happening, around: Around | None = None) -> str | None:
    """The reason for which the event is refused; it must be."""
    with pytest.raises(LifecycleConflict) as refusal:
        check(state, happening, around=around or Around())
    return refusal.value.reason
