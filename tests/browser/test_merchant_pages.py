"""The merchant's pages: on a phone and a desk, both languages, and the way through them as a person goes."""

from __future__ import annotations

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_signed_pages import enter
from tests.imports.sheets import as_csv, gtin
from tests.web.market import GTIN
from tests.web.people import open_people_market
from tests.web.test_shipments_api import ship

pytestmark = pytest.mark.browser

HEAD = ["商品条码", "商品名称", "类别", "品牌"]
LANGS = ["zh", "en"]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("merchant")) as running:
        yield running


def unexpected(noted) -> list[str]:
    """What was complained of, but for a form refused on purpose."""
    return [one for one in noted.complaints if "status of 422" not in one]


def pick_file(page, rows) -> None:
    page.locator("#f-file").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": as_csv(rows)}
    )
    page.locator('form[enctype="multipart/form-data"] .button-first').click()


@pytest.mark.looks("/desk/imports", "/desk/imports/{job_id}", "/desk/imports/mapping")
@pytest.mark.parametrize("lang", LANGS)
def test_imports_can_be_read_and_done_on_every_screen(market, chromium, pictures, lang):
    first = 400 + 10 * LANGS.index(lang)
    rows = [HEAD, *([gtin(n), f"商品{n}" * 12, "食品", ""] for n in range(first, first + 3))]
    rows[2][0] = "6.90E+12"
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, path="/desk/imports")
        look(page, pictures, "imports", lang)
        pick_file(page, [["x" * 60, "y"], ["1", "2"]])
        page.locator(".refusal").wait_for()
        look(page, pictures, "imports-refused", lang)
        pick_file(page, rows)
        page.locator("#faults-title").wait_for()
        look(page, pictures, "import-planned", lang)
        page.locator(".card-acts .button-first").click()
        page.get_by_role("heading", name={"zh": "结果", "en": "What came of it"}[lang]).wait_for()
        look(page, pictures, "import-done", lang)
        page.goto(market.url + "/desk/imports/mapping")
        page.locator("#f-name").fill(f"店{lang}")
        page.locator("#f-goods").fill("DY-01")
        page.locator("#main .form .button-first").click()
        page.locator("#f-goods-error").wait_for()
        look(page, pictures, "mapping-refused", lang)
        page.locator("#f-goods").fill("DY-01 = 06901234567892")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        look(page, pictures, "mapping", lang)
        page.goto(market.url + "/desk/imports")
        look(page, pictures, "imports-history", lang)
        assert unexpected(noted) == []


@pytest.mark.parametrize("script", [True, False])
def test_a_running_import_is_followed_to_its_end(market, chromium, script):
    rooms = market.rooms
    first = 20_000 + 1_000 * script
    rows = [HEAD, *([gtin(n), f"商品{n}", "食品", ""] for n in range(first, first + 500))]
    with opened(chromium, lang="en", script=script) as (page, noted):
        enter(page, market, path="/desk/imports")
        pick_file(page, rows)
        page.locator('input[name="do"][value="apply"]').wait_for(state="attached")
        job = page.url.split("?")[0].rpartition("/")[2]
        with rooms.database.read() as connection:
            principal = rooms.imports.acting_for(_party(connection, job))
        rooms.imports.begin(principal, job)  # as by another process: nobody works on it yet
        page.reload()
        page.locator("progress").wait_for()
        while rooms.imports.work_on(job):
            pass
        page.get_by_role("heading", name="What came of it").wait_for(timeout=30_000)
        assert unexpected(noted) == []


def _party(connection, job: str) -> str:
    from app.imports import importstore

    return importstore.find_job(connection, job).party


@pytest.mark.looks(
    "/desk/products", "/desk/products/new", "/desk/products/{gtin}", "/desk/batches/{batch_id}",
)  # fmt: skip
@pytest.mark.parametrize("lang", LANGS)
def test_products_and_labels_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, path="/desk/products")
        look(page, pictures, "products", lang)
        page.goto(market.url + "/desk/products/new")
        look(page, pictures, "product-new", lang)
        page.goto(market.url + "/desk/products/06901234567892")
        page.locator("#f-lot").fill(f"L{lang}")
        page.locator('form[action$="/lots"] .button-first').click()
        page.locator(".told").wait_for()
        page.locator("#f-count").fill("2")
        page.locator('form[action$="/codes"] .button-first').click()
        page.locator("progress").wait_for()
        market.work()
        page.reload()
        page.locator(".label-look").wait_for()
        look(page, pictures, "batch", lang)
        page.goto(market.url + "/desk/products/06901234567892")
        look(page, pictures, "product", lang)
        assert unexpected(noted) == []


@pytest.mark.parametrize("lang", LANGS)
def test_a_new_shop_sees_where_to_begin_and_later_what_waits(market, chromium, pictures, lang):
    party = market.newcomer()
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", party)
        look(page, pictures, "begin", lang)
        page.locator(".begin-next .button-first").click()
        page.wait_for_url("**/desk/licences*")
        market.send(party, f"01/{GTIN}", "listing", {"platform": "某平台"}, hours=-40)
        assert ship(market, by=party, gtin=GTIN, quantity=2).status_code == 201
        page.goto(market.url + "/desk")
        page.locator(".works").wait_for()
        look(page, pictures, "desk-at-work", lang)
        page.goto(market.url + "/desk/shipments")
        look(page, pictures, "labels-to-print", lang)
        assert page.locator("#labels .tally").inner_text().startswith("2")
        assert unexpected(noted) == []
