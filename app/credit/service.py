"""The ledger of credit: entries and holds as records of `party/{id}`, scores computed from them.

The same fact always gives the same entry id, so whoever meets it twice writes it once. A score is
never stored: it is the policy's pure function of entries, holds and time.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
import uuid_utils
from sqlalchemy import Connection

from app.credit import store
from app.credit.loader import load_policy
from app.credit.policy import Entry, ScoreCard, Status, score
from app.credit.rules import Policy, RuleClass
from app.credit.workdays import add_working_days, local_day
from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, format_time, to_ms
from app.kit.errors import Fault, NotFound
from app.ledger.record import Claim, seal_commitment
from app.ledger.recorder import Recorder
from app.ledger.submission import Draft, Effect, Seal, Submission, View
from app.ledger.vault import SALT_BYTES
from app.parties.identity import SYSTEM
from app.parties.roles import REGULATOR

_NAMESPACE = UUID("0d1c9a6e-6a0f-5d1e-8a34-2f7c5b9e1c02")


class PartyUnknown(NotFound):
    """No such party is registered."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be written. key: what makes the fact this fact; one entry a rule, party and key.

    notice: announced first, effective after the policy's working days. buyer: pseudonym for caps.
    """

    party: str
    rule: str
    key: str
    evidence: Mapping[str, Any]
    at: datetime
    notice: bool = False
    buyer: bytes | None = None
    chains: int | None = None


def entry_id(*, party: str, rule: str, key: str) -> str:
    """Returns the id of the entry for this fact."""
    return str(uuid5(_NAMESPACE, f"{party} {rule} {key}"))


class Credit:
    """The local credit store: entries in this database, chained like everything else."""

    def __init__(
        self, database: Database, recorder: Recorder, *, clock: Clock, policy: Policy | None = None
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self.policy = policy or load_policy(1)

    def card(self, party: str) -> ScoreCard:
        """Returns a party's score now. Raises PartyUnknown. Read-only."""
        with self._database.read() as connection:
            if party not in store.known_parties(connection, [party]):
                raise PartyUnknown("party_unknown", party=party[:64])
            return self.cards(connection, [party])[party]

    def cards(
        self, connection: Connection, parties: Sequence[str], *, chains_at_most: int | None = None
    ) -> dict[str, ScoreCard]:
        """Returns the scores of several parties now. Read-only.

        chains_at_most: whole chains are counted no further than this; a score does not follow from
        them, and whether data is enough from very few (`policy.data_enough_count`).
        """
        now = self._clock.now()
        entries = store.load_entries_of(connection, parties)
        holds = store.load_holds_of(connection, parties)
        chains = store.completed_counts(connection, parties, now_ms=to_ms(now), most=chains_at_most)
        return {
            party: score(
                entries[party],
                holds[party],
                now,
                self.policy,
                completed_chains=chains.get(party, 0),
            )
            for party in parties
        }

    def entries(self, party: str) -> tuple[list[Entry], ScoreCard]:
        """Returns a party's entries and the score they make now. Raises PartyUnknown. Read-only."""
        card = self.card(party)
        with self._database.read() as connection:
            return store.load_entries(connection, party), card

    def post(self, new: NewEntry) -> str:
        """Returns the id of the entry for this fact, written now unless it is there."""
        identifier = entry_id(party=new.party, rule=new.rule, key=new.key)
        with self._database.read() as connection:
            if store.find_entry(connection, identifier) is not None:
                return identifier
        rule = self.policy.rules[new.rule]
        effective_at = (
            add_working_days(new.at, self.policy.notice_working_days) if new.notice else new.at
        )
        term = rule.term(effective_at)
        status = Status.NOTICE if new.notice else Status.EFFECTIVE
        data: dict[str, Any] = {
            "entry": identifier,
            "rule": rule.id,
            "points": rule.points,
            "policy": self.policy.version,
            "status": str(status),
            "effective_at": format_time(effective_at),
            "expires_at": format_time(term.expires_at),
            "evidence": dict(new.evidence),
            "day": local_day(new.at).isoformat(),
        }
        if term.earliest_repair_at is not None:
            data["earliest_repair_at"] = format_time(term.earliest_repair_at)
        if new.chains is not None:
            data["chains"] = new.chains
        row = {
            "id": identifier,
            "party": new.party,
            "rule": rule.id,
            "points": rule.points,
            "policy": self.policy.version,
            "effective_at": to_ms(effective_at),
            "earliest_repair_at": None
            if term.earliest_repair_at is None
            else to_ms(term.earliest_repair_at),
            "expires_at": to_ms(term.expires_at),
            "status": str(status),
            "ended_at": None,
            "evidence": orjson.dumps(new.evidence, option=orjson.OPT_SORT_KEYS).decode(),
            "day": data["day"],
            "buyer": new.buyer,
            "chains": new.chains,
        }
        self._record(new.party, identifier, "credit_entry", data, "credit_entry", row)
        return identifier

    def set_status(self, party: str, entry: str, status: Status, *, reason: str) -> None:
        """Moves an entry to `status` (repaired, lapsed, cancelled, objected, effective)."""
        now = self._clock.now()
        ended = status in (Status.REPAIRED, Status.LAPSED, Status.CANCELLED)
        data = {"entry": entry, "status": str(status), "reason": reason}
        row = {"id": entry, "status": str(status), "ended_at": to_ms(now) if ended else None}
        # An entry may be objected to, upheld and objected to again: no status is the last one.
        self._record(party, str(uuid_utils.uuid7()), "credit_status", data, "credit_status", row)

    def cancel(self, *, party: str, rule: str, key: str, reason: str) -> bool:
        """Cancels the entry for this fact if it is still only announced; returns whether it was."""
        identifier = entry_id(party=party, rule=rule, key=key)
        with self._database.read() as connection:
            row = store.find_entry(connection, identifier)
        if (
            row is None
            or row.status != Status.NOTICE
            or row.effective_at <= to_ms(self._clock.now())
        ):
            return False
        self.set_status(party, identifier, Status.CANCELLED, reason=reason)
        return True

    def stands(self, *, party: str, rule: str, key: str) -> bool:
        """Whether the entry for this fact was written and not cancelled. Read-only."""
        with self._database.read() as connection:
            row = store.find_entry(connection, entry_id(party=party, rule=rule, key=key))
        return row is not None and row.status != Status.CANCELLED

    def annul(self, *, party: str, rule: str, key: str, reason: str) -> None:
        """Cancels the entry for this fact, announced or in effect: it was found to be wrong."""
        if self.stands(party=party, rule=rule, key=key):
            identifier = entry_id(party=party, rule=rule, key=key)
            self.set_status(party, identifier, Status.CANCELLED, reason=reason)

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
            "since_at": to_ms(now),
            "lifts_at": to_ms(lifts_at),
            "lifted_at": None,
        }
        before = "" if held is None else f" {held.lifted_at}"
        record_id = str(uuid5(_NAMESPACE, f"hold {finding}{before}"))
        self._record(party, record_id, "credit_hold", data, "credit_hold", row)

    def lift(self, finding: str, *, reason: str) -> None:
        """Lifts a finding's hold before its time."""
        with self._database.read() as connection:
            held = store.find_hold(connection, finding)
        if held is None or held.lifted_at is not None:
            return
        data = {"finding": finding, "reason": reason}
        row = {"finding": finding, "lifted_at": to_ms(self._clock.now())}
        record_id = str(uuid5(_NAMESPACE, f"lift {finding} {held.since_at}"))
        self._record(held.party, record_id, "credit_hold_lifted", data, "credit_hold_lifted", row)

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

        Beyond the cap of the day, or on all points in force, nothing is written: it could not count.
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
        # The record by its hash: whoever holds the unit finds it, and nobody can list a shop's units.
        evidence = {"record": record_hash.hex()}
        self.post(NewEntry(seller, rule.id, f"{code} {cycle}", evidence, at, buyer=buyer))

    def record_attribution(
        self, party: str, *, finding: str, to: str, reason: str, by: str
    ) -> None:
        """Records who decided who answers for a finding; the reason is only committed to."""
        seal = Seal("reason", secrets.token_bytes(SALT_BYTES), canonical_bytes({"text": reason}))
        self._record(
            party,
            str(uuid5(_NAMESPACE, f"attribution {finding}")),
            "attribution",
            {"finding": finding, "to": to},
            None,
            {},
            actor=by,
            source=REGULATOR,
            seals=(seal,),
        )

    def is_public(self, entry: Entry) -> bool:
        """Whether the public sees this entry.

        Repaired and cancelled ones left public view; an announced one enters it when it takes
        effect, since notice comes before publishing. All that weighs is public, so that anybody can
        recompute the score.
        """
        if entry.status in (Status.REPAIRED, Status.CANCELLED):
            return False
        return entry.status is not Status.NOTICE or entry.effective_at <= self._clock.now()

    def is_dishonesty(self, entry: Entry) -> bool:
        """Whether the entry is of a class that the policy publishes as dishonesty."""
        rule = self.policy.rules.get(entry.rule)
        return rule is not None and rule.rule_class in (RuleClass.GENERAL, RuleClass.SERIOUS)

    def _record(
        self,
        party: str,
        record_id: str,
        record_type: str,
        data: Mapping[str, Any],
        kind: str | None,
        row: Mapping[str, Any],
        *,
        actor: str = SYSTEM,
        source: str = SYSTEM,
        seals: tuple[Seal, ...] = (),
    ) -> None:
        def decide(claim: Claim, view: View) -> Draft:
            head = view.heads[claim.stream]
            if not head.exists:
                raise PartyUnknown("party_unknown", party=party)
            more = (
                {"seq": head.seq + 1, "created_at": to_ms(view.now)}
                if kind == "credit_entry"
                else {}
            )
            effects = () if kind is None else (Effect(kind, {**row, **more}),)
            return Draft(head.state, effects=effects)

        claim = Claim(
            stream=f"party/{party}",
            id=record_id,
            type=record_type,
            actor=actor,
            occurred_at=self._clock.now(),
            data=data,
            sealed={s.name: seal_commitment(s.name, salt=s.salt, content=s.content) for s in seals},
        )
        submission = Submission(claim, source, decide, seals=seals, time_given=False)
        answer = self._recorder.submit_and_wait([submission])[0]
        if isinstance(answer, Fault):
            raise answer
