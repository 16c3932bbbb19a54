"""SQL of imports: jobs and their rows, remembered mappings, and what is known of a file's goods.

Flushes, never commits. WRITERS run inside a record's own transaction: a row is marked as created in the
moment in which what it says is recorded, so that no stop lies between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from app.db import turns
from app.db.lookup import chunks
from app.db.tables import (
    ImportJob,
    ImportMapping,
    ImportRow,
    Lot,
    Offer,
    Party,
    Product,
    ShipmentRow,
)
from app.db.upsert import upsert_rows
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import load_heads
from app.parties.roles import CARRIER, SELLER_ROLES
from app.parties.standing import VERIFIED, PartyUnverified
from app.trace import store as trace_store

JOB = ImportJob.__table__  # type: ignore[attr-defined]
ROW = ImportRow.__table__  # type: ignore[attr-defined]
MAPPING = ImportMapping.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
SHIPMENT = ShipmentRow.__table__  # type: ignore[attr-defined]

PLANNED = "planned"
"""Status of a job that nobody has begun: a dry run, kept for the one who will."""

_IS_OPEN = JOB.c.status == "running"
_DONE = (
    update(ROW)
    .where(ROW.c.job == bindparam("k_job"), ROW.c.n == bindparam("k_n"), ROW.c.outcome == "waiting")
    .values(outcome=bindparam("v_outcome"), sealed=None, wrapped_key=None)
)
_DONE_WITH = _DONE.values(problems=bindparam("v_problems"))


def _mark_created(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        _DONE, [{"k_job": row["job"], "k_n": row["n"], "v_outcome": "created"} for row in rows]
    )


WRITERS: Mapping[str, EffectWriter] = {"import_row": _mark_created}


def insert_job(
    connection: Connection, job: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Stores a job with its rows. Writes `import_job`, `import_row`."""
    connection.execute(insert(JOB), job)
    if rows:
        connection.execute(insert(ROW), list(rows))


def find_job(connection: Connection, job: str) -> Any | None:
    """Returns a job's row, or None. Read-only."""
    return connection.execute(select(JOB).where(JOB.c.id == job)).first()


def list_jobs(
    connection: Connection, party: str, *, after: tuple[int, str] | None, limit: int
) -> list[Any]:
    """Returns a party's jobs, the newest first, behind `after` = (created_at, id). Read-only."""
    query = select(JOB).where(JOB.c.party == party, JOB.c.status != PLANNED)
    if after is not None:
        at, last = after
        query = query.where(
            (JOB.c.created_at < at) | ((JOB.c.created_at == at) & (JOB.c.id < last))
        )
    return list(
        connection.execute(query.order_by(JOB.c.created_at.desc(), JOB.c.id.desc()).limit(limit))
    )


def next_in_turn(connection: Connection, after: str) -> Any | None:
    """Returns the oldest open job of the party that follows `after`, or None. Read-only."""
    order = (JOB.c.created_at, JOB.c.id)
    return turns.next_in_turn(
        connection, JOB, by=JOB.c.party, is_open=_IS_OPEN, order=order, after=after
    )


def count_open(connection: Connection, party: str) -> int:
    """Returns how many jobs of a party are not done. Read-only."""
    query = select(func.count()).where(JOB.c.party == party, _IS_OPEN)
    return int(connection.execute(query).scalar_one())


def count_outcomes(connection: Connection, jobs: Collection[str]) -> dict[str, dict[str, int]]:
    """Returns by job how many of its rows came to what. Read-only."""
    found: dict[str, dict[str, int]] = {job: {} for job in jobs}
    query = (
        select(ROW.c.job, ROW.c.outcome, func.count())
        .where(ROW.c.job.in_(list(jobs)))
        .group_by(ROW.c.job, ROW.c.outcome)
    )
    for job, outcome, count in connection.execute(query):
        found[job][outcome] = int(count)
    return found


def waiting_rows(connection: Connection, job: str, *, limit: int) -> list[Any]:
    """Returns the first rows of a job that are not applied. Read-only."""
    return list(
        connection.execute(
            select(ROW)
            .where(ROW.c.job == job, ROW.c.outcome == "waiting")
            .order_by(ROW.c.n)
            .limit(limit)
        )
    )


def list_rows(
    connection: Connection,
    job: str,
    *,
    outcomes: Collection[str],
    after: int,
    limit: int,
    told: bool = False,
) -> list[Any]:
    """Returns rows of a job in the file's order, behind the row `after`. Read-only.

    told: only those with something to say. By the spreadsheet's number: `n` is the order in which rows are
    applied, and what happened first is recorded first.
    """
    query = select(ROW.c.row, ROW.c.outcome, ROW.c.problems).where(
        ROW.c.job == job, ROW.c.row > after
    )
    if outcomes:
        query = query.where(ROW.c.outcome.in_(list(outcomes)))
    if told:
        query = query.where(ROW.c.problems.is_not(None))
    return list(connection.execute(query.order_by(ROW.c.row).limit(limit)))


def finish_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Notes what came of rows (job, n, outcome, problems) that still wait. Writes `import_row`."""
    connection.execute(
        _DONE_WITH,
        [
            {
                "k_job": row["job"],
                "k_n": row["n"],
                "v_outcome": row["outcome"],
                "v_problems": row["problems"],
            }
            for row in rows
        ],
    )


def finish_job(
    connection: Connection, job: str, *, status: str, error: str | None, at_ms: int
) -> None:
    """Ends a job; rows that wait lose what they said. Writes `import_job`, `import_row`."""
    connection.execute(
        update(ROW)
        .where(ROW.c.job == job, ROW.c.outcome == "waiting")
        .values(outcome="skipped", sealed=None, wrapped_key=None)
    )
    connection.execute(
        update(JOB)
        .where(JOB.c.id == job, JOB.c.status == "running")
        .values(status=status, error=error, finished_at=at_ms)
    )


def ended_before(connection: Connection, *, before_ms: int, limit: int = 20) -> list[str]:
    """Returns jobs that ended before then, done or failed. Read-only."""
    query = select(JOB.c.id).where(JOB.c.status != "running", JOB.c.finished_at < before_ms)
    return list(connection.execute(query.limit(limit)).scalars())


def delete_ended(connection: Connection, jobs: Collection[str]) -> None:
    """Deletes jobs that have ended, with their rows. Writes `import_job`, `import_row`."""
    connection.execute(delete(ROW).where(ROW.c.job.in_(jobs)))
    connection.execute(delete(JOB).where(JOB.c.id.in_(jobs)))


def begin_job(connection: Connection, job: str, *, at_ms: int) -> None:
    """Lets a planned job run. Writes `import_job`."""
    connection.execute(
        update(JOB)
        .where(JOB.c.id == job, JOB.c.status == PLANNED)
        .values(status="running", created_at=at_ms)
    )


def planned_before(connection: Connection, *, before_ms: int, limit: int = 20) -> list[str]:
    """Returns jobs that were planned before then and never begun. Read-only."""
    query = select(JOB.c.id).where(JOB.c.status == PLANNED, JOB.c.created_at < before_ms)
    return list(connection.execute(query.limit(limit)).scalars())


def planned_of(connection: Connection, party: str) -> list[str]:
    """Returns a party's planned jobs, the newest first. Read-only."""
    query = select(JOB.c.id).where(JOB.c.party == party, JOB.c.status == PLANNED)
    return list(
        connection.execute(query.order_by(JOB.c.created_at.desc(), JOB.c.id.desc())).scalars()
    )


def drop_planned(connection: Connection, jobs: Collection[str]) -> None:
    """Deletes those of these jobs that are still planned, with rows. Writes `import_job`, `import_row`."""
    still = select(JOB.c.id).where(JOB.c.id.in_(list(jobs)), JOB.c.status == PLANNED)
    gone = list(connection.execute(still).scalars())
    connection.execute(delete(ROW).where(ROW.c.job.in_(gone)))
    connection.execute(delete(JOB).where(JOB.c.id.in_(gone), JOB.c.status == PLANNED))


def find_mapping(connection: Connection, party: str, kind: str, name: str) -> Any | None:
    """Returns a remembered mapping's row, or None. Read-only."""
    return connection.execute(
        select(MAPPING).where(
            MAPPING.c.party == party, MAPPING.c.kind == kind, MAPPING.c.name == name
        )
    ).first()


def list_mappings(connection: Connection, party: str) -> list[Any]:
    """Returns a party's mappings by kind and name. Read-only."""
    query = select(MAPPING).where(MAPPING.c.party == party)
    return list(connection.execute(query.order_by(MAPPING.c.kind, MAPPING.c.name)))


def put_mapping(connection: Connection, row: Mapping[str, Any]) -> None:
    """Remembers a mapping, in place of one of its name. Writes `import_mapping`."""
    upsert_rows(connection, MAPPING, [row], keys=("party", "kind", "name"))


def drop_mapping(connection: Connection, party: str, kind: str, name: str) -> None:
    """Forgets a mapping. Writes `import_mapping`."""
    connection.execute(
        delete(MAPPING).where(
            MAPPING.c.party == party, MAPPING.c.kind == kind, MAPPING.c.name == name
        )
    )


def check_party(connection: Connection, party: str) -> None:
    """Raises PartyUnverified, before a file is taken, unless the party is verified. Read-only."""
    own = f"party/{party}"
    if load_heads(connection, [own])[own].state.get("status") != VERIFIED:
        raise PartyUnverified("party_unverified", party=party)


def sellers(connection: Connection, *, limit: int) -> list[str]:
    """Returns ids of parties that sell, in order. Read-only."""
    query = select(PARTY.c.id).where(or_(*(PARTY.c.roles.like(f"%{r}%") for r in SELLER_ROLES)))
    return list(connection.execute(query.order_by(PARTY.c.id).limit(limit)).scalars())


def carriers_of(connection: Connection, ids: Collection[str]) -> set[str]:
    """Returns which of these are verified parties that carry, and so can sign for a parcel. Read-only."""
    found: set[str] = set()
    for chunk in chunks(sorted(ids)):
        query = select(PARTY.c.id).where(
            PARTY.c.id.in_(list(chunk)),
            PARTY.c.status == VERIFIED,
            PARTY.c.roles.like(f"%{CARRIER}%"),
        )
        found |= set(connection.execute(query).scalars())
    return found


def not_carrying(connection: Connection, ids: Collection[str]) -> set[str]:
    """Returns which of these are registered parties that do not carry. Read-only."""
    found: set[str] = set()
    for chunk in chunks(sorted(ids)):
        query = select(PARTY.c.id).where(
            PARTY.c.id.in_(list(chunk)), PARTY.c.roles.not_like(f"%{CARRIER}%")
        )
        found |= set(connection.execute(query).scalars())
    return found


def products_of(connection: Connection, gtins: Collection[str]) -> dict[str, Any]:
    """Returns the rows of those of these products that are registered. Read-only."""
    return {row.gtin: row for row in trace_store.products_of(connection, gtins)}


def items_of(
    connection: Connection, party: str, names: Collection[str]
) -> dict[tuple[str, str, str], Any]:
    """Returns a party's items without a GTIN by (name, category, facts). Read-only."""
    found: dict[tuple[str, str, str], Any] = {}
    for chunk in chunks(sorted(names)):
        query = select(PRODUCT).where(
            PRODUCT.c.registrant == party,
            PRODUCT.c.item_code.is_(True),
            PRODUCT.c.name.in_(list(chunk)),
        )
        found |= {(r.name, r.category, r.facts): r for r in connection.execute(query)}
    return found


def lots_of(connection: Connection, streams: Collection[str]) -> dict[str, Any]:
    """Returns by stream the rows of those of these lots that are registered. Read-only."""
    by_key = {stream_key(stream): stream for stream in streams}
    found: dict[str, Any] = {}
    for chunk in chunks(sorted(by_key)):
        query = select(LOT).where(LOT.c.stream.in_(list(chunk)))
        found |= {by_key[row.stream]: row for row in connection.execute(query)}
    return found


def unit_lots(connection: Connection, streams: Collection[str]) -> dict[str, str]:
    """Returns by stream the lot of each of these units that is registered, "" for none. Read-only."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(streams)):
        heads = load_heads(connection, chunk)
        found |= {
            stream: str(head.state.get("lot", "")) for stream, head in heads.items() if head.state
        }
    return found


def offered_of(connection: Connection, seller: str, gtins: Collection[str]) -> set[str]:
    """Returns which of these products a seller offers now, anywhere. Read-only."""
    found: set[str] = set()
    for chunk in chunks(sorted(gtins)):
        query = select(OFFER.c.gtin).where(
            OFFER.c.seller == seller, OFFER.c.gtin.in_(list(chunk)), OFFER.c.ended.is_(False)
        )
        found |= set(connection.execute(query).scalars())
    return found


def shipments_of(connection: Connection, ids: Collection[str]) -> dict[str, bytes]:
    """Returns by id the contents of those of these shipments that are recorded. Read-only."""
    found: dict[str, bytes] = {}
    for chunk in chunks(sorted(ids)):
        query = select(SHIPMENT.c.shipment_id, SHIPMENT.c.content)
        query = query.where(SHIPMENT.c.shipment_id.in_(list(chunk)))
        found |= {row.shipment_id: bytes(row.content) for row in connection.execute(query)}
    return found
