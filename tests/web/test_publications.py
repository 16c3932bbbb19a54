"""Measures until they are made public elsewhere: due by working days, noted, late; API and pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from app.credit.workdays import add_working_days
from app.kit.clock import china_day, parse_time
from app.parties import measurestore, retellstore
from tests.web.conftest import AUTHORITY
from tests.web.people import open_people_market, signed_in
from tests.web.test_audits_api import audit, findings

PAGE = "/desk/publications"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("publications")) as running:
        yield running


@pytest.fixture
def warned(market):
    """A shop of the test's own with a measure that an authority took, and its id."""
    shop = market.newcomer("merchant", region="441202")
    return shop, measure(market, shop)["id"]


def measure(market, shop, *, by=AUTHORITY, kind="warn", **more):
    data = {"kind": kind, "basis": f"E-commerce Law art. 80 ({shop})"}
    return market.send(by, f"party/{shop}", "measure", data, **more)


def note(market, shop, of, *, on=None, by=AUTHORITY, **more):
    data = {"of": of, "on": on or china_day(market.clock.now()), **more}
    return market.post(by, f"party/{shop}", "publication", data)


def listed(market, of, state="due", *, by=AUTHORITY):
    path = f"/api/v1/publications?state={state}&limit=500"
    found = market.ask("GET", path, token=market.keys[by])["items"]
    return next((one for one in found if one["id"] == of), None)


def test_a_measure_is_due_seven_working_days_after_its_day_and_then_overdue(market, warned):
    shop, of = warned
    at = market.clock.now()
    due = listed(market, of)
    assert (due["party"], due["late"], "published_on" in due) == (shop, False, False)
    assert parse_time(due["due_at"]) == add_working_days(at, 7)
    market.clock.advance((add_working_days(at, 7) - at).total_seconds() - 60)
    assert not listed(market, of)["late"], "the last day counts whole"
    market.clock.advance(61)
    assert listed(market, of)["late"]
    assert note(market, shop, of, url="https://example.gov.cn/7").status_code == 201
    assert listed(market, of) is None
    done = listed(market, of, "published")
    assert (done["late"], done["url"]) == (True, "https://example.gov.cn/7")


def test_what_is_overdue_stands_first(market, warned):
    _, new = warned
    shop = market.newcomer("merchant")
    old = measure(market, shop, hours=-24 * 20)["id"]
    found = market.ask("GET", "/api/v1/publications?limit=500", token=market.keys[AUTHORITY])[
        "items"
    ]
    ids = [one["id"] for one in found]
    assert ids.index(old) < ids.index(new)
    assert sorted(one["due_at"] for one in found) == [one["due_at"] for one in found]
    assert listed(market, old)["late"]


def test_published_in_time_is_in_time_however_late_it_is_noted(market):
    shop = market.newcomer("merchant")
    sent = measure(market, shop, hours=-24 * 25)
    decided = market.clock.now() - timedelta(days=25)
    assert note(market, shop, sent["id"], on=china_day(decided)).status_code == 201
    assert not listed(market, sent["id"], "published")["late"]


@pytest.mark.parametrize(("days", "kind"), [(-1, "range"), (1, "range")])
def test_no_day_before_the_measure_and_none_to_come(market, warned, days, kind):
    shop, of = warned
    refused = note(market, shop, of, on=china_day(market.clock.now() + timedelta(days=days)))
    assert (refused.status_code, refused.json()["errors"][0]["kind"]) == (422, kind)
    assert listed(market, of) is not None


def test_it_is_noted_once_and_of_a_measure_of_this_party(market, warned):
    shop, of = warned
    other = market.newcomer("merchant")
    assert note(market, other, of).status_code == 409
    assert note(market, shop, of, by=shop).status_code == 403
    assert note(market, shop, of).status_code == 201
    assert note(market, shop, of).status_code == 409


def test_only_the_authority_that_decided_says_where_it_was_published(market, warned):
    shop, of = warned
    other = market.newcomer("regulator")
    refused = note(market, shop, of, by=other, url="https://example.gov.cn/not-theirs")
    assert refused.status_code == 403, refused.text
    assert listed(market, of) is not None
    assert note(market, shop, of).status_code == 201


def test_a_measure_that_was_lifted_is_due_all_the_same(market, warned):
    shop, of = warned
    market.send(AUTHORITY, f"party/{shop}", "measure_lifted", {"kind": "warn", "basis": "repaired"})
    assert listed(market, of) is not None
    assert note(market, shop, of).status_code == 201
    assert listed(market, of, "published") is not None


def test_each_authority_has_its_own_list_and_a_region_its_part(market, warned):
    shop, of = warned
    elsewhere = market.newcomer("regulator")
    assert listed(market, of, by=elsewhere) is None
    name = f"art. 80 ({shop})"
    for region, sees in (("4401", False), ("4412", True)):
        browser = signed_in(market, "owner", AUTHORITY, region=region)
        assert (name in browser.get(PAGE).text) is sees


def test_it_is_noted_on_the_page_and_a_wrong_day_keeps_what_was_typed(market, warned):
    shop, of = warned
    browser = signed_in(market, "owner", AUTHORITY)
    assert PAGE in browser.get("/desk").text
    browser.get(PAGE)
    url = "https://example.gov.cn/8"
    browser.post(PAGE, 422, party=shop, of=of, on="2099-01-01", url=url)
    assert f'value="{url}"' in browser.page
    assert re.search(r'id="p-[0-9]+-on-error"', browser.page)
    answer = browser.post(PAGE, party=shop, of=of, on=china_day(market.clock.now()), url=url)
    browser.get(answer.headers["Location"])
    done = unescape(browser.page.split('id="done-title"')[1])
    assert shop in done
    assert f'href="{url}"' in done
    assert shop not in browser.page.split('id="done-title"')[0]
    signed_in(market).get(PAGE, 403)


@pytest.mark.parametrize(
    "altered",
    [
        "UPDATE measure SET published_on = NULL WHERE party = ?",
        "DELETE FROM measure WHERE party = ?",
    ],
)
def test_an_altered_row_is_found_and_made_again(market, warned, altered):
    shop, of = warned
    note(market, shop, of, url="https://example.gov.cn/9")
    before = rows(market, shop)
    market.work()
    audit(market, "all")
    assert columns(market, shop) == []
    market.tamper(altered, shop)
    audit(market, "all")
    assert columns(market, shop) == [f"measure.{of}"]
    with market.rooms.database.write() as connection:
        retellstore.put_right(connection)
    assert rows(market, shop) == before
    audit(market, "all")
    assert columns(market, shop) == []


def rows(market, shop):
    with market.rooms.database.read() as connection:
        return [row._asdict() for row in measurestore.rows_of(connection, shop)]


def columns(market, shop) -> list[str]:
    return [
        one["evidence"]["column"]
        for one in findings(market, "&kind=index&status=open")
        if one["stream"] == f"party/{shop}"
    ]


def test_the_day_of_the_decision_is_that_of_china():
    """Half past four in the afternoon UTC of a Friday is Saturday there: the week after counts whole."""
    friday = datetime(2026, 3, 6, 16, 30, tzinfo=UTC)
    assert china_day(add_working_days(friday, 7)) == "2026-03-17"
