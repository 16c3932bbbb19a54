"""The ledger of credit: entries and holds as records of `party/{id}`, scores computed from them.

The same fact always gives the same entry id, so whoever meets it twice writes it once. A score is
never stored: it is the policy's pure function of entries, holds and time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid5

from sqlalchemy import Connection

from app.credit import store
from app.credit.cards import KeptCards, count_cards
from app.credit.loader import Policies, packaged
from app.credit.policy import Entry, ScoreCard, Status
from app.credit.records import NAMESPACE, By, CreditRecords, NewEntry, check_known, entry_id
from app.credit.rules import Policy
from app.credit.steps import ENDED, Step
from app.credit.workdays import add_working_days
from app.db.engine import Database
from app.kit.clock import Clock, format_time, local_day, to_ms
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
from app.ledger.repeat import IdConflict
from app.ledger.submission import Draft, Effect, StreamHead, View
from app.parties.identity import SYSTEM
from app.parties.roles import REGULATOR

__all__ = ["Credit", "NewEntry", "entry_id"]


# Columns that are the time at which the record was made.
_RECORDED_AT = {"credit_hold": ("since_at",), "credit_hold_lifted": ("lifted_at",)}


class Credit:
    """The local credit store: entries in this database, chained like everything else."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        *,
        clock: Clock,
        policies: Policies | None = None,
        tells_remote: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self.policies = policies or packaged()
        self._kept = KeptCards()
        self.records = CreditRecords(database, recorder, clock=clock, tells_remote=tells_remote)

    @property
    def policy(self) -> Policy:
        """The policy in force now."""
        return self.policies.at(self._clock.now())

    def card(self, party: str) -> ScoreCard:
        """Returns a party's score now. Raises PartyUnknown. Read-only."""
        with self._database.read() as connection:
            check_known(connection, party)
            return self.cards(connection, [party])[party]

    def cards(
        self, connection: Connection, parties: Sequence[str], *, chains_at_most: int | None = None
    ) -> dict[str, ScoreCard]:
        """Returns the scores of several parties now. Read-only.

        chains_at_most: whole chains are counted no further than this; a score does not follow from
        them, and whether data is enough from very few (`policy.data_enough_count`).
        """
        now = self._clock.now()
        return count_cards(connection, parties, self.policy, now, chains_at_most=chains_at_most)

    def kept_cards(
        self, connection: Connection, heads: Mapping[str, StreamHead], at: datetime
    ) -> dict[str, ScoreCard]:
        """Returns the scores of the parties whose streams have these heads, by party. Read-only.

        For whoever asks often: as `KeptCards` says, a little late where time alone changes a score.
        """
        return self._kept.of(connection, heads, self.policies.at(at), at)

    def entries(self, party: str) -> tuple[list[Entry], ScoreCard]:
        """Returns a party's entries and the score they make now. Raises PartyUnknown. Read-only."""
        card = self.card(party)
        with self._database.read() as connection:
            return store.load_entries(connection, party), card

    def post(self, new: NewEntry, *, confirmed_by: str | None = None) -> str:
        """Returns the id of the entry for this fact, written now unless it is there.

        confirmed_by: the regulator whose decision it follows, who enters it where the policy wants a
        person to. Raises ValueError for a rule that then nobody may enter.
        """
        identifier = entry_id(party=new.party, rule=new.rule, key=new.key)
        with self._database.read() as connection:
            if store.find_entry(connection, identifier) is not None:
                return identifier
        policy = self.policy
        by, sources = By(), policy.rules[new.rule].entered_by
        if SYSTEM not in sources:
            if confirmed_by is None or REGULATOR not in sources:
                raise ValueError(f"{new.rule}: the policy has a person enter it")
            by = By(confirmed_by, REGULATOR)
        try:
            self.records.make_entry(new, policy, identifier=identifier, by=by)
        except IdConflict:
            # Somebody else met the same fact in the same moment, and dates it a little otherwise.
            if not self.stands(party=new.party, rule=new.rule, key=new.key):
                raise
        return identifier

    def cancel(self, *, party: str, rule: str, key: str, reason: str) -> bool:
        """Cancels the entry for this fact if it is still only announced; returns whether it was."""
        identifier = entry_id(party=party, rule=rule, key=key)
        with self._database.read() as connection:
            row = store.find_entry(connection, identifier)
        if (
            row is None
            or Status(row.status) in ENDED
            or row.effective_at <= to_ms(self._clock.now())
        ):
            return False
        self.records.take_step(identifier, Step.WITHDRAW, more={"reason": reason})
        return True

    def stands(self, *, party: str, rule: str, key: str) -> bool:
        """Whether the entry for this fact was written and not cancelled. Read-only."""
        with self._database.read() as connection:
            row = store.find_entry(connection, entry_id(party=party, rule=rule, key=key))
        return row is not None and row.status != Status.CANCELLED

    def annul(self, *, party: str, rule: str, key: str, reason: str) -> None:
        """Cancels the entry for this fact, announced or in effect: it was found to be wrong."""
        identifier = entry_id(party=party, rule=rule, key=key)
        with self._database.read() as connection:
            row = store.find_entry(connection, identifier)
        if row is not None and self._stands_now(row):
            self.records.take_step(identifier, Step.WITHDRAW, more={"reason": reason})

    def _stands_now(self, row: Any) -> bool:
        now_ms = to_ms(self._clock.now())
        expired = row.expires_at is not None and row.expires_at <= now_ms
        return Status(row.status) not in ENDED and not expired

    def hold(self, party: str, finding: str, *, again: bool = False) -> None:
        """Holds the policy's points while a finding waits for its attribution; once a finding.

        again: also where the hold was lifted before its time, since the finding was closed and is not.
        """
        with self._database.read() as connection:
            held = store.find_hold(connection, finding)
        if held is not None and (held.lifted_at is None or not again):
            return
        now = self._clock.now()
        terms = self.policy.hold
        lifts_at = add_working_days(now, terms.working_days)
        data = {
            "finding": finding,
            "points": terms.points,
            "policy": self.policy.version,
            "lifts_at": format_time(lifts_at),
        }
        row = {
            "finding": finding,
            "party": party,
            "points": terms.points,
            "lifts_at": to_ms(lifts_at),
            "lifted_at": None,
        }
        before = "" if held is None else f" {held.lifted_at}"
        record_id = str(uuid5(NAMESPACE, f"hold {finding}{before}"))
        self._record(party, record_id, "credit_hold", data, Effect("credit_hold", row))

    def lift(self, finding: str, *, reason: str) -> None:
        """Lifts a finding's hold before its time."""
        with self._database.read() as connection:
            held = store.find_hold(connection, finding)
        if held is None or held.lifted_at is not None:
            return
        data = {"finding": finding, "reason": reason}
        row = {"finding": finding}
        record_id = str(uuid5(NAMESPACE, f"lift {finding} {held.since_at}"))
        effect = Effect("credit_hold_lifted", row)
        self._record(held.party, record_id, "credit_hold_lifted", data, effect)

    def on_chain_completed(
        self,
        *,
        seller: str,
        code: str,
        cycle: str,
        record_hash: bytes,
        at: datetime,
        buyer: bytes | None,
    ) -> None:
        """Earns the seller the rule's points for one whole chain, as far as its caps leave room.

        Beyond the cap of the day, of one buyer's month, or on all points in force, nothing is written:
        it could not count.
        buyer: pseudonym for the cap on one buyer; kept beside the record, never in it.
        """
        rule = self.policy.rules[self.policy.data_enough_rule]
        with self._database.read() as connection:
            card = self.cards(connection, [seller])[seller]
            entries = store.load_entries(connection, seller)
        counted = sum(w.points for w in card.weights.values() if w.rule == rule.id)
        today = sum(e.points for e in entries if e.rule == rule.id and e.day == local_day(at))
        caps = rule.caps
        if (caps.total is not None and counted >= caps.total) or (
            caps.per_day is not None and today >= caps.per_day
        ):
            return
        most = caps.buyer_month
        if buyer is not None and most is not None:
            day = local_day(at)
            with self._database.read() as connection:
                brought = store.count_of_buyer(
                    connection, seller, rule=rule.id, buyer=buyer, day=day
                )
            if brought >= most:
                return
        # The record by its hash: whoever holds the unit finds it, and nobody can list a shop's units.
        evidence = {"record": record_hash.hex()}
        self.post(NewEntry(seller, rule.id, f"{code} {cycle}", evidence, at, buyer=buyer))

    def is_public(self, entry: Entry) -> bool:
        """Whether the public sees this entry.

        Repaired, cancelled and expired ones left public view; an announced one enters it when it
        takes effect, since notice comes before publishing. All that weighs is public, so that anybody
        can recompute the score.
        """
        now = self._clock.now()
        if entry.status in ENDED or (entry.expires_at is not None and entry.expires_at <= now):
            return False
        return entry.effective_at <= now

    def _record(
        self,
        party: str,
        record_id: str,
        record_type: str,
        data: Mapping[str, Any],
        *effects: Effect,
    ) -> None:
        def decide(claim: Claim, view: View) -> Draft:
            # Times of rows are the record's, so that the record alone gives them.
            now_ms = to_ms(view.now)
            timed = tuple(
                Effect(e.kind, {**e.row} | dict.fromkeys(_RECORDED_AT[e.kind], now_ms))
                for e in effects
            )
            return Draft(view.heads[claim.stream].state, effects=timed)

        self.records.write(party, record_id, record_type, data, decide)
