"""What another policy would change, before it is in force. Pure; changes nothing.

Three scores for each party: now; `switched`, when the other policy takes over the entries as they
stand, which is what happens on its day; and `replayed`, as if it had priced and dated all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.credit.policy import Entry, Hold, ScoreCard, score
from app.credit.rows import entry_of
from app.credit.rules import Policy
from app.credit.workdays import add_working_days
from app.kit.clock import format_time, from_ms


@dataclass(frozen=True, slots=True)
class Differing:
    """An entry that the other policy would have made otherwise, or weighs otherwise."""

    id: str
    rule: str
    points: tuple[int, int]
    weight: tuple[int, int]
    effective_at: tuple[datetime, datetime]
    expires_at: tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A party now, on the day of the switch, and had the other policy always been in force."""

    party: str
    now: ScoreCard
    switched: ScoreCard
    replayed: ScoreCard
    entries: tuple[Differing, ...]

    @property
    def differs(self) -> bool:
        """Whether the other policy changes anything for this party."""
        cards = (self.switched, self.replayed)
        same = all((c.score, c.grade) == (self.now.score, self.now.grade) for c in cards)
        return bool(self.entries) or not same

    def as_json(self) -> dict[str, Any]:
        """Returns it as the command prints it."""
        cards = {"now": self.now, "switched": self.switched, "replayed": self.replayed}
        return {
            "party": self.party,
            **{name: {"score": c.score, "grade": c.grade} for name, c in cards.items()},
            "entries": [
                {
                    "id": one.id,
                    "rule": one.rule,
                    "points": list(one.points),
                    "weight": list(one.weight),
                    "effective_at": [format_time(moment) for moment in one.effective_at],
                    "expires_at": [m and format_time(m) for m in one.expires_at],
                }
                for one in self.entries
            ],
        }


def compare(
    party: str,
    rows: Sequence[Any],
    holds: Sequence[Hold],
    *,
    at: datetime,
    current: Policy,
    other: Policy,
    completed_chains: int = 0,
) -> Comparison:
    """Returns what `other` would change for one party. rows: its entries as they are stored."""
    entries = [entry_of(row) for row in rows]
    remade = [
        remake(entry, from_ms(row.created_at), other)
        for entry, row in zip(entries, rows, strict=True)
    ]
    now = score(entries, holds, at, current, completed_chains=completed_chains)
    switched = score(entries, holds, at, other, completed_chains=completed_chains)
    replayed = score(remade, holds, at, other, completed_chains=completed_chains)
    differing = tuple(_differing(entries, remade, now.weights, replayed.weights))
    return Comparison(party, now, switched, replayed, differing)


def remake(entry: Entry, made_at: datetime, policy: Policy) -> Entry:
    """Returns the entry as this policy would have priced and dated it; what it does not know stays."""
    rule = policy.rules.get(entry.rule)
    if rule is None:
        return entry
    effective_at = entry.effective_at
    if rule.notice:
        effective_at = add_working_days(made_at, policy.notice_working_days)
    elif rule.points < 0:
        effective_at = min(made_at, entry.effective_at)
    term = rule.term(effective_at)
    return replace(
        entry,
        points=rule.points,
        effective_at=effective_at,
        earliest_repair_at=term.earliest_repair_at,
        expires_at=term.expires_at,
        policy_version=policy.version,
    )


def _differing(
    entries: Sequence[Entry],
    remade: Sequence[Entry],
    now: Mapping[str, Any],
    then: Mapping[str, Any],
) -> Iterator[Differing]:
    for old, new in zip(entries, remade, strict=True):
        weight = (now[old.id].points, then[new.id].points)
        if replace(new, policy_version=old.policy_version) == old and weight[0] == weight[1]:
            continue
        yield Differing(
            id=old.id,
            rule=old.rule,
            points=(old.points, new.points),
            weight=weight,
            effective_at=(old.effective_at, new.effective_at),
            expires_at=(old.expires_at, new.expires_at),
        )
