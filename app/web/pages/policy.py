"""Fills the page of a policy: its numbers, who may do what when, and one example worked through.

The example is computed from the version that the page shows, by the same function as every score: a
policy that changes a number changes it here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from app.credit.policy import Entry, Status, score
from app.credit.rules import Policy, Rule, RuleClass
from app.credit.steps import TABLE, Who
from app.web.deps import Rooms
from app.web.pages.standing_views import MoveLine, PolicyView, Scene, Version
from app.web.pages.views import Frame

_NOON_IN_CHINA = time(4, tzinfo=UTC)
_DAYS_OF_CHAINS = 30
_EXAMPLE = "example"


def fill_policy(rooms: Rooms, frame: Frame, version: int | None) -> PolicyView:
    """Returns the view of a version, the one in force where none is named. Raises NotFound."""
    policies = rooms.credit.policies
    in_force = rooms.credit.policy
    policy = in_force if version is None else policies.get(version)
    return PolicyView(
        frame=frame,
        policy=policy,
        state=_state(policy, in_force),
        scenes=tuple(work_example(policy, frame.lang)),
        moves=tuple(_moves()),
        versions=tuple(
            Version(
                number=number,
                effective_on=policies.get(number).effective_on,
                announced_on=policies.get(number).announced_on,
                state=_state(policies.get(number), in_force),
            )
            for number in policies.versions
        ),
    )


def work_example(policy: Policy, lang: str) -> Iterator[Scene]:
    """Yields the days of one shop: a month of whole chains, one more merit, one fault and its end.

    All by the rules of this policy; the fault is the first of its general class.
    """
    chains = policy.rules[policy.data_enough_rule]
    merit = next((r for r in policy.rules.values() if r.points > 0 and r.id != chains.id), None)
    fault = next(
        (r for r in policy.rules.values() if r.rule_class is RuleClass.GENERAL and r.points < 0),
        next(r for r in policy.rules.values() if r.points < 0),
    )
    start = datetime.combine(policy.effective_on, _NOON_IN_CHINA)
    entries = [
        _entry(policy, chains, start + timedelta(days=n + 1), n) for n in range(_DAYS_OF_CHAINS)
    ]
    days: list[tuple[datetime, str, Rule | None, int]] = [
        (start, "start", None, 0),
        (entries[-1].effective_at, "effect", chains, len(entries)),
    ]
    at = entries[-1].effective_at
    if merit is not None:
        at += timedelta(days=1)
        entries.append(_entry(policy, merit, at, 0))
        days.append((at, "effect", merit, 1))
    at += timedelta(days=10)
    loss = _entry(policy, fault, at, 0)
    entries.append(loss)
    days.append((at, "effect", fault, 1))
    repair, end = loss.earliest_repair_at, loss.expires_at
    if repair is not None and end is not None:
        if repair > at:
            days.append((repair, "repair_from", fault, 1))
        days.append((repair + (end - repair) / 2, "half", fault, 1))
    gains_end = max(e.expires_at for e in entries if e.points > 0 and e.expires_at is not None)
    days.append((gains_end, "gains_end", None, 0))
    if end is not None:
        days.append((end, "end", fault, 1))
    for day, event, rule, count in sorted(days, key=lambda one: one[0]):
        card = score(entries, (), day, policy)
        yield Scene(
            at=day,
            event=event,
            title="" if rule is None else rule.title[lang],
            count=count,
            points=0 if rule is None else rule.points * count,
            earned=min(card.earned, policy.positive_cap),
            lost=card.lost,
            score=card.score,
            grade=card.grade,
        )


def _entry(policy: Policy, rule: Rule, at: datetime, number: int) -> Entry:
    term = rule.term(at)
    return Entry(
        id=f"{rule.id} {number:03}",
        party=_EXAMPLE,
        rule=rule.id,
        points=rule.points,
        effective_at=at,
        earliest_repair_at=term.earliest_repair_at,
        expires_at=term.expires_at,
        policy_version=policy.version,
    )


def _state(policy: Policy, in_force: Policy) -> str:
    if policy.version == in_force.version:
        return "in_force"
    return "past" if policy.version < in_force.version else "announced"


def _moves() -> Iterator[MoveLine]:
    for move in TABLE.values():
        yield MoveLine(
            step=move.step,
            who=tuple(who for who in Who if who in move.who),
            origins=tuple(str(status) for status in Status if status in move.from_),
            to="" if move.to is None else str(move.to),
        )
