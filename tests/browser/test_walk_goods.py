"""A shop on a phone and at a desk: products, labels, parcels, cases, licences, spreadsheets, a badge."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
import zxingcpp
from PIL import Image

from app.i18n import text
from app.kit.clock import china_day
from app.labels.layouts import LAYOUTS
from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import AUTHORITY, CARRIER
from tests.web.market import GTIN, PRODUCT
from tests.web.people import open_people_market
from tests.web.test_badges import site

__all__ = ["site"]

pytestmark = pytest.mark.browser

WORK = "#main .form .button-first"
LICENCE = "JY14412000999777"
ORDERS = ["单据号", "货品", "件数", "下单", "发货", "快递", "面单"]
FIELDS = ("order", "goods", "quantity", "ordered_at", "shipped_at", "carrier", "waybill")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk-goods")
    with open_people_market(folder, webhook_private=True) as running:
        running.numbers = iter(range(61_000, 62_000))
        yield running


@pytest.fixture
def party(market):
    """A shop of the test's own that lists what the market sells."""
    made = market.newcomer(region="441202")
    market.send(made, PRODUCT, "listing", {"platform": "某平台"}, hours=-400)
    return made


def told_of(market, code: str) -> dict:
    """Returns what the API tells of a unit."""
    return market.ask("GET", f"/api/v1/code?code={code}")


def records(market, code: str, type_: str) -> list[dict]:
    """Returns a unit's own records of a type, oldest first."""
    _, number, _, serial = code.split("/")
    found = market.ask("GET", f"/api/v1/codes/{number}/{serial}/events?limit=100")["items"]
    told = [one["record"] for one in found]
    return [one for one in told if one["stream"] == code and one["type"] == type_]


def look_at_label(walker) -> Image.Image:
    """Returns the label that a page shows, as it stands on the screen."""
    label = walker.page.locator(".label-look")
    label.evaluate("image => image.decode()")
    return Image.open(io.BytesIO(label.screenshot()))


@pytest.mark.walks(
    "/desk/products/new", "/desk/products/{gtin}/lots", "/desk/products/{gtin}/codes",
    "/desk/products/listings", "/desk/products/listings list", "/desk/batches/{batch_id}/print look",
    "/desk/batches/{batch_id}/print print", "/desk/entry",
)  # fmt: skip
def test_a_product_gets_a_lot_a_listing_and_labels_on_every_paper(market, walk, party):
    number = gtin(next(market.numbers))
    shop = walk(market).enter("owner", party, path="/desk/products")
    shop.follow('a[href^="/desk/products/new"]')
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    shop.send(
        WORK, refused=422, gtin=wrong, name="竹编果盘", category="consumer_goods", brand="示例"
    )
    shop.wrong("gtin")
    shop.send(WORK, gtin=number).told("product_kept")
    product = market.ask("GET", f"/api/v1/products/{number}")
    assert (product["name"], product["brand"]) == ("竹编果盘", "示例")

    made, ends = (china_day(market.clock.now() + timedelta(days=n)) for n in (-3, 300))
    shop.send('form[action$="/lots"] .button-first', lot="A1", produced_on=made, expires_on=ends,
              quantity="20").told("lot_kept")  # fmt: skip
    lot = market.ask("GET", f"/api/v1/lots/{number}/A1")
    assert (lot["produced_on"], lot["expires_on"]) == (made, ends)

    shop.open(f"/desk/products?q={number}")
    shop.touch(f'input[name=gtin][value="0{number}"]')
    shop.send('form[action$="/listings"] button')
    shop.send(WORK, platform="集市丁", title="果盘 一件").says("集市丁")
    shop.open(f"/desk/products/0{number}").says("集市丁", where="#listed-title ~ ul")

    shop.send('form[action$="/codes"] .button-first', count="3", of_lot="A1", inner="yes")
    batch = shop.path
    market.work()
    shop.open(batch)
    units = market.codes_of(batch.rpartition("/")[2], by=party)
    (read,) = zxingcpp.read_barcodes(look_at_label(shop).convert("L"))
    assert read.text == units[0].uri
    assert all(one.inner for one in units)
    assert told_of(market, units[0].code)["lot"] == "A1"

    for layout in LAYOUTS:
        shop.send("button[value=look]", layout=layout, symbol="datamatrix", start="2", count="1")
        (read,) = zxingcpp.read_barcodes(look_at_label(shop).convert("L"))
        assert units[1].serial in read.text, layout
        sheet = shop.fetch("button[value=print]", layout=layout, output="pdf", reason="试印")
        assert sheet.read_bytes()[:5] == b"%PDF-"
        assert shop.file == f"labels-{batch.rpartition('/')[2]}-2-2.pdf"
    for output in ("zpl203", "zpl300"):
        assert shop.fetch("button[value=print]", output=output).read_bytes()[:3] == b"~DG"

    shop.follow('a[href*="type=void"]')
    shop.send(WORK, code=units[1].uri, reason="印坏了").says(units[1].code, where=".told")
    assert told_of(market, units[1].code)["state"] == "void"
    shop.open(batch).fetch("button[value=print]", start="1", count="3", reason="卡纸重印")
    shop.open(batch)
    last = shop.page.locator("#prints-title ~ ul > li").first
    assert "卡纸重印" in last.inner_text()
    assert text(shop.lang, "batches.void", count=1) in last.inner_text()
    assert text(shop.lang, "batches.again", count=1) in last.inner_text()


@pytest.mark.walks(
    "/desk/entry", "/desk/dispatch", "/desk/records/correct", "/desk/ratings", "/desk/shipments/labels",
)  # fmt: skip
def test_goods_are_sold_sent_off_corrected_and_their_carrier_rated(market, walk, party):
    (unit,) = market.issue(by=party)
    shop = walk(market).enter("owner", party, path=f"/desk/entry?type=sale&code={unit.code}")
    shop.send(WORK, refused=422, platform="某平台", order="A-1", region="999999").wrong("region")
    shop.send(WORK, region="440100").says(unit.code, where=".told")
    (sale,) = records(market, unit.code, "sale")
    assert sale["data"] == {"platform": "某平台", "region": "440100"}
    assert set(sale["sealed"]) == {"order"}

    shop.open("/desk/dispatch")
    send = "#dispatch .button-first"
    shop.press(send, carrier=CARRIER, code=unit.uri, waybill="?").page.locator(
        "#failed li"
    ).wait_for()
    shop.expected.append("status of 422")
    shop.touch("#failed button")  # what was refused is taken up again, as it was sent
    assert shop.page.locator("#f-code").input_value() == unit.uri
    shop.press(send, waybill="TEST7300000001").says("1", where="#done b")
    assert told_of(market, unit.code)["state"] == "in_transit"

    shop.open(f"/desk/records?code={unit.code}").follow('.card a[href*="/correct"]')
    shop.send(WORK, refused=422, to="999999").wrong("to")
    shop.send(WORK, to="440300").told("corrected")
    (told,) = records(market, unit.code, "correction")
    assert told["data"]["changes"] == {"to": "440300"}

    shop.open("/desk/ratings").send(".card .button-first", rating="4", text="准时").told("rated")
    (rated,) = records(market, unit.code, "carrier_rating")
    assert (rated["data"]["rating"], rated["data"]["carrier"]) == (4, CARRIER)

    body = {"order": "A-2", "ordered_at": market.at(-1), "gtin": GTIN, "quantity": 2,
            "carrier": CARRIER, "waybill": "TEST7300000002", "shipped_at": market.at(-1)}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[party], status=201)
    shop.open("/desk/shipments").says("2", where="#labels .tally")
    labels = shop.fetch("#labels .button-first", layout="roll-60x40")
    assert labels.read_bytes()[:5] == b"%PDF-"
    assert shop.open("/desk/shipments").page.locator("#labels").count() == 0


@pytest.mark.walks(
    "/desk/cases", "/desk/cases/{sscc} add", "/desk/cases/{sscc} sale", "/desk/cases/{sscc} take",
    "/desk/cases/{sscc} take_all",
)  # fmt: skip
def test_a_case_is_packed_sold_and_unpacked(market, walk, party):
    units = [one.code for one in market.issue(2, by=party)]
    shop = walk(market).enter("owner", party, path="/desk/cases")
    make = 'form[action="/desk/cases"][method=post] button'
    shop.send(make, refused=422, company_prefix="12").wrong("company_prefix")
    shop.send(make, company_prefix="6901234")
    case = shop.path
    for n, unit in enumerate(units, start=1):
        shop.press("#dispatch .button-first", code=f"{market.url}/{unit}")
        shop.says(str(n), where="#done b")
    shop.open(case)
    assert shop.page.locator("#inside-title ~ ul > li").count() == 2
    shop.send('form:has([value="sale"]) button', refused=422, order="K-1", region="999999")
    shop.wrong("region")
    shop.send('form:has([value="sale"]) button', region="440100")
    assert {told_of(market, unit)["state"] for unit in units} == {"sold"}

    shop.open(case).send('form:has([value="take"]) button')
    assert shop.open(case).page.locator("#inside-title ~ ul > li").count() == 1
    shop.send('form:has([value="take_all"]) button')
    assert shop.open(case).page.locator("#inside-title ~ ul > li").count() == 0


@pytest.mark.walks(
    "/desk/licences", "/desk/licences/end", "/desk/licence-checks verify",
    "/desk/licence-checks reject",
)  # fmt: skip
def test_a_licence_is_told_found_true_renewed_and_given_up(market, walk, party):
    shop = walk(market).enter("owner", party, path="/desk/licences")
    office = walk(market).enter("owner", AUTHORITY, path="/desk/licence-checks")
    soon, later = (china_day(market.clock.now() + timedelta(days=n)) for n in (20, 900))

    def state() -> list[tuple[str, str]]:
        """Returns the licences that count, with their last days."""
        found = market.ask("GET", f"/api/v1/parties/{party}/licences", token=market.keys[party])
        return [(one["state"], one.get("valid_until", "")) for one in found["items"]]

    def check(do: str, **fields: str) -> None:
        office.open("/desk/licence-checks")
        card = office.page.locator(".card", has_text=party).filter(has_text=LICENCE)
        office.send(card.locator(f"button[value={do}]"), **fields)

    shop.send(WORK, refused=422, kind="food_business", number="JY1").wrong("number")
    shop.send(WORK, number=LICENCE, valid_until=soon).told("licence_told")
    check("reject", evidence="查无此证", reason="other_holder")
    office.told("licence_rejected")
    shop.open("/desk/licences").says(text(shop.lang, "licence.refused.other_holder"))

    shop.send(WORK, kind="food_business", number=LICENCE, valid_until=soon).told("licence_told")
    check("verify", evidence="已在公示系统查验")
    office.told("licence_verified")
    assert ("in_force", soon) in state()
    shop.open("/desk").follow('a[href*="renew="]')
    assert shop.page.locator("#f-number").input_value() == LICENCE
    shop.send(WORK, valid_until=later).told("licence_told")
    shop.send("form:has([name=told]) .plain-danger").told("licence_withdrawn")
    assert ("in_force", soon) in state(), "what counts already goes on"
    shop.send('form[action$="/end"]:not(:has([name=told])) .plain-danger').told("licence_ended")
    assert "in_force" not in dict(state())


@pytest.mark.walks(
    "/desk/imports", "/desk/imports/{job_id} apply", "/desk/imports/{job_id} drop",
    "/desk/imports/mapping", "/desk/imports/mapping forget",
)  # fmt: skip
def test_products_and_orders_come_from_spreadsheets_and_columns_are_remembered(market, walk, party):
    number = gtin(next(market.numbers))
    goods = [
        ["商品条码", "商品名称", "类别"],
        [number, "粽子", "日用消费品"],
        ["6.90E+12", "错", "食品"],
    ]
    at = [market.at(n).replace("T", " ")[:16] for n in (-5, -4)]
    orders = [ORDERS, ["MP-1", "DY-01", "2", *at, "本地快递", "TEST7400000001"]]
    shop = walk(market).enter("owner", party, path="/desk/imports")

    def give(kind: str, rows, **more) -> None:
        file = {"name": f"{kind}.csv", "mimeType": "text/csv", "buffer": as_csv(rows)}
        shop.open("/desk/imports")
        shop.send('form[enctype="multipart/form-data"] .button-first', kind=kind, file=file, **more)

    give("products", goods)
    shop.says("6.90E+12", where="#faults-title ~ table")
    lines = shop.fetch('a[href$="/errors.csv"]').read_text("utf-8-sig").splitlines()
    assert lines[1].startswith("3,")
    shop.send("form:has([value=drop]) button").told("import_dropped")
    assert market.call("GET", f"/api/v1/products/{number}").status_code == 404
    give("products", goods)
    shop.send("form:has([value=apply]) button")
    market.work()
    shop.open(shop.path)
    assert market.ask("GET", f"/api/v1/products/{number}")["name"] == "粽子"

    shop.open("/desk/imports")
    file = {"name": "o.csv", "mimeType": "text/csv", "buffer": as_csv(orders)}
    shop.send(
        'form[enctype="multipart/form-data"] .button-first',
        refused=422,
        kind="shipments",
        file=file,
    )
    columns = {f"mapping_columns_{name}": head for name, head in zip(FIELDS, ORDERS, strict=True)}
    shop.open("/desk/imports/mapping")
    shop.send(WORK, refused=422, name="小店", goods="DY-01", **columns).wrong("goods")
    shop.send(WORK, goods=f"DY-01 = {GTIN}", carriers=f"本地快递 = {CARRIER}").told("mapping_kept")
    give("shipments", orders, mapping="shipments/小店")
    shop.send("form:has([value=apply]) button")
    market.work()
    shop.open(shop.path)
    sent = market.ask("GET", "/api/v1/shipments?state=in_transit",
                      token=market.keys[party])  # fmt: skip
    assert len(sent["items"]) == 2
    shop.open("/desk/imports/mapping").send("form:has([value=forget]) button")
    shop.told("mapping_forgotten")


@pytest.mark.walks("/desk/badge", "/desk/badge/act check", "/desk/badge/act drop")
def test_a_domain_is_named_looked_for_and_shows_a_badge_until_it_is_dropped(
    market, walk, party, site
):
    shop = walk(market).enter("owner", party, path="/desk/badge")
    shop.send(WORK, refused=422, domain="no domain").wrong("domain")
    shop.send(WORK, domain=f"http://{site.domain}/shop").told("domain_added")
    shop.send("button[value=check]").told("domain_missing")
    site.line = shop.read(".row-code:last-child dd")
    market.clock.advance(11)
    shop.send("button[value=check]").told("domain_found")
    assert shop.page.locator("img[src^='/badge/']").evaluate("image => image.naturalWidth") > 0
    badge = f"/badge/{party}.json?domain={site.domain}"
    assert market.call("GET", badge).status_code == 200
    shop.send("button[value=drop]").told("domain_dropped")
    assert market.call("GET", badge).status_code == 404
