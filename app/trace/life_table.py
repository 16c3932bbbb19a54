"""What may follow what: the life table of the contract, cell by cell, and the two rules beside it.

Three rules decide every event:
1. The table, LIFE.
2. Healing. Records arrive late, so a step may be found missing because a later one is there: then a
   gap is open. While it is, a sale or dispatch which occurred not after what revealed the gap is
   taken for the missing step, although the table would refuse a second one: it fills the gap and
   moves nothing. After a return the same holds for what the closed cycle was known to lack, or its
   late sale would be mistaken for a new one. Without such a gap the table stands.
3. Cases. What names a case (`data.case`) is said of a unit that is in it, or it is refused. A signature
   takes the unit out; so the named carrier's own word after it names the case that the unit was in until
   then. Which that was the state does not keep: the door asks the records, the fold takes what is there.

Reads a state as `lifecycle` builds it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from app.kit.clock import from_ms
from app.kit.errors import Conflict
from app.trace.sides import may_speak_again

State = Mapping[str, Any]
Step = Literal["listing", "sale", "dispatch", "signature"]

STEPS: tuple[Step, ...] = ("listing", "sale", "dispatch", "signature")
WORDS = frozenset({"signature", "refusal"})
"""What the named carrier may say of goods that are signed for."""
STATES = ("registered", "sold", "in_transit", "signed", "returned", "void")


class Happening(NamedTuple):
    """A record as the life of the goods sees it; times in ms. An audit makes millions of them.

    actor: the party responsible; sender: the party that sent it (`via`, else the actor).
    listed: of a sale, whether the seller had a live listing when it was recorded (a stored record
    then refers to it). listing_independent: whether that listing came from another than the seller.
    """

    seq: int
    id: str
    type: str
    actor: str
    sender: str
    source: str
    occurred_ms: int
    recorded_ms: int
    data: Mapping[str, Any]
    listed: bool = False
    listing_independent: bool = False

    @property
    def occurred_at(self) -> datetime:
        return from_ms(self.occurred_ms)


class LifecycleConflict(Conflict):
    """The event cannot be true together with what is recorded; `reason` is a word of the table."""

    slug = "lifecycle-conflict"

    def __init__(self, reason: str) -> None:
        super().__init__(f"lifecycle.{reason}", reason=reason)


@dataclass(frozen=True, slots=True)
class Cell:
    """What the table says of one event in one state.

    to: the new state, None to stay. needs: steps that must have been recorded by then; each that
    was not opens a gap. refused: the reason; always, or where `unless` does not hold.
    """

    to: str | None = None
    needs: tuple[Step, ...] = ()
    refused: str | None = None
    unless: Callable[[State, Happening], bool] | None = None


def _to(state: str, *needs: Step) -> Cell:
    return Cell(state, needs)


def _not_reviewed(state: State, _event: Happening) -> bool:
    return "review" not in state


def _reviewed(state: State, _event: Happening) -> bool:
    return "review" in state


def _older_than_signature(state: State, event: Happening) -> bool:
    return event.occurred_ms < int(state["signature"]["at"])


def _witness(state: State, event: Happening) -> bool:
    return may_speak_again(state, actor=event.actor, sender=event.sender)


def _not_packed(state: State, _event: Happening) -> bool:
    return "case" not in state


def _named_receiver(state: State, event: Happening) -> bool:
    named = state.get("transfer", {}).get("to") == event.actor
    return named and bool(event.data.get("from") == state["holder"])


_STAY = Cell()
_NO_ROW: Mapping[str, Cell] = {}
_SELL = _to("sold", "listing")
_SEND = _to("in_transit")
_SEND_UNSOLD = _to("in_transit", "sale")
_SEEN = Cell(needs=("dispatch",))
_SIGN = _to("signed")
_SIGN_UNSENT = _to("signed", "dispatch")
_SIGN_UNSOLD = _to("signed", "sale", "dispatch")
_BACK = _to("returned")
_VOID = _to("void")

_SOLD = Cell(refused="already_sold")
_SENT = Cell(refused="already_dispatched")
_DONE = Cell(refused="already_signed")
_NONE = Cell(refused="not_sold")
_HALT = Cell(refused="not_moving")

_ONCE = Cell(refused="already_reviewed", unless=_not_reviewed)
_NEXT = Cell(refused="no_review", unless=_reviewed)
_PACK = Cell(refused="already_packed", unless=_not_packed)
_FROM = Cell(refused="no_transfer", unless=_named_receiver)
_PAST = Cell(refused="already_signed", unless=_older_than_signature)
_WORD = Cell(refused="already_signed", unless=_witness)
_DENY = Cell("returned", refused="already_signed", unless=_witness)

# Where the contract gives a dash without a word, the word is that of its neighbours. `acceptance`
# has no row there: it stands inside `transfer`. Nothing follows void, so it has no column.
# fmt: off
LIFE: Mapping[str, Mapping[str, Cell]] = {
    event: dict(zip(STATES, row, strict=False))
    for event, row in {
        #              registered    sold          in_transit  signed  returned
        "sale":       (_SELL,        _SOLD,        _SOLD,      _SOLD,  _SELL),
        "dispatch":   (_SEND_UNSOLD, _SEND,        _SENT,      _DONE,  _SEND_UNSOLD),
        "transit":    (_SEEN,        _SEEN,        _STAY,      _PAST,  _HALT),
        "signature":  (_SIGN_UNSOLD, _SIGN_UNSENT, _SIGN,      _WORD,  _HALT),
        "refusal":    (_HALT,        _HALT,        _BACK,      _DENY,  _HALT),
        "return":     (_NONE,        _BACK,        _BACK,      _BACK,  _NONE),
        "review":     (_NONE,        _ONCE,        _ONCE,      _ONCE,  _NONE),
        "follow_up":  (_NEXT,        _NEXT,        _NEXT,      _NEXT,  _NEXT),
        "complaint":  (_NONE,        _STAY,        _STAY,      _STAY,  _STAY),
        "message":    (_NONE,        _STAY,        _STAY,      _STAY,  _STAY),
        "referral":   (_NONE,        _STAY,        _STAY,      _STAY,  _STAY),
        "transfer":   (_STAY,        _SOLD,        _SOLD,      _SOLD,  _STAY),
        "acceptance": (_FROM,        _SOLD,        _SOLD,      _SOLD,  _FROM),
        "void":       (_VOID,        _SOLD,        _SOLD,      _SOLD,  _VOID),
        "pack":       (_PACK,        _PACK,        _SENT,      _DONE,  _PACK),
    }.items()
}
# fmt: on


def resolve(state: State, event: Happening) -> Cell | None:
    """Returns what `find_cell` does. Raises LifecycleConflict with the reason instead of it."""
    cell = find_cell(state, event)
    if isinstance(cell, str):
        raise LifecycleConflict(cell)
    return cell


def find_cell(state: State, event: Happening) -> Cell | str | None:
    """Returns the table's cell, None where the event heals a gap instead, the reason if neither is."""
    life = state["state"]
    if life == "void":
        return "void"
    if event.type == "registration":
        return "already_registered"
    if not _is_of_its_case(state, event):
        return "not_in_case"  # of another case the unit says nothing
    if _is_missing_step(state, event):
        return None
    cell = LIFE.get(event.type, _NO_ROW).get(life, _STAY)
    if cell.refused and not (cell.unless and cell.unless(state, event)):
        return cell.refused
    return cell


def case_of(state: State) -> str | None:
    """Returns the SSCC of the case that the unit is in, None where it is in none."""
    found: str | None = state.get("case", {}).get("sscc")
    return found


def _is_of_its_case(state: State, event: Happening) -> bool:
    if event.type == "pack" or "case" not in event.data or case_of(state) == event.data["case"]:
        return True
    return (
        event.type in WORDS
        and state["state"] == "signed"
        and case_of(state) is None
        and may_speak_again(state, actor=event.actor, sender=event.sender)
    )


def latest_moment(state: State, step: Step) -> int | None:
    """Returns when a missing step must have occurred by (ms), None if nothing after it is known."""
    later = ("dispatch", "signature") if step == "sale" else ("signature",)
    return min((state[name]["at"] for name in later if name in state), default=None)


def _is_missing_step(state: State, event: Happening) -> bool:
    step = event.type
    if step not in ("sale", "dispatch"):
        return False
    bound: int | None = None
    if state["state"] in ("in_transit", "signed") and step in state["gaps"]:
        bound = latest_moment(state, "sale" if step == "sale" else "dispatch")
    elif state["state"] == "returned":
        bound = state["closed"]["missing"].get(step)
    # In `registered` and `sold` the table itself takes a late sale or dispatch.
    return bound is not None and event.occurred_ms <= bound
