"""Red list 红名单 and black list 黑名单: criteria of the policy, prior notice, term, removal.

Listed by a regulator, or by the service where the policy gives it the criterion. A listing goes the way of
a credit entry (app.credit.steps), with the same working days. Being listed changes no score; a black
listing leaves no boost, a red one is shown.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid5

from app.credit import matterstore
from app.credit.ground import TO_LOOK_UP, check_ground
from app.credit.ledger import Given
from app.credit.listed import Listed, ListStep, told_steps
from app.credit.matterbook import AlreadyStands, MatterBook, MatterUnknown
from app.credit.matters import Kind, Stand
from app.credit.records import NAMESPACE, By, check_known
from app.credit.rules import Criterion, ListName, ListTerms, RuleClass
from app.credit.service import Credit
from app.credit.steps import StepRefused
from app.credit.words import Words, purpose_of
from app.credit.workdays import add_months, deadline, end_of_day
from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, format_time, from_ms, local_day, to_ms
from app.kit.errors import Denied, FieldFault, invalid, read_all
from app.ledger.submission import Seal
from app.ledger.vault import SALT_BYTES
from app.parties.identity import SYSTEM
from app.parties.offices import check_office, sees_whole
from app.parties.principal import Principal
from app.parties.rules import voice

KINDS: Mapping[ListName, Kind] = {"red": Kind.RED, "black": Kind.BLACK}
NAMES: Mapping[Kind, ListName] = {kind: name for name, kind in KINDS.items()}
BOTH = (Kind.RED, Kind.BLACK)
DECISIONS = {
    "upheld": "uphold",
    "dismissed": "dismiss",
    "granted": "grant_removal",
    "refused": "refuse_removal",
    "withdrawn": "withdraw",
}
"""Outcomes that a regulator may decide, by the word of the API."""

PERSONS = ("object", "ask_removal", *DECISIONS.values())
"""Steps that a person takes: the party the first two, a regulator the others."""

_DISHONEST = (RuleClass.GENERAL, RuleClass.SERIOUS)


class OwnListing(Denied):
    """Nobody lists itself, or decides on its own listing."""


class Lists:
    """Both lists. `review` is called after each monthly grade, `recheck` as an entry takes effect."""

    def __init__(
        self, database: Database, book: MatterBook, credit: Credit, *, clock: Clock, words: Words
    ) -> None:
        self._database = database
        self._book = book
        self._credit = credit
        self._clock = clock
        self._words = words

    def enter(
        self,
        principal: Principal,
        name: ListName,
        party: str,
        *,
        criterion: str,
        evidence: Mapping[str, Any],
        id: str,
    ) -> tuple[Listed, bool]:
        """Returns the listing, announced now, and whether it was there before.

        Raises what `check_may` raises, OwnListing, Invalid for a criterion that is not a regulator's
        or is not met, AlreadyStands, PartyUnknown, IdConflict.
        """
        principal.check_may("list.enter")
        if principal.party == party:
            raise OwnListing("credit_own_case")
        check_office(self._database, principal, party)
        terms = self._credit.policy.lists[name]
        known, _ = read_all(
            lambda: _read_criterion(terms, criterion),
            lambda: check_ground(evidence, ("entry", *TO_LOOK_UP)),
        )
        with self._database.read() as connection:
            check_known(connection, party)
        if self._book.find_data(party, id) is None:
            self._check_met(party, known, evidence)
        by = By(principal.party or SYSTEM, voice(principal.roles, "list.enter"))
        replayed = self._begin(terms, party, criterion, evidence, id, by)
        return self.find(id, principal), replayed

    def object(self, principal: Principal, listing: str, given: Given) -> tuple[Listed, bool]:
        """Returns the listing, objected to by the party that it names."""
        days = self._credit.policy.objection.decide_working_days
        return self._take(principal, listing, "object", given, days=days)

    def ask_removal(self, principal: Principal, listing: str, given: Given) -> tuple[Listed, bool]:
        """Returns the listing whose removal before its term its party has asked for."""
        days = self._credit.policy.repair.decide_working_days
        return self._take(principal, listing, "ask_removal", given, days=days)

    def decide(
        self, principal: Principal, listing: str, outcome: str, given: Given
    ) -> tuple[Listed, bool]:
        """Returns the listing as a regulator decided; outcome: a word of DECISIONS."""
        return self._take(principal, listing, DECISIONS[outcome], given)

    def find(self, listing: str, viewer: Principal, *, purpose: str | None = None) -> Listed:
        """Returns one listing, for whoever may see all of it. Raises MatterUnknown, Invalid.

        purpose: for which an authority opens what was said. Writes `access_log`.
        """
        row = self._row(listing)
        with (
            self._words.reading(viewer, purpose) as reading,
            self._database.read() as connection,
        ):
            steps = matterstore.steps_of_matters(connection, [listing])
            return self._listed(row, told_steps(connection, steps, reading))

    def open_case(
        self, principal: Principal, listing: str, *, purpose: str | None = None
    ) -> Listed:
        """Returns one listing as its decider reads it: what waits for a decision is opened for that.

        Raises MatterUnknown, Invalid, what `check_may` raises. Writes `access_log`.
        """
        principal.check_may("list.enter")
        status = Stand.of_row(self._row(listing)).at(self._clock.now())
        return self.find(listing, principal, purpose=purpose_of(status, listing, stated=purpose))

    def of_party(
        self, party: str, viewer: Principal | None, *, purpose: str | None = None
    ) -> list[Listed]:
        """Returns a party's listings, oldest first: those in force; all for itself and its regulators.

        purpose: for which an authority opens what was said. Raises PartyUnknown, Invalid. Writes
        `access_log`.
        """
        privileged = sees_whole(self._database, viewer, party, "list.enter")
        with (
            self._words.reading(viewer if privileged else None, purpose) as reading,
            self._database.read() as connection,
        ):
            check_known(connection, party)
            rows = matterstore.matters_of(connection, party, BOTH)
            shown = [row for row in rows if privileged or self._is_public(row)]
            among = {row.id for row in shown}
            steps = matterstore.steps_of(connection, party) if shown else []
            told = told_steps(connection, [one for one in steps if one.matter in among], reading)
            return [self._listed(row, told) for row in shown]

    def page(self, name: ListName, *, after: tuple[int, str] | None, limit: int) -> list[Listed]:
        """Returns who is on a list now, longest first. Read-only."""
        with self._database.read() as connection:
            rows = matterstore.listed_now(
                connection, KINDS[name], now_ms=to_ms(self._clock.now()), after=after, limit=limit
            )
        return [self._listed(row, {}) for row in rows]

    def grades(self, party: str, *, after: str, limit: int) -> list[Any]:
        """Returns a party's monthly grades behind month `after`. Raises PartyUnknown. Read-only."""
        with self._database.read() as connection:
            check_known(connection, party)
            return matterstore.snapshots_of(connection, party, after=after, limit=limit)

    def warnings(self, party: str, *, after: tuple[Any, ...] | None, limit: int) -> list[Any]:
        """Returns a party's warnings, oldest first. Raises PartyUnknown. Read-only."""
        with self._database.read() as connection:
            check_known(connection, party)
            return matterstore.warnings_of(connection, party, after=after, limit=limit)

    def newest_warnings(self, party: str, *, limit: int) -> list[Any]:
        """Returns a party's last warnings, the newest first. Read-only."""
        with self._database.read() as connection:
            return matterstore.newest_warnings(connection, party, limit=limit)

    def move(self, row: Any) -> None:
        """Records what time has done to a listing: it takes effect, or its term is over."""
        ends = row.expires_at <= to_ms(self._clock.now())
        step = "end" if ends else "take_effect"
        self._book.take_step(row.id, step, kinds=BOTH, once=step)

    def review(self, party: str, month: str) -> None:
        """Lists a party by a criterion of the service, or removes it where that is met no more.

        month: of the grade that was just recorded; the same month twice changes nothing.
        """
        terms = self._credit.policy.lists["red"]
        with self._database.read() as connection:
            grades = matterstore.snapshots_of(connection, party)
            rows = matterstore.matters_of(connection, party, (Kind.RED,))
        now = self._clock.now()
        for criterion in terms.criteria.values():
            if criterion.grade_months is None:
                continue
            last = grades[-criterion.grade_months :]
            good = [one for one in last if one.grade == "A" and one.data_enough]
            met = len(good) == criterion.grade_months and not self._weighing(party, _DISHONEST)
            standing = [
                row for row in rows if row.name == criterion.id and Stand.of_row(row).stands(now)
            ]
            if met and not standing:
                evidence = {"months": [one.month for one in good]}
                identifier = str(uuid5(NAMESPACE, f"red {party} {criterion.id} {month}"))
                try:
                    self._begin(terms, party, criterion.id, evidence, identifier, By())
                except AlreadyStands:
                    continue
            for row in () if met else standing:
                self._remove(row, once=month)

    def recheck(self, party: str, entry: str) -> None:
        """Takes a party off the red list whose entry takes effect, if that is one which bars from it.

        Of listings by the service alone; the same entry twice changes nothing.
        """
        with self._database.read() as connection:
            rows = matterstore.matters_of(connection, party, (Kind.RED,))
        now, criteria = self._clock.now(), self._credit.policy.lists["red"].criteria
        own = {one.id for one in criteria.values() if one.decided_by == "system"}
        standing = [row for row in rows if row.name in own and Stand.of_row(row).stands(now)]
        if standing and entry in self._weighing(party, _DISHONEST):
            for row in standing:
                self._remove(row, once=entry)

    def _remove(self, row: Any, *, once: str) -> None:
        # It may have ended meanwhile.
        with suppress(StepRefused):
            self._book.take_step(row.id, "remove", kinds=(Kind.RED,), once=once)

    def _check_met(self, party: str, criterion: Criterion, evidence: Mapping[str, Any]) -> None:
        wanted = criterion.entry_class
        if wanted is None:
            if not evidence.get("number"):
                raise invalid(FieldFault(("evidence", "number"), "missing", {}))
            return
        if evidence.get("entry") not in self._weighing(party, (wanted,)):
            got = str(evidence.get("entry", ""))[:80]
            params = {"expected": f"{wanted}", "got": got}
            raise invalid(FieldFault(("evidence", "entry"), "value", params))

    def _weighing(self, party: str, classes: Sequence[RuleClass]) -> set[str]:
        """Returns the party's entries of these classes that weigh now."""
        _, card = self._credit.entries(party)
        rules = self._credit.policy.rules
        return {
            weight.entry
            for weight in card.weights.values()
            if weight.points and weight.rule in rules and rules[weight.rule].rule_class in classes
        }

    def _begin(
        self, terms: ListTerms, party: str, criterion: str, evidence: Mapping[str, Any], id: str,
        by: By,
    ) -> bool:  # fmt: skip
        """Announces a listing; returns whether it was announced before."""
        policy, now = self._credit.policy, self._clock.now()
        known = self._book.find_data(party, id)
        if known is not None:
            # Dated when it was announced; what was sent is compared, and nothing else.
            data = {**known, "name": criterion, "evidence": dict(evidence)}
            data["kind"] = str(KINDS[terms.name])
            return self._book.begin(party, data, by=by).replayed
        until = deadline(now, working_days=policy.notice_working_days)
        data = {
            "matter": id,
            "kind": str(KINDS[terms.name]),
            "name": criterion,
            "version": policy.version,
            "status": "notice",
            "effective_at": format_time(until.at),
            "expires_at": format_time(add_months(until.at, terms.term_months)),
            "evidence": dict(evidence),
        }
        if terms.name == "black":
            removal = add_months(until.at, terms.earliest_removal_months)
            data["earliest_removal_at"] = format_time(removal)
            object_until = end_of_day(local_day(now) + policy.objection.span)
            data["object_until"] = format_time(object_until)
        if until.approximate:
            data["approximate"] = True
        return self._book.begin(party, data, by=by).replayed

    def _take(
        self, principal: Principal, listing: str, step: str, given: Given, *, days: int = 0
    ) -> tuple[Listed, bool]:
        own = step in ("object", "ask_removal")
        action = "credit.object" if own else "list.enter"
        principal.check_may(action)
        row = self._row(listing)
        if own:
            principal.check_may(action, owner=row.party)
        elif principal.party == row.party:
            raise OwnListing("credit_own_case")
        else:
            check_office(self._database, principal, row.party)
        by = By(principal.party or SYSTEM, voice(principal.roles, action))
        content = canonical_bytes({"text": given.text or ""})
        recorded = self._book.take_step(
            listing,
            step,
            kinds=BOTH,
            by=by,
            record_id=given.id,
            more={"attachments": list(given.attachments)} if given.attachments else {},
            due=lambda now: deadline(now, working_days=days) if days else None,
            seals=(Seal("text", secrets.token_bytes(SALT_BYTES), content),),
        )
        return self.find(listing, principal), recorded.replayed

    def _row(self, listing: str) -> Any:
        with self._database.read() as connection:
            row = matterstore.find_matter(connection, listing)
        if row is None or Kind(row.kind) not in BOTH:
            raise MatterUnknown("matter_unknown", id=listing[:80])
        return row

    def _is_public(self, row: Any) -> bool:
        now = self._clock.now()
        stand = Stand.of_row(row)
        return row.effective_at <= to_ms(now) and not stand.over and stand.at(now) != "ended"

    def _listed(self, row: Any, steps: Mapping[str, Sequence[ListStep]]) -> Listed:
        stand, now = Stand.of_row(row), self._clock.now()
        status = stand.at(now)
        return Listed(
            id=row.id,
            party=row.party,
            list=NAMES[stand.kind],
            criterion=row.name,
            policy=row.version,
            status=status,
            noticed_at=from_ms(row.created_at),
            listed_at=from_ms(row.effective_at),
            until=from_ms(row.expires_at),
            removal_from=None if row.removal_at is None else from_ms(row.removal_at),
            object_until=None if row.object_until is None else from_ms(row.object_until),
            ended_at=None if row.ended_at is None else from_ms(row.ended_at),
            approximate=bool(row.approximate),
            evidence=json.loads(row.evidence),
            by=row.actor,
            steps=tuple(steps.get(row.id, ())),
            may=frozenset(step for step in PERSONS if stand.takes(step, now=now)),
        )


def _read_criterion(terms: ListTerms, criterion: str) -> Criterion:
    """Returns a criterion that a regulator decides. Raises Invalid."""
    known = terms.criteria.get(criterion)
    if known is None or known.decided_by != "regulator":
        allowed = [c.id for c in terms.criteria.values() if c.decided_by == "regulator"]
        params = {"expected": ", ".join(allowed), "got": criterion[:40]}
        raise invalid(FieldFault(("criterion",), "enum", params))
    return known
