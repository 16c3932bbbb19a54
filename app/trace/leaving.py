"""Out of which case a signature took a unit: what the named carrier's word after it may still name.

The state of a life keeps no case beyond the signature, so that old chains are told again the same. The
unit's records say it; they never change, and what is read ahead of a transaction is held there against
the signature that stands. Read-only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.ledger.store import load_some
from app.trace.life_table import State

_MOVING = frozenset({"pack", "unpack", "signature"})


class Left(NamedTuple):
    """A signature, by its record's id, and the case (SSCC) that the unit was in until then."""

    signature: str
    case: str


def find_left(connection: Connection, stream: str, state: State) -> Left | None:
    """Returns what took a unit that is signed for out of its case; None where it was in none, or is not.

    A unit that was unpacked on its way was in none any more. Read-only.
    """
    if state.get("state") != "signed":
        return None
    signed = state["signature"]
    last: Any = None
    for record in load_some(connection, stream, types=_MOVING):
        if record.seq >= signed["seq"]:
            break
        last = record.fields
    if last is None or last["type"] != "pack":
        return None
    return Left(signed["id"], last["data"]["case"])
