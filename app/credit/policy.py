"""The score: a pure function of a party's entries, its holds, the policy and the time.

    score = clamp(base + min(positive_cap, points earned) - points lost)

Anyone can compute it again from the public entries and the policy, so every step is in integers:
- An entry counts from its effective time on: whole until its earliest repair, from there linearly
  down to nothing at its expiry, the magnitude rounded half up to whole points per entry. Time alone
  makes it effective; a status that nobody has moved yet changes nothing.
- Points earned count whole until expiry. Their caps are applied in the order of effective time,
  then id; of an entry that fills a cap the part that fits counts.
- Points lost have no caps. Where the policy limits how many entries of a class count in a calendar
  month, the heaviest at this time count (then by effective time and id), the last of them in part
  where all together would cost more than the month's points: with any other choice one more entry
  could push a heavier one out and raise the score.
- Days and months are those of Asia/Shanghai.
Order of arrival, repeated delivery and other parties' entries change nothing. Moves no entry from
one status to the next and writes nothing; see app.credit.service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from app.credit.loader import load_policy, policy_at
from app.credit.rules import GRADES, Grade, Policy, Rule, RuleClass
from app.kit.clock import local_day, to_ms

__all__ = [
    "CapFacts",
    "Entry",
    "Grade",
    "Hold",
    "Policy",
    "Reason",
    "RuleClass",
    "RuleTotal",
    "ScoreCard",
    "Status",
    "Weight",
    "grade_of",
    "load_policy",
    "policy_at",
    "score",
]


class Status(StrEnum):
    """Where an entry is in its life; the first four count, the others no more."""

    NOTICE = "notice"
    """Announced: 告知. It counts from its effective time on, unless that is put off."""
    EFFECTIVE = "effective"
    OBJECTED = "objected"
    """异议中: counts on, flagged, unless the policy suspends it."""
    REPAIR_ASKED = "repair_asked"
    """修复申请中: counts on until it is granted."""
    REPAIRED = "repaired"
    """已修复: stays in the ledger, leaves public view."""
    LAPSED = "lapsed"
    CANCELLED = "cancelled"
    """Found wrong: as if it had never been, at any time."""


class Reason(StrEnum):
    """Why an entry weighs what it weighs now."""

    FULL = "full"
    FADING = "fading"
    NOT_YET = "not_yet"
    SUSPENDED = "suspended"
    ENDED = "ended"
    EXPIRED = "expired"
    CAPPED = "capped"
    OVER_LIMIT = "over_limit"


@dataclass(frozen=True, slots=True)
class CapFacts:
    """What caps and limits need to know of an entry.

    day: the day of the fact, where it is not that of the effective time (notice comes between).
    buyer: pseudonym of the buyer, comparable within this party; None: no buyer cap.
    chains: the party's chains in the calendar month of `day`, as known when the entry was written.
    """

    day: date | None = None
    buyer: str | None = None
    chains: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the credit ledger. Points and dates are its own: a later policy moves neither.

    id: the same fact always has the same id. points: > 0 earned, < 0 lost.
    earliest_repair_at: None for points earned. expires_at: None counts until it is ended.
    ended_at: since when it is repaired or lapsed; None with such a status means always.
    """

    id: str
    party: str
    rule: str
    points: int
    effective_at: datetime
    earliest_repair_at: datetime | None = None
    expires_at: datetime | None = None
    status: Status = Status.EFFECTIVE
    ended_at: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    policy_version: int = 1
    facts: CapFacts = CapFacts()

    @property
    def day(self) -> date:
        return self.facts.day or local_day(self.effective_at)


@dataclass(frozen=True, slots=True)
class Hold:
    """Points held, provisionally, while an integrity finding waits for its attribution."""

    finding: str
    points: int
    since: datetime
    lifts_at: datetime


@dataclass(frozen=True, slots=True)
class Weight:
    """What an entry counts now, signed, and why."""

    entry: str
    rule: str
    points: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class RuleTotal:
    """Points of one rule now, signed, from so many entries that weigh anything."""

    rule: str
    points: int
    count: int


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """A score and everything it is made of.

    earned, lost: sums over `breakdown`, both >= 0; of `earned` at most the policy's cap counts.
    weights: one for each entry, those that weigh nothing included. holds: those in force.
    forced_by: ids of the entries that force the grade.
    """

    score: int
    score_without_holds: int
    grade: Grade
    grade_without_holds: Grade
    earned: int
    lost: int
    breakdown: tuple[RuleTotal, ...]
    holds: tuple[Hold, ...]
    data_enough: bool
    completed_chains: int
    weights: Mapping[str, Weight]
    forced_by: tuple[str, ...]
    policy_version: int


def score(
    entries: Iterable[Entry],
    holds: Iterable[Hold],
    at: datetime,
    policy: Policy,
    *,
    completed_chains: int | None = None,
) -> ScoreCard:
    """Returns the score of one party at a time.

    A rule that this policy does not know (an entry of another version) has no caps and forces no
    grade. completed_chains: counted elsewhere; by default the entries of the policy's rule for it.
    Raises ValueError if the entries belong to several parties, or two different ones share an id.
    """
    ordered = _once(entries)
    weights = {entry.id: _weigh(entry, at, policy) for entry in ordered}
    _apply_caps(ordered, weights, policy)
    _apply_volume_limits(ordered, weights, policy)

    earned = sum(weight.points for weight in weights.values() if weight.points > 0)
    lost = -sum(weight.points for weight in weights.values() if weight.points < 0)
    without_holds = policy.clamp(policy.base + min(policy.positive_cap, earned) - lost)
    held = _in_force(holds, at)
    with_holds = _limit_hold(without_holds, sum(hold.points for hold in held), policy)

    forcing = [entry for entry in ordered if _forced(entry, weights[entry.id], policy)]
    forced = [policy.rules[entry.rule].forces_grade for entry in forcing]
    if completed_chains is None:
        completed_chains = sum(
            entry.rule == policy.data_enough_rule
            and entry.status is not Status.CANCELLED
            and entry.effective_at <= at
            for entry in ordered
        )
    return ScoreCard(
        score=with_holds,
        score_without_holds=without_holds,
        grade=_worst(policy.grade_of(with_holds), *forced),
        grade_without_holds=_worst(policy.grade_of(without_holds), *forced),
        earned=earned,
        lost=lost,
        breakdown=_breakdown(weights.values(), policy),
        holds=held,
        data_enough=completed_chains >= policy.data_enough_count,
        completed_chains=completed_chains,
        weights=weights,
        forced_by=tuple(entry.id for entry in forcing),
        policy_version=policy.version,
    )


def grade_of(points: int, policy: Policy) -> Grade:
    """Returns the grade of a score, before any entry forces one."""
    return policy.grade_of(points)


def _once(entries: Iterable[Entry]) -> list[Entry]:
    """Returns each entry once, by effective time, then id."""
    by_id: dict[str, Entry] = {}
    for entry in entries:
        known = by_id.setdefault(entry.id, entry)
        if known != entry:
            # Choosing one of two versions would hide that the caller's fold is broken.
            raise ValueError(f"entry {entry.id} stands twice with different content")
    parties = {entry.party for entry in by_id.values()}
    if len(parties) > 1:
        raise ValueError(f"entries of several parties: {', '.join(sorted(parties))}")
    return sorted(by_id.values(), key=lambda entry: (entry.effective_at, entry.id))


def _weigh(entry: Entry, at: datetime, policy: Policy) -> Weight:
    """Returns what the entry weighs by itself, before caps and limits."""

    def weight(points: int, reason: Reason) -> Weight:
        return Weight(entry.id, entry.rule, points, reason)

    match entry.status:
        case Status.CANCELLED:
            return weight(0, Reason.ENDED)
        case Status.REPAIRED | Status.LAPSED:
            if entry.ended_at is None or at >= entry.ended_at:
                return weight(0, Reason.ENDED)
        case Status.OBJECTED:
            if policy.objection.suspends:
                return weight(0, Reason.SUSPENDED)
        case Status.NOTICE | Status.EFFECTIVE | Status.REPAIR_ASKED:
            pass
    if at < entry.effective_at:
        return weight(0, Reason.NOT_YET)
    if entry.expires_at is None:
        return weight(entry.points, Reason.FULL)
    if at >= entry.expires_at:
        return weight(0, Reason.EXPIRED)
    if entry.earliest_repair_at is None or at <= entry.earliest_repair_at:
        return weight(entry.points, Reason.FULL)
    left = to_ms(entry.expires_at) - to_ms(at)
    whole = to_ms(entry.expires_at) - to_ms(entry.earliest_repair_at)
    size = (2 * abs(entry.points) * left + whole) // (2 * whole)
    return weight(size if entry.points > 0 else -size, Reason.FADING)


def _apply_caps(ordered: Sequence[Entry], weights: dict[str, Weight], policy: Policy) -> None:
    used: Counter[Hashable] = Counter()
    for entry in ordered:
        weight = weights[entry.id]
        rule = policy.rules.get(entry.rule)
        if rule is None or weight.points <= 0:
            continue
        caps = _caps_of(entry, rule)
        room = min((most - used[key] for key, most in caps.items()), default=weight.points)
        if room < weight.points:
            weights[entry.id] = Weight(entry.id, entry.rule, max(0, room), Reason.CAPPED)
        for key in caps:
            used[key] += weights[entry.id].points


def _caps_of(entry: Entry, rule: Rule) -> dict[Hashable, int]:
    """Returns the most points for each purse that the entry draws on."""
    day, buyer, caps = entry.day, entry.facts.buyer, rule.caps
    found: dict[Hashable, int] = {}
    if caps.per_day is not None:
        found[rule.id, day] = caps.per_day
    if caps.total is not None:
        found[rule.id] = caps.total
    if caps.buyer_month is not None and buyer is not None:
        found[rule.id, buyer, day.year, day.month] = caps.buyer_month
    return found


def _apply_volume_limits(
    ordered: Sequence[Entry], weights: dict[str, Weight], policy: Policy
) -> None:
    months: defaultdict[tuple[RuleClass, int, int], list[Entry]] = defaultdict(list)
    for entry in ordered:
        rule = policy.rules.get(entry.rule)
        if rule is None or not weights[entry.id].points:
            continue
        if rule.rule_class in policy.volume_limits:
            months[rule.rule_class, entry.day.year, entry.day.month].append(entry)
    for (rule_class, _, _), found in months.items():
        limit = policy.volume_limits[rule_class]
        # The month's entries know its chains at different times; the most is the latest.
        counted = limit.entries_counted(max(entry.facts.chains or 0 for entry in found))
        heaviest = sorted(found, key=lambda entry: weights[entry.id].points)
        left = limit.points_per_month
        for place, entry in enumerate(heaviest):
            room = left if place < counted else 0
            if -weights[entry.id].points > room:
                weights[entry.id] = Weight(entry.id, entry.rule, -room, Reason.OVER_LIMIT)
            left += weights[entry.id].points


def _in_force(holds: Iterable[Hold], at: datetime) -> tuple[Hold, ...]:
    by_finding: dict[str, Hold] = {}
    for hold in holds:
        if hold.points < 0:
            raise ValueError(f"hold of {hold.finding}: expected points >= 0, got {hold.points}")
        if by_finding.setdefault(hold.finding, hold) != hold:
            raise ValueError(f"hold of {hold.finding} stands twice with different content")
    in_force = (hold for hold in by_finding.values() if hold.since <= at < hold.lifts_at)
    return tuple(sorted(in_force, key=lambda hold: (hold.since, hold.finding)))


def _limit_hold(without_holds: int, held: int, policy: Policy) -> int:
    """Returns the score with holds: never further down than the policy's number of grades."""
    grade = GRADES.index(policy.grade_of(without_holds))
    lowest = policy.grades[min(grade + policy.hold.max_grades, len(GRADES) - 1)].lowest
    return max(without_holds - held, lowest)


def _forced(entry: Entry, weight: Weight, policy: Policy) -> bool:
    rule = policy.rules.get(entry.rule)
    if rule is None or rule.forces_grade is None:
        return False
    return weight.reason in (Reason.FULL, Reason.FADING)


def _worst(grade: Grade, *others: Grade | None) -> Grade:
    return max((grade, *(other for other in others if other)), key=GRADES.index)


def _breakdown(weights: Iterable[Weight], policy: Policy) -> tuple[RuleTotal, ...]:
    """Returns the totals in the policy's order, rules of other versions after them by id."""
    points: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for weight in weights:
        if weight.points:
            points[weight.rule] += weight.points
            count[weight.rule] += 1
    order = {rule: place for place, rule in enumerate(policy.rules)}
    rules = sorted(count, key=lambda rule: (order.get(rule, len(order)), rule))
    return tuple(RuleTotal(rule, points[rule], count[rule]) for rule in rules)
