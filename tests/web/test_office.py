"""What an authority's account with a region sees: enforced by the services, whoever asks."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import insert

from app.i18n import region_name
from app.ledger import store as ledger
from app.ledger.record import stream_key
from app.trace.offices import places_of, places_of_each
from tests.web.authority import (
    HERE,
    key_of_person,
    keys_of,
    neglected,
    open_two_provinces,
    seek,
    sold,
)
from tests.web.conftest import AUTHORITY, CARRIER
from tests.web.market import CUSTOMS, GTIN
from tests.web.operations import listing
from tests.web.people import signed_in
from tests.web.test_consumers_api import claim

PURPOSE = "?purpose=case 2026-17"
FINDINGS = "/api/v1/findings"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("office")) as running:
        running.mine, *_ = sold(running, running.near)
        running.theirs, *_ = sold(running, running.far)
        for party in (running.near, running.far):
            neglected(running, party)
        running.clock.advance(60 * 86_400)
        running.work()
        yield running


def ask(market, path, *, by="regional", status=200, method="GET", body=None):
    return market.ask(method, path, body, token=market.keys[by], status=status)


def about(market, party, *, by="regional"):
    return ask(market, f"{FINDINGS}?party={party}", by=by)["items"]


def test_findings_are_those_of_the_region_and_a_foreign_one_is_not_there(market):
    assert about(market, market.near), "the near shop has none, so nothing is compared"
    foreign = [one for one in about(market, market.far, by=AUTHORITY) if one["status"] == "open"]
    assert foreign
    assert about(market, market.far) == []
    assert market.far not in {one.get("party") for one in ask(market, FINDINGS)["items"]}
    path = f"{FINDINGS}/{foreign[0]['id']}"
    ask(market, path, status=404)
    ask(market, f"{path}/dismissal", method="POST", body={"reason": "x"}, status=404)
    ask(
        market, f"{path}/attribution", method="POST", body={"to": "none", "reason": "x"}, status=404
    )
    ask(market, f"{path}/notes", method="POST", body={"text": "x"}, status=404)
    assert ask(market, path, by=AUTHORITY)["status"] == "open"


def test_sealed_sections_are_those_of_goods_of_the_region(market):
    (opened, *_) = ask(market, f"{market.mine.path}/sealed{PURPOSE}")["items"]
    assert opened["sections"]["buyer"]["content"] == {"name": "王五"}
    ask(market, f"{market.theirs.path}/sealed{PURPOSE}", status=403)
    assert ask(market, f"{market.theirs.path}/sealed{PURPOSE}", by=AUTHORITY)["items"]


def test_goods_sold_here_by_a_shop_from_elsewhere_are_of_this_region_too(market):
    (unit,) = market.issue(by=market.far)
    order = {"order": {"content": {"number": "sold-here"}}}
    market.send(market.far, unit.code, "sale", {"region": "441283"}, hours=-1, sealed=order)
    assert ask(market, f"{unit.path}/sealed{PURPOSE}")["items"]


def test_the_last_sale_of_goods_says_who_is_in_office_as_the_first_one_does(market):
    """A lot has as many as it had buyers."""
    order = {"order": {"content": {"number": "sold-late"}}}
    lot, sold_here = market.issue(2, by=market.far)
    first_of_mine = market.mine.code
    market.send(market.far, sold_here.code, "sale", {"region": "441283"}, hours=-1, sealed=order)
    with market.rooms.database.write() as connection:
        (first,) = ledger.load_stream(connection, lot.code)
        (*_, sale) = ledger.load_stream(connection, sold_here.code)
        rows = [
            {
                "stream": stream_key(lot.code), "seq": seq, "id": uuid4().bytes, "type": told.columns.type,
                "actor": market.far, "recorded_at": 0, "hash": told.hash, "body": told.body,
            }
            for seq, told in [*((n, first) for n in range(1, 1_001)), (1_001, sale)]
        ]  # fmt: skip
        connection.execute(insert(ledger.RECORD), rows)
    with market.rooms.database.read() as connection:
        assert "441283" in places_of(connection, lot.code)
        told = places_of_each(connection, [lot.code, sold_here.code, first_of_mine])
        assert told == {one: places_of(connection, one) for one in told}, "and among many as alone"
        assert "441283" not in told[first_of_mine]
    market.tamper("DELETE FROM record WHERE stream = ? AND seq > 0", stream_key(lot.code))


def test_texts_are_hidden_by_who_is_in_office_for_the_goods(market):
    words = {"text": {"content": {"text": "石质细润"}}}
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"], region=HERE)
    for seller, taken, shown in ((market.near, 201, 200), (market.far, 403, 403)):
        unit, *_ = sold(market, seller)
        signed = market.send(CARRIER, unit.code, "signature", {"kind": "in_person"}, hours=-0.5)
        proof = claim(signed["claim_token"])
        said = market.send(None, unit.code, "review", {"rating": 2}, headers=proof, sealed=words)
        page = browser.get(f"/desk/texts?code={unit.code}", shown).text
        assert (said["id"] in page) is (shown == 200)
        body = {"code": unit.code, "of": said["id"], "reason": "insult"}
        ask(market, "/api/v1/hidings", method="POST", body=body, status=taken)
        body |= {"shown": True}
        ask(market, "/api/v1/hidings", method="POST", body=body, status=taken)
        ask(market, "/api/v1/hidings", method="POST", body=body, by=AUTHORITY, status=201)


def test_a_prefix_is_inside_and_a_sister_city_is_not(market):
    county = market.newcomer(region="441202")
    sister = market.newcomer(region="441300")
    found = {
        item
        for party in (county, sister)
        for item in keys_of(seek(market, party, by="regional"), "parties")
    }
    assert found == {county}


def test_search_finds_what_is_of_the_region_and_says_of_public_things_that_they_lie_elsewhere(
    market,
):
    found = seek(market, market.theirs.code, by="regional")
    assert keys_of(found, "units") == []
    assert found["elsewhere"] == [market.theirs.code]
    assert seek(market, market.far, by="regional")["elsewhere"] == [market.far]
    assert keys_of(seek(market, market.mine.code, by="regional"), "units") == [market.mine.code]
    assert keys_of(seek(market, market.theirs.code), "units") == [market.theirs.code]


def test_a_waybill_of_goods_elsewhere_is_not_even_said_to_exist(market):
    unit, order, waybill = sold(market, market.far)

    def last_look():
        (one,) = ask(market, "/api/v1/access-log?limit=1")["items"]
        return {name: one[name] for name in ("code", "seq", "purpose", "region")}

    for number in (order, waybill):
        seek(market, f"X{number}", by="regional", purpose="complaint 17")
        nothing = last_look()
        found = seek(market, number, by="regional", purpose="complaint 17")
        assert keys_of(found, "units") == []
        assert found["elsewhere"] == []
        assert last_look() == nothing == {
            "code": "", "seq": None, "purpose": "complaint 17", "region": HERE,
        }, "no more in the log than of a number of nobody"  # fmt: skip
        assert keys_of(seek(market, number, purpose="complaint 17"), "units") == [unit.code]


def test_what_a_party_alone_knows_of_itself_is_seen_and_decided_in_its_region_alone(market):
    entry = {"rule": "complaint_upheld", "evidence": {"title": "t", "number": "7"}}
    for party, taken in ((market.near, 201), (market.far, 403)):
        ask(market, f"/api/v1/credit/{party}/entries", method="POST", body=entry, status=taken)
    ask(
        market,
        f"/api/v1/credit/{market.far}/entries",
        method="POST",
        body=entry,
        by=AUTHORITY,
        status=201,
    )
    shown = {
        party: ask(market, f"/api/v1/credit/{party}/entries")["items"]
        for party in (market.near, market.far)
    }
    # Announced entries are between the party and its authority.
    assert "notice" in {one["status"] for one in shown[market.near]}
    assert "notice" not in {one["status"] for one in shown[market.far]}
    basis = {"kind": "warn", "basis": "art. 80"}
    regional = market.keys["regional"]
    for party, taken in ((market.near, 201), (market.far, 403)):
        event = {"code": f"party/{party}", "type": "measure", "data": basis}
        market.ask("POST", "/api/v1/events", event, token=regional, status=taken)
        verified = {"status": "verified", "evidence": "seen again"}
        market.ask(
            "POST", f"/api/v1/parties/{party}/verification", verified, token=regional, status=taken
        )
        seen = ask(market, f"/api/v1/parties/{party}")
        assert ("created_by" in seen or "next_check" in seen) or taken == 403
    body = listing(market.far)
    ask(market, "/api/v1/lists/black", method="POST", body=body, status=403)


def test_what_is_public_is_public_for_an_account_with_a_region(market):
    assert ask(market, market.theirs.path)["code"] == market.theirs.code
    assert ask(market, f"{market.theirs.path}/chain")["items"]
    assert ask(market, f"/api/v1/products/{GTIN}")
    assert ask(market, f"/api/v1/credit/{market.far}")["party"] == market.far


def test_a_key_made_by_a_person_reaches_no_further_and_neither_does_one_made_with_it(market):
    made = market.ask(
        "POST",
        f"/api/v1/parties/{AUTHORITY}/keys",
        {"scopes": ["audit"]},
        token=market.keys["regional"],
        status=201,
    )
    market.keys["made"] = made["token"]
    assert about(market, market.far, by="made") == []
    assert about(market, market.near, by="made")


def test_pages_keep_to_the_region_as_the_api_does(market):
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"], region=HERE)
    page = browser.get("/desk/findings").text
    assert market.near in page
    assert market.far not in page
    foreign = about(market, market.far, by=AUTHORITY)[0]["id"]
    browser.get(f"/desk/findings/{foreign}", 404)
    browser.get(f"/desk/chains/{market.theirs.code}")
    browser.post(f"/desk/chains/{market.theirs.code}", 403, purpose="case 2026-17")
    browser.get(f"/desk/chains/{market.mine.code}")
    assert (
        "王五" in browser.post(f"/desk/chains/{market.mine.code}", 200, purpose="case 2026-17").text
    )


def test_customs_people_are_bound_alike(market):
    market.keys["customs here"] = key_of_person(market, CUSTOMS, region=HERE)
    assert about(market, market.far, by="customs here") == []
    assert about(market, market.far, by=CUSTOMS)


def met_by_audit(market, scope) -> str:
    """Asks as the authority; returns the id of the audit once it is done."""
    body = {"scope": scope}
    job = ask(market, "/api/v1/audits", by=AUTHORITY, method="POST", body=body, status=202)["id"]
    while market.rooms.audits.run_job():
        pass
    return job


@pytest.fixture
def altered(market):
    """A unit of the region and three from elsewhere whose dispatches were altered."""
    units = [sold(market, party)[0] for party in (market.near, *[market.far] * 3)]
    market.publish()
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE stream = ? AND seq = 2"
    for unit in units:
        market.tamper(statement, "440100", "440300", stream_key(unit.code))
    yield units
    for unit in units:
        market.tamper(statement, "440300", "440100", stream_key(unit.code))
    met_by_audit(market, {"gtin": GTIN})


def test_an_audit_tells_a_region_its_own_findings_and_counts_the_others(market, altered):
    mine, *elsewhere = altered
    product = met_by_audit(market, {"gtin": GTIN})
    path = f"/api/v1/audits/{product}"
    whole = ask(market, f"{path}/findings?limit=500", by=AUTHORITY)
    assert whole["outside"] == 0
    seen = ask(market, f"{path}/findings?limit=500")
    assert {one["party"] for one in seen["items"]} == {market.near}
    assert seen["outside"] == len(whole["items"]) - len(seen["items"]) >= 3
    first = ask(market, f"{path}/findings?limit=1")
    assert (len(first["items"]), first["outside"]) == (1, seen["outside"])
    # A report is signed whole: who may not see all of it gets none of it, in any form.
    ask(market, f"{path}/report", method="POST", status=403)
    ask(market, f"{path}/report", by=AUTHORITY, method="POST", status=201)
    for form in ("report", "report.pdf"):
        ask(market, f"{path}/{form}", status=403)
    browser = signed_in(market, "staff", AUTHORITY, scopes=["audit"], region=HERE)
    page = browser.get(f"/desk/audits/{product}?lang=en").text
    assert mine.code in page
    assert f"It met {seen['outside']} findings" in page
    assert "The report tells of all" in page
    assert not any(text in page for text in (market.far, *(unit.code for unit in elsewhere)))
    browser.get(f"/desk/audits/{product}/report.json", 403)

    alone = met_by_audit(market, {"code": mine.code})
    assert ask(market, f"/api/v1/audits/{alone}/findings")["outside"] == 0
    assert ask(market, f"/api/v1/audits/{alone}/report", method="POST", status=201)


def test_the_list_of_keys_says_where_a_key_is_in_office(market):
    regional = signed_in(market, "owner", AUTHORITY, region=HERE)
    regional.get("/account/keys")
    regional.post("/account/keys", 200, scopes=["audit"], label="of one place")
    page = regional.get("/account/keys").text
    (card,) = [one for one in page.split('class="card"') if "of one place" in one]
    assert region_name("en", HERE) in card
    path = f"/api/v1/parties/{AUTHORITY}/keys"
    told = market.ask("GET", path, token=market.admin)["items"]
    assert {one["label"]: one["region"] for one in told}["of one place"] == HERE


def test_the_dossier_of_a_districts_office_names_the_district_and_a_shops_does_not(market):
    for role, told in (("regulator", True), ("merchant", False)):
        party = market.newcomer(role, region="441202")
        page = market.call("GET", f"/credit/{party}?lang=zh", headers={"Accept": "text/html"}).text
        assert "广东 肇庆" in page
        assert ("端州区 441202" in page) is told


def test_an_office_of_a_district_is_told_as_one_where_it_searches_and_where_its_looks_are_listed(
    market,
):
    browser = signed_in(market, "owner", AUTHORITY, scopes=["audit"], region="441202")
    office, told = market.newcomer("regulator", region="441202"), "广东 肇庆 端州区 441202"
    browser.get("/desk/search")
    found = browser.post("/desk/search", 200, q=office, purpose="稽查", lang="zh").text
    assert f"（{told}）" in found, "where it looks"
    assert found.count(told) == 2, "and what it found"
    whole = browser.post("/desk/search", 200, region="441202", lang="zh").text
    assert f"{told}的全部登记" in whole
    browser.post("/desk/search", 200, q="SF0000000000001", purpose="稽查")
    assert f"· {told}</small>" in browser.get("/desk/looks?lang=zh").text


def test_a_refusal_for_the_region_is_told_as_one_and_names_the_region(market):
    browser = signed_in(market, "owner", AUTHORITY, region="441202")
    browser.http.headers["Accept-Language"] = "zh"
    page = browser.get(f"/desk/parties/{market.far}", 403).text
    assert "<h1>不在您的管辖地区</h1>" in page
    assert "广东 肇庆 端州区 441202" in page
    assert "负责人" not in page
    key = key_of_person(market, region=HERE)
    refused = market.ask(
        "GET", f"{market.theirs.path}/sealed{PURPOSE}", token=key, status=403,
        headers={"Accept-Language": "en"},
    )  # fmt: skip
    assert "Zhaoqing, Guangdong" in refused["detail"]
