"""Writing the ledger of credit: every entry, step, hold and lift is a record of `party/{id}`.

Each goes in with its index row, its fact and, where a remote store is to be told, its outbox row, in
one transaction. Where an entry stands is decided under the recorder's lock, never from a row that
was read before: of two steps at once one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
import uuid_utils
from sqlalchemy import Connection

from app.credit import store
from app.credit.document_uses import use_effects
from app.credit.policy import Status
from app.credit.rows import (
    entry_row,
    fact_key,
    standing_of,
    standing_of_row,
    step_row_of,
)
from app.credit.rules import Policy, RuleClass
from app.credit.steps import ENDED, Standing, Step, after
from app.credit.workdays import Deadline, deadline, end_of_day
from app.db.engine import Database
from app.kit.clock import Clock, format_time, local_day, to_ms
from app.kit.errors import Fault, NotFound, Unavailable
from app.ledger import store as ledger_store
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
from app.ledger.repeat import IdConflict
from app.ledger.submission import (
    Draft,
    Effect,
    Read,
    Recorded,
    Seal,
    Submission,
    View,
    all_recorded,
)
from app.parties.chain import party_claim
from app.parties.identity import SYSTEM

NAMESPACE = UUID("0d1c9a6e-6a0f-5d1e-8a34-2f7c5b9e1c02")
TOPIC = "credit.recorded"
"""Of the outbox: a record of the ledger of credit that a remote store is to be told."""
CHANGES = ("credit_entry", "credit_status", "credit_hold", "credit_hold_lifted")
"""Types of the records that credit is made of. A month's grade and a warning only say what came of it."""

_ATTEMPTS = 3
_ONCE = frozenset({Step.TAKE_EFFECT, Step.LAPSE})


class PartyUnknown(NotFound):
    """No such party is registered."""


def check_known(connection: Connection, party: str) -> None:
    """Raises PartyUnknown unless this party is registered. Read-only."""
    if party not in store.known_parties(connection, [party]):
        raise PartyUnknown("party_unknown", party=party[:64])


class EntryUnknown(NotFound):
    """There is no such entry."""


class _Moved(Fault):
    """The entry was moved between the look at it and the decision."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be written. key: what makes the fact this fact; one entry a rule, party and key.

    notice: announced first even where the rule needs none. buyer: pseudonym for the cap on one buyer.
    chains: of the calendar month; counted where the rule's class has a volume limit. day: of the fact
    in Asia/Shanghai, where it is not that of `at`.
    """

    party: str
    rule: str
    key: str
    evidence: Mapping[str, Any]
    at: datetime
    notice: bool = False
    buyer: bytes | None = None
    chains: int | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who speaks: a party's id or `system`, and the source that the record carries."""

    actor: str = SYSTEM
    source: str = SYSTEM


_OURSELVES = By()


def data_of(connection: Connection, stream: str, record_id: str) -> Mapping[str, Any] | None:
    """Returns the data of the record with this id, None where there is none. Read-only."""
    place = (stream, record_id)
    found = ledger_store.find_by_id(connection, [place]).get(place)
    if found is None:
        return None
    data: Mapping[str, Any] = orjson.loads(found[2])["data"]
    return data


def entry_id(*, party: str, rule: str, key: str) -> str:
    """Returns the id of the entry for this fact."""
    return str(uuid5(NAMESPACE, f"{party} {rule} {key}"))


class CreditRecords:
    """Writes records of credit. tells_remote: whether each also goes into the outbox."""

    def __init__(
        self, database: Database, recorder: Recorder, *, clock: Clock, tells_remote: bool = False
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._tells_remote = tells_remote

    def make_entry(
        self,
        new: NewEntry,
        policy: Policy,
        *,
        identifier: str,
        by: By = _OURSELVES,
    ) -> Recorded:
        """Returns the record of a new entry, priced and dated as `policy` says.

        Raises PartyUnknown, or IdConflict where the id is taken.
        """
        rule = policy.rules[new.rule]
        now, approximate = self._clock.now(), False
        day = new.day or local_day(new.at)
        effective_at = new.at
        noticed = new.notice or rule.notice
        if noticed:
            until = deadline(now, working_days=policy.notice_working_days)
            effective_at, approximate = until.at, until.approximate
        term = rule.term(effective_at)
        status = Status.NOTICE if noticed else Status.EFFECTIVE
        chains = new.chains
        if chains is None and rule.rule_class in policy.volume_limits:
            with self._database.read() as connection:
                chains = store.count_chains(connection, new.party, month_of=day)
        object_until = None
        if rule.rule_class is not RuleClass.POSITIVE:
            object_until = end_of_day(local_day(now) + policy.objection.span)
        data: dict[str, Any] = {
            "entry": identifier,
            "rule": rule.id,
            "points": rule.points,
            "policy": policy.version,
            "status": str(status),
            "effective_at": format_time(effective_at),
            "expires_at": format_time(term.expires_at),
            "evidence": dict(new.evidence),
            "day": day.isoformat(),
        }
        for name, moment in (
            ("earliest_repair_at", term.earliest_repair_at), ("object_until", object_until),
        ):  # fmt: skip
            if moment is not None:
                data[name] = format_time(moment)
        if chains is not None:
            data["chains"] = chains
        if approximate:
            data["approximate"] = True
        row = entry_row(data, party=new.party, actor=by.actor) | {"buyer": new.buyer}

        def decide(claim: Claim, view: View) -> Draft:
            head = view.heads[claim.stream]
            seq = head.seq + 1
            row_now = row | {"seq": seq, "created_at": to_ms(view.now)}
            uses = use_effects(data, actor=by.actor, about=new.party, seq=seq)
            fact = standing_of(data).as_fact()
            return Draft(
                head.state,
                facts={fact_key(identifier): fact},
                effects=(Effect("credit_entry", row_now), *uses),
            )

        def is_ours(connection: Connection) -> None:
            # Ids are unique in one stream; that no other party's entry has this one is seen here.
            kept = store.find_entry(connection, identifier)
            if kept is not None and kept.party != new.party:
                raise IdConflict("id_conflict", id=identifier, stream=f"party/{new.party}")

        return self.write(new.party, identifier, "credit_entry", data, decide, by=by, guard=is_ours)

    def take_step(
        self,
        entry: str,
        step: Step,
        *,
        by: By = _OURSELVES,
        record_id: str | None = None,
        more: Mapping[str, Any] | None = None,
        due: Callable[[datetime], Deadline | None] = lambda _: None,
        seals: tuple[Seal, ...] = (),
    ) -> Recorded:
        """Returns the record of a step, at once where the very same one was taken under this id.

        due: by when it is to be answered. Raises EntryUnknown, StepRefused, IdConflict, Unavailable.
        """
        with self._database.read() as connection:
            row = store.find_entry(connection, entry)
        if row is None:
            raise EntryUnknown("credit_entry_unknown", id=entry[:80])
        if record_id is None:
            record_id = (
                str(uuid5(NAMESPACE, f"{entry} {step}"))
                if step in _ONCE
                else str(uuid_utils.uuid7())
            )
        stream = f"party/{row.party}"
        told = {"entry": entry, "step": str(step), **(more or {})}
        for _ in range(_ATTEMPTS):
            known = self.find_data(stream, record_id)
            if known is not None:
                # What we computed then, so that what was sent is compared, and nothing else.
                told |= {n: known[n] for n in ("status", "decide_by", "approximate") if n in known}
                return self._step(row, record_id, told, step, by=by, seals=seals)
            now = self._clock.now()
            planned = after(self._standing(stream, row), step, now=now)
            data = {**told, "status": str(planned.status)}
            until = due(now)
            if until is not None:
                data["decide_by"] = format_time(until.at)
                data |= {"approximate": True} if until.approximate else {}
            try:
                return self._step(row, record_id, data, step, by=by, seals=seals)
            except _Moved:
                continue
        raise Unavailable("contended", retry_after_s=1)

    def write(
        self,
        party: str,
        record_id: str,
        record_type: str,
        data: Mapping[str, Any],
        decide: Callable[[Claim, View], Draft],
        *,
        by: By = _OURSELVES,
        reads: tuple[Read, ...] = (),
        seals: tuple[Seal, ...] = (),
        guard: Callable[[Any], object] | None = None,
    ) -> Recorded:
        """Returns the record, committed with what `decide` adds. Raises PartyUnknown, or its fault."""

        def decide_known(claim: Claim, view: View) -> Draft:
            if not view.heads[claim.stream].exists:
                raise PartyUnknown("party_unknown", party=party)
            draft = decide(claim, view)
            if not self._tells_remote:
                return draft
            told = {"party": party, "id": record_id, "type": record_type, "actor": by.actor,
                    "recorded_at": format_time(view.now), "data": dict(data)}  # fmt: skip
            return draft._replace(outbox=(*draft.outbox, (TOPIC, told)))

        claim = party_claim(
            party, record_id, record_type, data, actor=by.actor, at=self._clock.now(), seals=seals
        )
        submission = Submission(
            claim, by.source, decide_known, seals=seals, reads=reads, time_given=False, guard=guard
        )
        (recorded,) = all_recorded(self._recorder.submit_and_wait([submission]))
        return recorded

    def _step(
        self,
        row: Any,
        record_id: str,
        data: Mapping[str, Any],
        step: Step,
        *,
        by: By,
        seals: tuple[Seal, ...],
    ) -> Recorded:
        stream, key = f"party/{row.party}", fact_key(row.id)

        def decide(claim: Claim, view: View) -> Draft:
            fact = view.facts.get((stream, key))
            standing = standing_of_row(row) if fact is None else Standing.of_fact(fact)
            moved = after(standing, step, now=view.now)
            if moved.status != data["status"]:
                raise _Moved("contended")
            head, now_ms = view.heads[claim.stream], to_ms(view.now)
            ended = now_ms if moved.status in ENDED else None
            status_row = {"id": row.id, "status": str(moved.status), "ended_at": ended,
                          "next_at": moved.next_ms}  # fmt: skip
            step_row = step_row_of(data, party=row.party, seq=head.seq + 1, at_ms=now_ms,
                                   actor=by.actor, record_id=record_id)  # fmt: skip
            uses = use_effects(data, actor=by.actor, about=row.party, seq=head.seq + 1)
            rows = (Effect("credit_status", status_row), Effect("credit_step", step_row), *uses)
            return Draft(head.state, facts={key: moved.as_fact()}, effects=rows)

        reads = (Read(stream, key),)
        return self.write(
            row.party, record_id, "credit_status", data, decide, by=by, reads=reads, seals=seals
        )

    def _standing(self, stream: str, row: Any) -> Standing:
        place = (stream, fact_key(row.id))
        with self._database.read() as connection:
            fact = ledger_store.load_facts(connection, [place]).get(place)
        return standing_of_row(row) if fact is None else Standing.of_fact(fact)

    def find_data(self, stream: str, record_id: str) -> Mapping[str, Any] | None:
        """Returns the data of the record with this id, None where there is none. Read-only."""
        with self._database.read() as connection:
            return data_of(connection, stream, record_id)
