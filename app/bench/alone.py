"""Work that is measured in a process of its own, because its memory is counted.

    python -m app.bench.alone verify FOLDER COUNT
    python -m app.bench.alone issue FOLDER COUNT
    python -m app.bench.alone import FOLDER COUNT
    python -m app.bench.alone heads FOLDER COUNT
    python -m app.bench.alone heads_check FOLDER
    python -m app.bench.alone sheet FILE COUNT LAYOUT

Says one line of JSON on standard output.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Literal, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.bench.figures import cpu_s
from app.bench.heads import check_maps, make_maps
from app.bench.market import Market, opened
from app.bench.plan import settings_in
from app.imports.columns import Kind
from app.imports.export import write_xlsx
from app.imports.mapping import Layout
from app.kit.memory import peak_memory_mb
from app.labels.apart import write_apart
from app.labels.fonts import find_font
from app.labels.layouts import LayoutName
from app.labels.placing import SheetLabel
from app.labels.press import PrintJob
from app.parties.principal import Principal
from app.trace.code import Code, digital_link, new_serial
from app.trace.gtin import gtin_check_digit
from app.web.deps import Rooms


def verify(count: int) -> dict[str, float]:
    """Verifies so many signatures and does nothing else."""
    key, message = Ed25519PrivateKey.generate(), bytes(400)
    signature, public_key = key.sign(message), key.public_key()
    began = time.perf_counter()
    for _ in range(count):
        public_key.verify(signature, message)
    return {"seconds": time.perf_counter() - began}


def issue(folder: Path, count: int) -> dict[str, float]:
    """Orders codes on a new database, makes them and gives them their places in the log."""
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=1)
        began, began_cpu = time.perf_counter(), time.process_time()
        batch, _ = rooms.issuing.order(
            market.shops[0].principal,
            order_id=None,
            gtin=market.gtins[0],
            count=count,
            lot=None,
            inner=False,
        )
        while rooms.issuing.issue_some():
            pass
        made_s = time.perf_counter() - began
        done = rooms.issuing.batch(batch.batch_id).done
        while rooms.sequencer.sequence():
            pass
        taken_s = time.perf_counter() - began
    return {
        "seconds": taken_s,
        "made_seconds": made_s,
        "cpu_seconds": time.process_time() - began_cpu,
        "done": done,
        "memory_mb": peak_memory_mb(),
    }


def import_rows(folder: Path, count: int) -> dict[str, float]:
    """Imports so many products from CSV in GBK, read, planned and applied; the same once more; then others.

    Those are as many products as .xlsx, a lot of each, and a tenth as many orders, which are sold and sent.
    """
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=1)
        seller, carrier = market.shops[0].principal, market.carrier.party
        raw = _csv(_products(count, first=0))
        began_cpu = time.process_time()
        first_s, first = _imported(rooms, seller, "products", raw)
        cpu_s = time.process_time() - began_cpu
        again_s, again = _imported(rooms, seller, "products", raw)
        began = time.perf_counter()
        rooms.imports.plan(seller, "products", raw, Layout())
        planned_s = time.perf_counter() - began
        book = write_xlsx(_products(count, first=count), title="商品")
        book_s, of_book = _imported(rooms, seller, "products", book)
        lots_s, lots = _imported(rooms, seller, "lots", _csv(_lots(count)))
        orders = count // 10
        orders_s, sent = _imported(rooms, seller, "shipments", _csv(_orders(orders, carrier)))
    return {
        "seconds": first_s,
        "again_seconds": again_s,
        "plan_seconds": planned_s,
        "cpu_seconds": cpu_s,
        "xlsx_seconds": book_s,
        "lots_seconds": lots_s,
        "order_ms": 1_000 * orders_s / orders,
        "created": first.get("created", 0),
        "unchanged": again.get("unchanged", 0),
        "others": sum(one.get("created", 0) for one in (of_book, lots)) / 2,
        "sent": sent.get("created", 0) / orders,
        "memory_mb": peak_memory_mb(),
    }


def _imported(
    rooms: Rooms, seller: Principal, kind: Kind, raw: bytes
) -> tuple[float, dict[str, int]]:
    """Returns how long an import took, and how many rows came to what."""
    began = time.perf_counter()
    job = rooms.imports.start(seller, kind, raw, Layout())
    while rooms.imports.work_on(job):
        pass
    return time.perf_counter() - began, rooms.imports.job(seller, job)[1]


def _made_gtin(n: int) -> str:
    body = f"6901{n:08}"
    return f"{body}{gtin_check_digit(body)}"


def _products(count: int, *, first: int) -> list[list[str]]:
    rows = [
        [_made_gtin(n), f"示例商品{n}", "食品", "示例", "500 g", "广东肇庆"]
        for n in range(first, first + count)
    ]
    return [["商品条码", "商品名称", "类别", "品牌", "规格", "产地"], *rows]


def _lots(count: int) -> list[list[str]]:
    return [["商品条码", "批号"], *([_made_gtin(n), f"L{n}"] for n in range(count))]


def _orders(count: int, carrier: str) -> list[list[str]]:
    rows = [
        [f"B-{n}", "2026-11-20T21:14:00+08:00", _made_gtin(n), "1", carrier, f"SF{n:012}",
         "2026-11-21T09:30:00+08:00", "440100"]
        for n in range(count)
    ]  # fmt: skip
    head = ["order", "ordered_at", "gtin", "quantity", "carrier", "waybill", "shipped_at", "to"]
    return [head, *rows]


def _csv(rows: list[list[str]]) -> bytes:
    return "\r\n".join(",".join(row) for row in rows).encode("gbk")


def sheet(path: Path, count: int, layout: LayoutName | Literal["zpl"]) -> dict[str, float]:
    """Prints made-up labels into `path`, as one file, as the service does: this is the one that asks."""
    font = find_font(settings_in(path.parent).font)
    job = (
        PrintJob(form="zpl", symbol="qr", font_path=font)
        if layout == "zpl"
        else PrintJob(form="pdf", symbol="qr", font_path=font, layout=layout)
    )
    before_mb, cpu_began = peak_memory_mb(), cpu_s()
    began = time.perf_counter()
    with path.open("wb") as file:
        pressed = write_apart(job, (_label() for _ in range(count)), file)
    taken_s = time.perf_counter() - began
    if pressed.report.labels != count:
        raise RuntimeError(f"{pressed.report.labels} of {count} labels")
    return {
        "seconds": taken_s,
        "cpu_seconds": cpu_s() - cpu_began,
        "memory_mb": pressed.peak_mb,
        # What the program that asked for it holds, and has not grown by but for a few labels.
        "asker_mb": peak_memory_mb(),
        "asker_grew_mb": peak_memory_mb() - before_mb,
        "file_mb": path.stat().st_size / 1e6,
    }


def _label() -> SheetLabel:
    code = Code("09521234543213", serial=new_serial(secrets.token_bytes))
    return SheetLabel(
        content=digital_link("https://bench.example", code),
        title="端砚文房礼盒（示例）",
        fields=(("商品条码", f"(01){code.gtin}"), ("序列号", f"(21){code.serial}")),
    )


def main(work: str, path: Path, *count: str) -> None:
    """Does the work and says what came of it."""
    told: dict[str, Any]
    match work:
        case "verify":
            told = verify(int(count[0]))
        case "issue":
            told = issue(path, int(count[0]))
        case "import":
            told = import_rows(path, int(count[0]))
        case "heads":
            told = make_maps(path, int(count[0]))
        case "heads_check":
            told = check_maps(path)
        case _:
            told = sheet(path, int(count[0]), cast("Any", count[1]))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
