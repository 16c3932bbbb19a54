"""What came of a push as a whole, in a word that its party is shown, and which word is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
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

# Anybody who knows the address brings these about; the others are of who knows the salt.
_UNPROVEN = ("sign_wrong", "unformed")
_GRAVITY: dict[str, int] = {
    **dict.fromkeys(_UNPROVEN, 0),
    **dict.fromkeys(("recorded", "nothing", "untold", "ended"), 1),
    "unknown": 2,
    **dict.fromkeys(("untimed", "unread", "empty"), 3),
    **dict.fromkeys(("refused", "unreadable", "unavailable"), 4),
}
_NOTED_EVERY = timedelta(minutes=1)


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
    statuses = {one.status for one in results if not is_untold(one)}
    if "refused" in statuses:
        return "refused"
    if "unknown" in statuses:
        return "unknown"
    if told.untimed:
        return "untimed"
    if "recorded" in statuses:
        return "recorded"
    if told.unread:
        return "unread"
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


def is_noted(
    outcome: Outcome, *, before: str | None, noted_at: datetime | None, now: datetime
) -> bool:
    """Whether an outcome takes the place of the last one that was noted.

    Within a minute only a graver one does: so what went wrong stands there for a minute at least, and
    however many pushes come, few are written. What nobody signed takes the place of nothing so new.
    """
    if noted_at is None or before is None or now - noted_at >= _NOTED_EVERY:
        return True
    return outcome not in _UNPROVEN and _GRAVITY[outcome] > _GRAVITY.get(before, 0)
