"""What would raise a party's score, and by how much: the score function asked the other way round. Pure.

Each step is one thing that the party itself can do or await: put right what was announced before it takes
effect, apply for the repair of an entry, sign a commitment. Its gain is what the score would be with that
alone done, so gains of several steps need not add up where caps or the bounds of the score come between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from app.credit.policy import Entry, Hold, Status, score
from app.credit.rules import Grade, Policy

SIGNED = "commitment_active"
"""The rule by which a commitment in force earns."""

MOST_ASKED = 10_000
"""Entries looked at in all: each question costs a score."""
_MOST_STEPS = 20

BETTER: Mapping[Grade, Literal["A", "B", "C"] | None] = {"A": None, "B": "A", "C": "B", "D": "C"}

Way = Literal["avert", "repair", "decision", "sign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """One thing to do. gain: points of the score, > 0. entry: "" of a commitment that is not signed yet.

    at: of `avert` until when, of `repair` from when on; None: now, or when somebody decides.
    """

    way: Way
    rule: str
    gain: int
    entry: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raising:
    """better: the next grade, None from the best one; missing: points to it, 0 where an entry forces it."""

    score: int
    grade: Grade
    better: Literal["A", "B", "C"] | None
    missing: int
    forced: bool
    gains: tuple[Gain, ...]


def raise_score(
    entries: Sequence[Entry],
    holds: Sequence[Hold],
    policy: Policy,
    *,
    party: str,
    at: datetime,
    may_sign: bool,
) -> Raising:
    """Returns what would raise the score, the largest gain first. may_sign: no commitment is in force."""
    card = score(entries, holds, at, policy)

    def would(changed: Sequence[Entry]) -> int:
        return score(changed, holds, at, policy).score

    gains = []
    for entry in _asked(entries, at):
        others = [one for one in entries if one.id != entry.id]
        make = partial(Gain, rule=entry.rule, entry=entry.id)
        if at < entry.effective_at:
            now = replace(entry, status=Status.EFFECTIVE, effective_at=at)
            gain = card.score - would([*others, now])
            gains.append(make(way="avert", gain=gain, at=entry.effective_at))
            continue
        gain = would(others) - card.score
        if entry.status in (Status.OBJECTED, Status.REPAIR_ASKED):
            gains.append(make(way="decision", gain=gain))
        elif entry.earliest_repair_at is not None:
            opens = entry.earliest_repair_at if at < entry.earliest_repair_at else None
            gains.append(make(way="repair", gain=gain, at=opens))
    if may_sign and SIGNED in policy.rules:
        rule = policy.rules[SIGNED]
        new = Entry(id=SIGNED, party=party, rule=SIGNED, points=rule.points, effective_at=at)
        gains.append(Gain(way="sign", rule=SIGNED, gain=would([*entries, new]) - card.score))
    better = BETTER[card.grade]
    lowest = next((step.lowest for step in policy.grades if step.grade == better), card.score)
    return Raising(
        score=card.score,
        grade=card.grade,
        better=better,
        missing=max(0, lowest - card.score),
        forced=bool(card.forced_by),
        gains=tuple(sorted((one for one in gains if one.gain > 0), key=lambda one: -one.gain)),
    )


def _asked(entries: Sequence[Entry], at: datetime) -> list[Entry]:
    """Returns the entries to ask about: losses that weigh now or will, the heaviest first."""
    losses = [
        one
        for one in entries
        if one.points < 0
        and one.status not in (Status.CANCELLED, Status.REPAIRED, Status.LAPSED)
        and (one.expires_at is None or at < one.expires_at)
    ]
    losses.sort(key=lambda one: (one.points, one.effective_at, one.id))
    return losses[: min(_MOST_STEPS, MOST_ASKED // max(1, len(entries)))]
