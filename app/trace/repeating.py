"""Events that a rule refuses and that are repeats: what they say was recorded before there was that rule.

Safe to repeat means for ever: who never had the first answer asks again after our next release, too. So of
what stands in the record nothing is judged again; that the rest is the same the recorder finds out
(app.ledger.repeat), and what stands under this id is never recorded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.kit.errors import Fault, Invalid
from app.trace.claims import record_id
from app.trace.events import Level, check_changes
from app.trace.identifiers import parse_code
from app.trace.naming import find_fields
from app.trace.party_events import PREFIX as PARTY_PREFIX
from app.trace.requests import EventRequest


def may_stand(request: EventRequest, refused: object) -> bool:
    """Whether an event about goods that is refused for its shape may be a repeat all the same."""
    is_shape = type(refused) is Invalid
    return is_shape and request.id is not None and not request.code.startswith(PARTY_PREFIX)


def find_recorded(connection: Connection, request: EventRequest) -> Mapping[str, Any] | None:
    """Returns the data of the record of this type that has the event's id; None for none. Read-only."""
    try:
        fields = find_fields(connection, parse_code(request.code).stream, record_id(request.id))
    except (Fault, ValueError):
        return None  # code or id cannot be read; or altered bytes, which say nothing
    if fields is None or fields["type"] != request.type:
        return None
    data: Mapping[str, Any] = fields["data"]
    return data


def as_recorded(
    type_: str, level: Level, data: Mapping[str, Any], recorded: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the data as it would stand, judged only where it is not just what the record says.

    Raises Invalid, as `check_changes` does.
    """
    other = {name: value for name, value in data.items() if recorded.get(name) != value}
    same = {name: value for name, value in data.items() if name not in other}
    return same | (check_changes(type_, level, other) if other else {})
