"""Kill −9 in the middle of a load, again and again on one folder: nothing acknowledged is lost."""

from __future__ import annotations

import random
import time

from app.ledger.checkpoint import open_receipt
from app.ledger.note import parse_vkey
from tests.drills.deployment import wait_until
from tests.drills.load import Load
from tests.drills.trade import SHOP, Trade, api_path

KILLS = 10
MOVING_UNITS = 6


def records_of(trade: Trade, code: str) -> dict[str, tuple[int, str]]:
    """Returns seq and hash of each record of the code's own chain, by id; each stands there once."""
    items = trade.place.get(f"{api_path(code)}/events")["items"]
    own = [item for item in items if item["record"]["stream"] == code]
    found = {item["record"]["id"]: (item["record"]["seq"], item["hash"]) for item in own}
    assert len(found) == len(own)
    assert [item["record"]["seq"] for item in own] == list(range(len(own)))
    return found


def check_acknowledged(load: Load) -> None:
    """Every acknowledged event is in its chain, at the place and with the hash that were told."""
    stored = {code: records_of(load.trade, code) for code in load.moving}
    for identifier, told in load.acked.items():
        assert stored[told["code"]].get(identifier) == (told["seq"], told["hash"]), told


def check_receipts(load: Load) -> None:
    place = load.trade.place
    vkey = parse_vkey(place.call("GET", "/log/receipt-key", expect=200).text.strip())
    for told in load.acked.values():
        receipt = open_receipt(told["receipt"], vkey)
        assert (receipt.stream, receipt.seq, receipt.hash.hex()) == (
            told["code"], told["seq"], told["hash"],
        )  # fmt: skip


def check_orders(load: Load) -> None:
    """What was being issued is issued to the end, no serial twice."""
    trade = load.trade
    token = trade.keys[SHOP]
    for batch, count in load.orders.items():
        path = f"/api/v1/batches/{batch}"
        wait_until(lambda at=path: trade.place.get(at, token=token)["status"] == "done", "issued")
        rows = trade.place.call("GET", f"{path}/codes.csv", token=token, expect=200).text
        codes = [row.split(",")[0] for row in rows.strip().splitlines()[1:]]
        assert len(codes) == len(set(codes)) == count


def test_ten_kills_in_the_middle_of_a_load_lose_nothing_acknowledged(market: Trade):
    moments = random.Random(20261123)
    place = market.place.serve()
    moving = market.issue(SHOP, MOVING_UNITS)
    market.sell(SHOP, moving)
    market.dispatch(SHOP, moving)
    load = Load(market, moving)
    repeated: dict[int, int] = {}
    for number in range(KILLS):
        before = len(load.acked)
        with load.running():
            wait_until(lambda least=before + 10: len(load.acked) > least, "the load has begun")
            time.sleep(moments.uniform(0, 0.6))
            assert place.kill() == -9
        assert load.unexpected == []
        told = len(load.acked) - before
        place.serve()
        code, audited = place.audit()
        assert (code, audited["findings"]) == (0, [])
        check_acknowledged(load)
        assert place.get("/api/v1/ledger")["size"] >= load.largest
        for status, count in load.repeat_unanswered().items():
            repeated[status] = repeated.get(status, 0) + count
        print(f"kill {number}: {told} acknowledged before it, {audited['records']} records after")
    check_acknowledged(load)
    check_receipts(load)
    check_orders(load)
    print(f"{len(load.acked)} acknowledged; repeats by status {repeated}")
    wait_until(lambda: place.get("/api/v1/ledger")["pending"] == 0, "everything is published")
    code, audited = place.audit()
    assert (code, audited["findings"]) == (0, [])
    assert audited["records"] == place.get("/api/v1/ledger")["size"]
    # A record can have been committed and its answer lost, and the other way round never.
    assert set(repeated) <= {200, 201}
