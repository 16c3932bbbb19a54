"""Entries of the ledger of credit as their party and the authorities see them: whole, with every clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.credit.ledger import Filed, Taken
from app.credit.policy import ScoreCard
from app.credit.steps import ENDED
from app.i18n import Lang
from app.kit.clock import local_day
from app.kit.errors import Fault
from app.web.deps import Rooms
from app.web.pages.proofs import ProofReader
from app.web.pages.standing_views import Proof


@dataclass(frozen=True, slots=True)
class Until:
    """A moment and how many days of China's calendar are left to it; below 0: past."""

    at: datetime
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """An entry with all that is on file. status: as time has it. may: the steps a person may take now.

    answer: of an announced one, until when the party may state its case before it counts. object_until:
    while an objection is open. decide: while somebody's decision is awaited. repair_from: None where there
    is nothing to repair, or it has ended.
    """

    id: str
    party: str
    rule: str
    title: str
    text: str
    class_title: str
    policy: int
    points: int
    weight: int
    why: str
    status: str
    ended: bool
    day: date
    entered_by: str
    entered_at: datetime
    effective_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    approximate: bool
    proof: Proof
    steps: tuple[Taken, ...]
    may: frozenset[str]
    answer: Until | None
    object_until: Until | None
    decide: Until | None
    repair_from: Until | None


def until(moment: datetime | None, now: datetime) -> Until | None:
    """Returns a moment with the days to it."""
    if moment is None:
        return None
    return Until(moment, (local_day(moment) - local_day(now)).days)


def own_entries(
    rooms: Rooms, lang: Lang, filed: Sequence[Filed], card: ScoreCard
) -> list[OwnEntry]:
    """Returns the entries as pages show them. Read-only."""
    proofs = ProofReader(rooms, own=True)
    return [_own(rooms, lang, proofs, one, card) for one in filed]


def _own(rooms: Rooms, lang: Lang, proofs: ProofReader, filed: Filed, card: ScoreCard) -> OwnEntry:
    entry, now = filed.entry, rooms.clock.now()
    try:
        policy = rooms.credit.policies.get(entry.policy_version)
    except Fault:
        policy = rooms.credit.policy
    rule = policy.rules.get(entry.rule)
    status = filed.status_at(now)
    ended = status in ENDED
    weight = card.weights.get(entry.id)
    decide = next((one.decide_by for one in reversed(filed.steps) if one.decide_by), None)
    awaited = status in ("objected", "repair_asked")
    return OwnEntry(
        id=entry.id,
        party=entry.party,
        rule=entry.rule,
        title=entry.rule if rule is None else rule.title[lang],
        text="" if rule is None else rule.text[lang],
        class_title="" if rule is None else policy.classes[rule.rule_class].title[lang],
        policy=entry.policy_version,
        points=entry.points,
        weight=0 if weight is None else weight.points,
        why="ended" if weight is None else str(weight.reason),
        status=str(status),
        ended=ended,
        day=entry.day,
        entered_by=filed.actor,
        entered_at=filed.entered_at,
        effective_at=entry.effective_at,
        expires_at=entry.expires_at,
        ended_at=entry.ended_at,
        approximate=filed.approximate,
        proof=proofs.read(entry.evidence),
        steps=filed.steps,
        may=frozenset(map(str, filed.may)),
        answer=until(entry.effective_at, now) if status == "notice" else None,
        object_until=until(filed.object_until, now) if "object" in filed.may else None,
        decide=until(decide, now) if awaited else None,
        repair_from=None if ended else until(entry.earliest_repair_at, now),
    )
