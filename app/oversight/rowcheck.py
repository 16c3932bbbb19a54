"""Rows beside the records that pages, credit and ranking read, against what the records say.

Products, lots, parties, credit entries and holds are kept as rows so that they can be found and
added up; each follows from records of one stream. Whoever changes a row changes no record: what was
proven stays proven and nobody is charged, but what is shown or counted would be false. So it is a
finding of its own (`index.row_mismatch`), at the stream whose records contradict it.

Not checked: rows that follow from several streams or from none (offers, due steps, API keys).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from app.credit import store as credit_store
from app.kit.clock import parse_time, to_ms
from app.ledger.verifier import Problem
from app.parties import store as party_store
from app.trace import store as trace_store
from app.trace.catalogue import lot_facts, product_facts

Fields = Mapping[str, Any]


def check_rows(connection: Connection, stream: str, records: Sequence[Fields]) -> Iterator[Problem]:
    """Yields the rows that do not follow from a sound stream's records, all of them given. Read-only."""
    wrong: list[str] = []
    first = next((fields for fields in records if fields["type"] == "registration"), None)
    match stream.split("/"):
        case ["01", gtin] if first is not None:
            row = trace_store.find_product(connection, gtin)
            wrong = _differing("product", _told_product(first, records), row)
        case ["01", _, "10", _] if first is not None:
            told = {"party": first["actor"], "facts": lot_facts(first["data"])}
            wrong = _differing("lot", told, trace_store.find_lot(connection, stream))
        case ["party", party]:
            if first is not None:
                row = party_store.find_party(connection, party)
                wrong = _differing("party", _told_party(first["data"], records), row)
            wrong += [
                *_wrong_entries(connection, party, records),
                *_wrong_holds(connection, party, records),
            ]
        case _:
            pass
    if wrong:
        evidence = {"column": " ".join(wrong[:20])}
        yield Problem("index.row_mismatch", stream, None, None, evidence)


def _told_product(first: Fields, records: Sequence[Fields]) -> dict[str, Any]:
    owners = [f["data"]["party"] for f in records if f["type"] == "brand_owner"]
    return {
        "name": first["data"]["name"],
        "category": first["data"]["category"],
        "facts": product_facts(first["data"]),
        "registrant": first["actor"],
        "brand_owner": owners[-1] if owners else None,
    }


def _told_party(data: Fields, records: Sequence[Fields]) -> dict[str, Any]:
    verified = [f["data"]["status"] for f in records if f["type"] == "verification"]
    told: dict[str, Any] = {
        "roles": tuple(data["roles"]),
        "region": data.get("region"),
        "status": verified[-1] if verified else "pending",
        "exempt": data.get("exempt", False),
    }
    if "name" in data:  # an exempt person's is only committed to
        told["name"] = data["name"]
    return told


def _wrong_entries(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the entries whose row is missing, invented, or says something else."""
    told: dict[str, dict[str, Any]] = {}
    for fields in records:
        data = fields["data"]
        if fields["type"] == "credit_entry":
            told[data["entry"]] = {
                "rule": data["rule"],
                "points": data["points"],
                "policy": data["policy"],
                "effective_at": _ms(data.get("effective_at")),
                "earliest_repair_at": _ms(data.get("earliest_repair_at")),
                "expires_at": _ms(data.get("expires_at")),
                "status": data["status"],
                "evidence": data["evidence"],
                "day": data.get("day"),
            }
        elif fields["type"] == "credit_status" and data["entry"] in told:
            told[data["entry"]]["status"] = data["status"]
    kept = {row.id: row for row in credit_store.entry_rows(connection, party)}
    wrong = []
    for entry in sorted(told.keys() | kept.keys()):
        if entry not in told or entry not in kept:
            wrong.append(f"credit_entry.{entry}")
            continue
        row = dict(kept[entry]._mapping) | {"evidence": orjson.loads(kept[entry].evidence)}
        if any(row[name] != value for name, value in told[entry].items()):
            wrong.append(f"credit_entry.{entry}")
    return wrong


def _wrong_holds(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    told: dict[str, tuple[int, int, bool]] = {}
    for fields in records:
        data = fields["data"]
        if fields["type"] == "credit_hold":
            told[data["finding"]] = (data["points"], to_ms(parse_time(data["lifts_at"])), False)
        elif fields["type"] == "credit_hold_lifted" and data["finding"] in told:
            told[data["finding"]] = (*told[data["finding"]][:2], True)
    kept = {
        row.finding: (row.points, row.lifts_at, row.lifted_at is not None)
        for row in credit_store.hold_rows(connection, party)
    }
    return [
        f"credit_hold.{finding}"
        for finding in sorted(told.keys() | kept.keys())
        if told.get(finding) != kept.get(finding)
    ]


def _differing(table: str, told: Mapping[str, Any], row: Any | None) -> list[str]:
    """Returns the columns that say something else, the table's name where the row is gone."""
    if row is None:
        return [table]
    return [f"{table}.{name}" for name, value in told.items() if getattr(row, name) != value]


def _ms(text: str | None) -> int | None:
    return None if text is None else to_ms(parse_time(text))
