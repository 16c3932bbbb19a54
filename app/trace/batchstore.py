"""SQL of issuing: orders for codes, and the serials that came of them. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from app.db import turns
from app.db.tables import Batch, BatchCode, InnerCode, Product, ShipmentRow
from app.db.upsert import upsert_rows
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import load_heads
from app.parties.standing import VERIFIED, PartyUnverified
from app.trace.catalogue import LotNotYours, check_product
from app.trace.code import Code
from app.trace.decide import CodeUnknown

BATCH = Batch.__table__  # type: ignore[attr-defined]
CODE = BatchCode.__table__  # type: ignore[attr-defined]
SHIPMENT = ShipmentRow.__table__  # type: ignore[attr-defined]
INNER = InnerCode.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]

_IS_OPEN = BATCH.c.status == "running"


def _write_codes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(insert(CODE), rows)
    done: dict[str, int] = {}
    for row in rows:
        done[row["batch_id"]] = done.get(row["batch_id"], 0) + 1
    connection.execute(
        update(BATCH)
        .where(BATCH.c.batch_id == bindparam("k_batch"))
        .values(done=BATCH.c.done + bindparam("v_done")),
        [{"k_batch": batch, "v_done": count} for batch, count in done.items()],
    )
    connection.execute(
        update(BATCH)
        .where(BATCH.c.batch_id.in_(list(done)), BATCH.c.done >= BATCH.c.count)
        .values(status="done")
    )


def _write_shipment_codes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """The job of a shipment is created with its codes, so that neither is ever there alone."""
    jobs = {row["batch"]["batch_id"]: row["batch"] for row in rows}
    connection.execute(insert(BATCH), list(jobs.values()))
    _write_codes(
        connection, [{name: row[name] for name in ("batch_id", "n", "serial")} for row in rows]
    )


def _write_shipments(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(insert(SHIPMENT), rows)


WRITERS: Mapping[str, EffectWriter] = {
    "batch_code": _write_codes,
    "shipment_code": _write_shipment_codes,
    "shipment": _write_shipments,
}


def insert_new(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores an order, unless one with its id is there. Writes `batch`."""
    if find(connection, row["batch_id"]) is None:
        upsert_rows(connection, BATCH, [row], keys=("batch_id",))


def find(connection: Connection, batch_id: str) -> Any | None:
    """Returns an order's row, or None. Read-only."""
    return connection.execute(select(BATCH).where(BATCH.c.batch_id == batch_id)).first()


def batches_of(connection: Connection, party: str, gtin: str, *, limit: int) -> list[Any]:
    """Returns a party's orders of a product, the newest first. Read-only."""
    query = select(BATCH).where(BATCH.c.party == party, BATCH.c.gtin == gtin)
    return list(connection.execute(query.order_by(BATCH.c.created_at.desc()).limit(limit)))


def find_shipment(connection: Connection, shipment_id: str) -> Any | None:
    """Returns a shipment's row, or None. Read-only."""
    return connection.execute(select(SHIPMENT).where(SHIPMENT.c.shipment_id == shipment_id)).first()


def count_open(connection: Connection, party: str) -> int:
    """Returns how many orders of a party are not made yet. Read-only."""
    query = select(func.count()).where(BATCH.c.party == party, _IS_OPEN)
    return int(connection.execute(query).scalar_one())


def next_in_turn(connection: Connection, after: str) -> Any | None:
    """Returns the oldest open order of the party that follows `after`, or None. Read-only."""
    order = (BATCH.c.created_at, BATCH.c.batch_id)
    return turns.next_in_turn(
        connection, BATCH, by=BATCH.c.party, is_open=_IS_OPEN, order=order, after=after
    )


def fail(connection: Connection, batch_id: str, error: str) -> None:
    """Ends an order that cannot be carried out; what was issued stays. Writes `batch`."""
    connection.execute(
        update(BATCH).where(BATCH.c.batch_id == batch_id).values(status="failed", error=error[:500])
    )


def serials(connection: Connection, batch_id: str, *, after: int, limit: int) -> list[Any]:
    """Returns rows (n, serial) behind `after` in the order of printing. Read-only."""
    return list(
        connection.execute(
            select(CODE.c.n, CODE.c.serial)
            .where(CODE.c.batch_id == batch_id, CODE.c.n > after)
            .order_by(CODE.c.n)
            .limit(limit)
        )
    )


def void_among(connection: Connection, streams: Sequence[str]) -> frozenset[str]:
    """Returns which of these units are void. Read-only."""
    heads = load_heads(connection, streams)
    return frozenset(name for name, head in heads.items() if head.state.get("state") == "void")


def brand_owner(connection: Connection, gtin: str) -> str | None:
    """Returns the confirmed brand owner of a product, or None. Read-only."""
    return connection.execute(select(PRODUCT.c.brand_owner).where(PRODUCT.c.gtin == gtin)).scalar()


def find_inner_row(connection: Connection, stream: str) -> Any | None:
    """Returns the row of a unit's hidden code, or None. Read-only."""
    return connection.execute(select(INNER).where(INNER.c.stream == stream_key(stream))).first()


def count_try(
    connection: Connection, stream: str, *, tries: int, window_at: int, hit: bool
) -> None:
    """Counts a try of a hidden code. Writes `inner_code`."""
    connection.execute(
        update(INNER)
        .where(INNER.c.stream == stream_key(stream))
        .values(tries=tries, window_at=window_at, hits=INNER.c.hits + int(hit))
    )


def check_issue(connection: Connection, code: Code, party: str) -> None:
    """Raises what the registration of these units would raise, before an order is taken. Read-only."""
    product, own = Code(code.gtin).stream, f"party/{party}"
    wanted = [product, own, *([] if code.lot is None else [code.stream])]
    heads = load_heads(connection, wanted)
    if heads[own].state.get("status") != VERIFIED:
        raise PartyUnverified("party_unverified", party=party)
    check_product(heads[product], code.gtin, party)
    if code.lot is not None:
        if not heads[code.stream].exists:
            raise CodeUnknown("lot_unknown", lot=code.lot)
        if heads[code.stream].state["holder"] != party:
            raise LotNotYours("lot_not_yours", lot=code.lot)
