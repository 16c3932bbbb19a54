"""Early warning 预警: a party's score or its trend crossed a line of the policy.

Compared is the score now with the score that the same ledger gave so many days ago. One record a
party and kind in so many days (`credit_warning`): it costs nothing and is not public; the party,
regulators and who asked by a webhook are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid5

from app.credit import matterstore, store
from app.credit.matterbook import MatterBook
from app.credit.policy import Entry, ScoreCard, Status, score
from app.credit.records import NAMESPACE
from app.credit.rules import GRADES, Policy
from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, format_time, local_day, to_ms
from app.ledger.record import Claim
from app.ledger.submission import Draft, Effect, Submission, View
from app.parties.chain import party_claim
from app.parties.identity import SYSTEM

Fields = Mapping[str, Any]
WarningKind = Literal["grade_fell", "near_border", "drop"]

TYPE = "credit_warning"
WARNED = "credit.warned"
"""Topic: a warning was given."""
_BATCH = 200


class Alerts:
    """Gives warnings. `look` is a loop of the worker."""

    def __init__(
        self, database: Database, book: MatterBook, credit: Credit, *, clock: Clock
    ) -> None:
        self._database = database
        self._book = book
        self._credit = credit
        self._clock = clock
        self._after = ""

    def look(self) -> bool:
        """Looks at the next parties of whom the ledger says anything; returns whether there are more."""
        now, policy = self._clock.now(), self._credit.policy
        then = now - timedelta(days=policy.warnings.drop_days)
        with self._database.read() as connection:
            parties = store.parties_with_entries_after(connection, self._after, limit=_BATCH)
            cards = self._credit.cards(connection, parties, chains_at_most=policy.data_enough_count)
            entries = store.load_entries_of(connection, parties)
            warned = matterstore.warned_since(connection, parties, since_ms=to_ms(then))
        found = []
        for party in parties:
            before = score(_as_of(entries[party], then), (), then, policy, completed_chains=0)
            found += [
                self._submission(party, kind, line, cards[party], before, now)
                for kind, line in lines_crossed(before, cards[party], policy)
                if (party, kind) not in warned
            ]
        if found:
            self._book.write_all(found)
        more = len(parties) == _BATCH
        self._after = parties[-1] if more else ""
        return more

    def _submission(
        self, party: str, kind: WarningKind, line: int, card: ScoreCard, before: ScoreCard,
        now: datetime,
    ) -> Submission:  # fmt: skip
        identifier = str(uuid5(NAMESPACE, f"warning {party} {kind} {local_day(now)}"))
        data = {
            "kind": kind,
            "score": card.score,
            "grade": card.grade,
            "before": before.score,
            "line": line,
            "policy": card.policy_version,
            "as_of": format_time(now),
        }

        def decide(claim: Claim, view: View) -> Draft:
            head = view.heads[claim.stream]
            row = warning_row(
                data, party=party, identifier=claim.id, seq=head.seq + 1, at_ms=to_ms(view.now)
            )
            return Draft(
                head.state,
                effects=(Effect(TYPE, row),),
                outbox=((WARNED, {"party": party, "warning": claim.id, **data}),),
            )

        claim = party_claim(party, identifier, TYPE, data, actor=SYSTEM, at=now)
        return Submission(claim, SYSTEM, decide, time_given=False)


def lines_crossed(
    before: ScoreCard, now: ScoreCard, policy: Policy
) -> list[tuple[WarningKind, int]]:
    """Returns the lines between two scores of a party, the graver first. Pure.

    line: the score at which the warning begins. A grade that fell says that it is near its border too.
    """
    terms, found = policy.warnings, list[tuple[WarningKind, int]]()
    lowest = {step.grade: step.lowest for step in policy.grades}
    if GRADES.index(now.grade) > GRADES.index(before.grade):
        found.append(("grade_fell", lowest[before.grade]))
    else:
        line = lowest[now.grade] + terms.border_margin
        # The worst grade has no border to fall over.
        if now.grade != GRADES[-1] and now.score < line <= before.score:
            found.append(("near_border", line))
    if before.score - now.score >= terms.drop_points:
        found.append(("drop", before.score - terms.drop_points))
    return found


def warning_row(
    data: Fields, *, party: str, identifier: str, seq: int, at_ms: int
) -> dict[str, Any]:
    """Returns the index row that a `credit_warning` record gives."""
    named = ("kind", "score", "grade", "before", "line", "policy")
    told = {name: data[name] for name in named}
    return {"id": identifier, "party": party, **told, "seq": seq, "at": at_ms}


def _as_of(entries: Sequence[Entry], then: datetime) -> list[Entry]:
    # What was found wrong since had counted then; but it had been wrong then, too.
    return [e for e in entries if e.status is not Status.CANCELLED and e.effective_at <= then]
