"""SQL of working through findings: lists with their filters, who works on what, notes. Never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, and_, delete, func, insert, or_, select

from app.db.tables import Account, Finding, FindingNote, FindingWork, Party
from app.db.upsert import upsert_rows
from app.oversight.finding_rows import CLOSED, DISMISSED, GRACE, OPEN
from app.oversight.kinds import SEVERITIES, Severity, severity_of
from app.oversight.store import during, is_severe
from app.parties.store import inside

FINDING = Finding.__table__  # type: ignore[attr-defined]
WORK = FindingWork.__table__  # type: ignore[attr-defined]
NOTE = FindingNote.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
ACCOUNT = Account.__table__  # type: ignore[attr-defined]

Order = Literal["newest", "oldest", "gravest"]

WAITING = "waiting"
"""A status to ask for: open or in its grace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which findings. kind: how it begins. status: one of them, or WAITING.

    region: where the party is registered that a finding is about (GB/T 2260), with all that is inside;
    within: the same, as the caller's office bounds it. assignee: an account, "" for nobody.
    since_ms, until_ms: opened, until exclusive.
    """

    kind: str | None = None
    severity: Severity | None = None
    party: str | None = None
    status: str | None = None
    region: str | None = None
    within: str | None = None
    assignee: str | None = None
    office: str | None = None
    """The authority whose assignments are meant."""
    since_ms: int | None = None
    until_ms: int | None = None


def list_findings(
    connection: Connection,
    wanted: Wanted,
    *,
    after: tuple[int, str] | None,
    limit: int,
    order: Order = "newest",
) -> list[Any]:
    """Returns findings behind `after` = (opened_at, id), each with its `assignee`. Read-only.

    order: `gravest` has of each severity the newest first.
    """
    if order == "gravest":
        return _gravest(connection, wanted, after=after, limit=limit)
    newest = order != "oldest"
    at = FINDING.c.opened_at
    query = _chosen(select(FINDING, WORK.c.assignee), wanted).limit(limit)
    query = query.order_by(at.desc() if newest else at, FINDING.c.id)
    if after is not None:
        ms, last = after
        # The bound first, by which an index begins there.
        query = query.where(at <= ms if newest else at >= ms)
        query = query.where(or_(at != ms, FINDING.c.id > last))
    return list(connection.execute(query))


def _gravest(
    connection: Connection, wanted: Wanted, *, after: tuple[int, str] | None, limit: int
) -> list[Any]:
    """Returns the gravest first, of each severity the newest: an index begins with those of one status."""
    severity, found = SEVERITIES[0], list[Any]()
    if after is not None:
        # What a finding is never changes; one that is gone was of none.
        kind = connection.execute(select(FINDING.c.kind).where(FINDING.c.id == after[1])).scalar()
        severity = SEVERITIES[0] if kind is None else severity_of(kind)
    for one in SEVERITIES[SEVERITIES.index(severity) :]:
        if wanted.severity in (None, one) and len(found) < limit:
            some = [
                row
                for status in _statuses(wanted)
                for row in list_findings(
                    connection,
                    replace(wanted, severity=one, status=status),
                    after=after if one == severity else None,
                    limit=limit - len(found),
                )
            ]
            some.sort(key=lambda row: (-row.opened_at, row.id))
            found += some[: limit - len(found)]
    return found


def _statuses(wanted: Wanted) -> tuple[str, ...]:
    if wanted.status == WAITING:
        return OPEN, GRACE
    return (wanted.status,) if wanted.status else (OPEN, GRACE, CLOSED, DISMISSED)


def count_findings(connection: Connection, wanted: Wanted, *, most: int | None = None) -> int:
    """Returns how many findings there are, at most `most`. Read-only."""
    some = _chosen(select(FINDING.c.id), wanted).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _chosen(query: Any, wanted: Wanted) -> Any:
    own = and_(WORK.c.finding == FINDING.c.id, WORK.c.party == (wanted.office or ""))
    query = query.select_from(FINDING.outerjoin(WORK, own))
    if wanted.region is not None or wanted.within is not None:
        query = query.join(PARTY, PARTY.c.id == FINDING.c.party)
        for region in (wanted.region, wanted.within):
            if region is not None:
                query = query.where(inside(PARTY.c.region, region))
    if wanted.kind:
        query = query.where(FINDING.c.kind.startswith(wanted.kind, autoescape=True))
    if wanted.severity is not None:
        query = query.where(is_severe(wanted.severity))
    if wanted.party:
        query = query.where(FINDING.c.party == wanted.party)
    if wanted.status == WAITING:
        query = query.where(FINDING.c.status.in_((OPEN, GRACE)))
    elif wanted.status:
        query = query.where(FINDING.c.status == wanted.status)
    if wanted.assignee is not None:
        nobody = WORK.c.assignee.is_(None)
        query = query.where(WORK.c.assignee == wanted.assignee if wanted.assignee else nobody)
    return query.where(during(FINDING.c.opened_at, wanted.since_ms, wanted.until_ms))


# --- who works on it, and notes ------------------------------------------------------------------


def assign(
    connection: Connection, finding: str, party: str, assignee: str | None, *, at_ms: int
) -> None:
    """Says who of an authority works on a finding, None: nobody. Writes `finding_work`."""
    if assignee is None:
        connection.execute(delete(WORK).where(WORK.c.finding == finding, WORK.c.party == party))
        return
    row = {"finding": finding, "party": party, "assignee": assignee, "at": at_ms}
    upsert_rows(connection, WORK, [row], keys=("finding", "party"))


def assignee_of(connection: Connection, finding: str, party: str) -> str | None:
    """Returns the account that works on a finding for an authority, or None. Read-only."""
    query = select(WORK.c.assignee).where(WORK.c.finding == finding, WORK.c.party == party)
    told = connection.execute(query).scalar()
    return None if told is None else str(told)


def insert_note(connection: Connection, row: Mapping[str, Any]) -> None:
    """Adds to what an authority's people noted. Writes `finding_note`."""
    connection.execute(insert(NOTE).values(**row))


def notes_of(connection: Connection, finding: str, party: str) -> list[Any]:
    """Returns an authority's notes on a finding, the oldest first. Read-only."""
    query = select(NOTE).where(NOTE.c.finding == finding, NOTE.c.party == party)
    return list(connection.execute(query.order_by(NOTE.c.id)))


def names_of_accounts(connection: Connection, accounts: Sequence[str]) -> dict[str, str]:
    """Returns login names by account. Read-only."""
    if not accounts:
        return {}
    query = select(ACCOUNT.c.id, ACCOUNT.c.name).where(ACCOUNT.c.id.in_(accounts))
    return {row.id: row.name for row in connection.execute(query)}
