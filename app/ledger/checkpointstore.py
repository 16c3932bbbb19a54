"""SQL of the signed checkpoints of all logs. Flushes, never commits, verifies nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from app.db.hot import HotSelect
from app.db.tables import CheckpointRow
from app.db.upsert import upsert_rows
from app.ledger.logstore import STATE, Log, Published

CHECKPOINT = CheckpointRow.__table__  # type: ignore[attr-defined]

_ALL = (
    select(CHECKPOINT, STATE.c.start)
    .join(STATE, STATE.c.log == CHECKPOINT.c.log)
    .where(STATE.c.origin == bindparam("origin"))
    .order_by(CHECKPOINT.c.size.desc())
    .limit(bindparam("most"))
    .offset(bindparam("passed"))
)
_CHECKPOINTS = HotSelect(_ALL)
_CHECKPOINTS_WITHIN = HotSelect(_ALL.where(CHECKPOINT.c.size <= STATE.c.size))
_CHECKPOINTS_READ = 200
_LAST = STATE.alias("last")
# By its key and at once, whatever the server believes of how many there are.
_NEWEST = (
    select(CHECKPOINT)
    .where(
        CHECKPOINT.c.log == select(func.max(_LAST.c.log)).scalar_subquery(),
        CHECKPOINT.c.size
        <= select(_LAST.c.size).order_by(_LAST.c.log.desc()).limit(1).scalar_subquery(),
    )
    .order_by(CHECKPOINT.c.size.desc())
    .limit(1)
    .subquery("newest")
)
_LOGS = HotSelect(
    select(
        STATE,
        *(_NEWEST.c[name].label(f"signed_{name}") for name in ("size", "root", "note")),
        _NEWEST.c.published_at.label("signed_at"),
    )
    .select_from(STATE.outerjoin(_NEWEST, _NEWEST.c.log == STATE.c.log))
    .order_by(STATE.c.log)
)


def save_checkpoint(connection: Connection, published: Published) -> None:
    """Stores a signed checkpoint. Writes `checkpoint`."""
    row = {
        "log": published.log.number,
        "size": published.size,
        "root": published.root,
        "note": published.note,
        "published_at": published.published_at_ms,
    }
    upsert_rows(connection, CHECKPOINT, [row], keys=("log", "size"))


def checkpoints(connection: Connection, origin: str, *, within_tree: bool) -> Iterator[Any]:
    """Yields the stored checkpoints of a log, newest first, verified by nobody. Read-only.

    Beside their columns they have the log's `start`. within_tree: only of sizes that the tree has
    reached. app.ledger.served says which are true.
    """
    query = _CHECKPOINTS_WITHIN if within_tree else _CHECKPOINTS
    passed, most = 0, 1  # nearly always the first is the one
    while rows := query.rows(connection, origin=origin, most=most, passed=passed):
        yield from rows
        passed, most = passed + len(rows), _CHECKPOINTS_READ


def logs_with_newest(connection: Connection) -> list[Any]:
    """Returns the trees of all logs, the one that goes on last, and that one's newest checkpoint.

    As the first of `checkpoints` within the tree, so verified by nobody; its columns begin with
    `signed_` and are None where there is none, and on the other logs. Read-only.
    """
    return _LOGS.rows(connection)


def first_covering(connection: Connection, log: int, index: int) -> Any | None:
    """Returns the row of the smallest stored checkpoint with this leaf of a log. Read-only.

    As `checkpoints`: verified by nobody.
    """
    return connection.execute(
        select(CHECKPOINT, STATE.c.start)
        .join(STATE, STATE.c.log == CHECKPOINT.c.log)
        .where(CHECKPOINT.c.log == log, CHECKPOINT.c.size > index)
        .order_by(CHECKPOINT.c.size)
        .limit(1)
    ).first()


def has_checkpoint(connection: Connection) -> bool:
    """Whether there is a checkpoint, true or not. Read-only."""
    return connection.execute(select(CHECKPOINT.c.size).limit(1)).first() is not None


def delete_checkpoints(connection: Connection, log: Log, sizes: Sequence[Any]) -> None:
    """Deletes checkpoints of a log. Writes `checkpoint`."""
    if sizes:
        rows = [{"k_log": log.number, "k_size": size} for size in sizes]
        connection.execute(
            delete(CHECKPOINT).where(
                CHECKPOINT.c.log == bindparam("k_log"), CHECKPOINT.c.size == bindparam("k_size")
            ),
            rows,
        )
