"""Events sent in: one at a time by many clients, and a thousand at a time by one."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from app.bench import bare
from app.bench.figures import Figure, median, percentile
from app.bench.load import Generator, Loaded, Sending
from app.bench.market import PLATFORM_NAME, Market, Player, opened
from app.bench.plan import Plan, database_url
from app.bench.processes import BenchFailed, Listening, serving, stub
from app.kit.clock import SystemClock, format_time
from app.trace.code import Code

_SECONDS = 2
# More than a run can use up, on a machine four times as fast as the one this was written on.
_CODES_PER_S = 8_000
_CODES_AGAIN = 1_000
_BATCH = 1_000
_BATCHES = 5
GENERATOR = "generator"


def measure_single_post(plan: Plan) -> Figure:
    """Measures POST /events: durable, `sale`, 32 keep-alive clients, every request another unit."""
    folder = plan.folder("single_post")
    seconds = _SECONDS if plan.full else 1
    # One more load of each kind goes ahead, so that everything that is done once is done.
    count = int(_CODES_PER_S * seconds * (plan.runs + 1) * plan.share)
    codes, shop = _stock(folder, count + _CODES_AGAIN)
    body = json.dumps(_sale("CODE"), ensure_ascii=False)
    # What the stand-in is asked about is asked again and again. A request may still be under way
    # when the recorder is back: it then takes none of the codes that are counted.
    to_ask = Sending(_listed(folder / "ask.txt", codes[count:]), shop.token, body)
    to_sell = Sending(_listed(folder / "sell.txt", codes[:count]), shop.token, body)
    generator = Generator(folder)
    with stub() as nothing:
        most = generator.send(nothing, to_ask, seconds=1, again=True)
    real: list[Loaded] = []
    constant: list[Loaded] = []
    cpu_us: list[tuple[Counter[str], Counter[str]]] = []
    used = 0
    with serving(folder) as service:
        for run in range(plan.runs + 1):
            began_s = service.cpu_s()
            with service.answering_constantly():
                told = generator.send(service, to_ask, seconds=seconds, again=True)
            between_s = service.cpu_s()
            done = generator.send(service, to_sell, seconds=seconds, first=used)
            used += done.sent
            _settle(service)
            if run:
                constant.append(told)
                real.append(done)
                cpu_us.append(
                    (
                        _each(between_s, began_s, told.sent, generator=told.cpu_s),
                        _each(service.cpu_s(), between_s, done.sent, generator=done.cpu_s),
                    )
                )
            plan.tell(f"single_post: run {run} of {plan.runs}, {done.per_s:.0f}/s")
    return Figure(
        "single_post",
        median(one.per_s for one in real),
        "events/s",
        n=used,
        ceiling=median(one.per_s for one in constant),
        p50_ms=median(one.p50_ms for one in real),
        p99_ms=median(one.p99_ms for one in real),
        also={
            "clients": "32",
            "generator": generator.name,
            "generator_most_per_s": most.per_s,
            "ceiling_p99_ms": median(one.p99_ms for one in constant),
            # Until the log has caught up. A busy machine moves these less than what goes through.
            "cpu_us_per_event": median(_service_us(one) for _, one in cpu_us),
            "ceiling_cpu_us_per_event": median(_service_us(one) for one, _ in cpu_us),
            **({"limit": "the load generator"} if generator.limits else {}),
        },
        cpu_us=_medians([one for _, one in cpu_us]),
        ceiling_cpu_us=_medians([one for one, _ in cpu_us]),
    )


def measure_bulk_post(plan: Plan) -> Figure:
    """Measures POST /events/batch of 1000 events until they have their place in the log."""
    folder = plan.folder("bulk_post")
    size = _BATCH if plan.full else 100
    batches = _BATCHES if plan.full else 1
    codes, shop = _stock(folder, size * (batches * plan.runs + 1))
    parts = [codes[start : start + size] for start in range(0, len(codes), size)]
    url, copy = database_url(folder), database_url(plan.copied(folder, "bulk_post_bare"))
    real: list[float] = []
    ceiling: list[float] = []
    taken_ms: list[float] = []
    cpu_us: list[Counter[str]] = []
    with (
        serving(folder) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
        bare.Driver(copy) as connection,
    ):
        for run in range(plan.runs + 1):
            # The first run is for what is done once; it is not counted.
            mine = parts[:1] if run == 0 else parts[1 + (run - 1) * batches : 1 + run * batches]
            began_s = service.cpu_s()
            client_s = time.process_time()
            taken = [_post(client, shop, part) for part in mine]
            client_s = time.process_time() - client_s
            spent = _each(service.cpu_s(), began_s, size * len(mine), generator=client_s)
            written = [bare.read_written(url, [code.stream for code in part]) for part in mine]
            bare_s = sum(bare.insert_again(connection, one) for one in written)
            if run:
                real.append(size * batches / sum(taken))
                ceiling.append(size * batches / bare_s)
                taken_ms += [one * 1000 for one in taken]
                cpu_us.append(spent)
                plan.tell(f"bulk_post: run {run} of {plan.runs}, {real[-1]:.0f}/s")
    return Figure(
        "bulk_post",
        median(real),
        "events/s",
        n=size * batches * plan.runs,
        ceiling=median(ceiling),
        p50_ms=median(taken_ms),
        p99_ms=percentile(taken_ms, 0.99),
        also={
            "events_per_batch": str(size),
            "cpu_us_per_event": median(_service_us(one) for one in cpu_us),
        },
        cpu_us=_medians(cpu_us),
    )


def _stock(folder: Path, count: int) -> tuple[list[Code], Player]:
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=1)
        codes = market.issue(market.shops[0], count)
        market.finish()
        return codes, market.shops[0]


def _listed(path: Path, codes: list[Code]) -> Path:
    path.write_text("".join(f"{code.stream}\n" for code in codes), "ascii")
    return path


def _sale(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "type": "sale",
        "occurred_at": format_time(SystemClock().now() - timedelta(minutes=10)),
        "data": {"platform": PLATFORM_NAME, "region": "440100"},
    }


def _post(client: httpx.Client, shop: Player, codes: list[Code]) -> float:
    """Returns the seconds from sending a batch until all of it is in the log."""
    body = json.dumps({"events": [_sale(code.stream) for code in codes]}, ensure_ascii=False)
    headers = {"Authorization": f"Bearer {shop.token}", "Content-Type": "application/json"}
    content = body.encode()
    began = time.perf_counter()
    answer = client.post("/api/v1/events/batch?wait=sequenced", content=content, headers=headers)
    taken_s = time.perf_counter() - began
    told = answer.json()
    if answer.status_code != 200 or told["accepted"] != len(codes):
        raise BenchFailed(f"a batch was answered {answer.status_code}: {answer.text[:500]}")
    if told["results"][-1]["event"]["status"] == "durable":
        raise BenchFailed("a batch was not sequenced within the time that a request waits")
    return taken_s


def _each(
    after_s: Mapping[str, float], before_s: Mapping[str, float], events: int, *, generator: float
) -> Counter[str]:
    """Returns the µs of CPU an event, by process and thread, the load generator's beside them."""
    spent_s = {part: s - before_s.get(part, 0.0) for part, s in after_s.items()}
    return Counter(
        {part: s / events * 1e6 for part, s in {**spent_s, GENERATOR: generator}.items()}
    )


def _service_us(cpu_us: Mapping[str, float]) -> float:
    return sum(us for part, us in cpu_us.items() if part != GENERATOR)


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {part: median(run.get(part, 0.0) for run in runs) for part in set().union(*runs)}


def _settle(service: Listening) -> None:
    """Waits until the log has caught up, so that one run does not pay for another."""
    end = time.monotonic() + 60
    while httpx.get(f"{service.url}/api/v1/ledger").json()["pending"] and time.monotonic() < end:
        time.sleep(0.1)
