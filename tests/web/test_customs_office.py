"""Which goods customs find by a sealed number: those that they act upon, by one rule, and no others."""

from __future__ import annotations

import itertools

import pytest

from app.ledger.record import stream_key
from app.trace.offices import acts_on
from tests.web.authority import HERE, THERE, key_of_person, keys_of, open_two_provinces, seek
from tests.web.conftest import AUTHORITY, CARRIER
from tests.web.market import CUSTOMS, GTIN
from tests.web.people import signed_in

WHY = "inspection 2026-9"
DECLARATION, OTHER = "516620261000000012", "516620261000000020"
LOT = f"01/{GTIN}/10/IMP-1"
KINDS = ("order", "payment", "waybill")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    """Two lots that were imported, a unit of each, of a shop there; a unit of that shop from no import."""
    with open_two_provinces(tmp_path_factory.mktemp("customs-office")) as running:
        told = {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "IT"}
        body = {"gtin": GTIN, "lot": "IMP-1", "import": told}
        running.ask("POST", "/api/v1/lots", body, token=running.keys[running.far], status=201)
        running.imported = parcel(running, "I", lot="IMP-1")
        body = {"gtin": GTIN, "lot": "IMP-2", "import": told | {"declaration": OTHER}}
        running.ask("POST", "/api/v1/lots", body, token=running.keys[running.far], status=201)
        running.foreign = parcel(running, "F", lot="IMP-2")
        running.homely = parcel(running, "H")
        running.work()
        for party, name in ((CUSTOMS, "customs"), (AUTHORITY, "regulator")):
            for place, region in (("here", HERE), ("there", THERE)):
                running.keys[f"{name} {place}"] = key_of_person(running, party, region=region)
            # Made by the operator, so in office everywhere.
            running.keys[f"{name} everywhere"] = running.keys[party]
        yield running


def parcel(market, mark, **made):
    (unit,) = market.issue(by=market.far, **made)
    market.clock.advance(1)
    sealed = {name: {"content": {"number": number(mark, name)}} for name in KINDS[:2]}
    market.send(market.far, unit.code, "sale", {}, hours=-1, sealed=sealed)
    sent = {"carrier": CARRIER, "from": "110100", "to": "310000"}
    sealed = {"waybill": {"content": {"number": number(mark, "waybill")}}}
    market.send(market.far, unit.code, "dispatch", sent, hours=-0.9, sealed=sealed)
    return unit


def number(mark, kind) -> str:
    return f"{mark}{kind.upper()}0001"


def found(market, text, *, by) -> list[str]:
    told = seek(market, text, by=by, purpose=WHY)
    assert told["elsewhere"] == []
    return [*keys_of(told, "lots"), *keys_of(told, "units")]


OFFICES = {
    # office -> whether it acts on the imported goods, and on those from no import
    "customs here": (True, False),
    "customs there": (True, True),
    "customs everywhere": (True, True),
    "regulator here": (False, False),
    "regulator there": (True, True),
    "regulator everywhere": (True, True),
}


@pytest.mark.parametrize("office", OFFICES)
def test_an_office_finds_by_a_sealed_number_what_it_acts_upon_and_nothing_else(market, office):
    imported, homely = OFFICES[office]
    assert found(market, DECLARATION, by=office) == [LOT] * imported
    for kind in KINDS:
        assert found(market, number("I", kind), by=office) == [market.imported.code] * imported
        assert found(market, number("H", kind), by=office) == [market.homely.code] * homely
    principal = market.rooms.keys.authenticate(market.keys[office])
    with market.rooms.database.read() as connection:
        for code, acts in ((LOT, imported), (market.imported.code, imported),
                           (market.homely.code, homely)):  # fmt: skip
            assert acts_on(connection, principal, code) is acts


@pytest.mark.parametrize("office", [one for one in OFFICES if one.startswith("customs")])
def test_what_customs_find_they_open_as_a_chain_and_release(market, office):
    region = {"here": HERE, "there": THERE}.get(office.partition(" ")[2])
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"], region=region)
    browser.get("/desk/search")
    for text, code in ((DECLARATION, LOT), (number("I", "payment"), market.imported.code)):
        page = browser.post("/desk/search", 200, q=text, purpose=WHY).text
        assert f"/desk/chains/{code}" in page
        browser.get(f"/desk/chains/{code}")
    decided = {"number": DECLARATION, "code": LOT, "decision": "release", "port": "广州南沙"}
    market.ask("POST", "/api/v1/customs/decisions", decided | {"purpose": WHY},
               token=market.keys[office], status=201)  # fmt: skip


def test_a_code_of_declared_goods_lies_elsewhere_for_no_customs_office(market):
    for code in (LOT, market.imported.code):
        told = seek(market, code, by="customs here")
        assert [*keys_of(told, "lots"), *keys_of(told, "units")] == [code]
        assert seek(market, code, by="regulator here")["elsewhere"] == [code]
    assert seek(market, market.homely.code, by="customs here")["elsewhere"] == [market.homely.code]


def test_a_region_that_is_asked_for_bounds_customs_too(market):
    for region, hits in ((THERE, [LOT]), (HERE, [])):
        told = seek(market, DECLARATION, by="customs here", purpose=WHY, region=region)
        assert keys_of(told, "lots") == hits


def test_what_is_sealed_in_goods_of_another_region_is_opened_by_no_more_than_before(market):
    for office, status in (
        ("customs here", 403),
        ("customs there", 200),
        ("customs everywhere", 200),
    ):
        path = f"{market.imported.path}/sealed?purpose={WHY}"
        market.ask("GET", path, token=market.keys[office], status=status)


def test_a_changed_index_leads_customs_to_no_goods_of_another_region(market):
    """What a declaration names, the records say, and not the index beside them."""
    key = stream_key(market.homely.code)
    market.tamper(
        "INSERT INTO side_index (stream, seq, kind, digest) SELECT ?, 0, kind, digest"
        " FROM side_index WHERE kind = 'declaration' LIMIT 1", key,
    )  # fmt: skip
    decided = {
        "number": DECLARATION, "code": market.homely.code, "decision": "release",
        "port": "广州南沙", "purpose": WHY,
    }  # fmt: skip
    try:
        assert found(market, DECLARATION, by="customs here") == [LOT]
        market.ask("POST", "/api/v1/customs/decisions", decided,
                   token=market.keys["customs here"], status=404)  # fmt: skip
    finally:
        market.tamper("DELETE FROM side_index WHERE stream = ? AND seq = 0", key)


def look(market, by, **documents):
    """Returns standing and goods of each number, the whole answer, and what was logged of this look."""
    purpose = f"inspection {next(_looks)}"
    body = {"number": DECLARATION, "purpose": purpose, **documents}
    told = market.ask("POST", "/api/v1/customs/declarations", body, token=market.keys[by])
    log = market.ask("GET", "/api/v1/access-log?limit=500", token=market.keys[CUSTOMS])["items"]
    logged = {(one["section"], one["code"]) for one in log if one["purpose"] == purpose}
    return (
        {one["name"]: (one["standing"], one["told_of"]) for one in told["documents"]},
        told,
        logged,
    )


_looks = itertools.count(1000)


@pytest.mark.parametrize("office", [one for one in OFFICES if one.startswith("customs")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_goods_out_of_reach_stands_as_one_that_nobody_told(market, office, kind):
    numbers = {name: number("I", name) for name in KINDS} | {kind: number("H", kind)}
    standings, told, logged = look(market, office, **numbers)
    is_reached = OFFICES[office][1]
    homely = [market.homely.code] * is_reached
    assert standings == {
        name: ("agrees", [market.imported.code]) for name in KINDS
    } | {kind: ("differs" if is_reached else "absent", homely)}  # fmt: skip
    assert told["outcome"] == ("differ" if is_reached else "absent")
    assert logged == {
        ("declaration", LOT), *((name, market.imported.code) for name in KINDS if name != kind),
        (kind, market.homely.code if is_reached else ""),
    }  # fmt: skip
    assert found(market, number("H", kind), by=office) == homely, "as the search has it"


def test_what_is_not_on_record_and_what_is_out_of_reach_are_answered_alike(market):
    known = look(market, "customs here", waybill=number("H", "waybill"))
    assert known == look(market, "customs here", waybill="NOBODYS0001")
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"], region=HERE)
    browser.get("/desk/customs")
    page = browser.post("/desk/customs", 200, do="look", number=DECLARATION, purpose=WHY,
                        waybill=number("H", "waybill")).text  # fmt: skip
    assert market.homely.code not in page
    assert ">not in the chain<" in page


def test_a_number_of_another_declarations_goods_differs_for_every_customs_office(market):
    for office in ("customs here", "customs there", "customs everywhere"):
        numbers = {"order": number("I", "order"), "waybill": number("F", "waybill")}
        standings, _, _ = look(market, office, **numbers)
        assert standings["order"] == ("agrees", [market.imported.code])
        assert standings["waybill"] == ("differs", [market.foreign.code])


SCOPED = {
    # scopes of a customs key -> whether it searches, whether it releases
    ("audit", "events"): (True, True),
    ("audit",): (True, False),
    ("events",): (False, True),
}


@pytest.mark.parametrize("scopes", SCOPED)
@pytest.mark.parametrize("region", [HERE, THERE])
def test_customs_find_beyond_their_region_what_they_may_release_and_no_more(market, scopes, region):
    searches, releases = SCOPED[scopes]
    market.keys["scoped"] = key_of_person(market, CUSTOMS, region=region, scopes=scopes)
    decided = {"number": DECLARATION, "code": LOT, "decision": "release", "port": "广州南沙"}
    market.ask("POST", "/api/v1/customs/decisions", decided | {"purpose": WHY},
               token=market.keys["scoped"], status=201 if releases else 403)  # fmt: skip
    if not searches:
        seek(market, DECLARATION, by="scoped", purpose=WHY, status=403)
        return
    is_found = releases or region == THERE
    assert found(market, DECLARATION, by="scoped") == [LOT] * is_found
    for kind in KINDS:
        hits = found(market, number("I", kind), by="scoped")
        assert hits == [market.imported.code] * is_found
    elsewhere = [] if is_found else [LOT]
    assert seek(market, LOT, by="scoped")["elsewhere"] == elsewhere
