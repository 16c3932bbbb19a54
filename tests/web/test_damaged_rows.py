"""Records and states that somebody turned into something else: shown as broken, never an error.

Each was once answered with 500, which told a buyer nothing and hid what was found.
"""

from __future__ import annotations

import json

import pytest

from app.ledger.record import stream_key
from tests.ledger.ledgers import runner
from tests.web.conftest import PLATFORM, SHOP
from tests.web.market import PRODUCT
from tests.web.test_audits_api import audit, findings

BELOW = ("", "/events", "/verification", "/evidence")
PARTY = f"party/{SHOP}"


@pytest.fixture
def unit(market):
    unit = market.one()
    market.sell(unit.code)
    market.publish()
    return unit


def stored(market, query: str, *values):
    with market.rooms.database.read() as connection:
        return runner(connection)(query, *values)


def shown(market, path: str, page: str) -> str:
    """Returns the verdict after asking everything about a code, of which nothing may fail."""
    for below in BELOW:
        answer = market.call("GET", path + below)
        assert answer.status_code == 200, (below, answer.text[:300])
    for lang in ("zh", "en"):
        answer = market.call("GET", f"/{page}?lang={lang}", headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text[:300]
    verdict = market.ask("GET", path)["verdict"]
    assert f"verdict-{verdict}" in answer.text
    return verdict


def without(name: str):
    return lambda fields: {n: value for n, value in fields.items() if n != name}


def with_(**more):
    return lambda fields: {**fields, **more}


def with_ref(**more):
    good = {"hash": "0" * 64, "seq": 1, "stream": PRODUCT}
    return lambda fields: {**fields, "refs": [{**good, **more}]}


def deep(levels: int):
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


RECORDS = {
    "a reference that is a number": with_(refs=[5]),
    "a reference without its parts": with_(refs=[{"x": 1}]),
    "references that are none": with_(refs={"stream": PRODUCT}),
    "a reference to a list": with_ref(stream=[PRODUCT]),
    "a reference to a text": with_ref(seq="1"),
    "a reference beyond every number": with_ref(seq=2**63 + 5),
    "a reference to a name that can be none": with_ref(stream="溯信"),
    "a reference to a true": with_ref(seq=True),
    "no type": without("type"),
    "no source": without("source"),
    "no actor": without("actor"),
    "no id": without("id"),
    "an id that is none": with_(id="x"),
    "data that are a list": with_(data=[1]),
    "no data": without("data"),
    "a moment that is none": with_(occurred_at="then", type="recall"),
    "a time that is a number": with_(recorded_at=5),
    "a seq beyond every number": with_(seq=2**63 + 5),
    "data deeper than can be written": with_(data={"a": deep(400)}),
    "a list": lambda fields: [fields],
    "a signature that is none": with_(signed=5),
    "sealed sections that are none": with_(sealed=[1]),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_none_any_more_breaks_its_unit(market, unit, name):
    ((hash_,),) = stored(market, "SELECT hash FROM head WHERE name = ?", unit.code)
    ((body,),) = stored(market, "SELECT body FROM record WHERE hash = ?", bytes(hash_))
    changed = json.dumps(RECORDS[name](json.loads(bytes(body)))).encode()
    market.tamper("UPDATE record SET body = ? WHERE hash = ?", changed, bytes(hash_))
    assert shown(market, unit.path, unit.code) == "broken"


@pytest.mark.parametrize("name", RECORDS)
def test_a_product_whose_registration_is_none_breaks_what_stands_below_it(market, unit, name):
    sql = "SELECT hash, body FROM record WHERE stream = ? AND seq = 0"
    ((hash_, body),) = stored(market, sql, stream_key(PRODUCT))
    hash_, body = bytes(hash_), bytes(body)
    changed = json.dumps(RECORDS[name](json.loads(body))).encode()
    market.tamper("UPDATE record SET body = ? WHERE hash = ?", changed, hash_)
    try:
        assert shown(market, unit.path, unit.code) == "broken"
        assert shown(market, f"/api/v1/products/{PRODUCT[3:]}", PRODUCT) == "broken"
    finally:
        market.tamper("UPDATE record SET body = ? WHERE hash = ?", body, hash_)
        audit(market, {"code": PRODUCT})
    assert shown(market, unit.path, unit.code) == "intact"


def altered(**more):
    return lambda state: {**state, **more}


STATES = {
    "no JSON": lambda _: b"[[",
    "no text": lambda _: b"\xff\x00",
    "a list": lambda _: [1],
    "a number": lambda _: 5,
    "nothing": lambda _: None,
    "an empty one": lambda _: {},
    "gaps that are a number": altered(gaps=5),
    "a gap that is a number": altered(gaps={"sale": 5}),
    "a gap without its times": altered(gaps={"dispatch": {"kind": "overdue"}}),
    "a gap of no step": altered(gaps={"x": {"kind": "late", "since": 1, "due": 1, "by": 1}}),
    "a gap beyond all time": altered(
        gaps={"dispatch": {"kind": "late", "since": 10**17, "due": 10**17, "by": 1}}
    ),
    "gaps and nothing else": lambda _: {"gaps": {}},
    "no holder": lambda state: {n: v for n, v in state.items() if n not in ("holder", "sale")},
    "a state of its own": altered(state="lost"),
    "a cycle that is a text": altered(cycle="1"),
    "a sale that is a list": altered(sale=[1]),
    "a sale without a time": altered(sale={"actor": SHOP}),
    "recalls that are a list": altered(recalls=[1]),
    "a recall that is a number": altered(recalls={"x": 1}),
    "a lot that is a number": altered(lot=5),
    "measures that are a list": altered(measures=[1]),
    "a measure that is a number": altered(measures={"x": 1}),
    "a measure without its times": altered(measures={"x": {"kind": "warn"}}),
    "roles that are a number": altered(roles=5),
}


def damage(market, stream: str, name: str) -> bytes:
    """Damages a head's state and returns what it was."""
    ((before,),) = stored(market, "SELECT state FROM head WHERE name = ?", stream)
    before = bytes(before)
    changed = STATES[name](json.loads(before))
    raw = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    market.tamper("UPDATE head SET state = ? WHERE name = ?", raw, stream)
    return before


OF_PARTIES = tuple(name for name in STATES if "measure" in name or "roles" in name)
OF_ANY = ("no JSON", "no text", "a list", "a number", "nothing", "an empty one")


@pytest.mark.parametrize("name", STATES)
def test_a_unit_whose_state_was_altered_is_broken_and_shows_what_its_records_say(
    market, unit, name
):
    damage(market, unit.code, name)
    assert shown(market, unit.path, unit.code) == "broken"
    told = market.ask("GET", f"{unit.path}/verification")
    assert [p["kind"] for p in told["problems"]] == ["integrity.index_mismatch"]
    assert "head.state" in told["problems"][0]["detail"]
    assert market.ask("GET", unit.path)["state"] == "sold"


@pytest.mark.parametrize("name", STATES)
def test_a_unit_of_which_record_and_state_were_altered_is_broken(market, unit, name):
    market.tamper(
        "UPDATE record SET body = ? WHERE hash IN (SELECT hash FROM head WHERE name = ?)",
        b"{}", unit.code,
    )  # fmt: skip
    damage(market, unit.code, name)
    assert shown(market, unit.path, unit.code) == "broken"


@pytest.mark.parametrize("name", [*OF_ANY, "recalls that are a list", "a recall that is a number"])
def test_a_product_whose_state_was_altered_is_broken_and_fails_no_page(market, unit, name):
    before = damage(market, PRODUCT, name)
    try:
        whole = name == "an empty one"  # no recall is what its records say too
        path = f"/api/v1/products/{PRODUCT[3:]}"
        assert shown(market, unit.path, unit.code) == "intact"
        assert shown(market, path, PRODUCT) == ("intact" if whole else "broken")
        # Once it is found that something above was altered, what stands below relies on it no more.
        assert shown(market, unit.path, unit.code) == ("intact" if whole else "broken")
    finally:
        market.tamper("UPDATE head SET state = ? WHERE name = ?", before, PRODUCT)
        audit(market, {"code": PRODUCT})


@pytest.mark.parametrize("name", [*OF_ANY, *OF_PARTIES])
def test_a_sellers_altered_state_is_named_by_the_audit_and_fails_no_page(market, unit, name):
    before = damage(market, PARTY, name)
    try:
        assert shown(market, unit.path, unit.code) == "intact"
        assert market.call("GET", f"/api/v1/parties/{SHOP}").status_code == 200
        audit(market, "all")
        assert PARTY in {found["stream"] for found in findings(market, "&status=open")}
    finally:
        market.tamper("UPDATE head SET state = ? WHERE name = ?", before, PARTY)
        audit(market, "all")


def test_a_listing_that_is_none_any_more_keeps_nobody_else_from_being_watched(market):
    market.work()
    place = {"platform": PLATFORM, "title": "端砚礼盒", "url": "https://shop.example/damaged"}
    sent = market.send(SHOP, PRODUCT, "listing", place, hours=-1)
    market.publish()
    before = stored(market, "SELECT body FROM record WHERE hash = ?", bytes.fromhex(sent["hash"]))
    market.tamper("UPDATE record SET body = ? WHERE hash = ?", b"{}", bytes.fromhex(sent["hash"]))
    try:
        # What comes behind it in the log: a parcel signed for before it was sent.
        late = market.one()
        market.sell(late.code)
        market.dispatch(late.code, hours=-1)
        market.sign(late.code, hours=-2)
        market.work()
        found = findings(market, f"&code={late.code}")
        assert "continuity.impossible_order" in {one["kind"] for one in found}
    finally:
        market.tamper(
            "UPDATE record SET body = ? WHERE hash = ?", before[0][0], bytes.fromhex(sent["hash"])
        )
