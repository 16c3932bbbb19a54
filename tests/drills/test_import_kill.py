"""Kill −9 in the middle of an import: it goes on where it was, and doubles nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drills.deployment import Deployment, wait_until
from tests.drills.trade import GTIN, SHOP, Trade, moment
from tests.imports.sheets import as_csv, gtin

ROWS, PARCELS, KILLS = 1_500, 80, 1


@pytest.fixture
def trade(tmp_path: Path) -> Iterator[Trade]:
    """A market that has its parties and one product; what it traded is nothing to these."""
    place = Deployment(tmp_path / "market").init().serve()
    try:
        yield Trade(place).begin()
    finally:
        place.close()


def post(place: Deployment, kind: str, rows: list[list[str]], token: str) -> None:
    """Sends a file; the answer may be lost with the service."""
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(
            f"{place.url}/api/v1/{kind}/import", files={"file": ("a.csv", as_csv(rows, encoding="gbk"))},
            headers={"Authorization": f"Bearer {token}"}, timeout=120,
        )  # fmt: skip


def test_a_killed_import_goes_on_and_doubles_nothing(trade: Trade):
    place, token = trade.place, trade.keys[SHOP]
    goods = [["条码", "名称", "类别"], *([gtin(n), f"商品{n}", "其他"] for n in range(ROWS))]
    head = ["订单号", "条码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"]
    at = f"{moment(days=1):%Y-%m-%d %H:%M:%S} Z"
    parcels = [
        head, *([f"K-{n}", GTIN, "2", at, at, "示例快递", f"TEST{n:010}"] for n in range(PARCELS))
    ]  # fmt: skip

    def jobs() -> list[dict]:
        return place.get("/api/v1/imports", token=token)["items"]

    cut = 0
    for kind, rows in (("shipments", parcels), ("products", goods)):
        known = len(jobs())
        sender = threading.Thread(target=post, args=(place, kind, rows, token))
        sender.start()
        wait_until(lambda least=known: len(jobs()) > least, f"{kind} have begun", timeout_s=120)
        for _ in range(KILLS):
            cut += jobs()[0]["status"] == "running"
            assert place.kill() == -9
            place.serve()
        sender.join()
    assert cut > 0, "every kill came too late to prove anything"
    for listed in jobs():
        path, total = listed["links"]["self"], ROWS if listed["kind"] == "products" else PARCELS
        wait_until(
            lambda at=path: place.get(at, token=token)["status"] != "running", path, timeout_s=300
        )
        told = place.get(path, token=token)
        # That a row is done is written with its record: none that was made is told as unchanged.
        counts = [told[name] for name in ("status", "created", "unchanged", "refused")]
        assert counts == ["done", total, 0, 0]
    with place.opened() as run:
        (products,) = run("SELECT count(*) FROM product WHERE name LIKE '商品%'")
        (shipments,) = run("SELECT count(*) FROM shipment")
        (sales,) = run("SELECT count(*) FROM record WHERE type = 'sale'")
        (left,) = run("SELECT count(*) FROM import_row WHERE sealed IS NOT NULL")
    assert (products[0], shipments[0], left[0]) == (ROWS, PARCELS, 0)
    assert sales[0] >= 2 * PARCELS
    wait_until(lambda: place.get("/api/v1/ledger")["pending"] == 0, "published", timeout_s=300)
    code, audited = place.audit()
    assert (code, audited["findings"]) == (0, [])
