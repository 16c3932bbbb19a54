"""Changes of a credit ledger, made by hand as somebody else's store would send them."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.exchange.receiver import Told
from app.kit.canonical import canonical_bytes
from app.ledger.record import record_hash
from tests.web.conftest import SHOP


def made(seq: int = 1, party: str = SHOP, **more: Any) -> Told:
    """A change as it comes, of a record that was made by hand."""
    record = {
        "v": 1, "stream": f"party/{party}", "seq": seq, "type": "credit_entry",
        "id": f"0192f3a0-0000-7000-8000-{seq:012}", "actor": "system", "source": "system",
        "occurred_at": "2026-11-23T07:00:00.000Z", "recorded_at": "2026-11-23T07:00:00.000Z",
        "prev": "00" * 32,
        "data": {
            "entry": f"entry-{seq}", "rule": "gap.dispatch", "points": -5, "policy": 1,
            "status": "effective", "effective_at": "2026-11-20T07:00:00.000Z",
            "expires_at": "2027-11-20T07:00:00.000Z", "evidence": {"finding": "x"},
            "day": "2026-11-20",
        },
    }  # fmt: skip
    record |= more
    told = Told(f"{record['stream']}/{record['seq']}", "", record)
    return dataclasses.replace(told, hash=record_hash(canonical_bytes(record)).hex())


def as_body(*changes: Told) -> dict[str, Any]:
    """Returns the body of the request that sends them."""
    return {"changes": [{"key": c.key, "hash": c.hash, "record": c.record} for c in changes]}
