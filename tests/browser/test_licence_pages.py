"""Licences on every screen, in both languages, with axe's word; told on a phone and seen at a desk."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.kit.clock import china_day
from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_signed_pages import enter
from tests.web.conftest import AUTHORITY
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

LONG = "农肥(2026)准字" + "0123456789" * 5


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("licences")) as running:
        days = [china_day(running.clock.now() + timedelta(days=n)) for n in (12, 400)]
        registered = [
            {"kind": "business", "number": "91441200MA4TE5T00Q"},
            {"kind": "food_business", "number": "JY14412000000000", "valid_until": days[0]},
        ]
        running.shop = running.newcomer("merchant", region="441202", licences=registered)
        running.gtin = running.ask(
            "POST", "/api/v1/products", {"name": "化肥（虚构）", "category": "agricultural_input"},
            token=running.keys[running.shop], status=201,
        )["gtin"]  # fmt: skip
        path = f"/api/v1/parties/{running.shop}/licences"
        for told in (
            {"kind": "fertilizer", "number": LONG, "valid_until": days[1]},
            {"kind": "food_business", "number": "JY14412000000000", "valid_until": days[1]},
            {"kind": "seed", "number": "粤种2026"},
        ):
            made = running.ask("POST", path, told, token=running.keys[running.shop], status=201)
        seen = {
            "status": "rejected", "reason": "other_holder", "evidence": "x", "told": made["told"]
        }  # fmt: skip
        place = f"{path}/{made['id']}/verification"
        running.ask("POST", place, seen, token=running.keys[AUTHORITY], status=201)
        code, basis = f"party/{running.shop}", "电子商务法第八十条" * 6
        for hours in (-24 * 20, -1, -2):
            data = {"kind": "warn", "basis": basis}
            of = running.send(AUTHORITY, code, "measure", data, hours=hours)["id"]
        made = {
            "of": of,
            "on": china_day(running.clock.now()),
            "url": "https://example.gov.cn/" + "7" * 200,
        }
        running.send(AUTHORITY, code, "publication", made)
        yield running


@pytest.mark.looks("/desk/licences", "/desk/licence-checks", "/desk/publications")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_pages_of_licences_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", market.shop)
        for name, path in {
            "own": "/desk/licences", "desk": "/desk", "product": f"/desk/products/{market.gtin}",
            "public": f"/credit/{market.shop}",
        }.items():  # fmt: skip
            assert page.goto(market.url + path).status == 200
            look(page, pictures, f"licences-{name}", lang)
        page.context.clear_cookies()
        enter(page, market, "owner", AUTHORITY, path="/desk/licence-checks")
        look(page, pictures, "licences-checks", lang)
        assert page.goto(market.url + "/desk/publications").status == 200
        look(page, pictures, "publications", lang)
        assert noted.complaints == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_tables_of_docs_are_no_wider_than_a_phone(market, chromium, lang):
    with opened(chromium, lang=lang, viewport={"width": 360, "height": 740}) as (page, _):
        page.goto(f"{market.url}/docs?lang={lang}")
        wider = page.locator(".docs-wide").evaluate_all(
            "all => all.map(one => one.scrollWidth - one.clientWidth)"
        )
        assert len(wider) == 4
        assert max(wider) <= 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
