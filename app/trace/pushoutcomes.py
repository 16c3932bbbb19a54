"""What came of a push as a whole, in a word that its party is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from app.kit.errors import Fault, Invalid, Malformed, Unavailable
from app.parties.standing import MandateMissing
from app.trace.kuaidi100 import SignWrong, Told
from app.trace.pushes import Pushed
from app.trace.sending import EventNotYours

Outcome = Literal[
    "recorded", "nothing", "untold", "ended", "unknown", "untimed", "unread", "empty", "refused",
    "unreadable", "unavailable", "sign_wrong", "unformed",
]  # fmt: skip

UNPROVEN: tuple[Outcome, ...] = ("sign_wrong", "unformed")
"""Anybody who knows the address brings these about; the others are of who knows the salt."""


def is_untold(one: Pushed) -> bool:
    """Whether it was refused for who tells it, which no further push will change.

    A mandate for the rest of it can still be given before kuaidi100 pushes again; what happened on the
    way is not worth that, nor has its carrier to be asked for it.
    """
    if one.status != "refused":
        return False
    lacks_mandate = isinstance(one.fault, MandateMissing) and one.fault.params["type"] == "transit"
    return lacks_mandate or isinstance(one.fault, EventNotYours)


def refusal_in(results: Iterable[Pushed]) -> Fault | None:
    """Returns why something of a push was refused, if not for who tells it."""
    refused = (one for one in results if one.status == "refused" and not is_untold(one))
    return next((one.fault for one in refused), None)


def outcome_of(told: Told, results: Sequence[Pushed]) -> Outcome:
    """Returns what came of all together: the worst that somebody can do something about."""
    if told.ended:
        return "ended"
    if told.bare:
        return "empty"
    outcome = outcome_of_items(results)
    if outcome in ("refused", "unknown"):
        return outcome
    if told.untimed:
        return "untimed"
    return "unread" if told.unread and outcome != "recorded" else outcome


def outcome_of_items(results: Sequence[Pushed]) -> Outcome:
    """Returns what came of items that were all read, or refused one by one."""
    statuses = {one.status for one in results if not is_untold(one)}
    if "refused" in statuses:
        return "refused"
    if "unknown" in statuses:
        return "unknown"
    if "recorded" in statuses:
        return "recorded"
    return "untold" if results and not statuses else "nothing"


def outcome_of_fault(fault: Fault) -> Outcome:
    """Returns what came of a push that was refused as a whole."""
    if isinstance(fault, SignWrong):
        return "sign_wrong"
    if isinstance(fault, Malformed | Invalid):
        return "unreadable"
    return "unavailable" if isinstance(fault, Unavailable) else "refused"


def reason_of(fault: Fault) -> str:
    """Returns why something was refused, in a word of the contract: a field's kind, or a problem type."""
    return fault.errors[0].kind if fault.errors else fault.slug
