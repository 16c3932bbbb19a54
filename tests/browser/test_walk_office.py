"""Authorities, customs and a platform on a phone and at a desk: what they look for and what they decide."""

from __future__ import annotations

import threading
import zipfile
from datetime import timedelta

import pytest

from app.i18n import text
from app.kit.clock import china_day
from tests.web.authority import GTIN, neglected, open_two_provinces, sold
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, PRODUCT
from tests.web.test_texts_api import WORDS, bought, review

pytestmark = pytest.mark.browser

WORK = "#main .form .button-first"
PURPOSE = "投诉 2026-17"
BASIS = "《电子商务法》第八十条"
SURE = {"sure": "yes"}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("walk-office")) as running:
        for _ in range(6):
            neglected(running, running.near)
        running.clock.advance(60 * 86_400)
        running.work()
        path = f"/api/v1/findings?party={running.near}&kind=continuity&status=open"
        found = running.ask("GET", path, token=running.keys[AUTHORITY])["items"]
        running.open_findings = [one["id"] for one in found]
        running.declared = iter(range(12, 90))
        yield running


def finding_of(market, finding: str) -> dict:
    return market.ask("GET", f"/api/v1/findings/{finding}", token=market.keys[AUTHORITY])


def looks(market, by: str = AUTHORITY) -> list[dict]:
    """Returns the log of purposes, newest first."""
    return market.ask("GET", "/api/v1/access-log?limit=200", token=market.keys[by])["items"]


@pytest.mark.walks(
    "/desk/search", "/desk/chains/01/{gtin}", "/desk/chains/01/{gtin}/10/{lot}",
    "/desk/chains/01/{gtin}/21/{serial}", "/desk/evidence",
)  # fmt: skip
def test_a_chain_is_found_by_its_waybill_opened_for_a_purpose_and_taken_away(market, walk):
    unit, order, waybill = sold(market, market.near)
    told = {"declaration": f"5166202610000000{next(market.declared)}", "mode": "9610", "port": "广州南沙",
            "origin": "IT"}  # fmt: skip
    lot = market.lot(f"L{order}", **{"import": told})
    listed = market.send(SHOP, PRODUCT, "listing", {"platform": PLATFORM, "title": "同款"})
    of = {"of": listed["id"], "changes": {"title": "礼盒"}}
    sealed = {"detail": {"content": {"text": "写错了"}}}
    market.send(SHOP, PRODUCT, "correction", of, sealed=sealed)
    market.work()
    office = walk(market).enter("owner", AUTHORITY, path="/desk/search")
    office.send(".lookup .button-first", refused=422, q="x", region="999999").wrong("region")
    office.send(".lookup .button-first", refused=422, q=waybill, region="").wrong("purpose")
    assert office.page.locator("#f-q").input_value() == waybill
    office.send(".lookup .button-first", purpose=PURPOSE)
    assert waybill not in office.page.url
    office.follow(f'a[href*="{unit.serial}"]')
    assert office.path == f"/desk/chains/{unit.code}"
    opened = "main .form .button"
    for code, word in ((unit.code, waybill), (PRODUCT, "写错了"), (lot, told["declaration"])):
        office.open(f"/desk/chains/{code}")
        assert word not in office.page.content()
        office.send(opened, refused=422, purpose="x").wrong("purpose")
        office.send(opened, purpose=PURPOSE).says(word, where="#records-title ~ ol")
    assert {one["purpose"] for one in looks(market) if one["by"] == office.account} == {PURPOSE}

    office.open("/desk/evidence").send(
        WORK, refused=422, goods=unit.code, sealed="yes", purpose="x"
    )
    office.wrong("purpose")
    package = office.fetch(WORK, purpose=PURPOSE)
    with zipfile.ZipFile(package) as told:
        assert waybill in "".join(
            told.read(name).decode("utf-8", "replace") for name in told.namelist()
        )
        assert any(name.endswith("verify_proof.py") for name in told.namelist())


@pytest.mark.walks(
    "/desk/findings/{finding} assign", "/desk/findings/{finding} note",
    "/desk/findings/{finding} attribute", "/desk/findings/{finding} dismiss",
    "/desk/findings/{finding} measure",
)  # fmt: skip
def test_findings_are_given_to_somebody_noted_and_disposed_of(market, walk):
    charged, excused, warned = (market.open_findings.pop() for _ in range(3))
    office = walk(market).enter("owner", AUTHORITY, path=f"/desk/findings/{charged}")
    office.send("button[value=assign]", assignee=office.account).told("finding_assigned")
    office.send("button[value=note]", text="已问承运方").told("finding_noted")
    office.open("/desk/findings?assignee=%40me").follow(f'.waits a[href*="{charged}"]')
    office.says("已问承运方")
    office.send(
        "button[value=attribute]", refused=422, to="carrier", party="nobody", reason="承运方丢件"
    )
    office.wrong("party")
    office.send("button[value=attribute]", party=CARRIER).told("finding_attributed")
    told = finding_of(market, charged)
    assert (told["attributed_to"], told["party"]) == ("carrier", CARRIER)

    office.open(f"/desk/findings/{excused}")
    office.send("button[value=dismiss]", reason="包裹已找到").told("finding_dismissed")
    assert finding_of(market, excused)["status"] == "dismissed"

    office.open(f"/desk/findings/{warned}")
    office.send("button[value=measure]", kind="warn", basis=BASIS).told("measure_recorded")
    path = "/api/v1/publications?state=due&limit=500"
    due = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    assert market.near in {one["party"] for one in due}


@pytest.mark.walks(
    "/desk/parties/{party}/measure", "/desk/parties/{party}/lift", "/desk/parties/{party}/entry",
    "/desk/parties/{party}/lists/{name}", "/desk/publications",
)  # fmt: skip
def test_a_party_is_measured_entered_listed_published_and_let_go(market, walk):
    party = market.newcomer(region="441200")
    office = walk(market).enter("owner", AUTHORITY, path=f"/desk/parties/{party}")
    office.follow('a[href$="/measure"]').send(WORK, refused=422, kind="delist", basis=" ", **SURE)
    office.wrong("basis")
    office.send(WORK, basis=BASIS).told("measure_recorded")
    office.follow('a[href$="/entry"]')
    office.send(WORK, refused=422, rule="spot_check_failed", title="抽检报告", **SURE).wrong(
        "number"
    )
    office.send(WORK, number="2026-1123", issuer="肇庆市市场监督管理局").told("entry_made")
    office.follow('a[href$="/lists/black"]')
    office.send(
        WORK, criterion="decision_evaded", title="处罚决定书", number="肇市监罚〔2026〕1号", **SURE
    )
    office.told("listing_made")
    entries = market.ask("GET", f"/api/v1/credit/{party}/entries", token=market.keys[party])[
        "items"
    ]
    assert [one["rule"] for one in entries] == ["spot_check_failed"]

    office.open("/desk/publications")
    card = office.page.locator(".card", has_text=party)
    office.send(card.locator(".button-first"), refused=422, url="https://x/" + " ", on="2001-01-01")
    card.locator(".field-error").first.wait_for()
    today = china_day(market.clock.now())
    office.send(card.locator(".button-first"), on=today, url="https://example.gov.cn/7")
    office.told("measure_published")
    delist = text(office.lang, "page.measure.delist")
    walk(market).open(f"/credit/{party}").says(delist, where=".notice-measure")

    office.open(f"/desk/parties/{party}").follow('a[href*="/lift?kind=delist"]')
    office.send(WORK, basis="已整改", **SURE).told("measure_lifted")
    assert office.page.locator('a[href*="/lift"]').count() == 0


@pytest.mark.walks("/desk/audits", "/desk/audits/{job_id}/report", "/audit-reports/{report_id}")
def test_an_audit_is_watched_to_its_end_and_its_report_taken_away_and_compared(
    market, walk, monkeypatch
):
    audits, go_on = market.rooms.audits, threading.Event()
    take_in = audits._take_in

    def held_up(part):
        if part.names and not go_on.is_set():
            assert go_on.wait(60), "nobody looked"
        return take_in(part)

    market.publish()
    office = walk(market).enter("owner", AUTHORITY, path="/desk/audits")
    office.send(WORK, refused=422, scope="code", about="nothing").wrong("about")
    office.send(WORK, scope="all", about="")
    job = office.path
    monkeypatch.setattr(audits, "_take_in", held_up)
    runs = threading.Thread(target=audits.run_job)
    runs.start()
    try:
        # Its own script brings the page up to date; nobody loads it again.
        office.page.locator("progress").wait_for()
    finally:
        go_on.set()
        runs.join()
    office.page.locator("#report-title").wait_for()
    assert office.path == job
    told = market.ask(
        "GET", f"/api/v1/audits/{job.rpartition('/')[2]}", token=market.keys[AUTHORITY]
    )
    assert told["status"] == "done"
    office.says(f"{told['records']:,}", where="#progress")

    office.send('form[action$="/report"] .button-first').told("report_made")
    paper = office.fetch(f'a[href$="/report.{office.lang}.pdf"]')
    assert paper.read_bytes()[:5] == b"%PDF-"
    office.follow('a[href^="/audit-reports/"]')
    reader = walk(market).open(office.path)
    pdf = {"name": "report.pdf", "mimeType": "application/pdf", "buffer": paper.read_bytes()}
    reader.send(".photo button", file=pdf)
    assert reader.page.locator("section.told-good[role=alert]").count() == 1
    pdf["buffer"] += b"\n"
    reader.send(".photo button", file=pdf)
    assert reader.page.locator("section.refusal[role=alert]").count() == 1


@pytest.mark.walks("/desk/customs look", "/desk/customs hold", "/desk/customs release")
def test_a_declaration_is_looked_at_held_and_released(market, walk):
    number = f"5166202610000000{next(market.declared)}"
    told = {"declaration": number, "mode": "9610", "port": "广州南沙", "origin": "IT"}
    lot = market.lot(f"IMP-{number[-2:]}", **{"import": told})
    (unit,) = market.issue(lot=f"IMP-{number[-2:]}")
    market.sell(unit.code, sealed={"order": {"content": {"number": f"C-{number[-2:]}"}}})
    office = walk(market).enter("owner", CUSTOMS, path="/desk/customs")
    office.send("button[value=look]", refused=422, number="51", purpose="?").wrong("number")
    for do, words in (("hold", "hold"), ("release", "release")):
        office.open("/desk/customs")
        office.send(
            "button[value=look]",
            number=number,
            order=f"C-{number[-2:]}",
            waybill="NONE0001",
            purpose="查验 2026-9",
        )
        assert number not in office.page.url
        if do == "hold":
            office.send("button[value=hold]", refused=422, port="广州南沙", reason=" ").wrong(
                "reason"
            )
        sure = {"despite": "yes"} if do == "release" else {}  # nobody has promised that waybill
        office.send(
            f"button[value={do}]",
            port="广州南沙",
            reason="单证待核",
            certificate="示例 CIQ 2026",
            **sure,
        )
        office.told(f"customs_{do}")
        assert office.read(".card .state") == text(office.lang, f"customs.is.{words}")
    found = market.ask("GET", f"/api/v1/lots/{GTIN}/{lot.rpartition('/')[2]}/events")["items"]
    assert [one["record"]["type"] for one in found if one["record"]["actor"] == CUSTOMS][-1] == (
        "customs_release"
    )


@pytest.mark.walks("/desk/texts hide", "/desk/texts show", "/desk/entry")
def test_a_text_is_hidden_with_its_reason_shown_again_and_goods_are_inspected(market, walk):
    it = bought(market)
    review(market, it)
    buyer = walk(market).open(f"/{it.unit.code}").says(WORDS, where=".chain")
    buyer = walk(market)
    office = walk(market).enter("owner", AUTHORITY, path=f"/desk/chains/{it.unit.code}")
    office.follow('a[href*="/desk/texts"][href*="code="]')
    office.send("button[value=hide]", reason="insult").told("text_hidden")
    buyer.open(f"/{it.unit.code}").says(text(buyer.lang, "page.hiding.insult"), where=".chain")
    assert WORDS not in buyer.page.content()
    office.send("button[value=show]").told("text_shown")
    buyer.open(f"/{it.unit.code}").says(WORDS, where=".chain")

    office.open(f"/desk/chains/{it.unit.code}").follow('a[href*="type=inspection"]')
    office.send(WORK, result="合格").says(it.unit.code, where=".told")
    found = market.ask("GET", f"{it.unit.path}/events?limit=100")["items"]
    kinds = [one["record"]["type"] for one in found if one["record"]["actor"] == AUTHORITY]
    assert kinds == ["hiding", "hiding", "inspection"]


@pytest.mark.walks("/desk/recalls/new", "/desk/recalls/reach", "/desk/recalls/reach.csv")
def test_goods_are_recalled_from_a_serial_on_followed_and_let_go(market, walk):
    name = f"R{len(market.keys)}{walk.screen.name}"
    lot = market.lot(name)
    units = [one.code for one in market.issue(3, lot=name)]
    market.sell(units[0])
    shop, office = walk(market), walk(market)
    shop.enter("owner", SHOP, path="/desk/recalls/new")
    part = {"code": lot, "serial_from": units[1], "serial_to": units[2]}
    shop.send(WORK, refused=422, codes="nothing", reason="玻璃碎屑").wrong("codes")
    shop.send(WORK, codes="", level="1", **part)
    assert market.call("GET", f"/{units[1]}").text.count("notice-recall") == 0, "only counted"
    shop.says("2", where="#plan-title").send(WORK).told("recall_made")
    buyer = walk(market).open(f"/{units[1]}")
    assert buyer.page.locator("section.notice-recall").count() == 1

    office.enter("owner", AUTHORITY, path=f"/desk/recalls?code={lot}")
    office.send(WORK, refused=422, code=lot, purpose="x").wrong("purpose")
    office.send(WORK, purpose="召回 2026-11")
    lines = office.fetch("form[action$='reach.csv'] button").read_text("utf-8-sig").splitlines()
    assert len(lines) == 4
    assert "召回 2026-11" in {one["purpose"] for one in looks(market)}

    shop.open(f"/desk/recalls/new?type=recall_lifted&code={units[1]}")
    shop.send(WORK, codes="\n".join(units[1:]), reason="已复检").told("recall_lifted")
    buyer.open(f"/{units[1]}")
    assert buyer.page.locator("section.notice-recall").count() == 0


@pytest.mark.walks("/desk/order-counts")
def test_a_platform_tells_a_shops_orders(market, walk):
    platform = walk(market).enter("owner", PLATFORM, path="/desk/order-counts")
    month = china_day(market.clock.now() - timedelta(days=40))[:7]
    platform.send(WORK, refused=422, seller=market.near, gtin=GTIN, period="x", orders="30")
    platform.wrong("period")
    platform.send(WORK, period=month).told("orders_told")
