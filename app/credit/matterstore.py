"""SQL of matters (commitments, lists), monthly grades and warnings. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, exists, or_, select, update

from app.credit.matters import Kind
from app.db.hot import HotSelect
from app.db.tables import CreditSnapshot, CreditWarning, Matter, MatterStep, Party
from app.db.upsert import upsert_rows
from app.ledger.stage import EffectWriter

MATTER = Matter.__table__  # type: ignore[attr-defined]
STEP = MatterStep.__table__  # type: ignore[attr-defined]
SNAPSHOT = CreditSnapshot.__table__  # type: ignore[attr-defined]
WARNING = CreditWarning.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]

_IN_FORCE = (
    MATTER.c.ended_at.is_(None),
    MATTER.c.effective_at <= bindparam("now_ms"),
    MATTER.c.expires_at > bindparam("now_ms"),
)
_LISTED_OF = HotSelect(
    select(MATTER.c.party, MATTER.c.kind).where(
        MATTER.c.party.in_(bindparam("parties", expanding=True)),
        MATTER.c.kind != str(Kind.COMMITMENT),
        *_IN_FORCE,
    )
)


def _write_matter(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, MATTER, rows, keys=("id",))


def _move_matter(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(MATTER)
        .where(MATTER.c.id == bindparam("k_id"))
        .values(
            status=bindparam("v_status"),
            ended_at=bindparam("v_ended_at"),
            next_at=bindparam("v_next_at"),
        ),
        [
            {"k_id": row["id"], **{f"v_{name}": row[name] for name in row if name != "id"}}
            for row in rows
        ],
    )


def _write_step(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, STEP, rows, keys=("matter", "seq"))


def _write_snapshot(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, SNAPSHOT, rows, keys=("party", "month"))


def _write_warning(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, WARNING, rows, keys=("id",))


WRITERS: Mapping[str, EffectWriter] = {
    "matter": _write_matter,
    "matter_moved": _move_matter,
    "matter_step": _write_step,
    "credit_snapshot": _write_snapshot,
    "credit_warning": _write_warning,
}


def find_matter(connection: Connection, matter: str) -> Any | None:
    """Returns a matter's row, or None. Read-only."""
    return connection.execute(select(MATTER).where(MATTER.c.id == matter)).first()


def matters_of(
    connection: Connection, party: str, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Any]:
    """Returns a party's matters of these kinds, oldest first. Read-only."""
    query = select(MATTER).where(MATTER.c.party == party, MATTER.c.kind.in_(map(str, kinds)))
    return list(connection.execute(query.order_by(MATTER.c.created_at, MATTER.c.id)))


def steps_of(connection: Connection, party: str) -> list[Any]:
    """Returns the steps of a party's matters, in order. Read-only."""
    return list(connection.execute(select(STEP).where(STEP.c.party == party).order_by(STEP.c.seq)))


def steps_of_matters(connection: Connection, matters: Sequence[str]) -> list[Any]:
    """Returns the steps of these matters, in order. Read-only."""
    query = select(STEP).where(STEP.c.matter.in_(matters)).order_by(STEP.c.seq)
    return list(connection.execute(query))


def listed_now(
    connection: Connection,
    kind: Kind,
    *,
    now_ms: int,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Any]:
    """Returns who is on a list now, by (effective_at, id) behind `after`. Read-only."""
    query = select(MATTER).where(MATTER.c.kind == str(kind), *_IN_FORCE)
    if after is not None:
        behind = (MATTER.c.effective_at == after[0]) & (MATTER.c.id > after[1])
        query = query.where((MATTER.c.effective_at > after[0]) | behind)
    query = query.order_by(MATTER.c.effective_at, MATTER.c.id).limit(limit)
    return list(connection.execute(query, {"now_ms": now_ms}))


def lists_of(
    connection: Connection, parties: Sequence[str], *, now_ms: int
) -> dict[str, frozenset[Kind]]:
    """Returns the lists on which each party is now; who is on none is not among them. Read-only."""
    found: dict[str, frozenset[Kind]] = {}
    for row in _LISTED_OF.rows(connection, parties=list(parties), now_ms=now_ms):
        found[row.party] = found.get(row.party, frozenset()) | {Kind(row.kind)}
    return found


def standing_commitment(
    connection: Connection, party: str, template: str, *, at_ms: int
) -> Any | None:
    """Returns the party's commitment to this template that was in force then and has not ended. Read-only."""
    query = select(MATTER).where(
        MATTER.c.party == party,
        MATTER.c.kind == str(Kind.COMMITMENT),
        MATTER.c.name == template,
        MATTER.c.effective_at <= at_ms,
        MATTER.c.expires_at > at_ms,
        or_(MATTER.c.ended_at.is_(None), MATTER.c.ended_at > at_ms),
    )
    return connection.execute(query.order_by(MATTER.c.created_at.desc())).first()


def without_snapshot(
    connection: Connection, month: str, *, registered_by_ms: int, after: str, limit: int
) -> list[Any]:
    """Returns (id, roles) of verified parties not yet graded for a month, by id. Read-only."""
    graded = exists().where(SNAPSHOT.c.party == PARTY.c.id, SNAPSHOT.c.month == month)
    query = select(PARTY.c.id, PARTY.c.roles).where(
        PARTY.c.id > after,
        PARTY.c.status == "verified",
        PARTY.c.created_at <= registered_by_ms,
        ~graded,
    )
    return list(connection.execute(query.order_by(PARTY.c.id).limit(limit)))


def snapshots_of(
    connection: Connection, party: str, *, after: str = "", limit: int | None = None
) -> list[Any]:
    """Returns a party's monthly grades, oldest first, behind month `after`. Read-only."""
    query = select(SNAPSHOT).where(SNAPSHOT.c.party == party, SNAPSHOT.c.month > after)
    return list(connection.execute(query.order_by(SNAPSHOT.c.month).limit(limit)))


def warnings_of(
    connection: Connection, party: str, *, after: tuple[int, str] | None = None, limit: int
) -> list[Any]:
    """Returns a party's warnings, oldest first, behind `after` = (at, id). Read-only."""
    query = select(WARNING).where(WARNING.c.party == party)
    if after is not None:
        behind = (WARNING.c.at == after[0]) & (WARNING.c.id > after[1])
        query = query.where((WARNING.c.at > after[0]) | behind)
    return list(connection.execute(query.order_by(WARNING.c.at, WARNING.c.id).limit(limit)))


def newest_warnings(connection: Connection, party: str, *, limit: int) -> list[Any]:
    """Returns a party's last warnings, the newest first. Read-only."""
    query = select(WARNING).where(WARNING.c.party == party)
    return list(connection.execute(query.order_by(WARNING.c.at.desc(), WARNING.c.id).limit(limit)))


def warned_since(
    connection: Connection, parties: Sequence[str], *, since_ms: int
) -> set[tuple[str, str]]:
    """Returns (party, kind) of the warnings given since a time. Read-only."""
    query = select(WARNING.c.party, WARNING.c.kind).where(
        WARNING.c.party.in_(parties), WARNING.c.at > since_ms
    )
    return {(row.party, row.kind) for row in connection.execute(query)}
