"""A listing on the red or the black list as it stands, with its steps as somebody may read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.credit.document_uses import Named, digests_of
from app.credit.rules import ListName
from app.credit.words import Reading
from app.kit.clock import from_ms, parse_time


@dataclass(frozen=True, slots=True)
class ListStep:
    """A step of a listing. text, attachments: of who took it, for those whom they are addressed to.

    closed: it was not opened for this reader.
    """

    step: str
    status: str
    at: datetime
    actor: str
    decide_by: datetime | None
    text: str | None = None
    closed: bool = False
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing as it stands now. may: the steps that a person may take with it now."""

    id: str
    party: str
    list: ListName
    criterion: str
    policy: int
    status: str
    noticed_at: datetime
    listed_at: datetime
    until: datetime
    removal_from: datetime | None
    object_until: datetime | None
    ended_at: datetime | None
    approximate: bool
    evidence: Mapping[str, Any]
    by: str
    steps: tuple[ListStep, ...]
    may: frozenset[str] = frozenset()

    def named(self) -> Iterator[Named]:
        """Yields the documents that its evidence and steps name."""
        for digest in digests_of({"evidence": self.evidence}):
            yield self.by, digest
        for step in self.steps:
            for digest in step.attachments:
                yield step.actor, digest


def told_steps(
    connection: Connection, rows: Sequence[Any], reading: Reading
) -> dict[str, list[ListStep]]:
    """Returns steps by their listing, with what was said as the reader may know it. Read-only."""
    found: dict[str, list[ListStep]] = {}
    for row in rows:
        more = json.loads(row.more)
        by, said = more.get("decide_by"), reading.of(connection, row)
        named = tuple(more.get("attachments", ())) if reading.viewer else ()
        moment = None if by is None else parse_time(by)
        step = ListStep(
            row.step, row.status, from_ms(row.at), row.actor, moment, said.text, said.closed, named
        )
        found.setdefault(row.matter, []).append(step)
    return found
