"""The rows of `case_unit`: which units are or were in which case, as the units' lives say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.ledger.submission import Effect


def case_effects(stream: int, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Effect, ...]:
    """Returns the rows that a step of a unit's life changes. stream: key of its stream."""
    was, now = case_row(stream, old), case_row(stream, new)
    if now == was:
        return ()
    found = []
    if was is not None and (now is None or now["sscc"] != was["sscc"]):
        found.append(Effect("case_unit", {"stream": stream, "sscc": was["sscc"], "inside": False}))
    if now is not None:
        found.append(Effect("case_unit", now))
    return tuple(found)


def case_row(stream: int, state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the row of the case that a unit is in, None where it is in none."""
    case = state.get("case")
    if case is None:
        return None
    return {
        "stream": stream,
        "sscc": case["sscc"],
        "party": state["holder"],
        "packed_at": case["at"],
        "inside": True,
    }
