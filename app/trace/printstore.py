"""SQL of printing: the log of who printed which labels. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from app.db.tables import Batch, LabelPrint, ShipmentRow

BATCH = Batch.__table__  # type: ignore[attr-defined]
PRINT = LabelPrint.__table__  # type: ignore[attr-defined]
SHIPMENT = ShipmentRow.__table__  # type: ignore[attr-defined]


def printed_before(
    connection: Connection, batch_id: str, *, start: int, end: int
) -> Sequence[tuple[int, int]]:
    """Returns the parts (first, end) of earlier prints that lie within start and end. Locks the batch."""
    # Two prints at once would each be the first: on PostgreSQL the second one waits here.
    connection.execute(
        select(BATCH.c.batch_id).where(BATCH.c.batch_id == batch_id).with_for_update()
    )
    after = PRINT.c.first + PRINT.c.count
    rows = connection.execute(
        select(PRINT.c.first, after.label("after"))
        .where(PRINT.c.batch_id == batch_id, PRINT.c.first < end, after > start)
        .distinct()
    )
    return [(max(row.first, start), min(row.after, end)) for row in rows]


def insert_print(connection: Connection, row: Mapping[str, Any]) -> None:
    """Writes `label_print`."""
    connection.execute(insert(PRINT), row)


def prints(connection: Connection, batch_id: str, *, after: str | None, limit: int) -> list[Any]:
    """Returns a batch's prints, oldest first, behind `after`. Read-only."""
    query = select(PRINT).where(PRINT.c.batch_id == batch_id)
    if after is not None:
        query = query.where(PRINT.c.print_id > after)
    return list(connection.execute(query.order_by(PRINT.c.print_id).limit(limit)))


def unprinted_shipments(
    connection: Connection, party: str, *, since_ms: int, limit: int
) -> list[Any]:
    """Returns the batches that shipments of a party issued since then and nobody printed, oldest first.

    Read-only.
    """
    printed = select(PRINT.c.print_id).where(PRINT.c.batch_id == BATCH.c.batch_id).exists()
    return list(
        connection.execute(
            select(BATCH)
            .join(SHIPMENT, SHIPMENT.c.shipment_id == BATCH.c.batch_id)
            .where(BATCH.c.party == party, BATCH.c.created_at >= since_ms, ~printed)
            .order_by(BATCH.c.created_at, BATCH.c.batch_id)
            .limit(limit)
        )
    )
