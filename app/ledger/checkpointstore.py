"""SQL of the signed checkpoints of all logs. Flushes, never commits, verifies nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from app.db.tables import CheckpointRow
from app.ledger.logstore import STATE, Log, Published
from app.ledger.store import upsert_rows

CHECKPOINT = CheckpointRow.__table__  # type: ignore[attr-defined]

_CHECKPOINTS = (
    select(CHECKPOINT, STATE.c.start)
    .join(STATE, STATE.c.log == CHECKPOINT.c.log)
    .where(STATE.c.origin == bindparam("origin"))
    .order_by(CHECKPOINT.c.size.desc())
    .limit(bindparam("most"))
    .offset(bindparam("passed"))
)
_CHECKPOINTS_WITHIN = _CHECKPOINTS.where(CHECKPOINT.c.size <= STATE.c.size)
_CHECKPOINTS_READ = 200


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
    place = {"origin": origin}
    while rows := connection.execute(query, place | {"most": most, "passed": passed}).all():
        yield from rows
        passed, most = passed + len(rows), _CHECKPOINTS_READ


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
