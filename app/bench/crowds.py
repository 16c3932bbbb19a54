"""Sealed numbers that thousands of records have, as a container's declaration or bill of lading has them.

Filled in rows, as the services write them: each unit has a registration, a sale and a dispatch, each of
which commits to the numbers that it has. One unit of a hundred is sold by somebody here, all others
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from app.db.tables import Head, RecordRow, SideIndex
from app.kit.canonical import canonical_bytes
from app.ledger.record import stream_key
from app.trace.code import Code
from app.trace.secret_index import SecretIndex
from app.web.deps import Rooms

CROWDS = (1_000, 5_000, 50_000)
_AT_ONCE = 10_000
_SHARE = 100
_SEQS = {"declaration": 0, "order": 1, "payment": 1, "waybill": 2}
"""In which record of a unit its number of a kind stands."""


def crowd_number(count: int) -> str:
    """Returns the waybill of so many units."""
    return f"CROWD{count:08d}"


def fill_crowd(
    rooms: Rooms,
    gtin: str,
    numbers: Mapping[str, str],
    sellers: Sequence[str],
    *,
    carrier: str,
    first_ms: int,
) -> list[str]:
    """Writes a unit for each of these sellers, all under these numbers, and returns their names.

    numbers: by kind, of declaration, order, payment and waybill.
    """
    index = SecretIndex(rooms.keyring.subkey("side-index"))
    names = []
    for start in range(0, len(sellers), _AT_ONCE):
        made: dict[Any, list[dict[str, Any]]] = {Head: [], RecordRow: [], SideIndex: []}
        for n, seller in enumerate(sellers[start : start + _AT_ONCE], start):
            serial = sha256(f"{sorted(numbers.items())} {n}".encode()).hexdigest()[:13].upper()
            name = Code(gtin, serial=serial).stream
            key, at = stream_key(name), first_ms + n
            records = [
                _record(name, *one, numbers=numbers, at=at) for one in _life(seller, carrier)
            ]
            made[RecordRow] += records
            last = records[-1]
            made[Head].append({
                "stream": key, "name": name, "seq": last["seq"], "hash": last["hash"],
                "recorded_at": at, "state": b"{}",
            })  # fmt: skip
            made[SideIndex] += [
                {
                    "stream": key,
                    "seq": _SEQS[kind],
                    "kind": kind,
                    "digest": index.digest(kind, told),
                }
                for kind, told in numbers.items()
            ]
            names.append(name)
        with rooms.database.write() as connection:
            for table, rows in made.items():
                connection.execute(table.__table__.insert(), rows)
    return names


def fill_crowds(
    rooms: Rooms, gtin: str, counts: Sequence[int], *, here: str, elsewhere: str, first_ms: int
) -> None:
    """Writes a number for each of these counts, its units sold by these two."""
    for count in counts:
        sellers = [elsewhere if n % _SHARE else here for n in range(count)]
        numbers = {"waybill": crowd_number(count)}
        fill_crowd(rooms, gtin, numbers, sellers, carrier=elsewhere, first_ms=first_ms)


def _life(seller: str, carrier: str) -> list[tuple[int, str, str, dict[str, Any]]]:
    return [
        (0, "registration", "system", {"brand_owner": False, "issuer": seller}),
        (1, "sale", seller, {"platform": "https://shop.example"}),
        (2, "dispatch", seller, {"carrier": carrier, "from": "110100", "to": "310000"}),
    ]


def _record(
    name: str,
    seq: int,
    type_: str,
    actor: str,
    data: dict[str, Any],
    *,
    numbers: Iterable[str],
    at: int,
) -> dict[str, Any]:
    told = sha256(f"{name} {seq}".encode()).digest()
    record = UUID(bytes=told[:16], version=4)
    sealed = {kind: told.hex() for kind in numbers if _SEQS[kind] == seq}
    body = {
        "actor": actor, "data": data, "id": str(record),
        "occurred_at": "2026-11-23T07:00:00.000Z", "prev": told.hex(),
        "recorded_at": "2026-11-23T07:00:00.000Z", "sealed": sealed,
        "seq": seq, "source": "merchant", "stream": name, "type": type_, "v": 1,
    }  # fmt: skip
    return {
        "stream": stream_key(name), "seq": seq, "id": record.bytes, "type": type_, "actor": actor,
        "recorded_at": at, "hash": told, "body": canonical_bytes(body),
    }  # fmt: skip
