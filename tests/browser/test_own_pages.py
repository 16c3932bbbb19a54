"""Own credit, reviews, complaints and decisions: on a phone and a desk, both languages, light and dark."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_signed_pages import LONG, enter
from tests.credit.files import HTML, JPEG, large_pdf
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.people import open_people_market
from tests.web.standing import live
from tests.web.test_commitments_api import signed
from tests.web.test_texts_api import bought, complain, review, sealed, ticket
from tests.web.test_undecided_api import enter as enter_fact

pytestmark = pytest.mark.browser

DESK = {"width": 1280, "height": 900}
PHOTO = {"name": "waybill.jpg", "mimeType": "image/jpeg", "buffer": JPEG}
LONG_WORDS = "包装破损，砚台边角有裂纹。" * 12 + LONG


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("own")) as running:
        live(running)
        announced = enter_fact(running, SHOP)
        unit = running.one()
        running.sell(unit.code, hours=-24 * 9)
        running.clock.advance(2 * 86_400)
        running.work()
        promise = signed(running, SHOP, "seven_day_return")
        running.rooms.commitments.question(
            promise["id"], once="x", evidence={"outcome": "refused", "exception": "perishable"}
        )
        body = {"party": SHOP, "criterion": "decision_evaded",
                "evidence": {"title": LONG, "number": "粤-1"}}  # fmt: skip
        key = running.keys[AUTHORITY]
        listed = running.ask("POST", "/api/v1/lists/black", body, token=key, status=201)
        it = bought(running)
        review(running, it, LONG_WORDS)
        running.send(None, it.unit.code, "follow_up", {"rating": 4}, headers=it.proof,
                     sealed=sealed("用了一周"))  # fmt: skip
        made = complain(running, it, LONG_WORDS)
        about = {"of": made["id"]}
        running.send(SHOP, it.unit.code, "message", about, sealed=sealed("请寄照片", "detail"))
        running.send(None, it.unit.code, "message", about | {"rating": 2}, headers=ticket(made),
                     sealed=sealed(LONG_WORDS, "detail"))  # fmt: skip
        running.send(SHOP, it.unit.code, "referral", about | {"to": "regulator"})
        running.work()
        running.paths = {
            "entry": f"/desk/credit/entries/{announced['id']}",
            "listing": f"/desk/credit/lists/{listed['id']}",
            "complaint": f"/desk/complaints/{made['ticket']}",
            "promise": f"/desk/decisions/commitments/{SHOP}/{promise['id']}",
            "to-list": f"/desk/decisions/lists/{SHOP}/{listed['id']}",
        }
        yield running


@pytest.mark.looks(
    "/desk/credit", "/desk/credit/commitments", "/desk/credit/entries/{entry}",
    "/desk/credit/lists/{listing}", "/desk/reviews", "/desk/complaints",
    "/desk/complaints/{ticket}",
)  # fmt: skip
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_shops_pages_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market)
        for name, path in {
            "credit": "/desk/credit", "entry": market.paths["entry"],
            "listing": market.paths["listing"], "commitments": "/desk/credit/commitments",
            "reviews": "/desk/reviews", "complaints": "/desk/complaints",
            "complaint": market.paths["complaint"],
        }.items():  # fmt: skip
            assert page.goto(market.url + path).status == 200
            look(page, pictures, f"own-{name}", lang)
        page.locator("#f-purpose").fill("答复投诉" * 10)
        page.locator('button[value="open"]').click()
        page.locator(".told").wait_for()
        look(page, pictures, "own-complaint-open", lang)
        assert noted.complaints == []
        assert noted.hosts == {urlsplit(market.url).netloc}


@pytest.mark.looks("/desk/decisions", "/desk/decisions/{kind}/{party}/{case}")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_authoritys_decisions_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY)
        page.goto(market.url + "/desk/decisions")
        look(page, pictures, "decisions", lang)
        page.locator(".card-title a").first.click()
        page.locator("#f-reason").wait_for()
        look(page, pictures, "decision-entry", lang)
        for name in ("promise", "to-list"):
            assert page.goto(market.url + market.paths[name]).status == 200
            look(page, pictures, f"decision-{name}", lang)
        assert noted.complaints == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_documents_are_shown_on_every_screen_and_a_wrong_one_is_named(
    market, chromium, pictures, lang
):
    entry = enter_fact(market, SHOP)
    page_of = f"/desk/credit/entries/{entry['id']}"
    wrong = {"name": "说明.html.pdf", "mimeType": "application/pdf", "buffer": HTML}
    letter = {"name": f"{LONG}.pdf", "mimeType": "application/pdf", "buffer": large_pdf(1_200_000)}
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, path="/desk/credit")
        page.goto(market.url + page_of)
        fields = page.locator('input[type="file"]')
        page.locator("#f-text").fill("已按期发货，见运单")
        fields.nth(0).set_input_files(PHOTO)
        fields.nth(1).set_input_files(wrong)
        page.locator('button[value="object"]').click()
        page.locator("#f-file2-error").wait_for()
        assert page.locator("#f-text").input_value() == "已按期发货，见运单"
        look(page, pictures, "own-documents-refused", lang)
        fields.nth(0).set_input_files(PHOTO)
        fields.nth(1).set_input_files(letter)
        page.locator('button[value="object"]').click()
        page.locator(".told").wait_for()
        look(page, pictures, "own-documents", lang)
    with opened(chromium, lang=lang, viewport=DESK) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/decisions")
        page.goto(f"{market.url}/desk/decisions/entries/{SHOP}/{entry['id']}")
        look(page, pictures, "decision-documents", lang)
        assert noted.complaints == []
