"""SQL of audits that were asked for: whose turn it is, what they met, their reports. Never commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from app.db import turns
from app.db.lookup import chunks
from app.db.tables import AuditFinding, AuditJob, AuditReport, Finding, Head
from app.db.upsert import upsert
from app.ledger.record import stream_key
from app.oversight import store

JOB = AuditJob.__table__  # type: ignore[attr-defined]
MET = AuditFinding.__table__  # type: ignore[attr-defined]
REPORT = AuditReport.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
FINDING = Finding.__table__  # type: ignore[attr-defined]

_MISSING = "continuity.missing_"
_IS_OPEN = JOB.c.status.in_(("waiting", "running"))
# The operator has no id; as a party it comes first.
_asked_by = func.coalesce(JOB.c.asked_by, "")


def count_open(connection: Connection, party: str | None) -> int:
    """Returns how many audits that a party (None: the operator) asked for are not done yet."""
    query = select(func.count()).where(_asked_by == (party or ""), _IS_OPEN)
    return int(connection.execute(query).scalar_one())


def next_in_turn(connection: Connection, after: str | None) -> Any | None:
    """Returns the oldest open audit of the party that follows `after`, or None.

    after: None before the first turn, "" for the operator. One that a stop interrupted is open too.
    """
    order = (JOB.c.created_at, JOB.c.id)
    return turns.next_in_turn(
        connection, JOB, by=_asked_by, is_open=_IS_OPEN, order=order, after=after
    )


def list_jobs(
    connection: Connection, party: str | None, *, after: str | None, limit: int
) -> list[Any]:
    """Returns the audits that a party (None: the operator) asked for, newest first. Read-only.

    after: the id of the last one shown.
    """
    own = JOB.c.asked_by.is_(None) if party is None else JOB.c.asked_by == party
    query = select(JOB).where(own).order_by(JOB.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(JOB.c.id < after)
    return list(connection.execute(query))


def count_streams(connection: Connection) -> int:
    """Returns how many streams there are. Read-only."""
    return int(connection.execute(select(func.count()).select_from(HEAD)).scalar_one())


def findings_of(connection: Connection, ids: Sequence[str]) -> list[Any]:
    """Returns findings by id, what was altered first, then by age. Read-only."""
    return sorted(
        store.find_findings(connection, ids),
        key=lambda row: (not row.kind.startswith("integrity."), row.opened_at, row.id),
    )


def count_missing(
    connection: Connection, streams: Sequence[str] | None, *, at_ms: int
) -> dict[str, int]:
    """Returns by step how many were missing at a moment on these streams, None: on all. Read-only.

    Those that counted by then and were neither made up for nor dismissed.
    """
    query = (
        select(FINDING.c.kind, func.count())
        .where(
            FINDING.c.kind.startswith(_MISSING),
            FINDING.c.opened_at <= at_ms,
            FINDING.c.closed_at.is_(None) | (FINDING.c.closed_at > at_ms),
        )
        .group_by(FINDING.c.kind)
    )
    if streams is None:
        queries = [query]
    else:
        keys = list(map(stream_key, streams))
        queries = [query.where(FINDING.c.stream.in_(some)) for some in chunks(keys)]
    counted: Counter[str] = Counter()
    for one in queries:
        for kind, count in connection.execute(one):
            counted[kind.removeprefix(_MISSING)] += count
    return dict(sorted(counted.items()))


def keep_met(connection: Connection, job: str, told: Sequence[str]) -> None:
    """Keeps what an audit met, in place of what it met in a run that was cut short.

    Writes `audit_finding`.
    """
    connection.execute(delete(MET).where(MET.c.job == job))
    rows = [{"job": job, "n": n, "told": one} for n, one in enumerate(told)]
    if rows:
        connection.execute(insert(MET), rows)


def met_by(connection: Connection, job: str, *, after: int, limit: int) -> list[Any]:
    """Returns what an audit met, in its order, behind a number. Read-only."""
    query = select(MET).where(MET.c.job == job, MET.c.n > after).order_by(MET.c.n).limit(limit)
    return list(connection.execute(query))


def find_report(connection: Connection, job: str) -> Any | None:
    """Returns an audit's report, or None. Read-only."""
    return connection.execute(select(REPORT).where(REPORT.c.job == job)).first()


def has_report(connection: Connection, job: str) -> bool:
    """Whether an audit's report was made; its files are not read. Read-only."""
    query = select(REPORT.c.job).where(REPORT.c.job == job)
    return connection.execute(query).first() is not None


def insert_report(connection: Connection, row: Mapping[str, Any]) -> None:
    """Keeps a report unless there is one. Writes `audit_report`."""
    connection.execute(upsert(connection.dialect.name, REPORT, ("job",), ()), dict(row))
