"""SQL of the life of findings: each change of status is a move, written with it. Never commits.

WRITERS are called by the recorder with a regulator's decision, in the decision's own transaction: the
row follows from a record of a party's stream, and the audit compares the two (app.oversight.rowcheck).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import Finding, FindingMove
from app.db.upsert import upsert_rows
from app.ledger.stage import EffectWriter
from app.oversight.decisions import FindingMoved
from app.oversight.finding_rows import DISMISSED

FINDING = Finding.__table__  # type: ignore[attr-defined]
MOVE = FindingMove.__table__  # type: ignore[attr-defined]

_DISMISSALS = HotSelect(
    select(FINDING.c.stream, FINDING.c.kind, func.max(FINDING.c.closed_at).label("at"))
    .where(
        FINDING.c.stream.in_(bindparam("streams", expanding=True)),
        FINDING.c.kind.in_(bindparam("kinds", expanding=True)),
        FINDING.c.status == DISMISSED,
    )
    .group_by(FINDING.c.stream, FINDING.c.kind)
)
_DETECTED = HotSelect(
    select(FINDING.c.stream)
    .where(
        FINDING.c.stream.in_(bindparam("streams", expanding=True)),
        FINDING.c.status.in_(("grace", "open")),
    )
    .distinct()
)


def save(connection: Connection, row: Mapping[str, Any], *, at: int, why: str) -> None:
    """Stores a finding, new or as it is now; a new status is a move. Writes `finding`, `finding_move`."""
    before = _status(connection, row["id"])
    upsert_rows(connection, FINDING, [row], keys=("id",))
    if before != row["status"]:
        _move(connection, row["id"], status=row["status"], at=at, why=why, by=None)


def change(
    connection: Connection,
    finding: str,
    *,
    at: int,
    why: str,
    by: str | None = None,
    **values: Any,
) -> None:
    """Changes a finding; who decided or what happened is a move. Writes `finding`, `finding_move`."""
    connection.execute(update(FINDING).where(FINDING.c.id == finding).values(**values))
    status = _status(connection, finding)
    if status is not None:
        _move(connection, finding, status=status, at=at, why=why, by=by)


def history(connection: Connection, finding: str) -> list[Any]:
    """Returns the moves of a finding in order. Read-only."""
    query = select(MOVE).where(MOVE.c.finding == finding).order_by(MOVE.c.n)
    return list(connection.execute(query))


def in_grace(connection: Connection, *, now_ms: int, limit: int, after: str = "") -> list[Any]:
    """Returns findings whose grace is over, not on streams with an open integrity finding. Read-only."""
    broken = FINDING.alias()
    query = (
        select(FINDING)
        .where(
            FINDING.c.status == "grace",
            FINDING.c.due_at <= now_ms,
            FINDING.c.id > after,
            ~select(broken.c.id)
            .where(
                broken.c.stream == FINDING.c.stream,
                broken.c.status == "open",
                broken.c.kind.startswith("integrity."),
            )
            .exists(),
        )
        .order_by(FINDING.c.id)
        .limit(limit)
    )
    return list(connection.execute(query))


def living(connection: Connection, stream: int, subject: str, kinds: Sequence[str]) -> list[Any]:
    """Returns the findings of these kinds on these goods that are in grace or open. Read-only."""
    query = select(FINDING).where(
        FINDING.c.stream == stream,
        FINDING.c.subject == subject,
        FINDING.c.status.in_(("grace", "open")),
        FINDING.c.kind.in_(kinds),
    )
    return list(connection.execute(query))


def streams_with(connection: Connection, streams: Sequence[int]) -> set[int]:
    """Returns those of the streams that have a finding of a detector in grace or open. Read-only."""
    return {
        row.stream
        for part in chunks(streams)
        for row in _DETECTED.rows(connection, streams=list(part))
    }


def last_dismissals(
    connection: Connection, streams: Sequence[int], kinds: Sequence[str]
) -> dict[int, dict[str, int]]:
    """Returns by stream and kind when such a finding was last dismissed (ms). Read-only."""
    found: dict[int, dict[str, int]] = {}
    for part in chunks(streams):
        for row in _DISMISSALS.rows(connection, streams=list(part), kinds=list(kinds)):
            if row.at is not None:
                found.setdefault(row.stream, {})[row.kind] = int(row.at)
    return found


def decided_on(connection: Connection, party: str) -> list[Any]:
    """Returns a party's findings on which a person has decided. Read-only."""
    query = select(FINDING).where(
        FINDING.c.party == party,
        or_(FINDING.c.attributed_to.is_not(None), FINDING.c.status == DISMISSED),
    )
    return list(connection.execute(query))


def find_some(connection: Connection, findings: Sequence[str]) -> dict[str, Any]:
    """Returns findings by id. Read-only."""
    found: dict[str, Any] = {}
    for start in range(0, len(findings), 200):
        part = findings[start : start + 200]
        rows = connection.execute(select(FINDING).where(FINDING.c.id.in_(part)))
        found |= {row.id: row for row in rows}
    return found


def _write_decisions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        values = dict(row["values"])
        before = find_some(connection, [row["finding"]]).get(row["finding"])
        if before is None or all(getattr(before, k) == v for k, v in values.items()):
            continue  # said on the stream of another party too
        if [before.status == DISMISSED, before.attributed_to] != row["stood"]:
            raise FindingMoved("finding_moved")  # by who decided at the same moment
        change(connection, row["finding"], at=row["at"], why=row["why"], by=row["by"], **values)


WRITERS: Mapping[str, EffectWriter] = {"finding_decided": _write_decisions}


def _status(connection: Connection, finding: str) -> str | None:
    query = select(FINDING.c.status).where(FINDING.c.id == finding)
    status = connection.execute(query).scalar()
    return None if status is None else str(status)


def _move(
    connection: Connection, finding: str, *, status: str, at: int, why: str, by: str | None
) -> None:
    last = connection.execute(select(func.max(MOVE.c.n)).where(MOVE.c.finding == finding)).scalar()
    n = 0 if last is None else int(last) + 1
    row = {"finding": finding, "n": n, "status": status, "at": at, "by": by, "why": why[:500]}
    connection.execute(insert(MOVE).values(**row))
