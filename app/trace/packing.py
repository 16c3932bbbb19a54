"""Cases: units packed under an SSCC, so that one scan moves all of them.

A case has no chain of its own. Packing, unpacking and what befalls the case are records of each of its
units, all or none, under ids that follow from the request's: so every unit's page, evidence and deadlines
know it, nobody must trust a list beside the chain, and a repeat is a repeat. What is in a case is read
from `case_unit` when a request comes, and judged again at each unit when it is recorded: a unit that was
taken out meanwhile refuses the whole request. A case inside a case is refused: units alone are packed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.clock import Clock, from_ms
from app.kit.errors import Conflict, FieldFault, NotFound, invalid
from app.kit.tokens import RandomBytes
from app.ledger import store
from app.ledger.submission import Recorded, View, all_recorded
from app.parties.principal import Principal
from app.parties.roles import sources_of
from app.parties.rules import mandate_fact, party_stream
from app.parties.standing import check_mandate
from app.trace import casestore
from app.trace.claims import read_actor, record_id
from app.trace.code import Code
from app.trace.identifiers import parse_code, parse_unit
from app.trace.leaving import find_whereabouts
from app.trace.life_table import WORDS, LifecycleConflict
from app.trace.parcelstore import product_names
from app.trace.recording import Recording, find_refusal
from app.trace.requests import EventRequest, SealedInput
from app.trace.sending import EventNotYours
from app.trace.sides import may_speak_again
from app.trace.sscc import is_sscc, new_sscc, parse_sscc
from app.trace.store import load_lives

MAX_UNITS = 500
"""In one case, and in one request."""
MOVES = ("sale", "dispatch", "signature", "refusal", "return", "transfer", "acceptance")
"""What may befall all that is in a case at once."""

_MOST_EVER = 10_000
_TRIES = 20


class CaseUnknown(NotFound):
    """Nothing of it is in this case, or it is not theirs to ask."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in a case. state: of its life."""

    stream: str
    gtin: str
    product: str
    state: str
    packed_at: datetime


@dataclass(frozen=True, slots=True)
class CaseView:
    """What is in a case now. units may be none: it was emptied, or has arrived."""

    sscc: str
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case in a list. packed_at: of what was put in last."""

    sscc: str
    units: int
    packed_at: datetime


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """What befell a case. count: of units, as the sender counted them; None: it did not.

    holder: who holds the goods, where cases of several bear this number.
    """

    type: str
    data: Mapping[str, Any]
    id: str | None = None
    occurred_at: datetime | None = None
    actor: str | None = None
    sealed: Mapping[str, SealedInput] = field(default_factory=dict)
    count: int | None = None
    holder: str | None = None


class Packing:
    """Packs, unpacks and moves cases through the room of recording."""

    def __init__(
        self, database: Database, recording: Recording, *, clock: Clock, random: RandomBytes
    ) -> None:
        self._database = database
        self._recording = recording
        self._clock = clock
        self._random = random

    def new_number(self, principal: Principal, prefix: str) -> str:
        """Returns an SSCC under the party's company prefix that no case here bears. Writes nothing."""
        principal.check_may("event.send")
        principal.own_party()
        with self._database.read() as connection:
            for _ in range(_TRIES):
                sscc = new_sscc(prefix, self._random)
                if not casestore.units_of(connection, sscc, of=None, limit=1):
                    return sscc
        raise Conflict("case_numbers_used", prefix=prefix)

    def pack(
        self,
        principal: Principal,
        sscc: str,
        codes: Sequence[str],
        *,
        id: str | None = None,
    ) -> list[Recorded]:
        """Returns a `pack` record of each unit: all are in the case, or none. Raises the first Fault."""
        principal.check_may("event.send")
        case, units = parse_sscc(sscc), _read_units(codes)
        with self._database.read() as connection:
            rows = casestore.units_of(connection, case, of=principal.party, limit=_MOST_EVER)
        inside = {row.name for row in rows if row.inside and row.party == principal.party}
        count = len(inside | {unit.stream for unit in units})
        if count > MAX_UNITS:
            params = {"expected": f"1..{MAX_UNITS}", "got": count}
            raise invalid(FieldFault(("codes",), "range", params))
        return self._record(principal, units, CaseEvent("pack", {}, id), case, told=True)

    def unpack(
        self,
        principal: Principal,
        sscc: str,
        codes: Sequence[str] | None = None,
        *,
        id: str | None = None,
    ) -> list[Recorded]:
        """Returns an `unpack` record of each unit. codes None: of all that are in the case."""
        principal.check_may("event.send")
        case, event = parse_sscc(sscc), CaseEvent("unpack", {}, id)
        units = _read_units(codes) if codes is not None else self._units(principal, case, event)
        return self._record(principal, units, event, case, told=codes is not None)

    def move(self, principal: Principal, sscc: str, event: CaseEvent) -> list[Recorded]:
        """Returns a record of each unit in the case.

        Raises CaseUnknown, Denied where the sender may not speak so, or what refuses a unit.
        """
        principal.check_may("event.send")
        case = parse_sscc(sscc)
        if event.type not in MOVES:
            params = {"expected": ", ".join(MOVES), "got": event.type[:64]}
            raise invalid(FieldFault(("type",), "enum", params))
        units = self._units(principal, case, event)
        if event.count is not None and event.count != len(units):
            raise LifecycleConflict("case_changed")
        return self._record(principal, units, event, case)

    def look(self, principal: Principal, sscc: str) -> CaseView:
        """Returns what the party holds in a case. Raises CaseUnknown where it never held any. Read-only."""
        principal.check_may("event.send")
        case, party = parse_sscc(sscc), principal.own_party()
        with self._database.read() as connection:
            rows = [
                row
                for row in casestore.units_of(connection, case, of=party, limit=_MOST_EVER)
                if row.party == party
            ]
            if not rows:
                raise CaseUnknown("case_unknown", sscc=case)
            inside = [row for row in rows if row.inside]
            lives = load_lives(connection, [(row.name, "") for row in inside])
            codes = {row.name: parse_code(row.name) for row in inside}
            names = product_names(connection, {code.gtin for code in codes.values()})
        return CaseView(
            case,
            tuple(
                Unit(
                    row.name,
                    codes[row.name].gtin,
                    names.get(codes[row.name].gtin, ""),
                    str(lives[row.name, ""].get("state", "")),
                    from_ms(row.packed_at),
                )
                for row in inside
            ),
        )

    def cases(self, principal: Principal, *, after: str | None, limit: int) -> list[CaseLine]:
        """Returns the cases in which the party holds something, by number, behind `after`. Read-only."""
        principal.check_may("event.send")
        with self._database.read() as connection:
            found = casestore.cases_of(connection, principal.own_party(), after=after, limit=limit)
        return [CaseLine(sscc, count, from_ms(at)) for sscc, count, at in found]

    def _check_right(self, principal: Principal, event: CaseEvent) -> None:
        """Raises Denied unless the sender may tell this at all, for whom it speaks.

        Asked before anything is said of the case: how much another's holds, or whether there is one, is
        its affair. Judged again, with the goods, when it is recorded.
        """
        own, actor = principal.own_party(), read_actor(principal, event.actor)
        lent = None
        if actor != own:
            stream, now = party_stream(actor), self._clock.now()
            with self._database.read() as connection:
                heads = store.load_heads(connection, [stream])
                facts = store.load_facts(connection, [(stream, mandate_fact(own))])
            view = View(now, heads, facts)
            check_mandate(view, actor=actor, agent=own, event_type=event.type, now=now)
            lent = heads[stream].state.get("roles", ())
        if not sources_of(principal.roles, event.type, actor_roles=lent):
            raise EventNotYours("event_not_yours", type=event.type)

    def _units(self, principal: Principal, case: str, event: CaseEvent) -> list[Code]:
        """Returns the units that the request is about: of a repeat, those that it was about.

        Raises Denied, CaseUnknown.
        """
        actor = event.actor or principal.party
        with self._database.read() as connection:
            of = event.holder or actor
            rows = casestore.units_of(connection, case, of=of, limit=_MOST_EVER)
            told: dict[tuple[str, str], Any] = {}
            if event.id is not None:
                ids = [(row.name, _id_of(event, row.name)) for row in rows]
                told = store.find_by_id(connection, ids)
        known = {stream for stream, _ in told}
        if known:
            return [parse_code(row.name) for row in rows if row.name in known]
        self._check_right(principal, event)
        inside = [row for row in rows if row.inside]
        if event.type in WORDS:
            inside += self._signed_for(rows, case, actor=str(actor), sender=principal.own_party())
            # In the order that a repeat has, when none of them is inside any more.
            inside.sort(key=lambda row: (row.packed_at, row.stream))
        if event.holder is not None:
            inside = [row for row in inside if row.party == event.holder]
        own = [row for row in inside if row.party == actor] or self._entrusted(inside, actor)
        if len({row.party for row in own}) > 1:
            raise invalid(FieldFault(("holder",), "missing", {"name": "holder"}))
        if not own:
            raise CaseUnknown("case_unknown", sscc=case)
        return [parse_code(row.name) for row in own]

    def _signed_for(self, rows: Sequence[Any], case: str, *, actor: str, sender: str) -> list[Any]:
        """Returns the rows of units that a weaker signature took out of the case, before this carrier's own.

        Read-only.
        """
        gone = [row for row in rows if not row.inside]
        with self._database.read() as connection:
            lives = load_lives(connection, [(row.name, "") for row in gone])
            open_to = {
                stream: life
                for (stream, _), life in lives.items()
                if life.get("state") == "signed"
                and may_speak_again(life, actor=actor, sender=sender)
            }
            found = find_whereabouts(connection, open_to)
        left = {stream for stream, at in found.items() if at.left and at.left.case == case}
        return [row for row in gone if row.name in left]

    def _entrusted(self, rows: Sequence[Any], actor: str | None) -> list[Any]:
        """Returns the rows of units that are another's and in whose life this party has a part.

        Carrier, platform or named receiver; to anybody else the case is unknown. Read-only.
        """
        with self._database.read() as connection:
            lives = load_lives(connection, [(row.name, "") for row in rows])
        return [
            row
            for row in rows
            if actor is not None
            and actor
            in (
                lives[row.name, ""].get("dispatch", {}).get("carrier"),
                lives[row.name, ""].get("sale", {}).get("platform"),
                lives[row.name, ""].get("transfer", {}).get("to"),
            )
        ]

    def _record(
        self,
        principal: Principal,
        units: Sequence[Code],
        event: CaseEvent,
        case: str,
        *,
        told: bool = False,
    ) -> list[Recorded]:
        """told: whether the sender named the units; else it is told of its own goods alone which it was."""
        requests = [
            EventRequest(
                code=unit.stream,
                type=event.type,
                data={**event.data, "case": case},
                id=None if event.id is None else _id_of(event, unit.stream),
                occurred_at=event.occurred_at,
                actor=event.actor,
                sealed=event.sealed,
            )
            for unit in units
        ]
        answers = self._recording.record_and_wait(principal, requests, atomic=True)
        refused = find_refusal(answers)
        if refused is None:
            return all_recorded(answers)
        n, fault = refused
        if not fault.errors and (told or self._holds(principal, units[n])):
            loc: tuple[str | int, ...] = ("codes", n) if told else ("case",)
            params = {"got": units[n].stream}
            fault.errors = (FieldFault(loc, "refused", params, "refused_unit"),)
        raise fault

    def _holds(self, principal: Principal, unit: Code) -> bool:
        with self._database.read() as connection:
            life = load_lives(connection, [(unit.stream, "")])[unit.stream, ""]
        return life.get("holder") == principal.party


def _id_of(event: CaseEvent, stream: str) -> str:
    return str(uuid5(UUID(record_id(event.id)), f"{stream} {event.type}"))


def _read_units(given: Sequence[str]) -> list[Code]:
    """Returns the units, each once. Raises Invalid, for a case among them with its own kind."""
    if not 1 <= len(given) <= MAX_UNITS:
        params = {"expected": f"1..{MAX_UNITS}", "got": len(given)}
        raise invalid(FieldFault(("codes",), "range", params))
    found: dict[str, Code] = {}
    for n, told in enumerate(given):
        if is_sscc(told):
            raise invalid(FieldFault(("codes", n), "nested_case", {"got": told[:40]}))
        code = parse_unit(told, loc=("codes", n))
        if code.stream in found:
            raise invalid(FieldFault(("codes", n), "duplicate", {"got": code.stream}))
        found[code.stream] = code
    return list(found.values())
