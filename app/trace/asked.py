"""What the rooms above must hear of a record that changes no life: complaints, answers, ratings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.kit.clock import to_ms
from app.ledger.record import Claim
from app.trace.code import Code
from app.trace.sides import seller_of

COMPLAINED = "complaint.recorded"
RETURN_ASKED = "return.asked"
RETURN_REFUSED = "return.refused"

RECALLED = "recall.recorded"
_HEARD = frozenset({"complaint", "reply", "recall", "recall_lifted"})

Told = tuple[str, Mapping[str, Any]]


def told_above(
    claim: Claim, code: Code, subject: str, state: Mapping[str, Any], now: datetime, of: str | None
) -> tuple[Told, ...]:
    """Returns (topic, payload) of a record on a life; times in ms, `signed` only once it is.

    of: id of the voice that it answers, where it names one.
    """
    if claim.type not in _HEARD:
        return ()  # all but a few records
    told: dict[str, Any] = {"code": code.stream, "subject": subject, "seller": seller_of(state)}
    match claim.type:
        case "complaint":
            about = told | {"id": claim.id, "category": claim.data["category"]}
            found: list[Told] = [(COMPLAINED, about)]
            if claim.data.get("wish") == "return":
                asked = told | {"id": claim.id, "asked": to_ms(now)}
                if "signature" in state:
                    asked["signed"] = state["signature"]["at"]
                found.append((RETURN_ASKED, asked))
            return tuple(found)
        case "recall" | "recall_lifted":
            return recall_told(claim, code, seller=str(told["seller"]))
        case "reply":
            return refusal_told(claim, of, subject=subject, seller=told["seller"])
        case _:
            return ()


def refusal_told(
    claim: Claim, of: str | None, *, subject: str = "", seller: str = ""
) -> tuple[Told, ...]:
    """Returns the same of a reply that refuses something. of: id of the voice that it answers.

    Whose word it is, and of what it is the refusal, the rows of voices say to who hears of it; subject
    and seller are told to a worker of the release before, which would stop without them.
    """
    if claim.data.get("outcome") != "refused" or of is None:
        return ()
    told = {"code": claim.stream, "of": of, "subject": subject, "seller": seller}
    return ((RETURN_REFUSED, told),)


def recall_told(claim: Claim, code: Code, *, seller: str | None = None) -> tuple[Told, ...]:
    """Returns the same of a recall; seller: whose goods they are, None on a product or lot."""
    lifted = claim.type == "recall_lifted"
    told = {"code": code.stream, "gtin": code.gtin, "id": claim.id, "by": claim.actor}
    return ((RECALLED, told | {"lifted": lifted} | ({} if seller is None else {"seller": seller})),)
