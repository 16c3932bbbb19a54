"""Shipments: what a shop does when it packs. One order, its units, one parcel: sale and dispatch.

All units of a shipment, or none. Record ids are derived from the shipment's id, so sending it again
is a repeat. Without codes the units are issued now, under a batch that bears the shipment's id.

What would refuse a shipment is asked of the recorder itself, on a snapshot: see `preview`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import Denied, Fault, Invalid, Unavailable
from app.ledger.recorder import Recorder
from app.ledger.stage import IdConflict
from app.ledger.submission import Abandoned, Effect, Recorded, Submission, with_effects
from app.parties.identity import SYSTEM
from app.parties.principal import Principal
from app.trace import batchstore
from app.trace.code import Code
from app.trace.issuing import Issuing
from app.trace.recording import Recording, find_refusal
from app.trace.repeating import Repeats
from app.trace.requests import EventRequest
from app.trace.shipment import (
    MAX_UNITS,
    SENT_AS,
    Shipment,
    at_code,
    check_shape,
    code_of,
    content_of,
    events_of,
    read_codes,
)

MOST_TOLD = 10
"""Codes of a shipment of which a preview tells what is wrong: each row of a file may name 500 wrong ones."""
_SEEN_AT_ONCE = 500
"""Units of a preview that are in memory together, with what is read for them in few queries."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """What came of a shipment. batch_id: where units were issued for it."""

    events: tuple[Recorded, ...]
    codes: tuple[str, ...]
    batch_id: str | None


@dataclass(slots=True)
class Foreseen:
    """What would refuse a shipment. faults: [] for nothing. left_out: codes beyond MOST_TOLD."""

    faults: list[Fault] = field(default_factory=list)
    left_out: int = 0


class _Unit(NamedTuple):
    """A unit of a shipment that is looked at beforehand. of: the shipment's place, at: the code's in it.

    new: its registration, where it is to be issued.
    """

    of: int
    at: int
    events: Sequence[EventRequest]
    new: Sequence[Submission] = ()


class Shipments:
    """Records shipments through the rooms of recording and issuing."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        recording: Recording,
        issuing: Issuing,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._recording = recording
        self._issuing = issuing
        self._clock = clock

    def ship(
        self,
        principal: Principal,
        shipment: Shipment,
        *,
        effects: Sequence[Effect] = (),
        low_priority: bool = False,
    ) -> Shipped:
        """Returns the recorded events, two a unit. Raises the first Fault; then nothing is written.

        effects: rows to be written with it; a repeat writes none. low_priority: lets everything else
        go first.
        """
        principal.check_may("shipment.send")
        shipment_id = check_shape(shipment)
        codes = read_codes(shipment.codes)
        content = content_of(principal, shipment, codes)
        known = self._known(shipment_id, content)
        first: Sequence[tuple[Submission, Code]] = ()
        if known is not None:
            codes = codes or known
        elif shipment.units is not None:
            first = self._issue(principal, shipment_id, shipment)
            codes = [code for _, code in first]
        row = {
            "shipment_id": shipment_id,
            "content": content,
            "created_at": to_ms(self._clock.now()),
        }
        submissions = self._prepare(principal, shipment, UUID(shipment_id), codes)
        # A repeat decides nothing, so the row is written with the shipment's first record, once.
        submissions[0] = with_effects(submissions[0], Effect("shipment", row), *effects)
        answers = self._recorder.submit_and_wait(
            [*(submission for submission, _ in first), *submissions],
            atomic=True,
            low_priority=low_priority,
        )
        refused = [a for a in answers if isinstance(a, Fault)]
        if refused:
            if known is None and self._known(shipment_id, content) is not None:
                # The same shipment, sent twice at once: the other one was first.
                return self.ship(principal, shipment, effects=effects, low_priority=low_priority)
            refusal = find_refusal(answers[len(first) :])
            if refusal is None:
                raise refused[0]
            n, fault = refusal
            raise at_code(fault, shipment, n // 2)
        recorded = [a for a in answers if isinstance(a, Recorded)]
        return Shipped(
            tuple(recorded[len(first) :]),
            tuple(code.stream for code in codes),
            None if shipment.units is None else shipment_id,
        )

    def preview(self, principal: Principal, shipments: Sequence[Shipment]) -> list[Foreseen]:
        """Returns what would refuse each shipment now, each as if the others were not.

        Asked of each code, so that all that are wrong are told, or counted; of units to be issued, which are
        all alike, of one. One that is recorded already is a repeat, without fault; that its id was sent
        with other codes is not seen. Read-only.
        """
        principal.check_may("shipment.send")
        found = [Foreseen() for _ in shipments]
        some: list[_Unit] = []
        for unit in self._units(principal, shipments, found):
            some.append(unit)
            if len(some) == _SEEN_AT_ONCE:
                self._look_at(principal, shipments, some, found)
                some = []
        self._look_at(principal, shipments, some, found)
        return found

    def _units(
        self, principal: Principal, shipments: Sequence[Shipment], found: Sequence[Foreseen]
    ) -> Iterator[_Unit]:
        """Yields what is to be looked at of each shipment; what is wrong with its form goes to `found`."""
        for of, shipment in enumerate(shipments):
            try:
                shipment_id = UUID(check_shape(shipment))
                codes = read_codes(shipment.codes)
                new: Sequence[Submission] = ()
                if shipment.units is not None:
                    # Whose brand it is changes nothing for its sale.
                    ((one, code),) = self._issuing.unit_submissions(
                        code_of(shipment.units), principal.own_party(), count=1, inner=False,
                        brand_owner=False,
                    )  # fmt: skip
                    new, codes = [one], [code]
            except Fault as fault:
                found[of].faults.append(fault)
                continue
            for at, code in enumerate(codes):
                yield _Unit(of, at, events_of(shipment, shipment_id, code.stream), new)

    def _look_at(
        self,
        principal: Principal,
        shipments: Sequence[Shipment],
        units: Sequence[_Unit],
        found: Sequence[Foreseen],
    ) -> None:
        """Adds to `found` what would refuse these units."""
        repeats = Repeats(self._database, [event for unit in units for event in unit.events])
        asked: list[_Unit] = []
        requests: list[list[Submission]] = []
        for unit in units:
            ready, wrong = list(unit.new), list[Fault]()
            for event in unit.events:
                try:
                    ready.append(self._prepare_one(principal, event, repeats))
                except Fault as fault:
                    wrong.append(fault.with_traceback(None))
            if not wrong:
                asked.append(unit)
                requests.append(ready)
            elif not found[unit.of].faults:
                # Of the parcel, so of every unit in it: told once.
                found[unit.of].faults.extend(wrong)
        answers = self._recorder.preview(requests, apart=True) if requests else []
        for unit, of_unit in zip(asked, answers, strict=True):
            one = found[unit.of]
            for answer in of_unit:
                # What the service cannot answer now it can when it is to be recorded.
                if not isinstance(answer, Fault) or isinstance(answer, Abandoned | Unavailable):
                    continue
                if len(one.faults) >= MOST_TOLD:
                    one.left_out += 1
                    continue
                told = at_code(answer, shipments[unit.of], unit.at)
                # Where it was raised keeps alive whatever was read there.
                one.faults.append(told.with_traceback(None))

    def _prepare(
        self, principal: Principal, shipment: Shipment, shipment_id: UUID, codes: Sequence[Code]
    ) -> list[Submission]:
        """Returns sale and dispatch of every unit. Raises Invalid, fields named as they were sent."""
        return [
            self._prepare_one(principal, event)
            for code in codes
            for event in events_of(shipment, shipment_id, code.stream)
        ]

    def _prepare_one(
        self, principal: Principal, event: EventRequest, repeats: Repeats | None = None
    ) -> Submission:
        try:
            return self._recording.prepare(principal, event, None, repeats=repeats)
        except Invalid as refused:
            refused.errors = tuple(
                replace(error, loc=SENT_AS.get((event.type, *error.loc[:2]), error.loc))
                for error in refused.errors
            )
            raise

    def _known(self, shipment_id: str, content: bytes) -> list[Code] | None:
        """Returns the units issued for this shipment if it was recorded before, else None.

        Raises IdConflict where its id is that of another shipment, or of an order for codes.
        """
        with self._database.read() as connection:
            row = batchstore.find_shipment(connection, shipment_id)
            batch = batchstore.find(connection, shipment_id)
            if row is None and batch is None:
                return None
            if row is None or row.content != content:
                raise IdConflict("id_conflict", id=shipment_id, stream="shipment")
            if batch is None:
                return []
            rows = batchstore.serials(connection, shipment_id, after=-1, limit=MAX_UNITS)
        return [Code(batch.gtin, lot=batch.lot, serial=one.serial) for one in rows]

    def _issue(
        self, principal: Principal, batch_id: str, shipment: Shipment
    ) -> Sequence[tuple[Submission, Code]]:
        units = shipment.units
        if (
            units is None
            or principal.party is None
            or shipment.actor not in (None, principal.party)
        ):
            # A mandate to sell and dispatch is none to issue.
            raise Denied("issue_not_yours")
        code = code_of(units)
        row: dict[str, Any] = {
            "batch_id": batch_id,
            "party": principal.party,
            "via": None,
            "source": SYSTEM,
            "gtin": code.gtin,
            "lot": code.lot,
            "count": units.quantity,
            "done": 0,
            "inner": False,
            "status": "shipment",
            "error": None,
            "created_at": to_ms(self._clock.now()),
        }

        def effect(n: int, serial: str) -> Effect:
            told = {"batch_id": batch_id, "n": n, "serial": serial}
            return Effect("shipment_code", {**told, "batch": row})

        return self._issuing.unit_submissions(
            code, principal.party, count=units.quantity, inner=False, effect=effect
        )
