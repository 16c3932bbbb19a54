"""Monthly grades: after a month of Asia/Shanghai ended, each party's score and grade at its end.

One record a party and month (`credit_snapshot`), made once: its id follows from both. What is learnt
later about that month moves the score, and no snapshot. A month in which no worker ran until the next
one ended has none: nobody looked, and nothing is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid5

from app.credit import matterstore, store
from app.credit.matterbook import MatterBook
from app.credit.policy import ScoreCard, score
from app.credit.records import NAMESPACE
from app.credit.service import Credit
from app.credit.workdays import end_of_day
from app.db.engine import Database
from app.kit.clock import Clock, format_time, local_day, parse_time, to_ms
from app.ledger.record import Claim
from app.ledger.submission import Draft, Effect, Submission, View
from app.parties.chain import party_claim
from app.parties.identity import SYSTEM
from app.parties.roles import AGGREGATOR, CARRIER, MERCHANT, PLATFORM, SUPPLIER

Fields = Mapping[str, Any]

TYPE = "credit_snapshot"
_GRADED = frozenset({MERCHANT, SUPPLIER, CARRIER, PLATFORM, AGGREGATOR})
_BATCH = 200


class Snapshots:
    """Takes monthly grades. `take_due` is a loop of the worker."""

    def __init__(
        self,
        database: Database,
        book: MatterBook,
        credit: Credit,
        *,
        clock: Clock,
        after_each: Callable[[str, str], None] = lambda _party, _month: None,
    ) -> None:
        self._database = database
        self._book = book
        self._credit = credit
        self._clock = clock
        self._after_each = after_each
        # Of this process alone: after a restart the month is walked through again, and found taken.
        self._walked: tuple[str, str] = ("", "")
        self._done = ""

    def take_due(self) -> bool:
        """Takes the grades of the month that ended last; returns whether there may be more."""
        month, end = last_month(self._clock.now())
        if self._done == month:
            return False
        after = self._walked[1] if self._walked[0] == month else ""
        with self._database.read() as connection:
            rows = matterstore.without_snapshot(
                connection, month, registered_by_ms=to_ms(end), after=after, limit=_BATCH
            )
        parties = [row.id for row in rows if _GRADED & set(row.roles.split(","))]
        if parties:
            self._take(parties, month, end)
        for party in parties:
            self._after_each(party, month)
        if len(rows) < _BATCH:
            self._done = month
            return False
        self._walked = (month, rows[-1].id)
        return True

    def _take(self, parties: list[str], month: str, end: datetime) -> None:
        policy = self._credit.policies.at(end)
        with self._database.read() as connection:
            entries = store.load_entries_of(connection, parties)
            holds = store.load_holds_of(connection, parties)
            chains = store.completed_counts(
                connection, parties, now_ms=to_ms(end), most=policy.data_enough_count
            )
        submissions = []
        for party in parties:
            card = score(
                entries[party], holds[party], end, policy, completed_chains=chains.get(party, 0)
            )
            submissions.append(self._submission(party, month, end, card))
        self._book.write_all(submissions)

    def _submission(self, party: str, month: str, end: datetime, card: ScoreCard) -> Submission:
        data = {
            "month": month,
            "as_of": format_time(end),
            "score": card.score,
            "score_without_holds": card.score_without_holds,
            "grade": card.grade,
            "data_enough": card.data_enough,
            "policy": card.policy_version,
            "entries": sum(weight.points != 0 for weight in card.weights.values()),
        }

        def decide(claim: Claim, view: View) -> Draft:
            head = view.heads[claim.stream]
            row = snapshot_row(data, party=party, seq=head.seq + 1, at_ms=to_ms(view.now))
            return Draft(head.state, effects=(Effect(TYPE, row),))

        identifier = str(uuid5(NAMESPACE, f"snapshot {party} {month}"))
        claim = party_claim(party, identifier, TYPE, data, actor=SYSTEM, at=self._clock.now())
        return Submission(claim, SYSTEM, decide, time_given=False)


def last_month(now: datetime) -> tuple[str, datetime]:
    """Returns the month that ended last, as YYYY-MM, and its last millisecond."""
    last: date = local_day(now).replace(day=1) - timedelta(days=1)
    return f"{last:%Y-%m}", end_of_day(last)


def snapshot_row(data: Fields, *, party: str, seq: int, at_ms: int) -> dict[str, Any]:
    """Returns the index row that a `credit_snapshot` record gives."""
    named = ("month", "score", "score_without_holds", "grade", "data_enough", "policy", "entries")
    return {
        "party": party,
        **{name: data[name] for name in named},
        "weighed_at": to_ms(parse_time(data["as_of"])),
        "seq": seq,
        "at": at_ms,
    }
