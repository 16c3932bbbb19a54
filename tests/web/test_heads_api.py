"""What a chain ended with, proven to whoever asks; a hidden end is seen from outside."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from app.ledger.bundle import verify_bundle
from app.ledger.headmap import Leaf, map_key, verify_absence, verify_head
from app.ledger.note import decode_base64
from app.ledger.record import stream_key
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import GTIN, PRODUCT

HEADS = "/api/v1/ledger/heads"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_bundle.py"


@pytest.fixture(scope="module")
def mapped(market):
    units = market.issue(3)
    market.complete(units[0].code)
    market.complete(units[1].code)
    market.work()
    market.map_heads()
    market.units = units
    return market


def leaf_of(told: dict, key: str) -> Leaf:
    return Leaf(bytes.fromhex(key), told["seq"], bytes.fromhex(told["hash"]))


def script_says(bundle: dict, vkey: str) -> dict:
    spec = importlib.util.spec_from_file_location("verify_bundle_heads", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    return script.verify(json.dumps(bundle, ensure_ascii=False).encode(), vkey)


def evidence(market, unit) -> tuple[dict, dict]:
    """A unit's evidence, and what both verifiers say of it."""
    bundle = market.ask("GET", f"{unit.path}/evidence")
    vkey = market.call("GET", "/log/key").text
    report = verify_bundle(bundle, vkey=vkey).as_json()
    assert script_says(bundle, vkey) == report
    return bundle, report


def test_the_head_of_a_chain_is_proven_against_the_recorded_root(mapped):
    unit = mapped.units[0]
    told = mapped.ask("GET", HEADS, params={"stream": unit.code})
    assert told["key"] == map_key(unit.code).hex()
    data = json.loads(told["record"]["body"])["data"]
    root = bytes.fromhex(data["root"])
    siblings = [decode_base64(sibling) for sibling in told["siblings"]]
    verify_head(leaf_of(told["head"], told["key"]), siblings, root=root)
    assert told["head"] == mapped.ask("GET", unit.path)["head"]
    assert told["record"]["leaf_index"] >= data["size"]


def test_a_code_that_nobody_issued_is_proven_to_have_no_chain(mapped):
    code = f"{PRODUCT}/21/NEVERISSUED1"
    told = mapped.ask("GET", HEADS, params={"stream": code})
    assert told["head"] is None
    root = bytes.fromhex(json.loads(told["record"]["body"])["data"]["root"])
    near = told["neighbour"]
    other = None if near is None else leaf_of(near, near["key"])
    siblings = [decode_base64(sibling) for sibling in told["siblings"]]
    verify_absence(map_key(code), other, siblings, root=root)


def test_evidence_says_up_to_when_it_is_complete(mapped):
    bundle, report = evidence(mapped, mapped.units[0])
    assert report["verdict"] == "matches"
    told = report["checked"][-1]
    assert (told["key"], told["params"]["seq"]) == ("checked_completeness", 3)
    streams = {stream["stream"]: stream["records"] for stream in bundle["streams"]}
    (record,) = streams["log/heads"]
    assert json.loads(record["body"])["recorded_at"] == told["params"]["at"]


def test_without_a_map_that_covers_it_evidence_says_so(mapped):
    (unit,) = mapped.issue(1)
    mapped.work()
    bundle, report = evidence(mapped, unit)
    assert "heads" not in bundle
    assert report["verdict"] == "matches"
    assert "unchecked_completeness" in {one["key"] for one in report["unchecked"]}


def test_what_came_after_the_map_is_no_contradiction(mapped):
    unit = mapped.units[2]
    mapped.sell(unit.code)
    mapped.work()
    _, report = evidence(mapped, unit)
    assert report["verdict"] == "matches"
    assert report["checked"][-1]["params"]["seq"] == 0


def test_a_hidden_end_is_seen_by_whoever_holds_the_evidence_and_by_the_audit(mapped):
    """Record, leaf and head taken out alike, by somebody who knows the schema."""
    unit, key = mapped.units[1], stream_key(mapped.units[1].code)
    mapped.tamper("DELETE FROM record WHERE stream = ? AND seq = 3", key)
    mapped.tamper("DELETE FROM log_leaf WHERE stream = ? AND seq = 3", key)
    mapped.tamper(
        "UPDATE head SET seq = 2, hash = (SELECT hash FROM record WHERE stream = ? AND seq = 2)"
        " WHERE stream = ?",
        key,
        key,
    )
    _, report = evidence(mapped, unit)
    assert report["verdict"] == "differs"
    (broken,) = report["broken"]
    assert (broken["key"], broken["params"]["seq"]) == ("tail_hidden", 3)
    mapped.ask("POST", "/api/v1/audits", {"scope": "all"}, token=mapped.keys[AUTHORITY], status=202)
    mapped.work()
    found = mapped.ask(
        "GET", "/api/v1/findings?kind=log.heads_mismatch", token=mapped.keys[AUTHORITY]
    )["items"]
    named = {one["evidence"].get("stream") for one in found}
    found = mapped.ask("GET", "/api/v1/findings?status=open", token=mapped.keys[AUTHORITY])["items"]
    assert unit.code in named | {one["stream"] for one in found}


@pytest.mark.parametrize("stream", [f"party/{SHOP}", "log/x", f"01/{GTIN[:-1]}0", ""])
def test_only_goods_and_the_log_are_asked_for(mapped, stream):
    answer = mapped.call("GET", HEADS, params={"stream": stream})
    assert answer.status_code == 422
    assert mapped.ask("GET", HEADS, params={"stream": "log/heads"})["stream"] == "log/heads"
