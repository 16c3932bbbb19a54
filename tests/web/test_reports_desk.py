"""What anybody reported is read by who is in office, for a stated purpose, and closed with a reason."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from app.i18n import text
from app.oversight.reportstore import REPORT
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import GTIN
from tests.web.people import open_people_market, signed_in
from tests.web.shown_forms import Shown

R, DESK = "/api/v1/reports", "/desk/reports"
SAID, CONTACT = "有人在夜市卖没有溯源码的同款", "reporter@example.net"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("reports")) as running:
        yield running


def report(market, code: str | None = None, **more) -> str:
    body = {"text": SAID, "contact": CONTACT, **({"code": code} if code else {}), **more}
    return market.ask("POST", R, body, status=201)["ticket"]


def tickets(market, query: str = "", *, by: str = AUTHORITY) -> list[str]:
    return [one["ticket"] for one in market.ask("GET", R + query, token=market.keys[by])["items"]]


def looked(market) -> list[tuple[str, str]]:
    with market.rooms.database.read() as connection:
        return [
            tuple(row)
            for row in connection.exec_driver_sql(
                "SELECT section, purpose FROM access_log ORDER BY id"
            )
        ]


def test_a_report_is_opened_for_a_purpose_and_closed_with_a_reason(market):
    ticket = report(market, market.one().code)
    officer = signed_in(market, "owner", AUTHORITY)
    assert ticket in officer.get(DESK).text
    page = officer.get(f"{DESK}/{ticket}").text
    assert SAID not in page
    before = looked(market)
    officer.post(f"{DESK}/{ticket}", 422, do="open", purpose="x")
    assert 'id="f-purpose-error"' in officer.page
    assert looked(market) == before, "nothing was opened"
    shown = officer.post(f"{DESK}/{ticket}", 200, do="open", purpose="核实线索").text
    assert SAID in shown
    assert CONTACT in shown
    assert looked(market)[-1] == ("report", "核实线索")
    officer.post(f"{DESK}/{ticket}", 422, do="close", reason="")
    assert 'id="f-reason-error"' in officer.page
    officer.post(f"{DESK}/{ticket}", do="close", reason="已转办案科室")
    assert looked(market)[-1] == ("report", "已转办案科室")
    assert ticket not in officer.get(DESK).text
    assert ticket in officer.get(f"{DESK}?state=over").text
    again = {"reason": "twice over"}
    token = market.keys[AUTHORITY]
    answer = market.call("POST", f"{R}/{ticket}/closing", again, token=token)
    assert (answer.status_code, answer.json()["reason"]) == (409, "report_over")


def test_who_filed_it_sees_that_it_was_closed(market):
    ticket = report(market)
    found = market.rooms.reports.find(ticket)
    assert found.status == "received"
    body = {"reason": "nothing to it"}
    told = market.ask("POST", f"{R}/{ticket}/closing", body, token=market.keys[AUTHORITY])
    assert told["status"] == "closed"
    assert market.rooms.reports.find(ticket).status == "closed"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_report_to_erase_whose_number_is_missing_is_asked_for_it(phone, lang):
    for ticket in ("", " "):
        form = {"act": "report", "ticket": ticket, "query": "AAAA", "lang": lang}
        refused = phone.post("/privacy", data=form)
        assert refused.status_code == 422
        shown = Shown(refused.text)
        (asked,) = [one for one in shown.forms if one.named("ticket")]
        (number,), (query,) = asked.named("ticket"), asked.named("query")
        assert (number.is_marked, query.is_marked) == (True, False)
        assert text(lang, "page.ticket.number.missing") in shown.said_about(asked, "ticket")


def test_who_knows_a_number_alone_erases_nothing(market, phone):
    said = {"text": "标签像是假的", "lang": "en"}
    page = phone.post("/reports", data=said).text
    ticket = re.search('class="ticket"><code>([^<]+)<', page)[1]
    query = re.search('class="query"><code>([^<]+)<', page)[1]
    assert ticket in tickets(market), "whoever works on it knows its number"
    other = market.ask("POST", R, {"text": "another"}, status=201)
    assert len(other["query_code"]) == len(query)
    form = {"act": "report", "ticket": ticket, "lang": "en"}
    for wrong in ("", "AAAA", other["query_code"], other["ticket"]):
        refused = phone.post("/privacy", data=form | {"query": wrong})
        assert refused.status_code == 403
        shown = Shown(refused.text)
        (asked,) = [one for one in shown.forms if one.named("ticket")]
        assert text("en", "page.privacy.no_report") in shown.said_about(asked, "query")
        assert asked.values("ticket") == [ticket]
    assert phone.post("/privacy", data={**form, "ticket": "NOBODYS"}).status_code == 403
    assert market.rooms.reports.find(ticket).status == "received"
    # Its author sees it with both, and may erase it there; by the number alone it is only told how it stands.
    seen = phone.post("/ticket", data={"ticket": ticket, "lang": "en"}).text
    assert "/privacy" not in seen.split("<main")[1].split("</main")[0]
    assert phone.post("/ticket", data={"ticket": ticket, "query": "AAAA"}).status_code == 403
    own = Shown(phone.post("/ticket", data={"ticket": ticket, "query": f" {query.lower()}"}).text)
    (erasing,) = [one for one in own.forms if one.action == "/privacy"]
    sent = {one.name: one.chosen[0] for one in erasing.controls}
    assert phone.post("/privacy", data=sent).status_code == 200
    assert market.rooms.reports.find(ticket).status == "erased"


def test_an_older_report_whose_author_was_given_no_code_is_erased_by_its_number(market):
    reports = market.rooms.reports
    ticket = report(market)
    with market.rooms.database.write() as connection:
        older = update(REPORT).where(REPORT.c.ticket == ticket).values(ticket=ticket[:10])
        connection.execute(older)
    reports.erase(ticket[:10], "")
    assert reports.find(ticket[:10]).status == "erased"


def test_what_was_erased_is_gone_for_who_reads_too(market):
    ticket = report(market, market.one().code)
    reports = market.rooms.reports
    reports.erase(ticket, reports.query_code(ticket))
    assert ticket not in tickets(market)
    assert ticket in tickets(market, "?state=over")
    body = {"purpose": "look into it"}
    said = market.ask("POST", f"{R}/{ticket}/opening", body, token=market.keys[AUTHORITY])
    assert said.get("text") is None


def test_an_office_sees_reports_on_goods_of_its_region(market):
    unit, product = market.one().code, f"01/{GTIN}"
    own, general, nowhere = report(market, unit), report(market, product), report(market)
    stranger = report(market, f"01/{GTIN}/21/N0SUCHUNIT01")
    here = signed_in(market, "owner", AUTHORITY, region="441200")
    away = signed_in(market, "owner", AUTHORITY, region="330100")
    for office, seen in ((here, True), (away, False)):
        page = office.get(DESK).text
        assert [ticket in page for ticket in (own, general)] == [seen, seen]
        office.get(f"{DESK}/{own}", 200 if seen else 404)
        # Of what names nobody's goods nobody else would be in charge.
        assert nowhere in page
        assert stranger in page
        office.get(f"{DESK}/{nowhere}")


def test_the_operator_reads_and_a_shop_does_not(market):
    ticket = report(market, market.one().code)
    operator = signed_in(market, "operator", None)
    page = operator.get("/desk").text
    (said,) = re.findall(r"<b[^>]*>(\d+\+?)</b><span>(reports?) to read", page)
    assert (said[0] == "1") is (said[1] == "report")
    assert ticket in operator.get(DESK).text
    signed_in(market, "owner", SHOP).get(DESK, 403)
    assert market.call("GET", R, token=market.keys[SHOP]).status_code == 403


def test_reports_are_paged_in_the_order_in_which_they_came(market):
    made = []
    for _ in range(3):
        made.append(report(market))
        market.clock.advance(1)
    token, found, query = market.keys[AUTHORITY], [], "?limit=2"
    while query:
        page = market.ask("GET", R + query, token=token)
        found += [one["ticket"] for one in page["items"]]
        query = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert [one for one in found if one in made] == made
    assert len(found) == len(set(found))
