"""SQL of what waits for a decision: entries and matters, by when it is due, of a region. Read-only.

A row waits while its status says so and time has not ended it; since when, and until when it is to be
decided, its last wish says: a step whose `decide_by` stands in what else its record tells.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text

from app.credit import matterstore, store
from app.credit.store import PARTY
from app.db.lookup import text_in
from app.parties.store import inside

NEVER = "9999-12-31T23:59:59.999Z"
"""Until when is decided what has no term: last of all."""
_TIME_WIDTH = len(NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for whom. region: of the party, with all that is inside (GB/T 2260); None: of any.

    but: a party whose own matters are left out. wishes: steps by which something waits.
    """

    region: str | None
    but: str | None
    wishes: Collection[str]
    now_ms: int


Place = tuple[str, str]
"""Until when it is to be decided, as it is written (RFC 3339, UTC, ms); its id."""


def entries(
    connection: Connection, waiting: Waiting, *, after: Place | None, limit: int
) -> list[Any]:
    """Returns entries of the ledger that wait, by place, each with `decide_by`."""
    return _page(connection, _entries(connection, waiting), after, limit)


def matters(
    connection: Connection, waiting: Waiting, *, after: Place | None, limit: int
) -> list[Any]:
    """Returns commitments and listings that wait, by place, each with `decide_by`."""
    return _page(connection, _matters(connection, waiting), after, limit)


def count(connection: Connection, waiting: Waiting) -> int:
    """Returns how many of both wait."""
    found = (_entries(connection, waiting), _matters(connection, waiting))
    return sum(
        connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        for query in found
    )


# The conditions on the status are written out, so that the index of just these rows serves them
# (tables.CreditEntry, tables.Matter).


def _entries(connection: Connection, waiting: Waiting) -> Any:
    table = store.ENTRY
    stands = or_(table.c.expires_at.is_(None), table.c.expires_at > waiting.now_ms)
    query = _asked(connection, waiting, table, store.STEP, "entry")
    return query.where(text("credit_entry.status IN ('objected', 'repair_asked')"), stands)


def _matters(connection: Connection, waiting: Waiting) -> Any:
    table = matterstore.MATTER
    # A promise in question waits for a person however long that takes.
    stands = or_(table.c.status == "questioned", table.c.expires_at > waiting.now_ms)
    query = _asked(connection, waiting, table, matterstore.STEP, "matter")
    return query.where(text("matter.status IN ('objected', 'removal_asked', 'questioned')"), stands)


def _asked(connection: Connection, waiting: Waiting, table: Any, step: Any, of: str) -> Any:
    later = step.alias("later")
    last = (
        select(func.max(later.c.seq))
        .where(later.c[of] == table.c.id, later.c.step.in_(sorted(waiting.wishes)))
        .correlate(table)
        .scalar_subquery()
    )
    told = text_in(connection, step.c.more, "decide_by", width=_TIME_WIDTH)
    query = (
        select(table, func.coalesce(told, NEVER).label("decide_by"))
        .select_from(table)
        .join(step, and_(step.c[of] == table.c.id, step.c.seq == last))
        .join(PARTY, PARTY.c.id == table.c.party)
    )
    if waiting.but is not None:
        query = query.where(table.c.party != waiting.but)
    if waiting.region is not None:
        query = query.where(inside(PARTY.c.region, waiting.region))
    return query


def _page(connection: Connection, query: Any, after: Place | None, limit: int) -> list[Any]:
    found = query.subquery()
    by, id_ = found.c.decide_by, found.c.id
    page = select(found).order_by(by, id_).limit(limit)
    if after is not None:
        page = page.where(or_(by > after[0], and_(by == after[0], id_ > after[1])))
    return list(connection.execute(page))
