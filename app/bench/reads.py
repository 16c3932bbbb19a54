"""What is read of a log that has grown: audit, proof, scan page, ranking."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from app.bench.bare_pages import note_pages
from app.bench.figures import Figure, median, percentile
from app.bench.floor import measure_floor
from app.bench.grow import multiply
from app.bench.market import Market, Player, opened
from app.bench.plan import Plan
from app.bench.processes import (
    BenchFailed,
    Listening,
    bare_pages,
    run_alone,
    run_program,
    serving,
)
from app.ledger import logstore
from app.ledger.prover import Prover
from app.ledger.served import load_checkpoint
from app.trace.code import Code

_RECORDS = 100_000
_SIGNED = 5_000
_SHOPS, _GOODS = 20, 50
_PROOFS = 1_000
_SCANS_PER_S = 100
_SCANS = 800
_PHONES = 32
_RANKINGS = 100
_LONGEST_LOAD_S = 120
# A phone that scans for the first time: no cookie, no page kept.
_REQUEST = (
    b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nAccept-Language: zh-CN\r\n"
    b"Accept-Encoding: gzip\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)"
    b" AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Grown:
    """A deployment with a log that has grown, all of it sequenced and signed."""

    folder: Path
    units: list[Code]
    offers: list[tuple[str, str]]
    platform: Player
    size: int


class Reads:
    """The figures of reading; the log is grown once, when the first of them wants it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @cached_property
    def _grown(self) -> Grown:
        plan = self._plan
        records = plan.count(_RECORDS)
        folder = plan.folder("grown")
        shops, goods = (_SHOPS, _GOODS) if plan.full else (2, 5)
        with opened(folder) as rooms:
            market = Market(rooms, shops=shops, goods=goods)

            def tell(done: int) -> None:
                plan.tell(f"growing a log: {done} of {records} records")

            units = market.trade(min(records, _RECORDS), tell)
            plan.tell("growing a log: the last chains")
            market.finish()
            if records > _RECORDS:
                units += multiply(rooms, units, records, tell)
            with rooms.database.read() as connection:
                published = load_checkpoint(connection, rooms.keyring.log.vkey)
        assert published is not None, "the market publishes before it is left"
        offers = [(shop.party, gtin) for shop in market.shops for gtin in market.gtins]
        return Grown(folder, units, offers, market.platform, published.size)

    def measure_audit(self, *, processes: int = 1) -> Figure:
        """Measures the audit with every check, tree included."""
        return self._audit(
            "audit" if processes == 1 else "audit_two", self._grown.folder, processes=processes
        )

    def measure_audit_floor(self) -> Figure:
        """Measures what the plain checks of an audit cost in CPython at the least."""
        return measure_floor(self._grown.folder / "data" / "suxin.db", self._plan.runs)

    def measure_audit_signed(self) -> Figure:
        """Measures the audit of a log in which every second record is signed, by its signatures."""
        plan = self._plan
        count = plan.count(_SIGNED)
        folder = plan.folder("signed")
        with opened(folder) as rooms:
            market = Market(rooms, shops=1, goods=1)
            market.sell_signed(market.shops[0], count)
            market.finish()
        whole = self._audit("audit_signed", folder, processes=1)
        bare = [run_alone("verify", folder, count, timeout_s=300)["seconds"] for _ in range(3)]
        return replace(
            whole,
            value=whole.value * count / whole.n,
            unit="signatures/s",
            n=count,
            ceiling=count / median(bare),
            also={"records": whole.n},
        )

    def _audit(self, name: str, folder: Path, *, processes: int) -> Figure:
        plan = self._plan
        told: list[dict[str, float]] = []
        for run in range(plan.runs):
            one = run_program(
                "app.bench.audited",
                folder,
                processes,
                timeout_s=600 + plan.count(_RECORDS) / 1_000,
            )
            if one["problems"] or one["records"] != one["hashed"]:
                raise BenchFailed(f"the audit is not clean: {one}")
            told.append(one)
            plan.tell(f"{name}: run {run + 1} of {plan.runs}")
        return Figure(
            name,
            median(one["records"] / one["seconds"] for one in told),
            "records/s",
            n=int(told[0]["records"]),
            ceiling=median(one["records"] / one["bare_seconds"] for one in told),
            memory_mb=median(one["memory_mb"] for one in told),
            also={
                "cpu_us": median(one["cpu_seconds"] / one["records"] * 1e6 for one in told),
                "bare_cpu_us": median(
                    one["bare_cpu_seconds"] / one["records"] * 1e6 for one in told
                ),
                "resident_mb": median(one["resident_mb"] for one in told),
            },
        )

    def measure_proof(self) -> Figure:
        """Measures an inclusion proof built from tiles and verified, each with a cold start."""
        grown = self._grown
        seeded = random.Random(1)
        taken_ms: list[float] = []
        with opened(grown.folder) as rooms:
            for _ in range(_PROOFS if self._plan.full else 50):
                index = seeded.randrange(grown.size)
                began = time.perf_counter()
                with rooms.database.read() as connection:
                    published = load_checkpoint(connection, rooms.keyring.log.vkey)
                    assert published is not None, "the market publishes before it is left"
                    (entry,) = logstore.leaf_hashes(connection, index, index + 1).values()
                    standing = Prover(connection, published).prove(index, entry).standing
                taken_ms.append((time.perf_counter() - began) * 1000)
                if standing != "proven":
                    raise BenchFailed(f"leaf {index} is {standing}")
        return _times("proof", taken_ms, n=grown.size)

    def measure_scan_page(self) -> Figure:
        """Measures the scan page with its verification, asked at a steady pace by many phones."""
        plan, grown = self._plan, self._grown
        seeded = random.Random(2)
        count = _SCANS if plan.full else 50
        told: list[dict[str, float]] = []
        with ExitStack() as running:
            service = running.enter_context(serving(grown.folder))
            # Others' units each time: a look that is none of the first writes less.
            units = seeded.choices(grown.units, k=count * 2 * plan.runs)
            # Templates are compiled with the first page.
            asyncio.run(_scan(service, units[:20]))
            bare = None
            if plan.server is not None:
                note_pages(grown.folder, units[: count * plan.runs])
                bare = running.enter_context(bare_pages(grown.folder))
                asyncio.run(_scan(bare, units[:20]))
            service.settle()
            for run in range(plan.runs):
                part = slice(run * count, (run + 1) * count)
                one: dict[str, float] = {}
                if bare is not None:
                    one |= _shares("bare_", *asyncio.run(_scan(bare, units[part])))
                own = units[count * plan.runs :][part]
                told.append(one | _shares("", *asyncio.run(_scan(service, own))))
                plan.tell(f"scan_page: run {run + 1} of {plan.runs}")
        middle = {name: median(one[name] for one in told) for name in told[0]}
        return Figure(
            "scan_page",
            middle["p50_ms"],
            "ms",
            n=count,
            ceiling=middle.get("bare_p50_ms"),
            p50_ms=middle["p50_ms"],
            p99_ms=middle["p99_ms"],
            also={
                name: ms for name, ms in middle.items() if name[:3] != "p50" and name[:3] != "p99"
            }
            | {"least_p99_ms": min(one["p99_ms"] for one in told), "per_s": float(_SCANS_PER_S)},
        )

    def measure_ranking(self) -> Figure:
        """Measures POST /ranking of 1000 candidates, one caller."""
        plan, grown = self._plan, self._grown
        offers = random.Random(3).choices(grown.offers, k=1_000)
        candidates = [
            {"id": str(n), "gtin": gtin, "seller": seller, "base": 1 + n % 7}
            for n, (seller, gtin) in enumerate(offers)
        ]
        # Put together once and read as bytes: a platform's own client is not what is measured.
        body = json.dumps({"candidates": candidates}).encode()
        headers = {
            "Authorization": f"Bearer {grown.platform.token}",
            "Content-Type": "application/json",
        }
        taken_ms: list[float] = []
        with serving(grown.folder) as service:
            client = HTTPConnection("127.0.0.1", service.port, timeout=60)
            service.settle()
            for run in range(1 + _RANKINGS * plan.runs):
                began = time.perf_counter()
                client.request("POST", "/api/v1/ranking", body, headers)
                answer = client.getresponse()
                told = answer.read()
                if run:
                    taken_ms.append((time.perf_counter() - began) * 1000)
                if answer.status != HTTPStatus.OK or len(json.loads(told)["items"]) != len(
                    candidates
                ):
                    raise BenchFailed(f"a ranking was answered {answer.status}")
            client.close()
        return _times("ranking", taken_ms, n=len(candidates))


def _shares(before: str, whole_ms: Sequence[float], first_ms: Sequence[float]) -> dict[str, float]:
    return {
        f"{before}p50_ms": percentile(whole_ms, 0.5),
        f"{before}p99_ms": percentile(whole_ms, 0.99),
        f"{before}first_byte_p50_ms": percentile(first_ms, 0.5),
        f"{before}first_byte_p99_ms": percentile(first_ms, 0.99),
    }


def _times(name: str, taken_ms: list[float], *, n: int, **also: float) -> Figure:
    p50_ms = percentile(taken_ms, 0.5)
    return Figure(
        name, p50_ms, "ms", n=n, p50_ms=p50_ms, p99_ms=percentile(taken_ms, 0.99), also=also
    )


async def _scan(service: Listening, units: list[Code]) -> tuple[list[float], list[float]]:
    """Returns how long each page took in ms, and until its first byte.

    Counted from the moment at which it was to be asked for: a page that makes others wait is not
    spared their waiting. Over plain sockets, kept alive: the load generator shares the machine, and a
    client library costs half of what the page itself does. In turn over all of them, as many phones
    would be: whoever takes the socket that came back last asks one process and leaves the others idle.
    """
    whole_ms: list[float] = []
    first_ms: list[float] = []
    idle = deque([await asyncio.open_connection("127.0.0.1", service.port) for _ in range(_PHONES)])
    began = time.perf_counter()

    async def scan(at: float, unit: Code) -> None:
        reader, writer = (
            idle.popleft() if idle else await asyncio.open_connection("127.0.0.1", service.port)
        )
        writer.write(_REQUEST % unit.stream.encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        first_ms.append((time.perf_counter() - at) * 1000)
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        page = await reader.readexactly(int(length))
        whole_ms.append((time.perf_counter() - at) * 1000)
        # Unpacked once its time is taken: a phone has a processor of its own for that.
        if not head.startswith(b"HTTP/1.1 200") or b"seal" not in gzip.decompress(page):
            raise BenchFailed(f"a scan page was answered {head[:40]!r}")
        idle.append((reader, writer))

    async with asyncio.timeout(_LONGEST_LOAD_S), asyncio.TaskGroup() as group:
        for n, unit in enumerate(units):
            at = began + n / _SCANS_PER_S
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            group.create_task(scan(at, unit))
    for _, writer in idle:
        writer.close()
    return whole_ms, first_ms
