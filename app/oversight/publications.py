"""The authority's list of measures that are to be made public, by the day on which that is due.

Seven working days after the day of the decision, as `credit.workdays` counts all terms; the last day counts
whole. Each authority sees its own decisions: who decides publishes. An account with a region sees those on
parties there. That one is published is an event on the party (`publication`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.credit.workdays import deadline
from app.db.engine import Database
from app.kit.clock import Clock, from_ms, local_day
from app.parties import measurestore
from app.parties.principal import Principal
from app.parties.store import mask_name

WORKING_DAYS = 7
_ACTION = "finding.attribute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure of the caller's authority. due_at: the end of the last day on which publishing is in time.

    approximate: that counts days whose official calendar is not known. late: overdue, or published too late.
    """

    id: str
    party: str
    party_name: str
    region: str | None
    kind: str
    basis: str
    decided_at: datetime
    due_at: datetime
    approximate: bool
    late: bool
    published_on: date | None
    url: str | None
    place: measurestore.Place


class Publications:
    """Read-only; what is published is recorded as any event."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        principal: Principal,
        *,
        published: bool = False,
        after: measurestore.Place | None = None,
        limit: int,
    ) -> list[Measure]:
        """Returns what is due, by the day on which it is, or what was published, the newest decision first.

        Raises what `check_may` raises.
        """
        principal.check_may(_ACTION)
        with self._database.read() as connection:
            rows = measurestore.page(
                connection,
                authority=principal.own_party(),
                region=principal.region,
                published=published,
                after=after,
                limit=limit,
            )
        now = self._clock.now()
        return [_measure(row, now) for row in rows]

    def count_due(self, principal: Principal, *, most: int) -> tuple[int, bool]:
        """Returns how many are due (at most so many are looked at), and whether one is overdue."""
        found = self.page(principal, limit=most)
        return len(found), any(one.late for one in found[:1])


def _measure(row: Any, now: datetime) -> Measure:
    decided_at = from_ms(row.decided_at)
    due = deadline(decided_at, working_days=WORKING_DAYS)
    day = None if row.published_on is None else date.fromisoformat(row.published_on)
    return Measure(
        id=row.id,
        party=row.party,
        party_name=mask_name(row.name) if row.exempt else row.name,
        region=row.region,
        kind=row.kind,
        basis=row.basis,
        decided_at=decided_at,
        due_at=due.at,
        approximate=due.approximate,
        late=(day or local_day(now)) > local_day(due.at),
        published_on=day,
        url=row.url,
        place=(row.decided_at, row.party, row.id),
    )
