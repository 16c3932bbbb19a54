"""A log that was rewritten whole is the log's fault: told once, charged to nobody it does not touch."""

from __future__ import annotations

import hashlib

import pytest

from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.tiles import ENTRIES, append_tiles
from tests.databases import opened
from tests.web.conftest import SHOP
from tests.web.market import PRODUCT, RIVAL
from tests.web.test_audits_api import audit, findings


def rewrite(market, hash_: bytes, old: str, new: str, *, spare_entries: bool = False) -> bytes:
    """Changes the last record of a stream, and head, leaf, tiles and tree with it; returns its hash.

    spare_entries: the entry bundles are forgotten, and tell what was there.
    """
    with opened(market.rooms.database.url, guarded=False) as run:
        ((body,),) = run("SELECT body FROM record WHERE hash = ?", hash_)
        body = bytes(body).replace(old.encode(), new.encode())
        after = hashlib.sha256(body).digest()
        change = "UPDATE record SET body = ?, hash = ? WHERE hash = ?"
        assert run(change, body, after, hash_) == [1]
        for table in ("head", "log_leaf"):
            assert run(f"UPDATE {table} SET hash = ? WHERE hash = ?", after, hash_) == [1]
        ((state,),) = run("SELECT state FROM head WHERE hash = ?", after)
        state = bytes(state).replace(old.encode(), new.encode())
        run("UPDATE head SET state = ? WHERE hash = ?", state, after)
        leaves = run("SELECT hash FROM log_leaf ORDER BY leaf_index")
        entries = [bytes(leaf) for (leaf,) in leaves]
        for (level, index), data in append_tiles(0, entries, lambda *_: None).items():
            if not (spare_entries and level == ENTRIES):
                where = (data, level, index)
                run("UPDATE tile SET data = ? WHERE level = ? AND tile_index = ?", *where)
        edge = edge_append(0, (), [leaf_hash(entry) for entry in entries])
        root = edge_root(len(entries), edge)
        run("UPDATE log_state SET root = ?, edge = ?", root, b"".join(edge))
    return after


def check_of(market, unit, name: str) -> dict:
    shown = market.ask("GET", f"{unit.path}/verification")
    return next(check for check in shown["checks"] if check["name"] == name)


def records_of(market) -> int:
    return market.count_rows()["record"]


@pytest.fixture
def units(market):
    """One that is altered and two that nobody touches, of two sellers."""
    altered, own = market.issue(2)
    foreign = market.one(by=RIVAL)
    market.sell(own.code)
    market.send(RIVAL, foreign.code, "sale", {"region": "440100"}, hours=-3)
    sent = market.sell(altered.code)
    market.publish()
    return bytes.fromhex(sent["hash"]), altered, own, foreign


def test_a_rewritten_tree_is_one_finding_on_the_log_and_charges_nobody(market, units):
    hash_, altered, own, foreign = units
    rewritten = rewrite(market, hash_, '"440100"', '"440300"')
    before = records_of(market)
    for _ in range(3):
        for unit in (own, foreign, altered):
            shown = market.ask("GET", f"{unit.path}/verification")
            assert shown["verdict"] == "broken"
            told = {check["name"]: check["ok"] for check in shown["checks"]}
            assert told.pop("log") is False
            assert all(told.values()), told
            assert [(f["kind"], f["stream"]) for f in shown["problems"]] == [
                ("log.checkpoint_mismatch", "log")
            ]
            page = market.call("GET", f"/{unit.code}", headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert "not the one that was signed" in page.text
            assert "The record has been altered" not in page.text
        assert "not the one that was signed" in check_of(market, own, "log")["detail"]
        market.ask("GET", f"/api/v1/products/{PRODUCT.split('/')[1]}")
        audit(market, "all")
    (found,) = findings(market, "&status=open")
    assert (found["kind"], found["stream"]) == ("log.checkpoint_mismatch", "log")
    for party in (SHOP, RIVAL):
        assert market.ask("GET", f"/api/v1/credit/{party}")["holds"] == []
    assert records_of(market) == before
    rewrite(market, rewritten, '"440300"', '"440100"')
    assert market.ask("GET", own.path)["verdict"] == "intact"
    audit(market, "all")
    assert findings(market, "&status=open") == []


def test_the_altered_record_is_reported_where_it_can_still_be_told(market, units):
    hash_, altered, own, _ = units
    rewritten = rewrite(market, hash_, '"440100"', '"440300"', spare_entries=True)
    places = []
    before = None
    for _ in range(3):
        market.ask("GET", own.path)
        assert market.ask("GET", altered.path)["verdict"] == "broken"
        before = before or records_of(market)
        audit(market, "all")
        market.ask("GET", altered.path)
        places.append(sorted((f["kind"], f["stream"]) for f in findings(market, "&status=open")))
    assert places == [places[0]] * 3
    assert ("integrity.leaf_mismatch", altered.code) in places[0]
    assert {stream for _, stream in places[0]} == {altered.code, "log"}
    assert len(market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"]) == 1
    assert market.ask("GET", f"/api/v1/credit/{RIVAL}")["holds"] == []
    assert records_of(market) == before, "one hold, however often anybody looks"
    rewrite(market, rewritten, '"440300"', '"440100"')
    audit(market, "all")
    assert findings(market, "&status=open") == []
    assert market.ask("GET", f"/api/v1/credit/{SHOP}")["holds"] == []
