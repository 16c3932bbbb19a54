"""Recalls against those that stand: one recaller recalls the same goods once, until that is lifted.

Said twice, a recall would have two reasons and two levels, and nobody could tell which one holds. Who wants
another reason or level corrects the recall; it holds from its first moment on. Asked where something is
decided, not where records are read: what was recorded before this was asked is taken as it is. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.kit.clock import from_ms
from app.kit.errors import Conflict
from app.ledger.record import Claim, stream_key
from app.ledger.submission import Effect
from app.trace.code import Code


class RecallStands(Conflict):
    """The same recaller's recall of these very goods holds already."""

    slug = "lifecycle-conflict"


def check_recall(claim: Claim, state: Mapping[str, Any]) -> None:
    """Raises RecallStands. state: of the unit, lot or product, as it is before the claim."""
    if claim.type != "recall":
        return
    entry = state.get("recalls", {}).get(claim.actor)
    if entry is not None and "until" not in entry:
        since = from_ms(entry["since"])
        raise RecallStands("lifecycle.recall_stands", reason="recall_stands", since=since)


def recall_effect(
    code: Code, recaller: str, entry: Mapping[str, int], *, seller: str | None
) -> Effect:
    """Returns the index row of one recaller's recall of these goods."""
    return Effect(
        "recall",
        {
            "stream": stream_key(code.stream),
            "recaller": recaller,
            "gtin": code.gtin,
            "seller": seller,
            "since_at": entry["since"],
            "lifted_at": entry.get("until"),
        },
    )
