"""What waits for a regulator: objections, applications for repair or removal, commitments in question.

Found by their rows; what a party said is opened apart from that, for whom it is addressed to. Nobody is
shown its own case, since nobody decides in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from app.credit import matterstore, store, waitstore
from app.credit.lists import NAMES
from app.credit.loader import Policies
from app.credit.matters import Kind
from app.credit.rules import Criterion, ListName, Rule, Texts
from app.credit.templates import Template, find_template
from app.credit.waitstore import NEVER, Waiting
from app.credit.words import Wish, Words, closed_to, deciding
from app.db.engine import Database
from app.kit.clock import Clock, format_time, from_ms, parse_time, to_ms
from app.parties.principal import Principal
from app.parties.store import find_parties

Place = tuple[int, str]
"""Until when it is to be decided (ms), and its id."""

_WISHES: Mapping[str, Wish] = {
    "object": "objection",
    "ask_repair": "repair",
    "ask_removal": "removal",
    "question": "question",
}
_NEVER = 2**62
_LAST_MS = to_ms(parse_time(NEVER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something that waits for a decision.

    of: an entry, a listing (`list` is which), a commitment. title: of its rule, criterion or template.
    version: of the policy that made it, or of the template. decide_by: None where no term runs.
    text: None until it is opened, and where it is erased or the service asked. closed: it is kept and was
    not opened, as `marked` finds. step: which says it.
    """

    of: Literal["entry", "listing", "commitment"]
    wish: Wish
    id: str
    party: str
    party_name: str
    region: str
    title: Texts
    version: int
    list: ListName | None = None
    points: int | None = None
    asked_at: datetime
    decide_by: datetime | None
    approximate: bool
    step: Any
    text: str | None = None
    closed: bool = False

    @property
    def place(self) -> Place:
        """Where it stands in the queue."""
        return _place(self.decide_by, self.id)


class Undecided:
    """The queue of decisions."""

    def __init__(
        self, database: Database, policies: Policies, *, clock: Clock, words: Words
    ) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self._words = words

    def page(
        self, principal: Principal, *, after: Place | None = None, limit: int
    ) -> tuple[int, list[Asked]]:
        """Returns how many wait for this authority, in its region, and those behind `after`.

        What was said is not opened. Raises what `check_may` raises. Read-only.
        """
        principal.check_may("credit.decide")
        waiting = Waiting(
            region=principal.region,
            but=principal.party,
            wishes=_WISHES,
            now_ms=to_ms(self._clock.now()),
        )
        behind = None if after is None else _as_kept(after)
        with self._database.read() as connection:
            count = waitstore.count(connection, waiting)
            entries = waitstore.entries(connection, waiting, after=behind, limit=limit)
            matters = waitstore.matters(connection, waiting, after=behind, limit=limit)
            found = [*_of_entries(connection, entries), *_of_matters(connection, matters)]
            shown = sorted(found, key=lambda one: one.place)[:limit]
            ids = sorted({one.row.party for one in shown})
            parties = {row.id: row for row in find_parties(connection, ids)}
            return count, [self._told(one, parties[one.row.party]) for one in shown]

    def marked(self, principal: Principal, waiting: Sequence[Asked]) -> list[Asked]:
        """Returns the same, saying of which words are kept, so that one not opened is told from one erased.

        Raises what `check_may` raises. Read-only.
        """
        principal.check_may("credit.decide")
        with self._database.read() as connection:
            closed = closed_to(connection, principal, [one.step for one in waiting])
        return [replace(one, closed=is_so) for one, is_so in zip(waiting, closed, strict=True)]

    def opened(self, principal: Principal, waiting: Sequence[Asked]) -> list[Asked]:
        """Returns the same with what was said: it is addressed to who decides, and each is a look for that.

        Raises what `check_may` raises. Writes `access_log`.
        """
        principal.check_may("credit.decide")
        with self._words.reading(principal) as reading, self._database.read() as connection:
            said = [
                reading.of(connection, one.step, purpose=deciding(one.wish, one.id))
                for one in waiting
            ]
        return [replace(one, text=told.text) for one, told in zip(waiting, said, strict=True)]

    def _told(self, one: _Waiting, party: Any) -> Asked:
        name = NAMES[Kind(one.row.kind)] if one.of == "listing" else None
        return Asked(
            of=one.of,
            wish=_WISHES[one.step.step],
            id=one.row.id,
            party=one.row.party,
            party_name=party.name,
            region=party.region or "",
            title=self._title(one, name),
            version=one.version,
            list=name,
            points=one.points,
            asked_at=from_ms(one.step.at),
            decide_by=one.decide_by,
            approximate=bool(one.told.get("approximate")),
            step=one.step,
        )

    def _title(self, one: _Waiting, name: ListName | None) -> Texts:
        known: Rule | Criterion | Template | None
        if one.of == "commitment":
            known = find_template(one.name, one.version)
        elif name is not None:
            known = self._policies.get(one.version).lists[name].criteria.get(one.name)
        else:
            known = self._policies.get(one.version).rules.get(one.name)
        return {"zh": one.name, "en": one.name} if known is None else known.title


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A row and the step by which it waits. told: what else that step's record says."""

    of: Literal["entry", "listing", "commitment"]
    row: Any
    step: Any
    name: str
    version: int
    points: int | None = None
    told: Mapping[str, Any]
    decide_by: datetime | None

    @property
    def place(self) -> Place:
        return _place(self.decide_by, self.row.id)


def _of_entries(connection: Connection, rows: Sequence[Any]) -> list[_Waiting]:
    steps = store.steps_of_entries(connection, [row.id for row in rows])
    last = {step.entry: step for step in steps if step.step in _WISHES}
    return [
        _waiting("entry", row, last[row.id], row.rule, row.policy, points=row.points)
        for row in rows
    ]


def _of_matters(connection: Connection, rows: Sequence[Any]) -> list[_Waiting]:
    steps = matterstore.steps_of_matters(connection, [row.id for row in rows])
    last = {step.matter: step for step in steps if step.step in _WISHES}
    return [
        _waiting(
            "commitment" if row.kind == Kind.COMMITMENT else "listing",
            row,
            last[row.id],
            row.name,
            row.version,
        )
        for row in rows
    ]


def _waiting(
    of: Literal["entry", "listing", "commitment"],
    row: Any,
    step: Any,
    name: str,
    version: int,
    *,
    points: int | None = None,
) -> _Waiting:
    told = json.loads(step.more)
    by = told.get("decide_by")
    return _Waiting(
        of=of,
        row=row,
        step=step,
        name=name,
        version=version,
        points=points,
        told=told,
        decide_by=None if by is None else parse_time(by),
    )


def _place(decide_by: datetime | None, id: str) -> Place:
    """What is due first is first, what has no term last."""
    return _NEVER if decide_by is None else to_ms(decide_by), id


def _as_kept(place: Place) -> waitstore.Place:
    """Returns a place as the rows have it."""
    due_ms, id_ = place
    return (NEVER if due_ms >= _LAST_MS else format_time(from_ms(max(0, due_ms)))), id_
