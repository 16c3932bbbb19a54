"""Writing matters: their beginnings and steps as records of `party/{id}`, each with its rows.

Where a matter stands is decided under the recorder's lock from the fact in the party's stream, so
that of two steps at once one is refused, and nobody has two of one kind and name at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid5

import uuid_utils

from app.credit import matterstore
from app.credit.document_uses import use_effects
from app.credit.matters import (
    TYPES,
    Kind,
    Stand,
    fact_key,
    matter_row,
    moved_row,
)
from app.credit.records import NAMESPACE, By, PartyUnknown, data_of
from app.credit.rows import step_row_of
from app.credit.workdays import Deadline
from app.db.engine import Database
from app.kit.clock import Clock, format_time, to_ms
from app.kit.errors import Conflict, Fault, NotFound, Unavailable
from app.ledger import store as ledger_store
from app.ledger.record import Claim
from app.ledger.recorder import Recorder
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

MOVED = "matter.moved"
"""Topic: a matter has begun or taken a step."""

_ATTEMPTS = 3
_OURSELVES = By()
_COMPUTED = ("status", "decide_by", "approximate", "public_from")


class MatterUnknown(NotFound):
    """There is no such commitment or listing."""


class AlreadyStands(Conflict):
    """One of this kind and name is in force already."""


class _Moved(Fault):
    """It was moved between the look at it and the decision."""


class MatterBook:
    """Writes records of matters; knows neither who may nor what follows for credit."""

    def __init__(self, database: Database, recorder: Recorder, *, clock: Clock) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock

    def begin(
        self,
        party: str,
        data: Mapping[str, Any],
        *,
        by: By = _OURSELVES,
        check: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> Recorded:
        """Returns the record that begins a matter; data: as `matters.matter_row` reads it.

        Its id is the record's id, so a repeat is answered as one. check: judges the party's state.
        Raises AlreadyStands, PartyUnknown, IdConflict, and what `check` raises.
        """
        stream, kind = f"party/{party}", Kind(data["kind"])
        key = fact_key(kind, data["name"])

        def decide(claim: Claim, view: View) -> Draft:
            head = view.heads[claim.stream]
            if not head.exists:
                raise PartyUnknown("party_unknown", party=party)
            check(head.state)
            known = view.facts.get((stream, key))
            if known is not None and Stand.of_fact(known).stands(view.now):
                raise AlreadyStands("matter_stands", name=data["name"])
            seq = head.seq + 1
            row = matter_row(data, party=party, actor=by.actor, seq=seq, at_ms=to_ms(view.now))
            uses = use_effects(data, actor=by.actor, about=party, seq=seq)
            return Draft(
                head.state,
                facts={key: Stand.of_data(data).as_fact()},
                effects=(Effect("matter", row), *uses),
                outbox=((MOVED, {"matter": data["matter"], "step": "begin"}),),
            )

        return self._write(
            party, data["matter"], TYPES[kind][0], data, decide, by, reads=(Read(stream, key),)
        )

    def take_step(
        self,
        matter: str,
        step: str,
        *,
        kinds: tuple[Kind, ...],
        by: By = _OURSELVES,
        record_id: str | None = None,
        once: str | None = None,
        more: Mapping[str, Any] | None = None,
        due: Callable[[datetime], Deadline | None] = lambda _: None,
        due_name: str = "decide_by",
        seals: tuple[Seal, ...] = (),
    ) -> Recorded:
        """Returns the record of a step, at once where the very same one was taken before.

        once: what makes the step this step, for those that the service takes; its id follows from
        it. due: a deadline that the record tells under `due_name`. Raises MatterUnknown,
        StepRefused, IdConflict, Unavailable.
        """
        with self._database.read() as connection:
            row = matterstore.find_matter(connection, matter)
        if row is None or Kind(row.kind) not in kinds:
            raise MatterUnknown("matter_unknown", id=matter[:80])
        if once is not None:
            record_id = str(uuid5(NAMESPACE, f"{matter} {step} {once}"))
        record_id = record_id or str(uuid_utils.uuid7())
        stream, key = f"party/{row.party}", fact_key(Kind(row.kind), row.name)
        told = {"matter": matter, "step": step, **(more or {})}
        for _ in range(_ATTEMPTS):
            known = self.find_data(row.party, record_id)
            if known is not None:
                # What we computed then, so that what was sent is compared, and nothing else.
                data = told | {name: known[name] for name in _COMPUTED if name in known}
            else:
                now = self._clock.now()
                planned = self._stand(stream, key, row).after(step, now=now)
                data = {**told, "status": planned.status}
                until = due(now)
                if until is not None:
                    data[due_name] = format_time(until.at)
                    data |= {"approximate": True} if until.approximate else {}
            try:
                return self._step(row, key, record_id, data, by=by, seals=seals)
            except _Moved:
                continue
        raise Unavailable("contended", retry_after_s=1)

    def _step(
        self, row: Any, key: str, record_id: str, data: Mapping[str, Any], *, by: By,
        seals: tuple[Seal, ...],
    ) -> Recorded:  # fmt: skip
        stream = f"party/{row.party}"

        def decide(claim: Claim, view: View) -> Draft:
            known = view.facts.get((stream, key))
            stand = Stand.of_row(row) if known is None else Stand.of_fact(known)
            if stand.id != row.id:  # it ended, and another one of its name began
                stand = Stand.of_row(row)
            moved = stand.after(data["step"], now=view.now)
            if moved.status != data["status"]:
                raise _Moved("contended")
            head, now_ms = view.heads[claim.stream], to_ms(view.now)
            told = step_row_of(
                data, of="matter", party=row.party, actor=by.actor, seq=head.seq + 1, at_ms=now_ms,
                record_id=record_id,
            )  # fmt: skip
            uses = use_effects(data, actor=by.actor, about=row.party, seq=head.seq + 1)
            return Draft(
                head.state,
                facts={key: moved.as_fact()},
                effects=(
                    Effect("matter_moved", moved_row(moved, at_ms=now_ms)),
                    Effect("matter_step", told),
                    *uses,
                ),
                outbox=((MOVED, {"matter": row.id, "step": data["step"]}),),
            )

        type_ = TYPES[Kind(row.kind)][1]
        reads = (Read(stream, key),)
        return self._write(row.party, record_id, type_, data, decide, by, reads=reads, seals=seals)

    def write_all(self, submissions: list[Submission]) -> list[Recorded]:
        """Returns several records, written at once. Raises the first fault."""
        return all_recorded(self._recorder.submit_and_wait(submissions))

    def _write(
        self, party: str, record_id: str, type_: str, data: Mapping[str, Any],
        decide: Callable[[Claim, View], Draft], by: By, *, reads: tuple[Read, ...],
        seals: tuple[Seal, ...] = (),
    ) -> Recorded:  # fmt: skip
        claim = party_claim(
            party, record_id, type_, data, actor=by.actor, at=self._clock.now(), seals=seals
        )
        submission = Submission(
            claim, by.source, decide, seals=seals, reads=reads, time_given=False
        )
        (recorded,) = self.write_all([submission])
        return recorded

    def _stand(self, stream: str, key: str, row: Any) -> Stand:
        with self._database.read() as connection:
            known = ledger_store.load_facts(connection, [(stream, key)]).get((stream, key))
        stand = Stand.of_row(row) if known is None else Stand.of_fact(known)
        return stand if stand.id == row.id else Stand.of_row(row)

    def find_data(self, party: str, record_id: str) -> Mapping[str, Any] | None:
        """Returns the data of the record with this id in the party's stream, or None. Read-only."""
        with self._database.read() as connection:
            return data_of(connection, f"party/{party}", record_id)
