"""What carriers and aggregators push: a waybill and its state, to events of the units in the parcel.

They know waybills, not codes; the keyed index (app.trace.secret_index) finds the goods that travel
under one. Which state is which event is data: carrier_feeds.json, a table for each feed. A feed that
ended says nothing of the goods. Whose parcel it is not learns nothing: to them the waybill is unknown.

The seller may pass on what its carrier says, too. That is its own word, the weaker one, and only about how
a parcel ended: on the way it is the carrier that speaks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import format_time
from app.kit.errors import Fault, FieldFault, Invalid, NotFound, Unavailable, invalid
from app.ledger import store
from app.ledger.submission import Answer, Recorded
from app.parties.identity import is_party_id, parse_region, parse_waybill
from app.parties.principal import Principal
from app.parties.roles import sources_of
from app.trace import pushstore
from app.trace.life_table import LifecycleConflict
from app.trace.recording import Recording
from app.trace.requests import EventRequest
from app.trace.rights import NotTheHolder
from app.trace.secret_index import SecretIndex
from app.trace.sending import EventNotYours
from app.trace.sides import seller_of
from app.trace.store import load_lives

MAX_ITEMS = 200
MAX_EVENTS = 2_000
_NAMESPACE = UUID("b7f0b0a2-3c1d-5f57-9a43-1f0f5a6f9d20")

Status = Literal["recorded", "repeated", "ignored", "unknown", "refused"]


class WaybillUnknown(NotFound):
    """No goods of ours travel under this waybill for this carrier."""


@dataclass(frozen=True, slots=True)
class Push:
    """One state of one waybill, in the words of its feed. reason: of a refusal or return."""

    waybill: str
    state: str
    occurred_at: datetime
    region: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class Pushed:
    """What came of a push: an event for each unit in the parcel. fault: why none, where it has a reason."""

    status: Status
    events: list[Recorded] = field(default_factory=list)
    fault: Fault | None = None


class _Parcel(NamedTuple):
    """Goods under a waybill, and in whose name the sender may speak of them. actor None: its own.

    dispatch: the id of its record. current: whether they travel under it now, and it is the sender's.
    """

    stream: str
    consignment: str | None
    dispatch: str
    actor: str | None
    current: bool


@cache
def feeds() -> Mapping[str, Mapping[str, str]]:
    """Returns our state of each state of a feed."""
    told: Mapping[str, Mapping[str, str]] = _tables()["feeds"]
    return told


def names_of(feed: str) -> Mapping[str, str]:
    """Returns a feed's state by the name that it has there, where it tells states by name."""
    told: Mapping[str, str] = _tables()["names"].get(feed, {})
    return told


def event_of(feed: str, state: str) -> str | None:
    """Returns the type of the event that a state becomes; None for a state that says nothing of the goods."""
    ours = feeds()[feed].get(state)
    return None if ours is None else _tables()["states"][ours].get("event")


@cache
def _tables() -> Mapping[str, Any]:
    raw = Path(__file__).with_name("carrier_feeds.json").read_text("utf-8")
    told: Mapping[str, Any] = json.loads(raw)
    return told


class Pushes:
    """Takes what a feed pushes; each item stands for itself, and again it is a repeat."""

    def __init__(self, database: Database, recording: Recording, *, index: SecretIndex) -> None:
        self._database = database
        self._recording = recording
        self._index = index

    def take(
        self,
        principal: Principal,
        feed: str,
        items: Sequence[Push | Fault],
        *,
        most: int | None = MAX_EVENTS,
    ) -> list[Pushed]:
        """Returns what came of each item, in order. Raises Invalid for an unknown feed.

        items: of one that could not be read, why; it is refused with that.
        most: events; an item that goes beyond is refused, so that its sender sends less at once. None:
        for who cannot, all of it.
        """
        principal.check_may("event.send")
        check_feed(feed)
        results: list[Pushed] = []
        waybills: list[str | None] = []
        for n, item in enumerate(items):
            try:
                waybills.append(_check(feed, item, n))
                results.append(Pushed("unknown"))
            except Fault as fault:
                waybills.append(None)
                results.append(Pushed("refused", fault=fault))
        parcels = self._parcels(principal, {w for w in waybills if w is not None})
        requests: list[EventRequest] = []
        owners: list[int] = []
        earlier: list[tuple[int, EventRequest]] = []
        for n, (item, waybill) in enumerate(zip(items, waybills, strict=True)):
            if waybill is None or isinstance(item, Fault):
                continue
            told = _tables()["states"][feeds()[feed][item.state]]
            found = parcels.get(waybill, [])
            mine = sum(parcel.current for parcel in found)
            if not found or not (told or mine):
                results[n].fault = WaybillUnknown("waybill_unknown")
            elif not told:
                results[n].status = "ignored"
            elif mine and not any(
                one.current and _may_tell(principal, told["event"], one) for one in found
            ):
                results[n].status = "refused"
                results[n].fault = EventNotYours("event_not_yours", type=told["event"])
            elif most is not None and len(requests) + mine > most:
                params = {"expected": f"≤ {most}", "got": len(requests) + mine}
                results[n].status = "refused"
                results[n].fault = invalid(FieldFault(("items", n), "length", params))
            else:
                for parcel in found:
                    event = _event(principal, item, told, parcel)
                    if parcel.current:
                        requests.append(event)
                        owners.append(n)
                    else:
                        earlier.append((n, event))
                if not mine:
                    results[n].fault = WaybillUnknown("waybill_unknown")
        for n in self._known(earlier):
            results[n] = Pushed("repeated")
        for start in range(0, len(requests), MAX_EVENTS):
            part = slice(start, start + MAX_EVENTS)
            answers = self._recording.record_and_wait(principal, requests[part])
            for n, answer in zip(owners[part], answers, strict=True):
                _note(results[n], answer)
        return results

    def _known(self, events: Sequence[tuple[int, EventRequest]]) -> Iterator[int]:
        """Yields the items told of goods that travel under it no more, while they did. Read-only."""
        if not events:
            return
        with self._database.read() as connection:
            known = store.find_by_id(connection, {(e.code, str(e.id)) for _, e in events})
        yield from (n for n, event in events if (event.code, str(event.id)) in known)

    def _parcels(self, principal: Principal, waybills: set[str]) -> dict[str, list[_Parcel]]:
        """Returns by waybill the goods of which this sender may speak. Read-only."""
        digests = {self._index.digest("waybill", waybill): waybill for waybill in waybills}
        found: dict[str, list[_Parcel]] = {}
        with self._database.read() as connection:
            sealed = pushstore.sealings(connection, digests)
            lives = load_lives(
                connection, sorted({life_of(s) for at in sealed.values() for s in at})
            )
            mandates = mandates_of(connection, principal, lives.values())
        for digest, at in sealed.items():
            parcels = found.setdefault(digests[digest], [])
            for one in at:
                parcel = _parcel(principal, one, lives[life_of(one)], mandates)
                if parcel not in parcels:
                    parcels.append(parcel)
        return found


def _may_tell(principal: Principal, event_type: str, parcel: _Parcel) -> bool:
    """Whether some role of the sender's may tell such an event at all. The recorder asks the rest."""
    return parcel.actor is not None or bool(sources_of(principal.roles, event_type))


def life_of(sealing: pushstore.Sealing) -> tuple[str, str]:
    """Returns the place of the life that a record is part of: its stream, and "" or a consignment."""
    consignment = sealing.fields["data"].get("consignment")
    return sealing.stream, "" if consignment is None else f"consignment/{consignment}"


def _parcel(
    principal: Principal,
    sealing: pushstore.Sealing,
    state: Mapping[str, Any],
    mandates: frozenset[str],
) -> _Parcel:
    """Returns the goods of a record that seals a waybill."""
    fields, data = sealing.fields, sealing.fields["data"]
    consignment = data.get("consignment")
    dispatch = state.get("dispatch")
    # Sold again since, come back, or sent under another number: this one says nothing of the goods now.
    current = (
        dispatch is not None
        and sealing.seq >= int(dispatch["seq"])
        and (consignment is not None or sealing.is_last)
    )
    allowed, actor = speaks_of_parcel(principal, state, mandates) if current else (False, None)
    told = str(data["of"] if fields["type"] == "correction" else fields["id"])
    return _Parcel(sealing.stream, consignment, told, actor, current and allowed)


def mandates_of(
    connection: Connection, principal: Principal, lives: Iterable[Mapping[str, Any]]
) -> frozenset[str]:
    """Returns which of the carriers that these lives name gave the sender a mandate. Read-only."""
    carriers = {str(life.get("dispatch", {}).get("carrier", "")) for life in lives}
    wanted = {
        (f"party/{carrier}", f"mandate/{principal.party}"): carrier
        for carrier in sorted(carriers)
        if is_party_id(carrier)
    }
    return frozenset(wanted[place] for place in store.load_facts(connection, wanted))


def speaks_of_parcel(
    principal: Principal, state: Mapping[str, Any], mandates: frozenset[str]
) -> tuple[bool, str | None]:
    """Returns whether the sender may speak of the parcel, and in whose name. None: in its own.

    As the carrier that the dispatch names, for it under a mandate (`mandates_of`), as the platform of
    the sale, or as the seller.
    """
    carrier, own = str(state["dispatch"].get("carrier", "")), str(principal.party)
    if own in (carrier, state.get("sale", {}).get("platform")):
        return True, None
    if carrier in mandates:
        return True, carrier if is_party_id(carrier) else None
    return own == seller_of(state), None


def check_feed(feed: str) -> None:
    """Raises Invalid for a feed that has no table."""
    if feed not in feeds():
        expected = ", ".join(feeds())
        raise invalid(FieldFault(("feed",), "enum", {"expected": expected, "got": feed[:40]}))


def _check(feed: str, item: Push | Fault, n: int) -> str:
    """Returns the waybill in its one spelling. Raises Invalid with the places among the items."""
    if isinstance(item, Fault):
        raise item
    told = {"waybill": item.waybill, "state": item.state, "region": item.region}
    if faults := faults_in(feed, told, ("items", n)):
        raise invalid(*faults)
    return parse_waybill(item.waybill)


def faults_in(
    feed: str, told: Mapping[str, str | None], loc: tuple[str | int, ...]
) -> list[FieldFault]:
    """Returns everything wrong with an item's waybill, state and region, of which some may be missing."""

    def check_state(state: str) -> None:
        if state not in feeds()[feed]:
            params = {"expected": ", ".join(feeds()[feed]), "got": state[:40]}
            raise invalid(FieldFault((*loc, "state"), "enum", params))

    faults: list[FieldFault] = []
    checks: Mapping[str, Callable[[str], object]] = {
        "waybill": lambda given: parse_waybill(given, loc=(*loc, "waybill")),
        "state": check_state,
        "region": lambda given: parse_region(given, loc=(*loc, "region")),
    }
    for name, check in checks.items():
        value = told.get(name)
        try:
            if value is not None:
                check(value)
        except Invalid as refused:
            faults += refused.errors
    return faults


def _event(
    principal: Principal, item: Push, told: Mapping[str, Any], parcel: _Parcel
) -> EventRequest:
    data = dict(told["data"])
    if told["event"] == "transit" and item.region is not None:
        data["region"] = item.region
    if "reason" in data and item.reason:
        data["reason"] = item.reason
    if parcel.consignment is not None:
        data["consignment"] = parcel.consignment
    at = format_time(item.occurred_at)
    # Whoever sends the same of the same parcel again says it under the same id.
    name = "\x00".join(
        (str(principal.party), parcel.stream, parcel.dispatch, told["event"], json.dumps(data), at)
    )
    return EventRequest(
        code=parcel.stream,
        type=told["event"],
        data=data,
        id=str(uuid5(_NAMESPACE, name)),
        occurred_at=item.occurred_at,
        actor=parcel.actor,
    )


_ORDER: tuple[Status, ...] = ("unknown", "refused", "ignored", "repeated", "recorded")


def _note(pushed: Pushed, answer: Answer) -> None:
    """Adds what came of one unit; the parcel is as good as the best of them."""
    status: Status
    if isinstance(answer, Recorded):
        status = "repeated" if answer.replayed else "recorded"
        pushed.events.append(answer)
    elif isinstance(answer, Unavailable):
        raise answer
    else:
        # Feeds tell old news: a second signature, a scan of what has come back already.
        is_old = isinstance(answer, LifecycleConflict | NotTheHolder)
        status = "ignored" if is_old else "refused"
        pushed.fault = answer
    if _ORDER.index(status) >= _ORDER.index(pushed.status):
        pushed.status = status
