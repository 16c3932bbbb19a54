"""SQL of the credit room: entries and holds as index rows over `party/{id}`. Flushes, never commits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    union_all,
    update,
)

from app.credit.policy import CapFacts, Entry, Hold, Status
from app.db.hot import HotSelect
from app.db.tables import CreditEntry, CreditHold, Finding, Party, Product, SoldUnit
from app.db.upsert import upsert_rows
from app.kit.clock import from_ms
from app.ledger.stage import EffectWriter

ENTRY = CreditEntry.__table__  # type: ignore[attr-defined]
HOLD = CreditHold.__table__  # type: ignore[attr-defined]
FINDING = Finding.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]

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
_WHOLE = (
    SOLD.c.completed_at.is_not(None),
    SOLD.c.completed_at <= bindparam("now_ms"),
    ~exists().where(
        FINDING.c.stream == SOLD.c.stream,
        FINDING.c.status == "open",
        FINDING.c.kind.like("integrity.%"),
    ),
)
_COMPLETED = HotSelect(
    select(SOLD.c.seller, func.count())
    .where(SOLD.c.seller.in_(bindparam("sellers", expanding=True)), *_WHOLE)
    .group_by(SOLD.c.seller)
)
# SQLite joins 500 SELECTs at most, and each has to be planned.
_SELLERS_AT_A_TIME = 64
_KNOWN_PARTIES = HotSelect(
    select(PARTY.c.id).where(PARTY.c.id.in_(bindparam("parties", expanding=True)))
)


@cache
def _some_completed(width: int) -> HotSelect:
    """Counts the whole chains of `width` sellers, each no further than `most`, in one statement."""
    counts: list[Any] = []
    for n in range(width):
        some = select(SOLD.c.stream).where(SOLD.c.seller == bindparam(f"seller_{n}"), *_WHOLE)
        found = some.limit(bindparam("most")).subquery()
        counts.append(
            select(literal_column(str(n)).label("place"), func.count().label("chains")).select_from(
                found
            )
        )
    return HotSelect(union_all(*counts))


def _write_entry(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, ENTRY, rows, keys=("id",))


def _write_status(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(ENTRY)
        .where(ENTRY.c.id == bindparam("k_id"))
        .values(status=bindparam("v_status"), ended_at=bindparam("v_ended_at")),
        [{"k_id": r["id"], "v_status": r["status"], "v_ended_at": r["ended_at"]} for r in rows],
    )


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
    "credit_hold": _write_hold,
    "credit_hold_lifted": _lift_hold,
}


def load_entries(connection: Connection, party: str) -> list[Entry]:
    """Returns every entry of a party, oldest first. Read-only."""
    rows = connection.execute(
        select(ENTRY).where(ENTRY.c.party == party).order_by(ENTRY.c.effective_at, ENTRY.c.id)
    )
    return [_entry(row) for row in rows]


def load_entries_of(connection: Connection, parties: Sequence[str]) -> dict[str, list[Entry]]:
    """Returns the entries of several parties. Read-only."""
    found: dict[str, list[Entry]] = {party: [] for party in parties}
    for row in _ENTRIES_OF.rows(connection, parties=list(found)):
        found[row.party].append(_entry(row))
    return found


def entry_rows(connection: Connection, party: str) -> list[Any]:
    """Returns a party's entries as they are stored. Read-only."""
    return list(connection.execute(select(ENTRY).where(ENTRY.c.party == party)))


def hold_rows(connection: Connection, party: str) -> list[Any]:
    """Returns every hold on a party as it is stored, lifted ones too. Read-only."""
    return list(connection.execute(select(HOLD).where(HOLD.c.party == party)))


def find_entry(connection: Connection, entry_id: str) -> Any | None:
    """Returns an entry's row, or None. Read-only."""
    return connection.execute(select(ENTRY).where(ENTRY.c.id == entry_id)).first()


def load_holds_of(connection: Connection, parties: Sequence[str]) -> dict[str, list[Hold]]:
    """Returns holds that were not lifted before their time, by party. Read-only."""
    found: dict[str, list[Hold]] = {party: [] for party in parties}
    for row in _HOLDS_OF.rows(connection, parties=list(found)):
        hold = Hold(row.finding, row.points, from_ms(row.since_at), from_ms(row.lifts_at))
        found[row.party].append(hold)
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
        counts: dict[str, int] = {}
        for start in range(0, len(sellers), _SELLERS_AT_A_TIME):
            part = sellers[start : start + _SELLERS_AT_A_TIME]
            width = 1 << (len(part) - 1).bit_length()
            # "" sells nothing: it fills the width, so that few statements are compiled.
            named = {f"seller_{n}": part[n] if n < len(part) else "" for n in range(width)}
            rows = _some_completed(width).rows(connection, **named, now_ms=now_ms, most=most)
            counts |= {part[row.place]: int(row.chains) for row in rows if row.place < len(part)}
        return counts
    rows = _COMPLETED.rows(connection, sellers=list(sellers), now_ms=now_ms)
    return {seller: int(count) for seller, count in rows}


def broken_offers(connection: Connection, sellers: Sequence[str]) -> set[tuple[str, str]]:
    """Returns (party, gtin) of every open integrity finding that names both. Read-only."""
    rows = connection.execute(
        select(FINDING.c.party, FINDING.c.gtin)
        .where(
            FINDING.c.party.in_(sellers),
            FINDING.c.gtin.is_not(None),
            FINDING.c.status == "open",
            FINDING.c.kind.like("integrity.%"),
        )
        .distinct()
    )
    return {(row.party, row.gtin) for row in rows}


def known_parties(connection: Connection, parties: Sequence[str]) -> set[str]:
    """Returns which of these are registered. Read-only."""
    return {row.id for row in _KNOWN_PARTIES.rows(connection, parties=list(parties))}


def known_products(connection: Connection, gtins: Sequence[str]) -> set[str]:
    """Returns which of these are registered. Read-only."""
    rows = connection.execute(select(PRODUCT.c.gtin).where(PRODUCT.c.gtin.in_(gtins)))
    return set(rows.scalars())


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        party=row.party,
        rule=row.rule,
        points=row.points,
        effective_at=from_ms(row.effective_at),
        earliest_repair_at=None
        if row.earliest_repair_at is None
        else from_ms(row.earliest_repair_at),
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
        status=Status(row.status),
        ended_at=None if row.ended_at is None else from_ms(row.ended_at),
        evidence=json.loads(row.evidence),
        policy_version=row.policy,
        facts=CapFacts(
            day=None if row.day is None else date.fromisoformat(row.day),
            buyer=None if row.buyer is None else bytes(row.buyer).hex(),
            chains=row.chains,
        ),
    )
