"""What stands of the outcomes that a seller gave of one complaint. Pure.

The log takes what is said, also what contradicts an earlier word; which of them counts is said here. An
acceptance is a promise that the buyer was given: no later refusal takes it back, while a refusal may
still become an acceptance. Counted are the seller's own replies, those given for it by a mandate among
them. Whoever else may reply about the goods, as the holder of their lot, decides nothing for it. What a
reply said no correction changes (app.trace.naming).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from app.kit.clock import parse_time
from app.trace.events import REPLY_OUTCOMES

Word = Literal["accepted", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What stands, and since when. refused: of what is accepted, whether it was refused too, and when."""

    stands: Word
    at: datetime
    refused: Literal["", "before", "after"] = ""


def with_reply(standing: Outcome | None, seller: str, fields: Mapping[str, Any]) -> Outcome | None:
    """Returns what stands after one more record of the matter. standing: before it, None for nothing."""
    word = fields["data"].get("outcome")
    if fields["type"] != "reply" or fields["actor"] != seller or word is None:
        return standing
    at = parse_time(fields["recorded_at"])
    if standing is None:
        return Outcome(stands=word, at=at)
    if standing.stands == word:
        return standing
    if word == "accepted":
        return Outcome(stands=word, at=at, refused="before")
    return replace(standing, refused="after")


def possible_after(standing: Outcome | None) -> tuple[str, ...]:
    """Returns the outcomes that contradict nothing which stands."""
    if standing is None:
        return REPLY_OUTCOMES
    return ("accepted",) if standing.stands == "refused" else ()
