"""Commitments 信用承诺: signed in public, withdrawn, kept at term, or broken; and what they earn or cost.

A breach is decided by a regulator. What the records themselves show of the 7-day return promise puts
the commitment in question (app.oversight.returns) and waits for that decision: seen by the party and by
regulators alone, and so is a decision until the working days have passed in which the party may state
its case. Points follow the record by the outbox, once each.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import outbox
from app.credit import matterstore
from app.credit.ground import check_ground
from app.credit.matterbook import MOVED, MatterBook, MatterUnknown
from app.credit.matters import ACTIVE, BROKEN, KEPT, QUESTIONED, WITHDRAWN, Kind, Stand
from app.credit.policy import Status
from app.credit.records import By, NewEntry, check_known, entry_id
from app.credit.service import Credit
from app.credit.store import find_entry
from app.credit.templates import Template, all_versions, find_template, templates
from app.credit.words import NOTHING, Reading, Said, Words, purpose_of
from app.credit.workdays import add_months, deadline
from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, format_time, from_ms, parse_time, to_ms
from app.kit.errors import Denied, FieldFault, invalid
from app.ledger import store as ledger_store
from app.ledger.submission import Seal
from app.ledger.vault import SALT_BYTES
from app.parties.identity import SYSTEM
from app.parties.offices import check_office, sees_whole
from app.parties.principal import Principal
from app.parties.roles import REGULATOR
from app.parties.rules import voice
from app.parties.standing import VERIFIED, PartyUnverified

ONLY = (Kind.COMMITMENT,)
_JUDGE = "commitment.judge"
OVERTURNED = "overturned"
"""Shown of one that was found broken, where the objection to that was upheld."""
_REASON = "reason"
JUDGED = {"broken": "break", "cleared": "clear"}
"""Outcomes that a regulator may decide, by the word of the API."""


Place = tuple[int, str]
"""When a commitment was signed (ms), and its id."""


class OwnCommitment(Denied):
    """Nobody judges its own commitment."""


@dataclass(frozen=True, slots=True)
class StepSeen:
    """A step of a commitment; evidence as the record names it. text: the reason of who judged it.

    closed: it was not opened for this reader.
    """

    step: str
    status: str
    at: datetime
    actor: str
    public_from: datetime | None
    more: Mapping[str, Any]
    text: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Commitment:
    """A commitment as somebody may see it."""

    id: str
    party: str
    template: Template
    status: str
    digest: str
    signed_at: datetime
    until: datetime
    ended_at: datetime | None
    steps: tuple[StepSeen, ...]


class Commitments:
    """Signs, withdraws and judges. `topics` are handled by the outbox, `mature` by the worker."""

    def __init__(
        self, database: Database, book: MatterBook, credit: Credit, *, clock: Clock, words: Words
    ) -> None:
        self._database = database
        self._words = words
        self._book = book
        self._credit = credit
        self._clock = clock
        self.topics: Mapping[str, Callable[[outbox.Message], None]] = {MOVED: self._moved}

    def sign(
        self,
        principal: Principal,
        party: str,
        *,
        template: str,
        version: int | None,
        digest: str,
        id: str,
    ) -> tuple[Commitment, bool]:
        """Returns the commitment, and whether it was there before (a repeat).

        Raises what `check_may` raises, Invalid for an unknown template or another text's digest,
        AlreadyStands, PartyUnverified, PartyUnknown, IdConflict.
        """
        principal.check_may("commitment.sign", owner=party)
        found = find_template(template, version)
        if found is None:
            params = {"expected": ", ".join(templates()), "got": template[:40]}
            raise invalid(FieldFault(("template",), "enum", params))
        if digest != found.digest:
            params = {"expected": found.digest, "got": digest[:64]}
            raise invalid(FieldFault(("text_digest",), "value", params))
        known = self._book.find_data(party, id)
        at = self._clock.now() if known is None else parse_time(known["effective_at"])
        data = {
            "matter": id,
            "kind": str(Kind.COMMITMENT),
            "name": found.id,
            "version": found.version,
            "status": ACTIVE,
            "effective_at": format_time(at),
            "expires_at": format_time(add_months(at, found.term_months)),
            "evidence": {"text_digest": found.digest},
        }

        def check(state: Mapping[str, Any]) -> None:
            if state.get("status") != VERIFIED:
                raise PartyUnverified("party_unverified", party=party)

        by = By(principal.party or SYSTEM, voice(principal.roles, "commitment.sign"))
        recorded = self._book.begin(party, data, by=by, check=check)
        return self.find(party, id, viewer=principal), recorded.replayed

    def withdraw(
        self, principal: Principal, party: str, commitment: str, *, id: str | None
    ) -> tuple[Commitment, bool]:
        """Returns the commitment, withdrawn by its party: it earns nothing more from now on.

        Raises StepRefused while it is in question: that is judged first.
        """
        principal.check_may("commitment.sign", owner=party)
        self._row(party, commitment)
        by = By(principal.party or SYSTEM, voice(principal.roles, "commitment.sign"))
        recorded = self._book.take_step(commitment, "withdraw", kinds=ONLY, by=by, record_id=id)
        return self.find(party, commitment, viewer=principal), recorded.replayed

    def judge(
        self,
        principal: Principal,
        party: str,
        commitment: str,
        outcome: str,
        *,
        reason: str,
        evidence: Mapping[str, Any],
        id: str | None,
    ) -> tuple[Commitment, bool]:
        """Returns the commitment as a regulator judged it; outcome: a word of JUDGED.

        evidence: empty for none. Raises Invalid where it names nothing to look up.
        """
        principal.check_may(_JUDGE)
        if principal.party == party:
            raise OwnCommitment("credit_own_case")
        check_office(self._database, principal, party)
        self._row(party, commitment)
        if evidence:
            check_ground(evidence)
        policy = self._credit.policy
        seals = (Seal(_REASON, secrets.token_bytes(SALT_BYTES), canonical_bytes({"text": reason})),)
        recorded = self._book.take_step(
            commitment,
            JUDGED[outcome],
            kinds=ONLY,
            by=By(principal.party or SYSTEM, REGULATOR),
            record_id=id,
            more={"evidence": dict(evidence)} if evidence else {},
            due=lambda now: (
                deadline(now, working_days=policy.notice_working_days)
                if outcome == "broken"
                else None
            ),
            due_name="public_from",
            seals=seals,
        )
        return self.find(party, commitment, viewer=principal), recorded.replayed

    def question(self, commitment: str, *, once: str, evidence: Mapping[str, Any]) -> None:
        """Puts a commitment in question by what the records show; once for each such fact."""
        self._book.take_step(
            commitment, "question", kinds=ONLY, once=once, more={"evidence": dict(evidence)}
        )

    def of_party(self, party: str, viewer: Principal | None) -> list[Commitment]:
        """Returns a party's commitments, oldest first, as `viewer` may see them. Raises PartyUnknown."""
        return self.page_of(party, viewer, after=None, limit=None)[0]

    def page_of(
        self,
        party: str,
        viewer: Principal | None,
        *,
        after: Place | None,
        limit: int | None,
        purpose: str | None = None,
    ) -> tuple[list[Commitment], bool]:
        """Returns what `of_party` does of those behind `after`, and whether there are more.

        purpose: for which an authority opens reasons. Raises PartyUnknown, Invalid. Writes `access_log`.
        """
        privileged = sees_whole(self._database, viewer, party, _JUDGE)
        with self._database.read() as connection:
            check_known(connection, party)
            rows = matterstore.matters_of(connection, party, ONLY)
            behind = [row for row in rows if after is None or (row.effective_at, row.id) > after]
            steps = matterstore.steps_of(connection, party) if behind else []
        with self._words.reading(viewer if privileged else None, purpose) as reading:
            found = [self._shown(row, steps, reading) for row in behind[:limit]]
        return found, limit is not None and len(behind) > limit

    def find(
        self, party: str, commitment: str, *, viewer: Principal | None, purpose: str | None = None
    ) -> Commitment:
        """Returns one commitment as `viewer` may see it. Raises MatterUnknown, Invalid.

        purpose: for which an authority opens reasons. Writes `access_log`.
        """
        row = self._row(party, commitment)
        with self._database.read() as connection:
            steps = matterstore.steps_of(connection, party)
        privileged = sees_whole(self._database, viewer, party, _JUDGE)
        with self._words.reading(viewer if privileged else None, purpose) as reading:
            return self._shown(row, steps, reading)

    def open_case(
        self, principal: Principal, party: str, commitment: str, *, purpose: str | None = None
    ) -> Commitment:
        """Returns one commitment as its judge reads it: what is in question is opened for that.

        Raises MatterUnknown, Invalid, what `check_may` raises. Writes `access_log`.
        """
        principal.check_may(_JUDGE)
        status = self._row(party, commitment).status
        told = purpose_of(status, commitment, stated=purpose)
        return self.find(party, commitment, viewer=principal, purpose=told)

    def in_force(self, party: str, template: str, at: datetime) -> Any | None:
        """Returns the row of the commitment that bound a party at a time, or None. Read-only."""
        with self._database.read() as connection:
            return matterstore.standing_commitment(connection, party, template, at_ms=to_ms(at))

    def keep(self, row: Any) -> None:
        """Records that a commitment's term is over and nobody questioned it."""
        self._book.take_step(row.id, "keep", kinds=ONLY, once="term")

    def _moved(self, message: outbox.Message) -> None:
        """Writes what a commitment earns or costs; meeting a message twice changes nothing."""
        matter = str(message.payload["matter"])
        with self._database.read() as connection:
            row = matterstore.find_matter(connection, matter)
            if row is None or row.kind != Kind.COMMITMENT:
                return
            name = f"party/{row.party}"
            # What was asked for later names the record itself.
            seq = int(message.payload.get("seq", message.seq))
            hashed = ledger_store.hash_at(connection, name, seq)
            record = ledger_store.load_record(connection, name, seq)
        if hashed is None or record is None:
            return  # taken away behind our back: no evidence, no point
        evidence = {"record": hashed.hex()}
        at = parse_time(record.fields["recorded_at"])
        match message.payload["step"]:
            case "begin":
                if row.status not in (WITHDRAWN, KEPT):
                    self._post(row, "commitment_active", evidence, at)
            case "keep":
                self._end(row, reason=KEPT)
                self._post(row, "commitment_kept", evidence, at)
            case "withdraw":
                self._end(row, reason=WITHDRAWN)
            case "break":
                self._post(row, "commitment_broken", evidence, at)
                self._ask_end(message, parse_time(record.fields["data"]["public_from"]))
            case "broken" if self._stands(row):
                self._end(row, reason=BROKEN)
            case _:
                pass

    def _post(self, row: Any, rule: str, evidence: Mapping[str, Any], at: datetime) -> None:
        self._credit.post(NewEntry(row.party, rule, row.id, evidence, at))

    def _stands(self, row: Any) -> bool:
        """Whether the charge for breaking it was made and no objection upheld."""
        return self._credit.stands(party=row.party, rule="commitment_broken", key=row.id)

    def _ask_end(self, message: outbox.Message, public_from: datetime) -> None:
        # Nothing is taken without notice, what it earned neither.
        with self._database.write() as connection:
            outbox.ask(
                connection,
                stream=message.stream,
                topic=MOVED,
                payload={**message.payload, "step": "broken", "seq": message.seq},
                at_ms=to_ms(public_from) + 1,
            )

    def _end(self, row: Any, *, reason: str) -> None:
        # Points for a commitment in force are for that, and it is no more.
        self._credit.annul(party=row.party, rule="commitment_active", key=row.id, reason=reason)

    def _reason(self, step: Any, reading: Reading) -> Said:
        if step.actor == step.party:
            return NOTHING
        with self._database.read() as connection:
            return reading.of(connection, step, section=_REASON)

    def _overturned(self, row: Any) -> bool:
        entry = entry_id(party=row.party, rule="commitment_broken", key=row.id)
        with self._database.read() as connection:
            found = find_entry(connection, entry)
        return found is not None and found.status == Status.CANCELLED

    def _row(self, party: str, commitment: str) -> Any:
        with self._database.read() as connection:
            row = matterstore.find_matter(connection, commitment)
        if row is None or row.party != party or row.kind != Kind.COMMITMENT:
            raise MatterUnknown("matter_unknown", id=commitment[:80])
        return row

    def _shown(self, row: Any, steps: list[Any], reading: Reading) -> Commitment:
        privileged, seen = reading.viewer is not None, []
        now = self._clock.now()
        status = Stand.of_row(row).at(now)
        ended_ms = row.ended_at
        for step in steps:
            if step.matter != row.id:
                continue
            more = json.loads(step.more)
            public_from = more.pop("public_from", None)
            public_from = None if public_from is None else parse_time(public_from)
            hidden = step.step in ("question", "clear") or (
                public_from is not None and now <= public_from
            )
            if hidden and not privileged:
                if step.step == "break":
                    status, ended_ms = ACTIVE, None
                continue
            said = self._reason(step, reading)
            seen.append(
                StepSeen(
                    step.step, step.status, from_ms(step.at), step.actor, public_from,
                    more if privileged else {}, said.text, said.closed,
                )
            )  # fmt: skip
        if status == QUESTIONED and not privileged:
            status = ACTIVE
        if status == BROKEN and self._overturned(row):
            status = OVERTURNED
        if status == KEPT and ended_ms is None:
            ended_ms = row.expires_at
        template = all_versions()[row.version][row.name]
        return Commitment(
            id=row.id,
            party=row.party,
            template=template,
            status=status,
            digest=json.loads(row.evidence)["text_digest"],
            signed_at=from_ms(row.effective_at),
            until=from_ms(row.expires_at),
            ended_at=None if ended_ms is None else from_ms(ended_ms),
            steps=tuple(seen),
        )
