"""All that is wrong with an event as it was sent, at once. Pure.

Asked only once an event was refused: who is right pays nothing for it. Says nothing of who may, nor of the
life of the goods: those are decided one after the other, with the first refusal as the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from app.kit.canonical import check_canonical
from app.kit.errors import MOST_BESIDE, Fault, FieldFault, Invalid
from app.parties.identity import CONSUMER
from app.trace.claims import check_actor, check_salt, record_id
from app.trace.events import EVENT_TYPES, Level, check_event, check_time
from app.trace.identifiers import parse_code
from app.trace.party_events import PREFIX as PARTY_PREFIX
from app.trace.ratings import BUYER_RATING, check_opinion
from app.trace.requests import EventRequest

_FIELDS = ("code", "type", "data", "id", "occurred_at", "actor", "sealed", "signed")


def told_whole(fault: Fault, request: EventRequest, now: datetime) -> Fault:
    """Returns a refusal of an event's shape with all that is wrong with it, any other as it is."""
    if type(fault) is not Invalid or not 0 < len(fault.errors) <= MOST_BESIDE:
        return fault
    beside = (one for one in faults_of(request, now) if one not in fault.errors)
    more = tuple(islice(beside, MOST_BESIDE))
    return Invalid("invalid", errors=(*fault.errors, *more)) if more else fault


def faults_of(request: EventRequest, now: datetime) -> list[FieldFault]:
    """Returns everything wrong with the shape of an event."""
    told = {name: getattr(request, name) for name in _FIELDS}
    return faults_in({name: value for name, value in told.items() if value is not None}, now)


def faults_in(given: Mapping[str, Any], now: datetime | None) -> list[FieldFault]:
    """Returns everything wrong with these fields of an event; some may be missing, none is of another type.

    What `data` may hold depends on the goods that `code` names: where that cannot be read, the data is not
    judged. now: None where nobody knows it, so that a time is asked nothing.
    """
    faults: list[FieldFault] = []
    for check in _checks(given, now):
        try:
            check()
        except Invalid as refused:
            faults += refused.errors
    return faults


def _checks(given: Mapping[str, Any], now: datetime | None) -> Iterator[Callable[[], object]]:
    type_, sealed = given.get("type"), given.get("sealed", {})
    signed = given.get("signed") is not None
    level: list[Level] = []
    if "code" in given:
        yield lambda: level.append(_level_of(given["code"]))
    if type_ is not None and type_ not in EVENT_TYPES:
        yield lambda: check_event(type_, "unit", {}, ())
    elif type_ is not None and "data" in given and level:
        yield lambda: check_event(type_, level[0], given["data"], sealed.keys(), signed=signed)
    if "id" in given:
        yield lambda: record_id(given["id"])
    if "occurred_at" in given and now is not None:
        yield lambda: check_time(given["occurred_at"], now)
    if "actor" in given and given["actor"] != CONSUMER:
        yield lambda: check_actor(given["actor"])
    for name, section in sealed.items():
        loc = ("sealed", name, "content")
        yield lambda section=section, loc=loc: check_canonical(section.content, loc)  # type: ignore[misc]
        yield lambda name=name, section=section: check_salt(name, section, signed=signed)  # type: ignore[misc]
    if type_ == BUYER_RATING and "sealed" in given:
        yield lambda: check_opinion({name: one.content for name, one in sealed.items()})


def _level_of(code: str) -> Level:
    return "party" if code.startswith(PARTY_PREFIX) else parse_code(code).level
