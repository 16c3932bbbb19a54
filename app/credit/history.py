"""The score over time: the pure score function asked at past and coming times, a bounded number of them.

Of a party's public entries alone: what was repaired, cancelled or has lapsed left public view, and a
line that still dipped for it would tell it. So anybody gets the same line from the public entries, the
policies and `scripts/recompute_score.py --at`. What is to come supposes that nothing new is entered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.credit.policy import Entry, Hold, score
from app.credit.rules import Grade, Policy

PAST_SPANS, COMING_SPANS = 56, 24
LEAST_SPANS = 3
MOST_WEIGHINGS = 40_000
"""Of entries, for one line; a party with more entries gets a coarser line, never a longer wait."""


class Event(StrEnum):
    """What happens to an entry or a hold at a time."""

    EFFECT = "effect"
    REPAIR_FROM = "repair_from"
    END = "end"
    HOLD = "hold"
    HOLD_LIFTS = "hold_lifts"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event and whose it is: an entry's id, or a hold's finding."""

    event: Event
    of: str


@dataclass(frozen=True, slots=True)
class Moment:
    """The score from this time on, until the next moment. happenings: since the moment before."""

    at: datetime
    score: int
    score_without_holds: int
    grade: Grade
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """Moments in order; the one at `now` is among them, as is the first and the last."""

    now: datetime
    moments: tuple[Moment, ...]

    @property
    def past(self) -> tuple[Moment, ...]:
        """The moments up to now, which is the last of them."""
        return tuple(one for one in self.moments if one.at <= self.now)

    @property
    def coming(self) -> tuple[Moment, ...]:
        """The moments after now."""
        return tuple(one for one in self.moments if one.at > self.now)


def follow_score(
    entries: Sequence[Entry],
    holds: Sequence[Hold],
    policy_at: Callable[[datetime], Policy],
    *,
    start: datetime,
    now: datetime,
    until: datetime,
) -> Course:
    """Returns the score from `start` to `until`, each time by the policy of that time.

    Events closer together than a span are told together, at the last of them. Raises ValueError
    unless start < now < until.
    """
    if not start < now < until:
        raise ValueError(f"expected start < now < until, got {start}, {now}, {until}")
    events = sorted(_events(entries, holds), key=lambda one: (one[0], one[1].of, one[1].event))
    fading = [
        (entry.earliest_repair_at, entry.expires_at)
        for entry in entries
        if entry.earliest_repair_at is not None and entry.expires_at is not None
    ]
    # Each time costs a look at every entry.
    scale = min(1.0, MOST_WEIGHINGS / ((len(entries) + 1) * (PAST_SPANS + COMING_SPANS + 1)))

    def moment(at: datetime, happenings: Sequence[Happening] = ()) -> Moment:
        card = score(entries, holds, at, policy_at(at))
        return Moment(at, card.score, card.score_without_holds, card.grade, tuple(happenings))

    moments = [moment(start, [told for at, told in events if at == start])]
    for first, last, most in ((start, now, PAST_SPANS), (now, until, COMING_SPANS)):
        spans = max(LEAST_SPANS, int(most * scale))
        width = (last - first) / spans
        told: defaultdict[int, list[tuple[datetime, Happening]]] = defaultdict(list)
        for at, happening in events:
            if first < at <= last:
                told[min(int((at - first) / width), spans - 1)].append((at, happening))
        for number in range(spans):
            here = told.get(number, [])
            end = last if number == spans - 1 else first + width * (number + 1)
            begin = first + width * number
            happenings = [happening for _, happening in here]
            if number == spans - 1:
                moments.append(moment(end, happenings))
            elif here:
                if moments[-1].at == here[-1][0]:
                    moments.pop()  # it fades up to the very end of its span, where this begins the next
                moments.append(moment(here[-1][0], happenings))
            elif policy_at(begin).version != policy_at(end).version or any(
                a < end and b > begin for a, b in fading
            ):
                moments.append(moment(end))
    return Course(now, tuple(moments))


def _events(
    entries: Sequence[Entry], holds: Sequence[Hold]
) -> Iterator[tuple[datetime, Happening]]:
    for entry in entries:
        yield entry.effective_at, Happening(Event.EFFECT, entry.id)
        repair, end = entry.earliest_repair_at, entry.expires_at
        if repair is not None and entry.points < 0:
            yield repair, Happening(Event.REPAIR_FROM, entry.id)
        if end is not None:
            yield end, Happening(Event.END, entry.id)
    for hold in holds:
        yield hold.since, Happening(Event.HOLD, hold.finding)
        yield hold.lifts_at, Happening(Event.HOLD_LIFTS, hold.finding)


LONGEST_PAST = timedelta(days=365)
SHORTEST = timedelta(days=30)
LONGEST_COMING = timedelta(days=180)


def span_of(
    entries: Sequence[Entry], *, since: datetime, now: datetime
) -> tuple[datetime, datetime]:
    """Returns from when to when a line is worth drawing: a year back at most, half a year ahead.

    since: when the party was registered.
    """
    first = min((entry.effective_at for entry in entries), default=now)
    start = max(now - LONGEST_PAST, min(first - timedelta(days=1), since, now - SHORTEST))
    ends = [entry.expires_at for entry in entries if entry.points < 0 and entry.expires_at]
    until = min(now + LONGEST_COMING, max([*ends, now]) + timedelta(days=7))
    return start, max(until, now + SHORTEST)
