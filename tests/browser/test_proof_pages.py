"""Audits, reports, packages, figures and badges in a real browser: on a phone and a desk, light and dark."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_signed_pages import enter
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

LANGS = ["zh", "en"]
SHOP_PAGE = Path(__file__).parents[2] / "docs" / "example-shop" / "serve.py"


def seller(market, region: str) -> str:
    party = market.newcomer(region=region)
    body = {"gtin": "06901234567892", "name": "端砚文房礼盒", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party])
    return party


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proof")
    with open_people_market(folder, webhook_private=True) as running:
        for region in ("440300", "441200"):
            party = seller(running, region)
            unit = running.one(by=party)
            running.send(party, unit.code, "sale", {"region": "440100"}, hours=-24 * 9)
        running.clock.advance(40 * 86_400)
        running.complete(running.one().code)
        running.work()
        while running.rooms.figures.follow():
            pass
        yield running


@pytest.fixture(scope="module")
def damaged(market):
    """A unit whose sale was altered; not the shop's, whose goods would rank lower for it."""
    party = seller(market, "441200")
    unit = market.one(by=party)
    sent = market.send(party, unit.code, "sale", {"region": "440100"}, hours=-3)
    market.publish()
    place = bytes.fromhex(sent["hash"])
    market.tamper(
        "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?", "440100", "440300", place
    )
    return unit


def unexpected(noted) -> list[str]:
    # A form that is answered by a file leaves its page, which chromium calls a failure.
    expected = ("status of 4", "failed: .*/desk/evidence")
    return [one for one in noted.complaints if not any(re.search(word, one) for word in expected)]


def run_all(market) -> None:
    while market.rooms.audits.run_job():
        pass


@pytest.mark.looks("/desk/audits", "/desk/audits/{job_id}", "/audit-reports/{report_id}")
@pytest.mark.parametrize("lang", LANGS)
def test_an_audit_and_its_report_can_be_read_on_every_screen(
    market, chromium, pictures, damaged, lang
):
    with opened(chromium, lang=lang, accept_downloads=True) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/audits")
        page.locator('input[value="code"]').check()
        page.locator("#f-about").fill("01/06901234567893")
        page.locator("#main .form .button-first").click()
        page.locator("#f-about-error").wait_for()
        look(page, pictures, "audits-refused", lang)
        page.locator("#f-about").fill(damaged.uri)
        page.locator("#main .form .button-first").click()
        page.locator("#progress[data-running]").wait_for()
        look(page, pictures, "audit-waiting", lang)
        run_all(market)
        page.reload()
        page.locator(".card .rows").wait_for()
        look(page, pictures, "audit-done", lang)
        page.locator('form[action$="/report"] .button-first').click()
        page.locator(".told").wait_for()
        look(page, pictures, "audit-report-made", lang)
        with page.expect_download() as download:
            page.locator(f'a[href$="report.{lang}.pdf"]').click()
        paper = Path(download.value.path())
        assert paper.read_bytes().startswith(b"%PDF")
        page.locator('a[href*="/audit-reports/"]').click()
        page.locator("#file").wait_for()
        look(page, pictures, "report-check", lang)
        page.locator("#file").set_input_files(
            {"name": "r.pdf", "mimeType": "application/pdf", "buffer": paper.read_bytes()}
        )
        page.locator(".photo .button").click()
        page.locator(".told").wait_for()
        page.locator("#file").set_input_files(
            {"name": "r.pdf", "mimeType": "application/pdf", "buffer": paper.read_bytes() + b" "}
        )
        page.locator(".photo .button").click()
        page.locator(".refusal").wait_for()
        look(page, pictures, "report-other", lang)
        page.goto(market.url + "/desk/audits")
        look(page, pictures, "audits", lang)
        assert unexpected(noted) == []


@pytest.mark.parametrize("script", [True, False])
def test_a_running_audit_is_followed_to_its_end(market, chromium, script):
    with opened(chromium, lang="en", script=script) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/audits")
        page.locator("#main .form .button-first").click()
        page.locator("#progress[data-running]").wait_for()
        market.rooms.audits.run_job()
        page.locator("#report-title").wait_for(timeout=30_000)
        assert unexpected(noted) == []


@pytest.mark.looks("/desk/evidence")
@pytest.mark.parametrize("lang", LANGS)
def test_a_package_is_asked_for_and_comes_whole(market, chromium, pictures, lang):
    unit = market.one()
    market.complete(unit.code)
    market.publish()
    with opened(chromium, lang=lang, accept_downloads=True) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/evidence")
        page.locator("#f-goods").fill(unit.code)
        page.locator('input[name="sealed"]').check()
        page.locator("#main .form .button-first").click()
        page.locator("#f-purpose-error").wait_for()
        look(page, pictures, "evidence-refused", lang)
        assert page.locator("#f-goods").input_value() == unit.code
        page.locator("#f-purpose").fill("案号 77")
        with page.expect_download() as download:
            page.locator("#main .form .button-first").click()
        assert Path(download.value.path()).read_bytes().startswith(b"PK")
        assert "77" not in page.url.removeprefix(market.url)  # a port may hold it
        assert unexpected(noted) == []


@pytest.mark.looks("/desk/figures")
@pytest.mark.parametrize("lang", LANGS)
def test_the_figures_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "operator", None, path="/desk/figures")
        look(page, pictures, "figures", lang)
        page.goto(market.url + "/desk/figures?months=24")
        look(page, pictures, "figures-24", lang)
        rows = page.locator("details table tbody tr")
        assert rows.count() == 3 * 24
        assert unexpected(noted) == []


# --- the badge -----------------------------------------------------------------------------------


@pytest.fixture
def shop(market):
    """The example shop of docs/, on a port of its own, its domain verified by the file that it serves."""
    env = {
        **{name: os.environ[name] for name in ("PATH",) if name in os.environ},
        "SUXIN_URL": market.url,
        "SUXIN_PARTY": SHOP,
        "SUXIN_API_KEY": market.keys[PLATFORM],
        "SUXIN_RECEIPT_KEY": market.call("GET", "/log/receipt-key").text,
    }
    running = []

    def serve(port: int, line: str, domain: str, **more: str) -> str:
        told = {**env, "SHOP_BADGE_LINE": line, "SHOP_DOMAIN": domain, **more}
        process = subprocess.Popen(
            [sys.executable, str(SHOP_PAGE), str(port)], env=told, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process.stdout.readline().strip()

    yield serve
    for process in running:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_the_example_shop_shows_its_badge_and_a_copy_elsewhere_fails_visibly(
    market, chromium, pictures, shop
):
    from tests.ports import free_port

    port = free_port()
    domain = f"127.0.0.1:{port}"
    token = market.keys[SHOP]
    made = market.ask("POST", "/api/v1/badge-domains", {"domain": domain}, token=token, status=201)
    url = shop(port, made["token"], domain)
    assert url == f"http://{domain}"
    assert market.ask("POST", f"/api/v1/badge-domains/{domain}/check", token=token)["verified"]
    with opened(chromium, lang="zh", script=True) as (page, noted):
        page.goto(url)
        page.locator("#checked.right").wait_for()
        goods = page.locator("#goods li")
        goods.nth(1).wait_for()
        assert "礼盒" in goods.first.inner_text()  # traced goods first, and why
        assert len(goods.first.locator("small").inner_text()) > 4
        image = page.locator("#badge img")
        assert image.evaluate("one => one.complete && one.naturalWidth") == 264
        pictures(page, "shop-390.png")
        with page.expect_popup() as popup:
            page.locator("#badge").click()
        checked = popup.value
        checked.locator(".told").wait_for()
        assert domain in checked.locator(".told").inner_text()
        assert unexpected(noted) == []

    # Somebody copies the page, badge and all, to a site of his own.
    other = free_port()
    copied = shop(other, "", domain)
    with opened(chromium, lang="en", script=True) as (page, _):
        page.goto(copied)
        page.locator("#checked.wrong").wait_for()
        assert f"not for 127.0.0.1:{other}" in page.locator("#checked").inner_text()
        address = page.locator("#badge img").get_attribute("src")
        headers = {"Referer": copied + "/", "Accept-Language": "en"}
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            assert "Not for this site" in answer.read().decode()
        pictures(page, "shop-copied-390.png")
        with page.expect_popup() as popup:
            page.locator("#badge").click()
        popup.value.locator(".refusal").wait_for()
        assert f"127.0.0.1:{other}" in popup.value.locator(".refusal").inner_text()


def test_the_example_shop_with_a_sellers_key_sells_on_and_says_who_may_rank(
    market, chromium, pictures, shop
):
    from tests.ports import free_port

    port = free_port()
    market.keys["seller's own"] = market.key_of(SHOP, "ranking")
    key = {"SUXIN_API_KEY": market.keys["seller's own"]}
    url = shop(port, "", f"127.0.0.1:{port}", **key)
    with opened(chromium, lang="zh", script=True) as (page, _):
        page.goto(url)
        page.locator("#ranked").wait_for()
        assert "能做的是：平台、监管部门、运营管理员" in page.locator("#ranked").inner_text()
        goods = page.locator("#goods li")
        assert [one.split(" ")[0] for one in goods.all_inner_texts()] == [
            "无追溯码的砚台", "端砚文房礼盒",
        ]  # fmt: skip
        pictures(page, "shop-refused-390.png")


def test_the_browser_refuses_badges_that_were_touched(market, chromium, shop):
    from tests.ports import free_port

    port = free_port()
    domain = f"127.0.0.1:{port}"
    token = market.keys[SHOP]
    made = market.ask("POST", "/api/v1/badge-domains", {"domain": domain}, token=token, status=201)
    url = shop(port, made["token"], domain)
    assert market.ask("POST", f"/api/v1/badge-domains/{domain}/check", token=token)["verified"]
    body = market.ask("GET", f"/badge/{SHOP}.json?domain={domain}")
    key = market.call("GET", "/log/receipt-key").text.strip()
    verify = """async ([told, asked]) => {
        const { verifyBadge } = await import("/badge.js");
        try { return (await verifyBadge(told, { ...asked, now: new Date(asked.now) })).grade; }
        catch (err) { return "refused: " + err.message; }
    }"""
    good = {"key": key, "host": domain, "now": body["badge"]["as_of"]}
    with opened(chromium, lang="en", script=True) as (page, _):
        page.goto(url)

        def told(change=lambda note: note, **asked) -> str:
            return page.evaluate(
                verify, [{**body, "note": change(body["note"])}, {**good, **asked}]
            )

        assert told() == body["badge"]["grade"]
        assert "not for evil.example" in told(host="evil.example")
        assert "expired" in told(now=market.at(25))
        assert "signature" in told(lambda note: note.replace('"score":', '"score":1', 1))
        # Not its last sign, of whose bits two say nothing.
        flipped = re.sub(
            r"(.)(.{4}=\n)$", lambda m: ("A" if m[1] != "A" else "B") + m[2], body["note"]
        )
        assert flipped != body["note"]
        assert told(lambda _: flipped).startswith("refused")
        other = json.loads(json.dumps(key)).replace("/receipt+", "/other+")
        assert "not signed by the key" in told(key=other)


@pytest.mark.looks("/desk/badge", "/badge/{party}")
@pytest.mark.parametrize("lang", LANGS)
def test_the_badge_pages_can_be_read_on_every_screen(market, chromium, pictures, shop, lang):
    from tests.ports import free_port

    port = free_port()
    domain = f"127.0.0.1:{port}"
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", SHOP, path="/desk/badge")
        page.locator("#f-domain").fill("no domain")
        page.locator("#main .form .button-first").click()
        page.locator("#f-domain-error").wait_for()
        look(page, pictures, "badge-refused", lang)
        page.locator("#f-domain").fill(domain)
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        card = page.locator(".card", has_text=domain)
        line = card.locator("dd", has_text="suxin-badge=").inner_text()
        shop(port, line.strip(), domain)
        card.locator('button[value="check"]').click()
        page.locator(".told").wait_for()
        page.locator(".card", has_text=domain).locator("img").wait_for()
        look(page, pictures, "badge", lang)
        page.goto(f"{market.url}/badge/{SHOP}?domain={domain}")
        look(page, pictures, "badge-page", lang)
        page.goto(f"{market.url}/badge/{SHOP}?domain=evil.example")
        look(page, pictures, "badge-page-unknown", lang)
        assert unexpected(noted) == []
