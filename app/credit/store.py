"""SQL of the credit room: entries and holds as index rows over `party/{id}`. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    exists,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.credit.policy import Entry, Hold, Status
from app.credit.rows import entry_of, hold_of
from app.credit.workdays import end_of_day
from app.db.given import ForEach
from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import CreditEntry, CreditHold, CreditStep, Finding, Party, SoldUnit
from app.db.upsert import upsert_rows
from app.kit.clock import to_ms
from app.ledger.stage import EffectWriter

ENTRY = CreditEntry.__table__  # type: ignore[attr-defined]
STEP = CreditStep.__table__  # type: ignore[attr-defined]
HOLD = CreditHold.__table__  # type: ignore[attr-defined]
FINDING = Finding.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]

_FEW = 600
"""So many ids are asked for in one statement; more than a page has."""

# What every scan page and ranking asks, built once.
_ENTRIES_OF = HotSelect(
    select(ENTRY)
    .where(ENTRY.c.party.in_(bindparam("parties", expanding=True)))
    .order_by(ENTRY.c.effective_at, ENTRY.c.id)
)
_HOLDS_OF = HotSelect(
    select(HOLD)
    .where(HOLD.c.party.in_(bindparam("parties", expanding=True)), HOLD.c.lifted_at.is_(None))
    .order_by(HOLD.c.since_at, HOLD.c.finding)
)
# What was found to be somebody else's fault does not count against whose goods they are.
CHARGED = or_(FINDING.c.attributed_to.is_(None), FINDING.c.attributed_to == "merchant")
_WHOLE = (
    SOLD.c.completed_at.is_not(None),
    SOLD.c.completed_at <= bindparam("now_ms"),
    ~exists().where(
        FINDING.c.stream == SOLD.c.stream,
        FINDING.c.status == "open",
        FINDING.c.kind.startswith("integrity."),
        CHARGED,
    ),
)
_COMPLETED = HotSelect(
    select(SOLD.c.seller, func.count())
    .where(SOLD.c.seller.in_(bindparam("sellers", expanding=True)), *_WHOLE)
    .group_by(SOLD.c.seller)
)
_KNOWN_PARTIES = HotSelect(
    select(PARTY.c.id).where(PARTY.c.id.in_(bindparam("parties", expanding=True)))
)


def _some_completed(asked: Any) -> Any:
    """Counts the whole chains of each seller no further than `most`."""
    some = select(SOLD.c.stream).where(SOLD.c.seller == asked.c.seller, *_WHOLE)
    found = some.limit(bindparam("most")).correlate(asked).subquery()
    chains = select(func.count()).select_from(found).scalar_subquery()
    return select(asked.c.n, chains.label("chains"))


_SOME_COMPLETED = ForEach({"seller": Text}, _some_completed)


def _write_entry(connection: Connection, rows: Rows) -> None:
    # Never over another one: whoever finds its id taken by another party's entry is refused.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(ENTRY).on_conflict_do_nothing(index_elements=["id"])
    connection.execute(statement, [dict(row) for row in rows])


def _write_status(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(ENTRY)
        .where(ENTRY.c.id == bindparam("k_id"))
        .values(
            status=bindparam("v_status"),
            ended_at=bindparam("v_ended_at"),
            next_at=bindparam("v_next_at"),
        ),
        [
            {
                "k_id": r["id"],
                "v_status": r["status"],
                "v_ended_at": r["ended_at"],
                "v_next_at": r["next_at"],
            }
            for r in rows
        ],
    )


def _write_step(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, STEP, rows, keys=("entry", "seq"))


def _write_hold(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, HOLD, rows, keys=("finding",))


def _lift_hold(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(HOLD)
        .where(HOLD.c.finding == bindparam("k_finding"))
        .values(lifted_at=bindparam("v_lifted_at")),
        [{"k_finding": r["finding"], "v_lifted_at": r["lifted_at"]} for r in rows],
    )


WRITERS: Mapping[str, EffectWriter] = {
    "credit_entry": _write_entry,
    "credit_status": _write_status,
    "credit_step": _write_step,
    "credit_hold": _write_hold,
    "credit_hold_lifted": _lift_hold,
}


def load_entries(connection: Connection, party: str) -> list[Entry]:
    """Returns every entry of a party, oldest first. Read-only."""
    rows = connection.execute(
        select(ENTRY).where(ENTRY.c.party == party).order_by(ENTRY.c.effective_at, ENTRY.c.id)
    )
    return [entry_of(row) for row in rows]


def load_entries_of(connection: Connection, parties: Sequence[str]) -> dict[str, list[Entry]]:
    """Returns the entries of several parties. Read-only."""
    found: dict[str, list[Entry]] = {party: [] for party in parties}
    for row in _ENTRIES_OF.rows(connection, parties=list(found)):
        found[row.party].append(entry_of(row))
    return found


def entry_rows(connection: Connection, party: str, among: Sequence[str] | None = None) -> list[Any]:
    """Returns a party's entries as they are stored; where few are asked for, no others. Read-only."""
    query = select(ENTRY).where(ENTRY.c.party == party)
    if among is not None and len(among) <= _FEW:
        query = query.where(ENTRY.c.id.in_(among))
    return list(connection.execute(query))


def hold_rows(connection: Connection, party: str) -> list[Any]:
    """Returns every hold on a party as it is stored, lifted ones too. Read-only."""
    return list(connection.execute(select(HOLD).where(HOLD.c.party == party)))


def find_entry(connection: Connection, entry_id: str) -> Any | None:
    """Returns an entry's row, or None. Read-only."""
    return connection.execute(select(ENTRY).where(ENTRY.c.id == entry_id)).first()


def find_entries(connection: Connection, ids: Sequence[str]) -> list[Any]:
    """Returns the rows of the entries that exist among these. Read-only."""
    return [
        row
        for chunk in chunks(ids)
        for row in connection.execute(select(ENTRY).where(ENTRY.c.id.in_(chunk)))
    ]


def step_rows(connection: Connection, party: str, among: Sequence[str] | None = None) -> list[Any]:
    """Returns the steps of a party's entries as they are stored, in order. Read-only.

    among: ids of entries; where these are few, of no others.
    """
    query = select(STEP).where(STEP.c.party == party).order_by(STEP.c.seq)
    if among is not None and len(among) <= _FEW:
        query = query.where(STEP.c.entry.in_(among))
    return list(connection.execute(query))


def steps_of_entries(connection: Connection, entries: Sequence[str]) -> list[Any]:
    """Returns the steps of these entries as they are stored, in order. Read-only."""
    query = select(STEP).where(STEP.c.entry.in_(entries)).order_by(STEP.c.seq)
    return list(connection.execute(query))


def count_chains(connection: Connection, seller: str, *, month_of: date) -> int:
    """Returns how many units a party sold in the calendar month of a day, as known now. Read-only."""
    first = month_of.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    ends = [to_ms(end_of_day(day - timedelta(days=1))) for day in (first, following)]
    counted = select(func.count()).where(
        SOLD.c.seller == seller, SOLD.c.sold_at > ends[0], SOLD.c.sold_at <= ends[1]
    )
    return int(connection.execute(counted).scalar_one())


def count_of_buyer(
    connection: Connection, party: str, *, rule: str, buyer: bytes, day: date
) -> int:
    """Returns the points of a rule that one buyer brought in a calendar month. Read-only."""
    rows = connection.execute(
        select(func.sum(ENTRY.c.points)).where(
            ENTRY.c.party == party,
            ENTRY.c.rule == rule,
            ENTRY.c.buyer == buyer,
            ENTRY.c.status != Status.CANCELLED,
            ENTRY.c.day.like(f"{day:%Y-%m}-%"),
        )
    )
    return int(rows.scalar() or 0)


def parties_with_entries(connection: Connection) -> list[str]:
    """Returns every party that has an entry or a hold, in order. Read-only."""
    rows = connection.execute(union(select(ENTRY.c.party), select(HOLD.c.party)))
    return sorted(rows.scalars())


def parties_with_entries_after(connection: Connection, after: str, *, limit: int) -> list[str]:
    """Returns the next parties that have an entry or a hold, by id. Read-only."""
    found = [
        select(table.c.party).where(table.c.party > after).distinct().order_by(table.c.party)
        for table in (ENTRY, HOLD)
    ]
    parties: set[str] = set()
    for query in found:
        parties.update(connection.execute(query.limit(limit)).scalars())
    return sorted(parties)[:limit]


def load_holds_of(connection: Connection, parties: Sequence[str]) -> dict[str, list[Hold]]:
    """Returns holds that were not lifted before their time, by party. Read-only."""
    found: dict[str, list[Hold]] = {party: [] for party in parties}
    for row in _HOLDS_OF.rows(connection, parties=list(found)):
        found[row.party].append(hold_of(row))
    return found


def find_hold(connection: Connection, finding: str) -> Any | None:
    """Returns a finding's hold, or None. Read-only."""
    return connection.execute(select(HOLD).where(HOLD.c.finding == finding)).first()


def completed_counts(
    connection: Connection, sellers: Sequence[str], *, now_ms: int, most: int | None = None
) -> dict[str, int]:
    """Returns by seller how many chains are whole: completed, nothing missing, not broken.

    most: count no further than this, so that an old shop costs no more than a new one. Read-only.
    """
    if most is not None:
        asked = [(seller,) for seller in sellers]
        some = _SOME_COMPLETED.rows(connection, asked, now_ms=now_ms, most=most)
        return {seller: int(row.chains) for (seller,), row in some}
    rows = _COMPLETED.rows(connection, sellers=list(sellers), now_ms=now_ms)
    return {seller: int(count) for seller, count in rows}


def known_parties(connection: Connection, parties: Sequence[str]) -> set[str]:
    """Returns which of these are registered. Read-only."""
    return {row.id for row in _KNOWN_PARTIES.rows(connection, parties=list(parties))}
