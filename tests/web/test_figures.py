"""Figures by month and place: counted along the log, each record once, where who answers is."""

from __future__ import annotations

import pytest

from app.i18n import region_name
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import Market, told
from tests.web.people import open_people_market, signed_in

F = "/api/v1/figures"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("figures")) as running:
        yield running


def counted(market: Market, *, months: int = 3) -> dict[tuple[str, str], tuple[int, int, int]]:
    market.publish()
    while market.rooms.figures.follow():
        pass
    found = market.ask("GET", f"{F}?months={months}", token=market.keys[AUTHORITY])
    assert len(found["months"]) == months
    return {
        (one["month"], one["region"]): (one["records"], one["findings"], one["complaints"])
        for one in found["items"]
    }


def seller(market: Market, region: str) -> str:
    party = market.newcomer(region=region)
    body = {"gtin": "06901234567892", "name": "端砚文房礼盒", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party])
    return party


def test_records_and_complaints_count_where_their_people_are(market):
    before = counted(market)
    month = market.at().partition("T")[0][:7]
    # Zhuhai is nobody else's here: no other test's seller is found out there meanwhile.
    party = seller(market, "440400")
    unit = market.one(by=party)
    sold = market.send(party, unit.code, "sale", {"region": "440100"}, hours=-3)
    assert sold["seq"] == 1
    after = counted(market)
    here = after[(month, "440400")]
    assert here[0] >= 1  # the sale; what the service itself recorded has no place
    assert here[1:] == (0, 0)
    inner = market.one(by=party, inner=True)
    market.send(party, inner.code, "sale", {"region": "440100"}, hours=-3)
    proof = {"Suxin-Inner": inner.inner}
    market.send(None, inner.code, "complaint", {"category": "quality"}, headers=proof)
    final = counted(market)
    assert final[(month, "440400")] == (here[0] + 1, 0, 1)
    assert counted(market) == final  # each once
    total = sum(row[0] for row in final.values())
    size = market.ask("GET", "/api/v1/ledger")["size"]
    assert total == size
    assert sum(row[0] for row in before.values()) < total


def test_a_finding_counts_where_the_party_is_that_answers(market):
    party = seller(market, "441200")
    unit = market.one(by=party)
    market.send(party, unit.code, "sale", {"region": "440100"}, hours=-24 * 9)
    market.clock.advance(2 * 86_400)
    market.work()
    month = market.at(8).partition("T")[0][:7]  # of China
    assert counted(market)[(month, "441200")][1] >= 1


def test_the_figures_are_made_anew_from_the_log(market):
    from app.oversight import figurestore
    from app.oversight.figures import CURSOR

    before = counted(market)
    with market.rooms.database.write() as connection:
        figurestore.forget(connection, CURSOR)
    assert all(row[0] == 0 for row in _without_following(market).values())
    assert counted(market) == before


def _without_following(market):
    found = market.ask("GET", F, token=market.keys[AUTHORITY])
    return {(one["month"], one["region"]): (one["records"],) for one in found["items"]}


def test_an_earlier_month_stays_where_it_was(market):
    before = counted(market, months=12)
    now = market.ask("GET", F, token=market.keys[AUTHORITY])["months"][-1]
    market.clock.advance(32 * 86_400)
    market.one()
    after = counted(market, months=12)
    later = market.ask("GET", F, token=market.keys[AUTHORITY])["months"][-1]
    assert later > now
    assert {k: v[0] for k, v in after.items() if k[0] == now} == {
        k: v[0] for k, v in before.items() if k[0] == now
    }
    assert any(k[0] == later for k in after)


def test_who_sells_reads_no_figures_and_who_is_in_office_its_own_region(market):
    assert told(market.call("GET", F, token=market.keys[SHOP]))[:2] == (403, "forbidden")
    assert market.call("GET", F).status_code == 401
    for region in ("440300", "441200"):
        party = seller(market, region)
        market.send(party, market.one(by=party).code, "sale", {"region": region}, hours=-3)
    counted(market)
    shop = signed_in(market, "owner", SHOP)
    shop.get("/desk/figures", 403)
    everywhere = signed_in(market, "operator", None)
    everywhere.get("/desk/figures?lang=en")
    place = region_name("en", "440300")
    assert place in everywhere.page
    assert everywhere.page.count('<svg class="bars"') == 3
    assert "No place" in everywhere.page
    here = signed_in(market, "owner", AUTHORITY)  # in Zhaoqing, as its code says
    here.get("/desk/figures?lang=en&months=24")
    assert place not in here.page
    assert "No place" not in here.page
    assert region_name("en", "441200") in here.page


def test_what_another_process_counted_meanwhile_is_not_counted_again(market, monkeypatch):
    from app.oversight import figurestore

    counted(market)
    market.one()
    market.publish()
    read, others = figurestore.new_records, iter([True])

    def overtaken(*given):
        rows = read(*given)
        if next(others, False):
            market.rooms.figures.follow()  # the other one, after this one has read
        return rows

    monkeypatch.setattr(figurestore, "new_records", overtaken)
    assert market.rooms.figures.follow() is True
    monkeypatch.undo()
    total = sum(row[0] for row in counted(market, months=36).values())
    assert total == market.ask("GET", "/api/v1/ledger")["size"]
