"""The ledger of credit as its readers and writers meet it: enter, object, repair, decide, mature.

Who may do what is `steps.TABLE` with `roles.ACTIONS`; nobody decides in its own case. A text that
goes with a step is addressed to the other side: the party and regulators read it (app.credit.words), the
record only commits to it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import structlog
import uuid_utils

from app.credit import store
from app.credit.document_uses import Named, digests_of
from app.credit.ground import check_ground
from app.credit.maturing import Maturing
from app.credit.policy import Entry, Policy, ScoreCard, Status
from app.credit.records import By, EntryUnknown, NewEntry
from app.credit.rows import entry_of, standing_of_row
from app.credit.service import Credit
from app.credit.steps import DECISIONS, Standing, Step, open_steps
from app.credit.words import Reading, Words, purpose_of
from app.credit.workdays import Deadline, deadline
from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, from_ms, local_day, parse_time, to_ms
from app.kit.errors import Denied, FieldFault, invalid, read_all
from app.ledger.repeat import IdConflict
from app.ledger.submission import Seal
from app.ledger.vault import SALT_BYTES
from app.parties.identity import SYSTEM
from app.parties.offices import check_office, sees_whole
from app.parties.principal import Principal
from app.parties.roles import REGULATOR
from app.parties.rules import voice

log = structlog.get_logger(__name__)

Place = tuple[int, str]
"""When an entry takes effect (ms), and its id."""

_TEXT = "text"


class OwnCase(Denied):
    """Nobody enters or decides in its own case."""


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody sends with a step. id: of the record, safe to repeat; attachments: SHA-256, hex."""

    text: str | None = None
    attachments: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken. text: None also for those whom it is not addressed to; closed: not opened."""

    step: str
    status: str
    at: datetime
    actor: str
    reason: str | None
    decide_by: datetime | None
    attachments: tuple[str, ...]
    text: str | None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Filed:
    """An entry with all that is on file about it. may: the steps that a person may take with it now."""

    entry: Entry
    standing: Standing
    actor: str
    entered_at: datetime
    object_until: datetime | None
    approximate: bool
    steps: tuple[Taken, ...]
    may: frozenset[Step]

    def status_at(self, now: datetime) -> Status:
        """Returns the state as time has it, whether or not the worker has recorded it yet."""
        return self.standing.at(now)

    def named(self) -> Iterator[Named]:
        """Yields the documents that its evidence and steps name."""
        for digest in digests_of({"evidence": self.entry.evidence}):
            yield self.actor, digest
        for step in self.steps:
            for digest in step.attachments:
                yield step.actor, digest


class CreditLedger:
    """The ledger of credit. `mature` is a loop of the worker.

    on_effect: told of each party and entry that takes effect, before that is recorded; may be told twice.
    """

    def __init__(
        self,
        database: Database,
        credit: Credit,
        *,
        clock: Clock,
        words: Words,
        on_effect: Callable[[str, str], None] = lambda _party, _entry: None,
    ) -> None:
        self._on_effect = on_effect
        self._database = database
        self._credit = credit
        self._clock = clock
        self._words = words
        self._maturing = Maturing(database, store.ENTRY, clock=clock)

    def enter(
        self,
        principal: Principal,
        party: str,
        *,
        rule: str,
        evidence: Mapping[str, Any],
        day: date | None,
        id: str | None,
    ) -> tuple[Filed, bool]:
        """Returns the entry, and whether it was there before.

        day: of the fact, today unless given. Raises what `check_may` raises, OwnCase, Denied where
        the policy lets others enter this rule, Invalid, PartyUnknown, IdConflict.
        """
        principal.check_may("credit.enter")
        _check_other(principal, party)
        check_office(self._database, principal, party)
        source = voice(principal.roles, "credit.enter")
        policy, now = self._credit.policy, self._clock.now()
        known = policy.rules.get(rule)
        who = "regulator" if source == REGULATOR else "operator"
        if known is not None and who not in known.entered_by:
            raise Denied(
                "credit_rule_not_yours", rule=rule, who=", ".join(sorted(known.entered_by))
            )
        read_all(
            lambda: _check_rule(policy, rule),
            lambda: check_ground(evidence),
            lambda: _check_day(day, local_day(now)),
        )
        identifier = id or str(uuid_utils.uuid7())
        by = By(principal.party or SYSTEM, source)
        if self._is_repeat(party, identifier, rule=rule, evidence=evidence, day=day, by=by):
            return self.find(identifier, principal), True
        new = NewEntry(party, rule, identifier, evidence, now, day=day)
        try:
            self._credit.records.make_entry(new, policy, identifier=identifier, by=by)
        except IdConflict:
            # The same call twice at once: whoever came second finds what the first one wrote.
            if self._is_repeat(party, identifier, rule=rule, evidence=evidence, day=day, by=by):
                return self.find(identifier, principal), True
            raise
        return self.find(identifier, principal), False

    def object(self, principal: Principal, entry: str, given: Given) -> tuple[Filed, bool]:
        """Returns the entry, objected to by the party that it charges, and whether it was before."""
        terms = self._credit.policy.objection
        return self._take(principal, entry, Step.OBJECT, given, _within(terms.decide_working_days))

    def ask_repair(self, principal: Principal, entry: str, given: Given) -> tuple[Filed, bool]:
        """Returns the entry whose repair its party has asked for, and whether it had before."""
        terms = self._credit.policy.repair
        return self._take(
            principal, entry, Step.ASK_REPAIR, given, _within(terms.decide_working_days)
        )

    def decide(
        self, principal: Principal, entry: str, outcome: str, given: Given
    ) -> tuple[Filed, bool]:
        """Returns the entry as a regulator decided, and whether it was decided before.

        outcome: a word of steps.DECISIONS.
        """
        return self._take(principal, entry, DECISIONS[outcome], given, lambda _: None)

    def file_of(self, party: str, viewer: Principal | None) -> tuple[list[Filed], ScoreCard]:
        """Returns what `viewer` may see of a party's entries, oldest first, and the score now.

        The party itself and regulators in office there see all, others what is public. Raises PartyUnknown.
        """
        found, _, card = self.page_of(party, viewer, after=None, limit=None)
        return found, card

    def page_of(
        self,
        party: str,
        viewer: Principal | None,
        *,
        after: Place | None,
        limit: int | None,
        purpose: str | None = None,
    ) -> tuple[list[Filed], bool, ScoreCard]:
        """Returns what `file_of` does of the entries behind `after`, whether there are more, the score now.

        purpose: for which an authority opens what was said. Every entry is read for the score; steps and
        their words for those of the page alone. Raises PartyUnknown, Invalid. Writes `access_log`.
        """
        entries, card = self._credit.entries(party)
        privileged = sees_whole(self._database, viewer, party, "finding.read")
        behind = [
            one
            for one in entries
            if (after is None or (to_ms(one.effective_at), one.id) > after)
            and (privileged or self._credit.is_public(one))
        ]
        with self._words.reading(viewer if privileged else None, purpose) as reading:
            found = self._filed(party, behind[:limit], reading)
        return found, limit is not None and len(behind) > limit, card

    def find(self, entry: str, viewer: Principal, *, purpose: str | None = None) -> Filed:
        """Returns one entry, for whoever may see all of it. Raises EntryUnknown, Invalid.

        purpose: for which an authority opens what was said. Writes `access_log`.
        """
        with self._database.read() as connection:
            row = store.find_entry(connection, entry)
        if row is None:
            raise EntryUnknown("credit_entry_unknown", id=entry[:80])
        with self._words.reading(viewer, purpose) as reading:
            (filed,) = self._filed(row.party, [entry_of(row)], reading)
        return filed

    def open_case(self, principal: Principal, entry: str, *, purpose: str | None = None) -> Filed:
        """Returns one entry as its decider reads it: what waits for a decision is opened for that.

        Raises EntryUnknown, Invalid, what `check_may` raises. Writes `access_log`.
        """
        principal.check_may("credit.decide")
        status = self.find(entry, principal).status_at(self._clock.now())
        return self.find(entry, principal, purpose=purpose_of(status, entry, stated=purpose))

    def mature(self) -> bool:
        """Records what time has done to entries: taken effect, lapsed. Returns whether more may be due.

        The score does not wait for it. One that cannot be recorded is put off and holds up no other.
        """
        return self._maturing.work(self._move, failed=self._move_failed)

    def _move(self, row: Any, now: datetime) -> None:
        step = _turn_of(row, now)
        if step is Step.TAKE_EFFECT:
            self._on_effect(row.party, row.id)
        self._credit.records.take_step(row.id, step)

    def _move_failed(self, row: Any, err: Exception) -> None:
        step = _turn_of(row, self._clock.now())
        log.error("credit.step_failed", entry=row.id, step=str(step), exc_info=err)

    def _take(
        self,
        principal: Principal,
        entry: str,
        step: Step,
        given: Given,
        due: Callable[[datetime], Deadline | None],
    ) -> tuple[Filed, bool]:
        with self._database.read() as connection:
            row = store.find_entry(connection, entry)
        if row is None:
            # Whoever may not act anywhere is told so before what there is.
            principal.check_may(_ACTIONS.get(step, "credit.decide"))
            raise EntryUnknown("credit_entry_unknown", id=entry[:80])
        if step in _ACTIONS:
            principal.check_may(_ACTIONS[step], owner=row.party)
            by = By(principal.party or SYSTEM, voice(principal.roles, _ACTIONS[step]))
        else:
            principal.check_may("credit.decide")
            _check_other(principal, row.party)
            check_office(self._database, principal, row.party)
            by = By(principal.party or SYSTEM, REGULATOR)
        seals: tuple[Seal, ...] = ()
        if given.text is not None:
            content = canonical_bytes({"text": given.text})
            seals = (Seal(_TEXT, secrets.token_bytes(SALT_BYTES), content),)
        more = {"attachments": list(given.attachments)} if given.attachments else {}
        recorded = self._credit.records.take_step(
            entry, step, by=by, record_id=given.id, more=more, due=due, seals=seals
        )
        return self.find(entry, principal), recorded.replayed

    def _is_repeat(
        self,
        party: str,
        identifier: str,
        *,
        rule: str,
        evidence: Mapping[str, Any],
        day: date | None,
        by: By,
    ) -> bool:
        """Whether this very entry is there. Raises IdConflict where the id is another one's."""
        known = self._credit.records.find_data(f"party/{party}", identifier)
        if known is None:
            return False
        same = known.get("rule") == rule and known.get("evidence") == dict(evidence)
        same = same and (day is None or known.get("day") == day.isoformat())
        with self._database.read() as connection:
            row = store.find_entry(connection, identifier)
        if not same or row is None or row.actor != by.actor:
            raise IdConflict("id_conflict", id=identifier, stream=f"party/{party}")
        return True

    def _filed(self, party: str, entries: Sequence[Entry], reading: Reading) -> list[Filed]:
        if not entries:
            return []
        among = [one.id for one in entries]
        with self._database.read() as connection:
            rows = {row.id: row for row in store.entry_rows(connection, party, among)}
            steps: dict[str, list[Taken]] = {}
            for step in store.step_rows(connection, party, among):
                if step.entry not in rows:
                    continue  # nobody asked for it, so nobody looks at it
                told = json.loads(step.more)
                said = reading.of(connection, step)
                by = told.get("decide_by")
                steps.setdefault(step.entry, []).append(
                    Taken(
                        step=step.step,
                        status=step.status,
                        at=from_ms(step.at),
                        actor=step.actor,
                        reason=told.get("reason"),
                        decide_by=None if by is None else parse_time(by),
                        attachments=tuple(told.get("attachments", ())) if reading.viewer else (),
                        text=said.text,
                        closed=said.closed,
                    )
                )
        now = self._clock.now()
        standings = {identifier: standing_of_row(row) for identifier, row in rows.items()}
        return [
            Filed(
                entry=entry,
                standing=standings[entry.id],
                actor=rows[entry.id].actor or SYSTEM,
                entered_at=from_ms(rows[entry.id].created_at),
                object_until=None
                if rows[entry.id].object_until is None
                else from_ms(rows[entry.id].object_until),
                approximate=bool(rows[entry.id].approximate),
                steps=tuple(steps.get(entry.id, ())),
                may=open_steps(standings[entry.id], now=now),
            )
            for entry in entries
            if entry.id in rows
        ]


_ACTIONS: Mapping[Step, str] = {Step.OBJECT: "credit.object", Step.ASK_REPAIR: "credit.object"}


def _check_rule(policy: Policy, rule: str) -> None:
    if rule not in policy.rules:
        params = {"expected": ", ".join(policy.rules), "got": rule[:40]}
        raise invalid(FieldFault(("rule",), "enum", params))


def _check_day(day: date | None, today: date) -> None:
    if day is not None and day > today:
        params = {"expected": f"≤ {today}", "got": day.isoformat()}
        raise invalid(FieldFault(("occurred_on",), "range", params))


def _check_other(principal: Principal, party: str) -> None:
    if principal.party == party:
        raise OwnCase("credit_own_case")


def _within(working_days: int) -> Callable[[datetime], Deadline | None]:
    return lambda now: deadline(now, working_days=working_days)


def _turn_of(row: Any, now: datetime) -> Step:
    ends = row.expires_at is not None and row.expires_at <= to_ms(now)
    return Step.LAPSE if ends else Step.TAKE_EFFECT
