"""Out of which case a signature took a unit: what the named carrier's word after it may still name.

The state of a life keeps no case beyond the signature, so that old chains are told again the same. The
unit's records say it; they never change, and what is read ahead of a transaction is held there against
the signature that stands. Of many units at once, since one scan of a case is about all in it. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from app.kit.errors import Fault
from app.ledger.record import Claim
from app.trace.casestore import last_before
from app.trace.identifiers import parse_code
from app.trace.life_table import WORDS, State, case_of
from app.trace.requests import EventRequest

_MOVING = frozenset({"pack", "unpack", "signature"})


class Left(NamedTuple):
    """A signature, by its record's id, and the case (SSCC) that the unit was in until then."""

    signature: str
    case: str


class Whereabouts(NamedTuple):
    """Of a unit: the case that it is in, and what took it out of one. None of a unit in none."""

    inside: str | None = None
    left: Left | None = None

    def after(self, claim: Claim) -> Whereabouts:
        """Returns where the unit is once this claim about it is recorded."""
        match claim.type:
            case "pack":
                return Whereabouts(str(claim.data["case"]))
            case "unpack":
                return Whereabouts(None, self.left)
            case "signature" if self.left is None or self.left.signature != claim.id:
                left = None if self.inside is None else Left(claim.id, self.inside)
                return Whereabouts(None, left)
            case _:
                return self  # a repeat of that signature, too


def names_case(request: EventRequest) -> bool:
    """Whether an event is the word about a delivery and says in which case."""
    return request.type in WORDS and "case" in request.data


def of_cases(requests: Iterable[EventRequest]) -> set[str]:
    """Returns the streams of those that do, as far as they can be read."""
    found = set()
    for request in requests:
        if names_case(request):
            with suppress(Fault):
                found.add(parse_code(request.code).stream)
    return found


def find_whereabouts(connection: Connection, lives: Mapping[str, State]) -> dict[str, Whereabouts]:
    """Returns where each unit is, by the name of its stream.

    lives: states by that name. A unit that was unpacked on its way was in none any more. Read-only.
    """
    signed = {stream: life for stream, life in lives.items() if life.get("state") == "signed"}
    before = {stream: int(life["signature"]["seq"]) for stream, life in signed.items()}
    moved = last_before(connection, before, types=_MOVING)
    found = {stream: Whereabouts(case_of(life)) for stream, life in lives.items()}
    for stream, fields in moved.items():
        if fields["type"] == "pack":
            left = Left(signed[stream]["signature"]["id"], fields["data"]["case"])
            found[stream] = Whereabouts(None, left)
    return found
