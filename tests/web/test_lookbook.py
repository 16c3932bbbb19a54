"""The log of purposes: for the supervisor of an authority's people and the operator, as list and CSV."""

from __future__ import annotations

import csv
import io

import pytest

from tests.web.authority import HERE, THERE, key_of_person, open_two_provinces, sold
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import CUSTOMS
from tests.web.people import make_account, signed_in

LOG = "/api/v1/access-log"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("looks")) as running:
        running.unit, *_ = sold(running, running.near)
        running.other, *_ = sold(running, running.far)
        running.keys["nation"] = running.keys[running.nation]
        running.looked = {}
        for name, party, region, unit in (
            ("here", AUTHORITY, HERE, running.unit),
            ("all", running.nation, None, running.other),
            ("customs", CUSTOMS, "440000", running.unit),
        ):
            browser = signed_in(running, "staff", party, scopes=["audit", "events"], region=region)
            path = f"/desk/chains/{unit.code}"
            browser.get(path)
            browser.post(path, 200, purpose=f"=case {name}")
            running.looked[name] = browser.name
            running.clock.advance(1)
        yield running


def looks(market, query="", *, by=AUTHORITY, status=200):
    token = market.admin if by is None else market.keys.get(by, by)
    told = market.ask("GET", f"{LOG}?{query}", token=token, status=status)
    return told["items"] if status == 200 else told


def purposes(items) -> set[str]:
    return {one["purpose"] for one in items}


def test_an_authority_reads_its_own_and_the_operator_everybodys(market):
    assert purposes(looks(market)) == {"=case here"}
    assert purposes(looks(market, by="nation")) == {"=case all"}
    assert purposes(looks(market, by=CUSTOMS)) == {"=case customs"}
    assert purposes(looks(market, by=None)) == {"=case here", "=case all", "=case customs"}
    assert purposes(looks(market, f"party={CUSTOMS}", by=None)) == {"=case customs"}
    looks(market, f"party={CUSTOMS}", status=403)


def test_a_supervisor_with_a_region_reads_of_those_in_office_inside_it(market):
    assert purposes(looks(market, by=key_of_person(market, region="440000"))) == {"=case here"}
    assert looks(market, by=key_of_person(market, region=THERE)) == []


def test_staff_and_others_read_nothing_of_it(market):
    looks(market, by=SHOP, status=403)
    staff = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    staff.get("/desk/looks", 403)
    staff.get("/desk/looks.csv", 403)


def test_every_filter_holds(market):
    name = market.looked["here"]
    for query, wanted in (
        (f"by={name}", {"=case here"}),
        ("by=nobody", set()),
        ("purpose=here", {"=case here"}),
        ("purpose=all", set()),
        (f"code={market.unit.code}", {"=case here"}),
        ("until=2020-01-01", set()),
        ("since=0001-01-01&until=9999-12-31", {"=case here"}),
        (f"since={looks(market)[0]['at'][:10]}", {"=case here"}),
    ):
        assert purposes(looks(market, query)) == wanted, query
    first = market.ask("GET", f"{LOG}?limit=1", token=market.keys[AUTHORITY])
    rest = market.ask(
        "GET", f"{LOG}?limit=100&cursor={first['next']}", token=market.keys[AUTHORITY]
    )
    told = [*first["items"], *rest["items"]]
    assert [one["id"] for one in told] == [one["id"] for one in looks(market)]


def test_the_csv_says_the_same_and_holds_no_formula(market):
    owner = signed_in(market, "owner", AUTHORITY)
    page = owner.get("/desk/looks").text
    assert market.looked["here"] in page
    assert market.unit.code in page
    answers = [
        owner.http.get("/desk/looks.csv"),
        market.call("GET", f"{LOG}.csv", token=market.keys[AUTHORITY]),
    ]
    for answer in answers:
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [row["By"] for row in rows] == [one["by"] for one in looks(market)]
        assert {row["Purpose"] for row in rows} == {"'=case here"}
        assert all(row["At"].endswith("+08:00") for row in rows)
    chinese = owner.http.get("/desk/looks.csv?lang=zh").content.decode("utf-8-sig")
    assert chinese.startswith("时间,由谁,监管单位,")
    sections = {row["内容"] for row in csv.DictReader(io.StringIO(chinese))}
    assert sections
    assert not [one for one in sections if one.isascii()]
    market.ask("GET", f"{LOG}.csv", token=market.keys[SHOP], status=403)
    operator = signed_in(market, "operator", None)
    assert "=case customs" in operator.get("/desk/looks").text


def test_a_wrong_day_is_said_at_its_field(market):
    owner = signed_in(market, "owner", AUTHORITY)
    assert "f-since-error" in owner.get("/desk/looks?since=soon", 422).text
    looks(market, "since=soon", status=422)
    make_account(market, "owner", AUTHORITY)
