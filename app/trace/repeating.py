"""Events that a rule refuses and that are repeats: what they say was recorded before there was that rule.

Safe to repeat means for ever: who never had the first answer asks again after our next release, too. So of
what stands in the record nothing is judged again; that the rest is the same the recorder finds out
(app.ledger.repeat), and what stands under this id is never recorded anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from app.db.engine import Database
from app.kit.errors import Fault, Invalid
from app.ledger import store
from app.trace.claims import record_id
from app.trace.events import Level, check_changes
from app.trace.identifiers import parse_code
from app.trace.party_events import PREFIX as PARTY_PREFIX
from app.trace.requests import EventRequest


def may_stand(request: EventRequest, refused: object) -> bool:
    """Whether an event about goods that is refused for its shape may be a repeat all the same."""
    is_shape = type(refused) is Invalid
    return is_shape and request.id is not None and not request.code.startswith(PARTY_PREFIX)


class Repeats:
    """What is recorded under the ids of some events: looked up once for all, when first asked."""

    def __init__(self, database: Database, requests: Sequence[EventRequest]) -> None:
        self._database = database
        self._requests = requests

    def data_of(self, request: EventRequest) -> Mapping[str, Any] | None:
        """Returns the data of the record of this type that has the event's id; None for none."""
        place = _place_of(request)
        found = None if place is None else self._found.get(place)
        if place is None or found is None:
            return None
        try:
            fields = store.StoredRecord(place[0], *found, None).fields
        except ValueError:
            return None  # altered bytes, which say nothing
        data: Mapping[str, Any] = fields["data"]
        return data if fields["type"] == request.type else None

    @cached_property
    def _found(self) -> Mapping[tuple[str, str], tuple[int, bytes, bytes]]:
        places = {_place_of(one) for one in self._requests if one.id is not None}
        with self._database.read() as connection:
            return store.find_by_id(connection, [one for one in places if one is not None])


def _place_of(request: EventRequest) -> tuple[str, str] | None:
    """Returns stream and id; None where code or id cannot be read."""
    try:
        return parse_code(request.code).stream, record_id(request.id)
    except Fault:
        return None


def as_recorded(
    type_: str, level: Level, data: Mapping[str, Any], recorded: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the data as it would stand, judged only where it is not just what the record says.

    Raises Invalid, as `check_changes` does.
    """
    other = {name: value for name, value in data.items() if recorded.get(name) != value}
    same = {name: value for name, value in data.items() if name not in other}
    return same | (check_changes(type_, level, other) if other else {})
