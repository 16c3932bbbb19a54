"""From records of the ledger of credit to rows, and from rows to the values that a score is made of.

Pure. The writer, the audit of rows and whoever replays a party's stream use the same functions, so
that what is stored, what is checked and what is told again cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import SimpleNamespace as _Row
from typing import Any, Literal

import orjson

from app.credit.policy import CapFacts, Entry, Hold, Status
from app.credit.steps import ENDED, Standing
from app.kit.clock import from_ms, parse_time, to_ms

Fields = Mapping[str, Any]


@dataclass(slots=True)
class Replayed:
    """The rows that a party's records give: entries by id, holds by finding, steps in order.

    Not among them: `buyer` of an entry, which stands in no record and counts nowhere but in the cap
    that is kept when an entry is made.
    """

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    holds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def scored(self) -> tuple[list[Entry], list[Hold]]:
        """Returns what `policy.score` takes."""
        holds = [hold_of(_Row(**row)) for row in self.holds.values() if row["lifted_at"] is None]
        return [entry_of(_Row(**row)) for row in self.entries.values()], holds


def replay(records: Iterable[Fields]) -> Replayed:
    """Returns what a party's records, all of them in order, say of its credit."""
    told = Replayed()
    for fields in records:
        data, at_ms = fields["data"], to_ms(parse_time(fields["recorded_at"]))
        party = fields["stream"].removeprefix("party/")
        match fields["type"]:
            case "credit_entry":
                row = entry_row(data, party=party, actor=fields["actor"])
                told.entries[data["entry"]] = row | {"seq": fields["seq"], "created_at": at_ms}
            case "credit_status" if data["entry"] in told.entries:
                _move(told, fields, party=party, at_ms=at_ms)
            case "credit_hold":
                told.holds[data["finding"]] = {
                    "finding": data["finding"],
                    "party": party,
                    "points": data["points"],
                    "since_at": at_ms,
                    "lifts_at": to_ms(parse_time(data["lifts_at"])),
                    "lifted_at": None,
                }
            case "credit_hold_lifted" if data["finding"] in told.holds:
                told.holds[data["finding"]]["lifted_at"] = at_ms
            case _:
                pass
    return told


def _move(told: Replayed, fields: Fields, *, party: str, at_ms: int) -> None:
    data = fields["data"]
    row, status = told.entries[data["entry"]], Status(data["status"])
    moved = replace(standing_of_row(_Row(**row)), status=status)
    row |= {
        "status": str(status),
        "ended_at": at_ms if status in ENDED else None,
        "next_at": moved.next_ms,
    }
    if "step" in data:  # before there were steps a record only said the status
        told.steps.append(
            step_row_of(
                data, party=party, seq=fields["seq"], at_ms=at_ms, actor=fields["actor"],
                record_id=fields["id"],
            )
        )  # fmt: skip


def entry_of(row: Any) -> Entry:
    """Returns a row, of the table or of a replay, as the score takes it."""
    repair, expires, ended = row.earliest_repair_at, row.expires_at, row.ended_at
    return Entry(
        id=row.id,
        party=row.party,
        rule=row.rule,
        points=row.points,
        effective_at=from_ms(row.effective_at),
        earliest_repair_at=None if repair is None else from_ms(repair),
        expires_at=None if expires is None else from_ms(expires),
        status=Status(row.status),
        ended_at=None if ended is None else from_ms(ended),
        evidence=orjson.loads(row.evidence),
        policy_version=row.policy,
        facts=CapFacts(
            day=None if row.day is None else date.fromisoformat(row.day),
            buyer=None if row.buyer is None else bytes(row.buyer).hex(),
            chains=row.chains,
        ),
    )


def hold_of(row: Any) -> Hold:
    """Returns a hold's row as the score takes it."""
    since, lifts = from_ms(row.since_at), from_ms(row.lifts_at)
    return Hold(row.finding, row.points, since, lifts)


def entry_row(data: Mapping[str, Any], *, party: str, actor: str) -> dict[str, Any]:
    """Returns the index row that a `credit_entry` record's data gives, but where and when it stands."""
    return {
        "id": data["entry"],
        "party": party,
        "rule": data["rule"],
        "points": data["points"],
        "policy": data["policy"],
        "effective_at": _ms(data["effective_at"]),
        "earliest_repair_at": _ms(data.get("earliest_repair_at")),
        "expires_at": _ms(data.get("expires_at")),
        "status": data["status"],
        "ended_at": None,
        "evidence": orjson.dumps(data["evidence"], option=orjson.OPT_SORT_KEYS).decode(),
        "day": data.get("day"),
        "buyer": None,
        "chains": data.get("chains"),
        "next_at": standing_of(data).next_ms,
        "object_until": _ms(data.get("object_until")),
        "actor": actor,
        "approximate": data.get("approximate"),
    }


def step_row_of(
    data: Mapping[str, Any],
    *,
    of: Literal["entry", "matter"] = "entry",
    party: str,
    seq: int,
    at_ms: int,
    actor: str,
    record_id: str,
) -> dict[str, Any]:
    """Returns the index row that the record of a step gives. of: what its data names the thing."""
    more = {n: v for n, v in data.items() if n not in (of, "step", "status")}
    return {
        of: data[of],
        "seq": seq,
        "party": party,
        "step": data["step"],
        "status": data["status"],
        "at": at_ms,
        "actor": actor,
        "record_id": record_id,
        "more": orjson.dumps(more, option=orjson.OPT_SORT_KEYS).decode(),
    }


def standing_of_row(row: Any) -> Standing:
    """Returns where an entry stands as its row says."""
    return Standing(
        Status(row.status),
        row.points,
        row.effective_at,
        row.earliest_repair_at,
        row.expires_at,
        row.object_until,
    )


def standing_of(data: Mapping[str, Any]) -> Standing:
    """Returns where an entry stands when its record is made."""
    effective_ms = to_ms(parse_time(data["effective_at"]))
    return Standing(
        Status(data["status"]), data["points"], effective_ms, _ms(data.get("earliest_repair_at")),
        _ms(data.get("expires_at")), _ms(data.get("object_until")),
    )  # fmt: skip


def fact_key(entry: str) -> str:
    """Returns the key of the fact that says where an entry stands."""
    return f"credit/{entry}"


def _ms(text: str | None) -> int | None:
    return None if text is None else to_ms(parse_time(text))
