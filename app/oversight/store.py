"""SQL of oversight: findings, audit jobs, cursors. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)

from app.db import tables
from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import (
    AuditJob,
    Batch,
    BatchCode,
    Cursor,
    Due,
    Finding,
    Head,
    Lot,
    Party,
    Product,
    SideIndex,
    SoldUnit,
)
from app.db.upsert import upsert, upsert_rows
from app.ledger.record import stream_key
from app.oversight.kinds import Severity
from app.trace.code import Code

FINDING = Finding.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]
JOB = AuditJob.__table__  # type: ignore[attr-defined]
CURSOR = Cursor.__table__  # type: ignore[attr-defined]
BATCH = Batch.__table__  # type: ignore[attr-defined]
CODE = BatchCode.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
DUE = Due.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]

_AT_FIRST = -1  # where a loop begins: below every stream key and every place in the log
PRODUCT = Product.__table__  # type: ignore[attr-defined]

_NAMES = HotSelect(
    select(HEAD.c.stream, HEAD.c.name).where(
        HEAD.c.stream.in_(bindparam("streams", expanding=True))
    )
)
_OPEN_ON = HotSelect(
    select(FINDING)
    .where(
        FINDING.c.stream.in_(bindparam("streams", expanding=True)),
        FINDING.c.status == "open",
        FINDING.c.kind.startswith(bindparam("kind")),
    )
    .order_by(FINDING.c.opened_at, FINDING.c.id)
)


def during(column: Any, since_ms: int | None, until_ms: int | None) -> Any:
    """Returns the condition that a time lies within a period, until exclusive; None: open at that end."""
    return and_(
        true() if since_ms is None else column >= since_ms,
        true() if until_ms is None else column < until_ms,
    )


def find_finding(connection: Connection, finding: str) -> Any | None:
    """Returns a finding's row, or None. Read-only."""
    return connection.execute(select(FINDING).where(FINDING.c.id == finding)).first()


def find_findings(connection: Connection, ids: Sequence[str]) -> list[Any]:
    """Returns the findings that exist among these ids. Read-only."""
    return [
        row
        for some in chunks(ids)
        for row in connection.execute(select(FINDING).where(FINDING.c.id.in_(some)))
    ]


def update_finding(connection: Connection, finding: str, **values: Any) -> None:
    """Changes a finding. Writes `finding`."""
    connection.execute(update(FINDING).where(FINDING.c.id == finding).values(**values))


def open_findings(
    connection: Connection, streams: Iterable[object], *, kind: str = ""
) -> list[Any]:
    """Returns the open findings on these streams whose kind starts with `kind`. Read-only."""
    # A name that a hand has altered may be no name at all, and no text.
    keys = sorted(stream_key(s) for s in streams if isinstance(s, str) and s.isascii())
    return _OPEN_ON.rows(connection, streams=keys, kind=kind)


def all_open_integrity(connection: Connection) -> list[Any]:
    """Returns every open finding on integrity, on the log itself or on rows of nobody. Read-only."""
    kinds = [FINDING.c.kind.startswith(f"{one}.") for one in ("integrity", "log")]
    query = select(FINDING).where(
        FINDING.c.status == "open", or_(*kinds, FINDING.c.stream.is_(None))
    )
    return list(connection.execute(query))


def is_severe(severity: Severity) -> Any:
    """Returns the condition that a finding is as grave as this, by its kind; in the words of its index."""
    words = {"grave": tables.GRAVE, "serious": tables.SERIOUS, "ordinary": tables.ORDINARY}
    return text(words[severity])


_GRAVITY = case((is_severe("grave"), 0), (is_severe("serious"), 1), else_=2)


ANSWERED = or_(
    FINDING.c.attributed_to.is_(None),
    FINDING.c.attributed_to == "merchant",
    and_(FINDING.c.attributed_to == "carrier", ~FINDING.c.kind.startswith("integrity.")),
)
"""Whether the party of a finding answers for it: it was not attributed to somebody else, or to nobody."""


def queue(connection: Connection, party: str, *, limit: int) -> tuple[int, list[Any]]:
    """Returns how many findings that a party answers for are open or in grace, and the first. Read-only.

    The gravest stand first, of each severity the oldest, which ends first.
    """
    query = select(FINDING).where(
        FINDING.c.status.in_(("open", "grace")), FINDING.c.party == party, ANSWERED
    )
    count = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    query = query.order_by(_GRAVITY, FINDING.c.opened_at, FINDING.c.id).limit(limit)
    return int(count), list(connection.execute(query))


def waiting_on(connection: Connection, streams: Iterable[str], *, limit: int) -> list[Any]:
    """Returns the findings on these streams that are open or in their grace, the gravest first. Read-only."""
    query = (
        select(FINDING)
        .where(
            FINDING.c.stream.in_([stream_key(stream) for stream in streams]),
            FINDING.c.status.in_(("open", "grace")),
        )
        .order_by(_GRAVITY, FINDING.c.opened_at, FINDING.c.id)
        .limit(limit)
    )
    return list(connection.execute(query))


def insert_job(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores an audit that was asked for. Writes `audit_job`."""
    connection.execute(insert(JOB).values(**row))


def find_job(connection: Connection, job: str) -> Any | None:
    """Returns an audit's row, or None. Read-only."""
    return connection.execute(select(JOB).where(JOB.c.id == job)).first()


def update_job(connection: Connection, job: str, **values: Any) -> None:
    """Changes an audit's progress. Writes `audit_job`."""
    connection.execute(update(JOB).where(JOB.c.id == job).values(**values))


def load_cursor(connection: Connection, name: str) -> int:
    """Returns where a loop stands; below every stream key at first. Read-only."""
    position = connection.execute(select(CURSOR.c.position).where(CURSOR.c.name == name)).scalar()
    return _AT_FIRST if position is None else int(position)


def save_cursor(connection: Connection, name: str, position: int, now_ms: int) -> None:
    """Moves a loop's cursor. Writes `cursor`."""
    row = {"name": name, "position": position, "updated_at": now_ms}
    upsert_rows(connection, CURSOR, [row], keys=("name",))


def advance_cursor(
    connection: Connection, name: str, *, before: int, position: int, now_ms: int
) -> bool:
    """Moves a loop's cursor where it stands as it was read; returns whether it did. Writes `cursor`.

    For what must be done once: of two who want to, the second waits for the first and comes too late.
    """
    if before == _AT_FIRST:
        row = {"name": name, "position": position, "updated_at": now_ms}
        statement = upsert(connection.dialect.name, CURSOR, ("name",), ()).returning(CURSOR.c.name)
        if connection.execute(statement, row).first() is not None:
            return True
    moved = (
        update(CURSOR)
        .where(CURSOR.c.name == name, CURSOR.c.position == before)
        .values(position=position, updated_at=now_ms)
    )
    return connection.execute(moved).rowcount > 0


def next_streams(connection: Connection, after: int, limit: int) -> list[Any]:
    """Returns (stream key, name) behind a key. Read-only."""
    return list(
        connection.execute(
            select(HEAD.c.stream, HEAD.c.name)
            .where(HEAD.c.stream > after)
            .order_by(HEAD.c.stream)
            .limit(limit)
        )
    )


def stream_names(connection: Connection, prefix: str) -> list[str]:
    """Returns the names of the streams at or below a name. Read-only."""
    rows = connection.execute(
        select(HEAD.c.name).where(
            (HEAD.c.name == prefix) | ((HEAD.c.name >= prefix + "/") & (HEAD.c.name < prefix + "0"))
        )
    )
    return sorted(rows.scalars())


def party_streams(connection: Connection, party: str) -> list[str]:
    """Returns the names of the streams a party answers for: its own, its products, lots and units.

    Read-only.
    """
    gtins = connection.execute(
        select(PRODUCT.c.gtin).where(PRODUCT.c.registrant == party)
    ).scalars()
    lots = select(LOT.c.stream).where(LOT.c.party == party)
    sold = select(SOLD.c.stream).where(SOLD.c.seller == party)
    names = connection.execute(
        select(HEAD.c.name).where(HEAD.c.stream.in_(lots) | HEAD.c.stream.in_(sold))
    ).scalars()
    issued = connection.execute(
        select(BATCH.c.gtin, CODE.c.serial)
        .join(CODE, CODE.c.batch_id == BATCH.c.batch_id)
        .where(BATCH.c.party == party)
    )
    units = (Code(row.gtin, serial=row.serial).stream for row in issued)
    found = [f"party/{party}", *(f"01/{gtin}" for gtin in gtins), *names, *units]
    return list(dict.fromkeys(found))


def is_due(connection: Connection, due: Any) -> bool:
    """Whether this very step is still missing. Read-only."""
    query = select(DUE.c.step).where(
        DUE.c.stream == due.stream,
        DUE.c.subject == due.subject,
        DUE.c.step == due.step,
        DUE.c.due_at == due.due_at,
    )
    return connection.execute(query).first() is not None


def give_due(connection: Connection, due: Any, party: str | None) -> None:
    """Notes who answers for a step that was raised: where it waits to be closed. Writes `due`."""
    if party != due.party:
        connection.execute(
            update(DUE)
            .where(
                DUE.c.stream == due.stream,
                DUE.c.subject == due.subject,
                DUE.c.step == due.step,
                DUE.c.due_at == due.due_at,
            )
            .values(party=party)
        )


def listing_gaps(connection: Connection, *, seller: str, gtin: str, listed_at_ms: int) -> list[Any]:
    """Returns (stream, subject) of goods whose listing is missing and may be this one. Read-only.

    Of the seller's sales of that product not before the listing.
    """
    sold = select(SOLD.c.stream).where(
        SOLD.c.seller == seller, SOLD.c.gtin == gtin, SOLD.c.sold_at >= listed_at_ms
    )
    return list(
        connection.execute(
            select(DUE.c.stream, DUE.c.subject).where(
                DUE.c.step == "listing", DUE.c.party == seller, DUE.c.stream.in_(sold)
            )
        )
    )


def lock_head(connection: Connection, stream: str) -> None:
    """Lets nobody move a stream's head until this transaction ends. Locks one row of `head`.

    SQLite has one writer at a time anyhow.
    """
    connection.execute(
        select(HEAD.c.seq).where(HEAD.c.stream == stream_key(stream)).with_for_update()
    )


def lock_party(connection: Connection, party: str) -> None:
    """Lets nobody else count what a party has until this transaction ends. Locks one row of `party`.

    Two that add at once would each be the last that is allowed. SQLite has one writer at a time anyhow.
    """
    connection.execute(select(PARTY.c.id).where(PARTY.c.id == party).with_for_update())


def buyer_of(connection: Connection, stream: str, sale_seq: int) -> bytes | None:
    """Returns the pseudonym of a sale's buyer, None where it named none. Read-only."""
    digest = connection.execute(
        select(SIDE.c.digest).where(
            SIDE.c.stream == stream_key(stream), SIDE.c.seq == sale_seq, SIDE.c.kind == "buyer"
        )
    ).scalar()
    return None if digest is None else bytes(digest)


def names_of(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    """Returns stream names by key. Read-only."""
    parts = (_NAMES.rows(connection, streams=list(part)) for part in chunks(keys))
    return {row.stream: row.name for rows in parts for row in rows}
