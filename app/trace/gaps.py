"""Missing steps of a life: when they begin to count, whose they are, and the verdict they give.

A step is missed in two ways. `late`: something recorded later shows that it happened, so its record
is owed within `Graces.late` of that. `overdue`: it should follow what happened within a term, and
never sooner than `Graces.late` after the record of that, for late data comes in one go. A gap counts
from its due moment on; before it a late one is a warning and a coming one is nothing.
Gaps live in the state of `lifecycle` under "gaps", by step, times in ms. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from app.kit.clock import from_ms, to_ms
from app.parties.identity import is_party_id
from app.trace.life_table import STEPS, Happening, State, Step
from app.trace.sides import seller_of

GapKind = Literal["late", "overdue"]
_MS = timedelta(milliseconds=1)
UNDERWAY: Mapping[str, Step] = {"sold": "sale", "in_transit": "dispatch"}
"""States of goods that are sold and have not arrived, and the step that brought them there."""

Verdict = Literal["intact", "incomplete"]


@dataclass(frozen=True)
class Graces:
    """How long a step may be missing, from the policy in force.

    late: after the record that revealed it, or of what it should follow; dispatch: after the sale;
    signature: after dispatch.
    """

    late: timedelta
    dispatch: timedelta
    signature: timedelta

    @cached_property
    def late_ms(self) -> int:
        return self.late // _MS

    @cached_property
    def dispatch_ms(self) -> int:
        return self.dispatch // _MS

    @cached_property
    def signature_ms(self) -> int:
        return self.signature // _MS


@dataclass(frozen=True, slots=True)
class Pending:
    """A step that is missing or still to come.

    since: from when it is missing or waited for; due_at: from when its absence counts, inclusive;
    party: whose step it is by what the records name; seq: the record that revealed it or made it due.
    """

    step: Step
    since: datetime
    due_at: datetime
    party: str | None
    kind: GapKind
    seq: int


def pending(state: State) -> tuple[Pending, ...]:
    """Returns what is missing or still to come, the first to count first."""
    found = [
        Pending(
            step=step,
            since=from_ms(gap["since"]),
            due_at=from_ms(gap["due"]),
            party=responsible_for(state, step),
            kind=gap["kind"],
            seq=gap["by"],
        )
        for step, gap in state["gaps"].items()
    ]
    return tuple(sorted(found, key=lambda one: (one.due_at, STEPS.index(one.step))))


def verdict_of(state: State, now: datetime) -> tuple[Verdict, tuple[str, ...]]:
    """Returns `incomplete` once a missing step counts, and the warnings that the life itself gives.

    Integrity, recalls of lot or product, dates, measures and scans add theirs elsewhere.
    """
    at = to_ms(now)
    gaps = state["gaps"].values()
    warnings = []
    if any("until" not in entry for entry in state["recalls"].values()):
        warnings.append("recalled")
    if state["cycle"] > 1 and state["state"] in ("sold", "in_transit", "signed"):
        warnings.append("sold_before")
    if any(gap["kind"] == "late" and gap["due"] > at for gap in gaps):
        warnings.append("provisional_gap")
    verdict: Verdict = "incomplete" if any(gap["due"] <= at for gap in gaps) else "intact"
    return verdict, tuple(warnings)


def responsible_for(state: State, step: Step) -> str:
    """Returns the party whose step it is.

    The signature is the carrier's if the carrier is known as a party: its silent feed is no fault
    of the shop's. A carrier that is a mere name cannot answer, so the seller does. Whether the party
    that is named is a carrier at all is asked in oversight, before anybody is charged.
    """
    carrier = str(state.get("dispatch", {}).get("carrier", ""))
    if step == "signature" and is_party_id(carrier):
        return carrier
    return seller_of(state)


def vouched_steps(state: State) -> tuple[int, int]:
    """Returns how many of the four steps are there, and how many not by the seller's word."""
    return len(state["steps"]), sum(map(bool, state["steps"].values()))


def underway_since(state: State) -> tuple[str, int] | tuple[None, None]:
    """Returns `sold` or `in_transit` and since when (ms), of goods that are sold and have not arrived."""
    step = UNDERWAY.get(state.get("state", ""))
    if step is None:
        return None, None
    return state["state"], int(state[step]["at"])


def open_late(gaps: dict[str, Any], step: Step, event: Happening, graces: Graces) -> None:
    """Opens a gap because `event` shows that `step` happened.

    A gap that was due earlier keeps its moment: new evidence of a missing step buys no time.
    """
    since, due = event.recorded_ms, event.recorded_ms + graces.late_ms
    before = gaps.get(step)
    if before is not None and before["due"] <= due:
        gaps[step] = {**before, "kind": "late"}
    else:
        gaps[step] = {"kind": "late", "since": since, "due": due, "by": event.seq}


def open_coming(
    gaps: dict[str, Any], step: Step, event: Happening, grace_ms: int, graces: Graces
) -> None:
    """Waits for `step` from `event` on; where it is known to be missing, that grace goes on.

    An event told late leaves at least `Graces.late` from its record on: what should have followed it
    may be as late.
    """
    if step not in gaps:
        since = event.occurred_ms
        due = max(since + grace_ms, event.recorded_ms + graces.late_ms)
        gaps[step] = {"kind": "overdue", "since": since, "due": due, "by": event.seq}
