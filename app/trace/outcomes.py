"""What a seller decides of a complaint: once, and after that only in favour of who complained.

An acceptance is a promise that buyers read; a refusal may still become one. Asked at the door alone; the
fold takes what is recorded, so a chain that holds more from before stands as it is. Read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from app.ledger import store
from app.ledger.record import Claim
from app.trace.answerstore import answers_to
from app.trace.life_table import LifecycleConflict

Fields = Mapping[str, Any]

POSSIBLE: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("accepted", "refused"),
    "refused": ("accepted",),
    "accepted": (),
}
"""Outcomes that the seller may give, by the one that stands; "": none was given."""

OUTCOME_GIVEN: Final = "outcome_given"


def contradicts(connection: Connection, claim: Claim, complaint: Fields) -> bool:
    """Whether a reply gives an outcome that the one which its actor gave before does not allow."""
    return claim.data["outcome"] not in POSSIBLE[_standing(connection, claim, complaint)]


def guard_outcome(claim: Claim, complaint: Fields) -> Callable[[Connection], None]:
    """Returns what refuses an outcome where another one came first meanwhile, in the same batch too."""

    def check_first(connection: Connection) -> None:
        place = (claim.stream, claim.id)
        found = store.find_by_id(connection, [place]).get(place)
        if found is None:
            return  # refused for something else
        standing = _standing(connection, claim, complaint, before=found[0])
        if claim.data["outcome"] not in POSSIBLE[standing]:
            raise LifecycleConflict(OUTCOME_GIVEN)

    return check_first


def _standing(
    connection: Connection, claim: Claim, complaint: Fields, *, before: int | None = None
) -> str:
    """Returns the outcome that the actor of a reply gave last, "" for none. before: seq of the reply."""
    stream, of, after = claim.stream, str(complaint["id"]), int(complaint["seq"])
    matter = {of}  # a reply to a message goes on with its complaint
    for one in answers_to(connection, stream, {of}, types=frozenset({"message"}), after=after):
        matter.add(str(one["id"]))
    standing = ""
    for one in answers_to(connection, stream, matter, types=frozenset({"reply"}), after=after):
        if before is not None and one["seq"] >= before:
            break
        if one["actor"] == claim.actor:
            # Once it was accepted, what came of it in an older chain takes nothing back.
            standing = standing if standing == "accepted" else one["data"].get("outcome", standing)
    return standing
