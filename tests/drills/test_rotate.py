"""`suxin log rotate` on a market that trades: lives, pages, bundles and readers go on across it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import metamorphic_log
import orjson
import pytest
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from app.ledger.bundle_logs import read_logs
from app.ledger.checkpoint import open_receipt
from app.ledger.note import parse_vkey
from tests.databases import DATABASES
from tests.drills.deployment import Deployment, wait_until
from tests.drills.processes import ROOT, start
from tests.drills.trade import PLATFORM, SHOP, Trade, api_path, event, moment

SCRIPT = ROOT / "scripts" / "verify_bundle.py"


@dataclass(frozen=True)
class Crossed:
    """A served market whose log was rotated twice in the middle of a unit's life.

    keys: vkeys of the three logs. receipt: of a record of the first log. others: units of which only
    the first was sold.
    """

    trade: Trade
    code: str
    keys: list[str]
    receipt: dict[str, Any]
    others: list[str]


def rotate(place: Deployment, *arguments: str) -> dict[str, Any]:
    done = place.suxin("log", "rotate", "--yes", "--json", *arguments)
    assert done.code == 0, done
    return json.loads(done.out)


def sale(code: str) -> dict[str, Any]:
    data = {"platform": PLATFORM, "region": "440100"}
    sealed = {"order": {"number": f"ORDER-{code[-13:]}"}, "buyer": {"account": "buyer-x"}}
    return event(code, "sale", data, moment(hours=1), actor=SHOP, sealed=sealed)


@pytest.fixture(scope="module")
def crossed(traded: Trade, tmp_path_factory) -> Any:
    place = traded.place.copy_to(tmp_path_factory.mktemp("crossed") / "market").serve()
    try:
        yield _cross(traded.moved_to(place))
    finally:
        place.close()


def _cross(trade: Trade) -> Crossed:
    place = trade.place
    (code,) = trade.issue(SHOP, 1)
    others = trade.issue(SHOP, 300)  # more than one tile
    trade.sell(SHOP, [code])
    (receipt,) = trade.send(PLATFORM, [sale(others[0])])
    first = place.call("GET", "/log/key", expect=200).text.strip()
    place.stop()
    keys = [first, rotate(place, "--origin", "second.test/log")["new"]["key"]]
    place.serve()
    trade.dispatch(SHOP, [code])
    place.wait_published()
    place.stop()
    told = rotate(place)
    assert told["new"]["origin"].startswith("second.test/log/20")
    keys.append(told["new"]["key"])
    place.serve()
    trade.sign([code])
    place.wait_settled()
    return Crossed(trade, code, keys, receipt, others)


def test_a_life_over_three_logs_is_intact_and_says_where_its_records_are(crossed):
    trade, code = crossed.trade, crossed.code
    assert trade.verdict(code) == "intact"
    page = trade.page(code)
    assert "/static" in page
    told = trade.place.get("/api/v1/ledger")
    origins = [log["origin"] for log in told["logs"]]
    assert [log["key"] for log in told["logs"]] == crossed.keys
    assert [log["frozen"] for log in told["logs"]] == [True, True, False]
    assert told["origin"] == origins[-1]
    items = trade.place.get(f"{api_path(code)}/events")["items"]
    own = [(i["record"]["type"], i["log"]) for i in items if i["record"]["stream"] == code]
    assert own == [
        ("registration", origins[0]), ("sale", origins[0]),
        ("dispatch", origins[1]), ("signature", origins[2]),
    ]  # fmt: skip
    for item in items:
        number = origins.index(item["log"])
        proof = trade.place.call(
            "GET", f"/log/of/{number}/proof/{item['leaf_index']}", expect=200
        ).text
        assert f"\nindex {item['leaf_index']}\n" in proof
        assert f"\n{item['log']}\n" in proof
    assert f"log entry {items[-1]['leaf_index']}" in page.lower()


@pytest.mark.parametrize("given", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_its_bundle_is_verified_by_both_with_the_key_of_any_log(crossed, tmp_path, given):
    bundle = crossed.trade.place.get(f"{api_path(crossed.code)}/evidence")
    assert [one["key"] for one in bundle["checkpoints"]] == crossed.keys
    (heads,) = [s for s in bundle["streams"] if s["stream"] == "log/heads"]
    kinds = [json.loads(item["body"])["type"] for item in heads["records"]]
    assert kinds == ["rotated", "continued", "rotated", "continued"]
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(bundle), "utf-8")
    key = tmp_path / "keys"
    key.write_text("".join(f"{crossed.keys[n]}\n" for n in given), "utf-8")
    asked = [sys.executable, "-I", str(SCRIPT), str(path), "--key", str(key), "--json"]
    theirs = subprocess.run(asked, capture_output=True, check=False, timeout=60)
    ours = crossed.trade.place.suxin("verify", str(path), "--key", str(key), "--json")
    assert (theirs.returncode, ours.code) == (0, 0), (theirs, ours)
    report = json.loads(theirs.stdout)
    assert json.loads(ours.out) == report
    counts = {one["key"]: one["params"]["count"] for one in report["checked"]}
    assert (counts["checked_key"], counts.get("checked_handovers", 0)) == (
        len(given),
        3 - len(given),
    )


@pytest.mark.parametrize("given", [0, 1, 2])
def test_the_hand_overs_alone_carry_the_key_of_any_log(crossed, given):
    told = crossed.trade.place.get("/api/v1/ledger/handovers")
    logs = read_logs(told, [parse_vkey(crossed.keys[given])], orjson.loads)
    assert [log.vkey for log in logs] == crossed.keys
    trust = ["handed", "handed", "handed"]
    trust[given] = "given"
    assert [(log.wrong, log.trust) for log in logs] == [("", one) for one in trust]


def test_a_life_of_the_last_log_alone_needs_no_other(crossed):
    trade = crossed.trade
    bundle = trade.place.get(f"{api_path(crossed.code)}/evidence")
    assert len(bundle["checkpoints"]) == 3
    (listing,) = [s for s in bundle["streams"] if s["stream"] == crossed.code]
    assert {item["log"] for item in listing["records"]} == {
        c["origin"] for c in bundle["checkpoints"]
    }


def test_receipts_of_the_first_log_hold_and_waiting_goes_on(crossed):
    place, trade = crossed.trade.place, crossed.trade
    vkey = parse_vkey(place.call("GET", "/log/receipt-key", expect=200).text.strip())
    receipt = open_receipt(crossed.receipt["receipt"], vkey)
    assert (receipt.seq, receipt.hash.hex()) == (crossed.receipt["seq"], crossed.receipt["hash"])
    answer = place.call(
        "POST", "/api/v1/events?wait=published", sale(crossed.others[1]),
        token=trade.keys[PLATFORM], expect=201,
    ).json()  # fmt: skip
    assert answer["status"] == "published"


class Published:
    """tlog-scales reads one log through this; it knows nothing but URLs below a prefix."""

    def __init__(self, place: Deployment, prefix: str) -> None:
        self._place = place
        self._prefix = prefix

    def get(self, *path: str) -> bytes | None:
        answer = self._place.call("GET", "/".join((self._prefix, *path)))
        return answer.content if answer.status_code == 200 else None


@pytest.mark.parametrize(
    ("prefix", "number"), [("/log", 2), ("/log/of/2", 2), ("/log/of/1", 1), ("/log/of/0", 0)]
)
def test_foreign_verifiers_read_the_new_log_and_the_frozen_ones(crossed, prefix, number):
    place = crossed.trade.place
    place.wait_settled()
    key = place.call("GET", f"{prefix}/key", expect=200).text.strip()
    assert key == crossed.keys[number]
    reader = TilesReader(Published(place, prefix))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(key))
    assert reader.calculate_root_hash() == checkpoint.root_hash
    note = place.call("GET", f"{prefix}/checkpoint", expect=200).text
    told = metamorphic_log.checkpoint_verify(note, [key])
    log = place.get("/api/v1/ledger")["logs"][number]
    assert (told.origin, told.size) == (log["origin"], log["size"])
    assert base64.b64encode(told.root).decode() == log["root"]
    assert log["path"] == f"/log/of/{number}"
    entry = reader.get_entry(told.size - 1)
    proof = reader.get_inclusion_proof(told.size - 1, told.size)
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    proof.check(leaf, checkpoint.root_hash)
    if told.size > 2:
        query = {"from": told.size - 1, "log": number}
        hashes = place.get("/api/v1/ledger/consistency", params=query)["hashes"]
        assert [base64.b64decode(h) for h in hashes] == list(
            reader.get_consistency_proof(told.size - 1, told.size).node_hashes
        )


def test_partial_tiles_of_every_size_that_was_published_stay_for_ever(crossed):
    place = crossed.trade.place
    place.wait_settled()
    for number, log in enumerate(place.get("/api/v1/ledger")["logs"]):
        with place.opened() as run:
            sizes = [size for (size,) in run("SELECT size FROM checkpoint WHERE log = ?", number)]
        assert max(sizes) == log["size"]
        for size in sizes:
            full, rest = divmod(size, 256)
            if rest:
                for level in ("0", "entries"):
                    tile = f"/log/of/{number}/tile/{level}/{full:03}.p/{rest}"
                    answer = place.call("GET", tile, expect=200)
                    assert "immutable" not in answer.headers["cache-control"]
        full, rest = divmod(log["size"], 256)
        place.call("GET", f"/log/of/{number}/tile/0/{full:03}.p/{rest + 1}", expect=404)
    place.call("GET", "/log/of/3/checkpoint", expect=404)
    place.call("GET", "/log/of/3/key", expect=404)


@pytest.mark.sqlite_only("a database that is served is copied, which PostgreSQL does not allow")
def test_audit_and_fsck_are_clean_and_find_what_is_changed_in_the_first_log(crossed, tmp_path):
    place = crossed.trade.place.copy_to(tmp_path / "copy")
    assert place.audit()[1]["findings"] == []
    done = place.suxin("log", "fsck", "--json")
    told = json.loads(done.out)
    assert (done.code, told["findings"]) == (0, [])
    assert [log["origin"] for log in told["logs"]][1] == "second.test/log"
    where = "FROM tile WHERE log = 1 AND level = 0 AND tile_index = 0"
    with place.opened() as run:
        ((data,),) = run(f"SELECT data {where}")
        run("UPDATE tile SET data = ? WHERE log = 1 AND level = 0", bytes(len(data)))
    code, told = place.audit()
    kinds = [(one["kind"], one["detail"]) for one in told["findings"]]
    assert (code, kinds) == (1, [("log.tile_mismatch", "tile 0/0, log second.test/log")])
    done = place.suxin("log", "fsck")
    assert done.code == 1
    assert "log second.test/log" in done.out


@pytest.mark.sqlite_only("a database that is served is copied, which PostgreSQL does not allow")
def test_a_database_from_before_the_rotation_is_not_served(crossed, traded, tmp_path):
    place = crossed.trade.place.copy_to(tmp_path / "restored")
    DATABASES.put_back(place.database_url, traded.place.database_url)
    done = place.suxin("serve", "--port", "0")
    assert done.code == 2
    assert "an old copy" in done.err
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 2
    assert "an old copy" in done.err


# ---------------------------------------------------------------------------- the command


def test_it_does_nothing_while_the_service_runs_or_nobody_said_yes(market: Trade):
    place = market.place.serve()
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 2
    served = (
        "Stop that one first" if place.database_url.startswith("sqlite") else "Stop every suxin"
    )
    assert served in done.err
    place.stop()
    before = sorted(path.name for path in place.keys_dir.iterdir())
    done = place.suxin("log", "rotate")
    assert done.code == 2
    assert "nothing was changed" in done.err
    assert sorted(path.name for path in place.keys_dir.iterdir()) == before
    for origin in ("https://x.test/log", "a b", "x+y"):
        done = place.suxin("log", "rotate", "--yes", "--origin", origin)
        assert done.code == 2, done
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 0, done.err
    assert "goes on  127.0.0.1:8000/log/20" in done.out
    again = place.suxin("log", "rotate", "--yes")
    assert (again.code, "nothing was changed" in again.out) == (0, True)
    assert place.audit()[1]["findings"] == []


@pytest.mark.parametrize("seen", ["log.next.key", "anchor.0", "log.0.vkey", "moved"])
def test_killed_in_the_middle_it_is_completed(market: Trade, seen):
    """kill -9 as soon as a file is there; which step that meets depends on the machine, and any may."""
    place = market.place
    path = place.keys_dir / ("log.next.key" if seen == "moved" else seen)
    process = start(
        ["log", "rotate", "--yes"], cwd=place.folder, env=place.env,
        out=place.folder / "out", err=place.folder / "err",
    )  # fmt: skip
    until = time.monotonic() + 60
    while not path.exists() and process.is_alive() and time.monotonic() < until:
        pass
    while seen == "moved" and path.exists() and process.is_alive():
        pass
    process.kill()
    process.join()
    process.close()
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 0, done.err
    assert place.audit()[1]["findings"] == []
    assert place.suxin("log", "fsck").code == 0
    place.serve()
    (code,) = market.issue(SHOP, 1)
    place.wait_published()
    assert market.verdict(code) == "intact"
    logs = place.get("/api/v1/ledger")["logs"]
    assert len(logs) == 2
    wait_until(lambda: place.get("/api/v1/ledger")["logs"][1]["size"] > 1, "the new log grows")
