"""The life of an entry: who may take which step from which state. One table, for code and docs.

    告知 notice → effective → (异议 objected) → (修复 repair asked) → repaired | lapsed | cancelled

Pure. Time alone makes an announced entry effective and ends it at its expiry, for the score and for
this table alike; the worker's records of it only say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.credit.policy import Status
from app.kit.clock import from_ms, local_day, to_ms
from app.kit.errors import Conflict


class Step(StrEnum):
    """What can happen to an entry once it is made."""

    TAKE_EFFECT = "take_effect"
    OBJECT = "object"
    UPHOLD = "uphold"
    DISMISS = "dismiss"
    ASK_REPAIR = "ask_repair"
    GRANT_REPAIR = "grant_repair"
    REFUSE_REPAIR = "refuse_repair"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"


class Who(StrEnum):
    """In which role somebody takes a step. party: the one whose entry it is."""

    PARTY = "party"
    REGULATOR = "regulator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Move:
    """One line of the table. to: None goes back to where time has brought the entry meanwhile."""

    step: Step
    who: frozenset[Who]
    from_: frozenset[Status]
    to: Status | None


_STANDING = frozenset({Status.NOTICE, Status.EFFECTIVE, Status.OBJECTED, Status.REPAIR_ASKED})
ENDED = frozenset(Status) - _STANDING
"""States that an entry never leaves."""


def _move(
    step: Step, who: set[Who], from_: frozenset[Status] | set[Status], to: Status | None
) -> Move:
    return Move(step, frozenset(who), frozenset(from_), to)


TABLE: Mapping[Step, Move] = {
    move.step: move
    for move in (
        _move(Step.TAKE_EFFECT, {Who.SYSTEM}, {Status.NOTICE}, Status.EFFECTIVE),
        _move(Step.OBJECT, {Who.PARTY}, {Status.NOTICE, Status.EFFECTIVE}, Status.OBJECTED),
        _move(Step.UPHOLD, {Who.REGULATOR}, {Status.OBJECTED}, Status.CANCELLED),
        _move(Step.DISMISS, {Who.REGULATOR}, {Status.OBJECTED}, None),
        _move(Step.ASK_REPAIR, {Who.PARTY}, {Status.EFFECTIVE}, Status.REPAIR_ASKED),
        _move(Step.GRANT_REPAIR, {Who.REGULATOR}, {Status.REPAIR_ASKED}, Status.REPAIRED),
        _move(Step.REFUSE_REPAIR, {Who.REGULATOR}, {Status.REPAIR_ASKED}, None),
        _move(Step.WITHDRAW, {Who.REGULATOR, Who.SYSTEM}, _STANDING, Status.CANCELLED),
        _move(Step.LAPSE, {Who.SYSTEM}, _STANDING, Status.LAPSED),
    )
}  # fmt: skip

DECISIONS: Mapping[str, Step] = {
    "upheld": Step.UPHOLD,
    "dismissed": Step.DISMISS,
    "granted": Step.GRANT_REPAIR,
    "refused": Step.REFUSE_REPAIR,
    "withdrawn": Step.WITHDRAW,
}
"""Outcomes that a regulator may decide, by the word of the API."""


class StepRefused(Conflict):
    """The entry does not take this step: `reason` is wrong_state, too_early, too_late or no_loss."""

    slug = "lifecycle-conflict"
    words: Mapping[str, str] = {"status": "credit.status"}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an entry stands, and what its steps depend on; times in ms. Kept as a fact of its stream."""

    status: Status
    points: int
    effective_ms: int
    repair_ms: int | None
    expires_ms: int | None
    object_until_ms: int | None

    def at(self, now: datetime) -> Status:
        """Returns the state at a time that no record may have told yet."""
        if self.status in ENDED:
            return self.status
        if self.expires_ms is not None and to_ms(now) >= self.expires_ms:
            return Status.LAPSED
        if self.status is Status.NOTICE and to_ms(now) >= self.effective_ms:
            return Status.EFFECTIVE
        return self.status

    @property
    def next_ms(self) -> int | None:
        """When time moves the entry next; None where it never will."""
        if self.status in ENDED:
            return None
        return self.effective_ms if self.status is Status.NOTICE else self.expires_ms

    def as_fact(self) -> dict[str, Any]:
        """Returns it as it is kept."""
        told: dict[str, Any] = {
            "status": str(self.status), "points": self.points, "effective_ms": self.effective_ms,
            "repair_ms": self.repair_ms, "expires_ms": self.expires_ms,
            "object_until_ms": self.object_until_ms,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def of_fact(cls, fact: Mapping[str, Any]) -> Standing:
        """Returns what `as_fact` kept."""
        return cls(
            Status(fact["status"]), fact["points"], fact["effective_ms"], fact.get("repair_ms"),
            fact.get("expires_ms"), fact.get("object_until_ms"),
        )  # fmt: skip


def after(standing: Standing, step: Step, *, now: datetime) -> Standing:
    """Returns where the entry stands after a step taken now. Raises StepRefused."""
    move, at = TABLE[step], standing.at(now)
    if step is Step.TAKE_EFFECT or step is Step.LAPSE:
        # The worker's: due is what time has done already.
        if standing.status not in move.from_ or at is not move.to:
            raise _refused("wrong_state", step, at)
        return replace(standing, status=at)
    if at not in move.from_:
        if at is Status.LAPSED and standing.status not in ENDED:
            raise _refused("too_late", step, at, until=_shown(standing.expires_ms))
        raise _refused("wrong_state", step, at)
    if step in (Step.OBJECT, Step.ASK_REPAIR) and standing.points >= 0:
        raise _refused("no_loss", step, at)
    until = standing.object_until_ms
    if step is Step.OBJECT and until is not None and to_ms(now) > until:
        raise _refused("too_late", step, at, until=_shown(until))
    if step is Step.ASK_REPAIR and to_ms(now) < (standing.repair_ms or 0):
        raise _refused("too_early", step, at, until=_shown(standing.repair_ms))
    if move.to is not None:
        return replace(standing, status=move.to)
    announced = to_ms(now) < standing.effective_ms
    return replace(standing, status=Status.NOTICE if announced else Status.EFFECTIVE)


def open_steps(standing: Standing, *, now: datetime) -> frozenset[Step]:
    """Returns the steps that a person may take with the entry now; which person, the table says."""
    found = set()
    for step, move in TABLE.items():
        if move.who == {Who.SYSTEM}:
            continue
        try:
            after(standing, step, now=now)
        except StepRefused:
            continue
        found.add(step)
    return frozenset(found)


def table_rows() -> Iterator[tuple[str, str, str, str]]:
    """Yields (step, who, from, to) as docs show the table."""
    for move in TABLE.values():
        to = "`notice` or `effective`, as time has it" if move.to is None else f"`{move.to}`"
        origins = ", ".join(f"`{status}`" for status in Status if status in move.from_)
        yield f"`{move.step}`", ", ".join(who for who in Who if who in move.who), origins, to


def _refused(reason: str, step: Step, status: Status, *, until: str = "") -> StepRefused:
    return StepRefused(
        f"credit_{reason}", reason=reason, step=str(step), status=str(status), until=until
    )


def _shown(moment_ms: int | None) -> str:
    return "" if moment_ms is None else local_day(from_ms(moment_ms)).isoformat()
