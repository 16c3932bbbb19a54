"""The authority's search: what was typed is recognised, found by kind, and no sealed number is stored."""

from __future__ import annotations

import csv
import io

import pytest

from app.kit.clock import china_day
from app.trace.code import Code, digital_link, element_string
from tests.web.authority import HERE, keys_of, open_two_provinces, seek, sold
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN
from tests.web.people import signed_in

WHY = "案件 2026-9"
SEALED = {"waybill", "order", "payment", "declaration"}
LICENCE = "SC10144120000008"
DRUG = "国药准字Z20260001"
DECLARATION = "516620261000000012"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("seek")) as running:
        licences = [{"kind": "food_production", "number": LICENCE}]
        running.baker = running.newcomer(
            region="441283", licences=licences, name="肇庆裹蒸粽厂 Zongzi"
        )
        running.lot("L-77")
        drug = {
            "gtin": "06923450656174",
            "name": "示例口服液",
            "category": "other",
            "licence": DRUG,
        }
        running.ask("POST", "/api/v1/products", drug, token=running.keys[SHOP], status=201)
        running.unit, running.order_number, running.waybill = sold(
            running, running.near, payment={"number": "PAY-2026-0001"}
        )
        body = {
            "gtin": GTIN, "lot": "IMP-1",
            "import": {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "IT"},
        }  # fmt: skip
        running.ask("POST", "/api/v1/lots", body, token=running.keys[SHOP], status=201)
        running.work()
        yield running


def kinds(found) -> list[str]:
    return [one["kind"] for one in found["read_as"]]


def test_a_full_code_is_read_in_every_form(market):
    code = Code(GTIN, serial=market.unit.serial)
    link = digital_link("http://127.0.0.1:8000", code)
    for typed in (market.unit.code, link, element_string(code), f"  {link} ", market.unit.uri):
        found = seek(market, typed)
        assert kinds(found) == ["unit"]
        assert found["read_as"][0] == {"kind": "unit", "value": market.unit.code, "sure": True}
        assert keys_of(found, "units") == [market.unit.code]
        assert keys_of(found, "products") == [GTIN]


def test_every_kind_of_number_and_name_finds_what_it_names(market):
    table = [
        (GTIN, "product", "products", GTIN),
        (GTIN[1:], "product", "products", GTIN),  # EAN-13 as printed
        ("０６９０１２３４５６７８９２", "product", "products", GTIN),  # full-width digits
        (market.near, "party", "parties", market.near),
        (market.near.lower(), "party", "parties", market.near),
        (LICENCE, "licence", "parties", market.baker),
        (DRUG, "licence", "products", "06923450656174"),
        ("裹蒸粽厂", "name", "parties", market.baker),
        ("zongzi", "name", "parties", market.baker),
        ("端砚", "name", "products", GTIN),
        (market.unit.serial, "serial", "units", market.unit.code),
        ("L-77", "lot", "lots", f"01/{GTIN}/10/L-77"),
        (f"01/{GTIN}/10/L-77", "lot_code", "lots", f"01/{GTIN}/10/L-77"),
        (market.waybill, "waybill", "units", market.unit.code),
        (market.waybill.lower(), "waybill", "units", market.unit.code),
        (market.order_number, "order", "units", market.unit.code),
        ("PAY-2026-0001", "payment", "units", market.unit.code),
        (DECLARATION, "declaration", "lots", f"01/{GTIN}/10/IMP-1"),
    ]
    for typed, kind, group, key in table:
        purpose = WHY if kind in SEALED else ""
        found = seek(market, typed, purpose=purpose)
        assert ({*found["unasked"]} & SEALED == set()) == bool(purpose) or not found["unasked"]
        assert kind in kinds(found), typed
        assert key in keys_of(found, group), typed
        by = {one["key"]: one["by"] for one in found["groups"][group]["items"]}[key]
        assert by == kind, typed


def test_sold_units_of_a_party_or_product_are_listed_with_their_dates(market):
    found = seek(market, market.near)
    assert keys_of(found, "units") == [market.unit.code]
    assert found["groups"]["units"]["items"][0]["by"] == "sold"
    assert market.unit.code in keys_of(seek(market, GTIN), "units")
    day = found["groups"]["units"]["items"][0]["at"][:10]
    assert keys_of(seek(market, market.near, since=day), "units") == [market.unit.code]
    assert keys_of(seek(market, market.near, until="2020-01-01"), "units") == []
    assert keys_of(seek(market, market.waybill, until="2020-01-01", purpose=WHY), "units") == []


def test_a_region_alone_lists_who_is_registered_there(market):
    found = seek(market, region=HERE, limit=500)
    assert {market.near, market.baker} <= set(keys_of(found, "parties"))
    assert market.far not in keys_of(found, "parties")
    assert seek(market, "zongzi", region="110000")["groups"]["parties"]["count"] == 0


def units(found) -> list[tuple[str, str]]:
    return [(one["key"], one["by"]) for one in found["groups"]["units"]["items"]]


def test_a_region_and_a_day_list_the_units_sold_and_issued_there_then(market):
    # Of these days nothing else is; of another province nothing is found.
    market.clock.advance(40 * 86_400)
    by = {
        who: market.newcomer(region=region)
        for who, region in (("near", "469001"), ("far", "542100"))
    }
    made = {}
    for who, party in by.items():
        market.send(party, f"01/{GTIN}", "listing", {"url": "https://shop.example/1"})
        made[who] = market.issue(2, by=party)
        market.clock.advance(60)
        market.send(party, made[who][0].code, "sale", {}, hours=0)
    market.work()
    (sold_near, kept_near), (sold_far, kept_far) = made["near"], made["far"]
    day = china_day(market.clock.now())
    near = [(sold_near.code, "sold"), (kept_near.code, "issued")]
    for asked in ({"region": "469001", "since": day, "until": day}, {"region": "469001"}):
        assert units(seek(market, **asked, limit=500)) == near, "what was sold comes first, once"
    found = seek(market, since=day, until=day, limit=500)
    assert units(found)[:2] == [(sold_far.code, "sold"), (sold_near.code, "sold")], "newest first"
    assert set(units(found)) >= {*near, (sold_far.code, "sold"), (kept_far.code, "issued")}
    assert {by["near"], by["far"]} <= set(keys_of(found, "parties"))
    assert market.near not in keys_of(found, "parties"), "registered on another day"
    assert market.unit.code not in keys_of(found, "units")
    assert units(seek(market, region="469001", until="2020-01-01")) == []
    assert units(seek(market, since="2099-01-01")) == []
    market.clock.advance(86_400)


def test_the_newest_sales_are_those_of_the_newest_sellers(market, monkeypatch):
    """Of sellers beyond so many no sale is read, and none of the newest is missed."""
    market.clock.advance(40 * 86_400)
    first = china_day(market.clock.now())
    sales = []
    for _ in range(3):
        party = market.newcomer(region="469005")
        market.send(party, f"01/{GTIN}", "listing", {"url": "https://shop.example/1"})
        for unit in market.issue(2, by=party):
            market.clock.advance(60)
            market.send(party, unit.code, "sale", {}, hours=0)
            sales.append(unit.code)
    market.work()
    whole = seek(market, region="469005", since=first, limit=500)
    assert [key for key, by in units(whole) if by == "sold"] == sales[::-1]
    for most in (1, 2, 3, 5):
        monkeypatch.setattr("app.oversight.seekstore.MOST", most)
        monkeypatch.setattr("app.oversight.seeking.MOST", most)
        found = seek(market, region="469005", since=first, limit=500)
        assert keys_of(found, "units") == sales[::-1][:most]
        assert found["groups"]["units"]["more"]


def test_the_page_takes_days_alone(market):
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    browser.get("/desk/search")
    page = browser.post("/desk/search", 200, q="", since="2020-01-01", until="2099-01-01").text
    assert "Everything of this time" in page
    assert "sold" in page
    browser.post("/desk/search", 422, q="")
    assert "f-q-error" in browser.page


def test_a_group_is_read_page_by_page(market):
    for _ in range(3):
        market.newcomer(region="469021")
    seen, cursor = [], None
    for _ in range(3):
        found = seek(market, region="469021", group="parties", limit=1, cursor=cursor)
        assert found["groups"]["parties"]["count"] == 3
        seen += keys_of(found, "parties")
        cursor = found["groups"]["parties"]["next"]
    assert cursor is None
    assert len(set(seen)) == 3


def test_no_sealed_number_is_stored_by_a_search_that_found_it(market):
    assert keys_of(seek(market, market.waybill, purpose=WHY), "units")
    stored = market.stored_bytes()
    for number in (market.waybill, market.order_number, "PAY-2026-0001", DECLARATION):
        assert number.encode() not in stored
    looks = market.ask("GET", "/api/v1/access-log", token=market.keys[AUTHORITY])["items"]
    assert (looks[0]["section"], looks[0]["purpose"], looks[0]["code"]) == (
        "waybill", WHY, market.unit.code,
    )  # fmt: skip


def looks(market) -> list[dict]:
    return market.ask("GET", "/api/v1/access-log?limit=500", token=market.keys[AUTHORITY])["items"]


def test_a_sealed_number_is_looked_for_with_a_purpose_alone(market):
    before = looks(market)
    for number in (
        market.waybill,
        market.order_number,
        "PAY-2026-0001",
        DECLARATION,
        "TEST0000099999",
    ):
        told = seek(market, number, status=422)
        assert [(one["loc"], one["kind"]) for one in told["errors"]] == [(["purpose"], "missing")]
        assert "purpose" in told["errors"][0]["msg"]
    assert looks(market) == before
    for number, kind in ((market.waybill, "waybill"), (market.order_number, "order"),
                         ("PAY-2026-0001", "payment"), (DECLARATION, "declaration")):  # fmt: skip
        assert seek(market, number, purpose=WHY)["unasked"] == []
        assert (looks(market)[0]["section"], looks(market)[0]["purpose"]) == (kind, WHY)
    before = len(looks(market))
    assert seek(market, "TEST0000099999", purpose=WHY)["unasked"] == []
    told = looks(market)[: len(looks(market)) - before]
    assert {(one["section"], one["code"], one["seq"], one["purpose"]) for one in told} == {
        (kind, "", None, WHY) for kind in ("waybill", "order", "payment")
    }, "as what it was looked for, and that nothing was found"
    assert b"TEST0000099999" not in market.stored_bytes()
    after = looks(market)
    # What can be something open is found as that, and it is said that it was looked for as nothing else.
    for typed, group in ((market.unit.serial, "units"), ("L-77", "lots"), (GTIN, "products")):
        found = seek(market, typed)
        assert keys_of(found, group)
        assert set(found["unasked"]) <= SEALED
        assert found["unasked"], typed
    for typed in ("裹蒸粽厂", market.near, LICENCE, market.unit.code, "nobody", "06901234567885"):
        seek(market, typed)
    assert looks(market) == after


def test_each_kind_that_was_asked_has_its_row_in_the_log_found_or_not(market, monkeypatch):
    kinds = ("waybill", "order", "payment")
    for number, kind in ((market.waybill, "waybill"), ("PAY-2026-0001", "payment")):
        before = len(looks(market))
        assert keys_of(seek(market, number, purpose=WHY), "units") == [market.unit.code]
        told = looks(market)[: len(looks(market)) - before]
        assert {(one["section"], one["code"]) for one in told} == {
            (one, market.unit.code if one == kind else "") for one in kinds
        }
    # What many records tell as one kind hides none of another, nor has it stand as not found.
    seller = market.newcomer(region="650100")
    unit, _, waybill = sold(market, seller)
    for _ in range(2):
        sold(market, seller, order={"number": waybill})
    monkeypatch.setattr("app.oversight.seekstore.MOST", 1)
    monkeypatch.setattr("app.oversight.seeking.MOST", 1)
    before = len(looks(market))
    seek(market, waybill, purpose=WHY)
    told = looks(market)[: len(looks(market)) - before]
    assert ("waybill", unit.code) in {(one["section"], one["code"]) for one in told}
    assert {one["section"] for one in told if not one["code"]} == {"payment"}


def test_a_search_that_found_nothing_is_told_in_the_log_of_looks(market):
    seek(market, "TEST0000099999", by="regional", purpose="case of nothing")
    owner = signed_in(market, "owner", AUTHORITY)
    page = owner.get("/desk/looks?purpose=case of nothing").text
    assert page.count("nothing was found") == 3
    assert "TEST0000099999" not in page
    assert "没有查到" in owner.get("/desk/looks?purpose=case of nothing&lang=zh").text
    told = owner.http.get("/desk/looks.csv?purpose=case of nothing").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(told)))
    assert [(row["Code"], row["Record"]) for row in rows] == [("", "nothing was found")] * 3
    assert sorted(row["Section"] for row in rows) == ["Order", "Payment", "Waybill"]


def test_what_is_wrong_is_said_at_its_field(market):
    for more, field in (({}, "q"), ({"q": "x", "region": "99"}, "region"),
                        ({"q": "x", "since": "soon"}, "since"),
                        ({"q": "x", "since": "2026-02-01", "until": "2026-01-01"}, "until"),
                        ({"q": "x", "purpose": "?"}, "purpose")):  # fmt: skip
        told = seek(market, status=422, **more)
        assert told["errors"][0]["loc"][-1] == field


def test_only_an_authority_searches_here(market):
    for by in (SHOP, PLATFORM):
        seek(market, GTIN, by=by, status=403)


def test_the_page_says_what_was_read_and_keeps_what_was_typed(market):
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    browser.get("/desk/search")
    page = browser.post("/desk/search", 422, q=market.waybill).text
    assert 'id="f-purpose-error"' in page
    assert f'value="{market.waybill}"' in page
    page = browser.post("/desk/search", 200, q=market.waybill, purpose=WHY).text
    assert f'value="{market.waybill}"' in page
    assert f"/desk/chains/{market.unit.code}" in page
    assert "by the waybill" in page
    page = browser.post("/desk/search", 200, q=GTIN).text
    assert "its check digit is right" in page
    assert "Not looked for without a purpose" in page
    page = browser.post("/desk/search", 422, q="端砚", region="1").text
    assert "f-region-error" in page
    assert 'value="端砚"' in page
    page = browser.post("/desk/search", 200, q=market.near, group="units").text
    assert "Back to all results" in page
    signed_in(market, "owner", SHOP).get("/desk/search", 403)


def test_an_office_is_told_that_names_are_looked_for_in_its_region_alone(market):
    browser = signed_in(market, "owner", AUTHORITY, region="440100")
    told = "looked for within your own region (Guangzhou, Guangdong) alone"
    assert told not in browser.get("/desk/search").text
    assert told in browser.post("/desk/search", 200, q="端砚").text
