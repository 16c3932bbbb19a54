"""The authority's search over a million records: rows as the services write them, asked over HTTP.

Filled in rows alone: what is measured is how they are found. Parties are as many as a province has; a
name is looked for in all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from app.bench.crowds import CROWDS, crowd_number, fill_crowds
from app.bench.figures import Figure, percentile
from app.bench.market import Market, opened
from app.bench.plan import Plan
from app.bench.processes import BenchFailed, serving
from app.db.tables import (
    Batch,
    BatchCode,
    Head,
    LicenceRow,
    Party,
    RecordRow,
    SideIndex,
    SoldUnit,
)
from app.kit.clock import china_day, from_ms, to_ms
from app.ledger.record import stream_key
from app.oversight.sought import GROUPS
from app.parties.access import NewKey
from app.parties.identity import uscc_check_digit
from app.parties.licence_book import licence_id
from app.parties.principal import OPERATOR
from app.parties.registration import read_registration
from app.trace import soldstore
from app.trace.code import Code
from app.trace.secret_index import SecretIndex
from app.web.deps import Rooms

_UNITS = 1_000_000
_PARTIES = 20_000
_AT_ONCE = 20_000
_REGULATOR_17 = "11440000007000002"
_LICENCE = "SC10144120000008"
_REGIONS = ("441200", "440100", "110100", "310100", "441283", "330100", "500100", "441202")
_BATCH = "0192f3a0-0000-7000-8000-00000000be9c"


def measure_desk_search(plan: Plan) -> Figure:
    """Measures POST /desk/search over a million units: every kind of number and name, regions, days."""
    count = plan.count(_UNITS)
    folder = plan.folder("desk_search")
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=3)
        market.finish()
        asked = fill(rooms, market.gtins[0], count, plan.tell)
        crowds = {f"crowd_{count}": plan.count(count) for count in CROWDS}
        here, elsewhere = _party(0), _party(2)
        fill_crowds(
            rooms, market.gtins[0], list(crowds.values()), here=here, elsewhere=elsewhere,
            first_ms=to_ms(rooms.clock.now()),
        )  # fmt: skip
        key, local_key = keys_of_regulator(rooms, _REGIONS[0])
        rooms.database.truncate_log()
    taken_ms, by_kind = ask(folder, key, asked, runs=plan.runs)
    # As an office with a region asks: of each of the goods it is asked whose they are.
    numbers = {
        kind: {"q": crowd_number(count), "purpose": "measuring"} for kind, count in crowds.items()
    }
    # A time is asked of each record with the number, which the index does not have.
    days = {"since": "2020-01-01", "until": "2099-01-01"}
    numbers |= {f"{kind}_days": {**body, **days} for kind, body in numbers.items()}
    crowds_ms, by_crowd = ask(folder, local_key, numbers, runs=plan.runs)
    taken_ms, by_kind = [*taken_ms, *crowds_ms], by_kind | by_crowd
    return Figure(
        "desk_search",
        percentile(taken_ms, 0.5),
        "ms",
        n=count,
        p50_ms=percentile(taken_ms, 0.5),
        p99_ms=percentile(taken_ms, 0.99),
        also={"slowest_ms": max(taken_ms), **{f"{kind}_ms": ms for kind, ms in by_kind.items()}},
    )


def ask(
    folder: Path, key: NewKey, asked: dict[str, dict[str, str]], *, runs: int
) -> tuple[list[float], dict[str, float]]:
    """Returns how long each search took over HTTP, and the slowest of each kind, in ms."""
    taken_ms: list[float] = []
    slowest: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {key.token}"}
    with (
        serving(folder) as service,
        httpx.Client(base_url=service.url, timeout=60, headers=headers) as client,
    ):
        for run in range(1 + runs):
            for kind, body in asked.items():
                began = time.perf_counter()
                answer = client.post("/api/v1/desk/search", json=body)
                ms = (time.perf_counter() - began) * 1000
                if answer.status_code != 200:
                    raise BenchFailed(f"{kind} was answered {answer.status_code}: {answer.text}")
                found = answer.json()["groups"]
                if kind != "nothing" and not any(found[group]["count"] for group in GROUPS):
                    raise BenchFailed(f"{kind} found nothing")
                if run:
                    taken_ms.append(ms)
                    slowest[kind] = max(ms, slowest.get(kind, 0))
    return taken_ms, slowest


def keys_of_regulator(rooms: Rooms, region: str) -> tuple[NewKey, NewKey]:
    """Registers a regulator and returns two keys of it, the second of an office with this region."""
    party = _REGULATOR_17 + uscc_check_digit(_REGULATOR_17)
    told = read_registration(uscc=party, exempt=False, name="监管（虚构）", roles=["regulator"])
    rooms.parties.register(OPERATOR, told)
    rooms.parties.verify(OPERATOR, party, status="verified", evidence="made up")
    scopes = ["audit", "events"]
    whole = rooms.keys.create(OPERATOR, party, scopes=scopes)
    return whole, rooms.keys.create(replace(OPERATOR, region=region), party, scopes=scopes)


def fill(
    rooms: Rooms, gtin: str, count: int, tell: Callable[[str], None]
) -> dict[str, dict[str, str]]:
    """Writes parties and units in rows, and returns what to ask, by kind."""
    now_ms = to_ms(rooms.clock.now())
    index = SecretIndex(rooms.keyring.subkey("side-index"))
    parties = [_party(n) for n in range(min(_PARTIES, max(count // 50, 20)))]
    first_ms = now_ms - count * 1_000
    first_day = china_day(from_ms(first_ms))
    with rooms.database.write() as connection:
        rows = [
            {
                "id": party, "name": f"示例{n}号贸易商行 Trading {n}", "roles": "merchant",
                "region": _REGIONS[n % len(_REGIONS)], "status": "verified",
                "licences": _licences(n), "exempt": False, "next_check": None, "content": b"",
                "created_by": None, "created_at": first_ms + n,
            }
            for n, party in enumerate(parties)
        ]  # fmt: skip
        _insert(connection, Party, rows)
        place = licence_id("food_production", _LICENCE)
        _insert(connection, LicenceRow, [{
            "party": parties[5], "licence": place, "kind": "food_production", "number": _LICENCE,
            "ends_on": None, "told_at": None,
        }])  # fmt: skip
        _insert(connection, Batch, [_batch(parties[0], gtin, count, first_ms)])
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        made = [_unit(n, gtin, parties, first_ms, index) for n in numbers]
        with rooms.database.write() as connection:
            for table, name in (
                (Head, "head"), (RecordRow, "record"), (BatchCode, "code"), (SideIndex, "side"),
                (SoldUnit, "sold"),
            ):  # fmt: skip
                _insert(connection, table, [one[name] for one in made])
        tell(f"desk_search: {start} of {count} units")
    with rooms.database.write() as connection:
        soldstore.put_right(connection)
    n = count // 2
    unit = Code(gtin, serial=_serial(n))
    return {
        "code": {"q": unit.stream},
        "serial": {"q": _serial(n)},
        "gtin": {"q": gtin},
        "waybill": {"q": _waybill(n), "purpose": "measuring"},
        "party": {"q": parties[3]},
        "party_days": {"q": parties[3], "since": "2020-01-01", "until": "2099-01-01"},
        "name": {"q": "示例17号"},
        "common_name": {"q": "贸易商行"},
        "latin_name": {"q": "trading 19"},
        "licence": {"q": _LICENCE},
        "region": {"region": "441200"},
        "region_days": {"region": "441200", "since": "2020-01-01", "until": "2099-01-01"},
        "days": {"since": "2020-01-01", "until": "2099-01-01"},
        "day": {"since": first_day, "until": first_day},
        "region_day": {"region": "440000", "since": first_day, "until": first_day},
        "name_in_region": {"q": "示例", "region": "440000"},
        "nothing": {"q": "NOSUCHNUMBER99", "purpose": "measuring"},
    }


def _insert(connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    connection.execute(table.__table__.insert(), rows)


def _party(n: int) -> str:
    first_17 = f"91440000MB{n:07d}"
    return first_17 + uscc_check_digit(first_17)


def _licences(n: int) -> str:
    return f'[{{"kind": "food_production", "number": "{_LICENCE}"}}]' if n == 5 else "[]"


def _batch(party: str, gtin: str, count: int, at: int) -> dict[str, Any]:
    return {
        "batch_id": _BATCH, "party": party, "via": None, "source": "merchant", "gtin": gtin,
        "lot": None, "count": count, "done": count, "inner": False, "status": "done", "error": None,
        "created_at": at,
    }  # fmt: skip


def _serial(n: int) -> str:
    return sha256(f"serial {n}".encode()).hexdigest()[:13].upper()


def _waybill(n: int) -> str:
    return f"BENCH{n:010d}"


def _unit(
    n: int, gtin: str, parties: list[str], first_ms: int, index: SecretIndex
) -> dict[str, dict[str, Any]]:
    name = Code(gtin, serial=_serial(n)).stream
    key, at, seller = stream_key(name), first_ms + n * 1_000, parties[n % len(parties)]
    told = sha256(name.encode()).digest()
    body = f'{{"actor":"{seller}","data":{{"region":"441200"}},"type":"sale"}}'.encode()
    record = {
        "stream": key, "seq": 0, "id": told[:16], "type": "sale", "actor": seller,
        "recorded_at": at, "hash": told, "body": body,
    }  # fmt: skip
    head = {"stream": key, "name": name, "seq": 0, "hash": told, "recorded_at": at, "state": b"{}"}
    sold = {
        "stream": key, "subject": "", "cycle": 0, "gtin": gtin, "seller": seller, "sold_at": at,
        "gap_due_at": None, "steps": 1, "independent": 0, "completed_at": None,
    }  # fmt: skip
    side = {
        "stream": key, "seq": 0, "kind": "waybill", "digest": index.digest("waybill", _waybill(n)),
    }  # fmt: skip
    code = {"batch_id": _BATCH, "n": n, "serial": _serial(n)}
    return {"head": head, "record": record, "code": code, "side": side, "sold": sold}
