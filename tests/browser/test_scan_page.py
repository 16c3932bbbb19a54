"""What a phone shows when a label is scanned, in every state, in both languages, in real Chromium."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.browser.measures import check_structure
from tests.browser.phone import opened
from tests.browser.screens import check_screens
from tests.drills.trade import BUYER, ORDER, WAYBILL

pytestmark = pytest.mark.browser

STATES = {
    "intact": ("intact", "链全"),
    "incomplete": ("incomplete", "待补"),
    "broken": ("broken", "断链"),
    "recalled": ("abnormal", "有异"),
    "unsold": ("intact", "链全"),
    "sold_before": ("intact", "链全"),
    "moving": ("intact", "链全"),
    "provisional": ("intact", "链全"),
    "void": ("void", "作废"),
    "unknown": ("unknown", "未登"),
    "product": ("intact", "链全"),
    "lot": ("abnormal", "有异"),
}
# What must stand on the page besides the verdict.
SAID = {
    ("recalled", "zh"): ("召回", "墨水瓶盖可能渗漏"),
    ("recalled", "en"): ("recall", "墨水瓶盖可能渗漏"),
    ("intact", "zh"): ("石质细润", "示例快递", "广州"),
    ("intact", "en"): ("石质细润", "示例快递", "Guangzhou"),
    ("lot", "zh"): ("召回",),
    ("void", "zh"): ("这个码已作废，不再算数", "首尾相连", "标签破损"),
    ("void", "en"): ("no longer counts", "标签破损"),
    ("provisional", "en"): ("due",),
}
MARKED = {
    "incomplete": ".chain .step-missing",
    "broken": ".chain .step-broken",
    "provisional": ".chain .step-due",
    "sold_before": ".warnings .warning-sold_before",
    "recalled": ".notice-recall[role=alert]",
    "lot": ".notice-recall[role=alert]",
}
# The promise 正品保证 and its like are made nowhere, not even denied.
FORBIDDEN = re.compile(r"正品|保真|\b(?:genuine|authentic\w*|guarantee\w*)\b", re.IGNORECASE)
HEAVIEST = 100_000

# State -> the kind of page on which it is shown.
ROUTES = {
    "intact": "/01/{gtin}/21/{serial}",
    "recalled": "/01/{gtin}/10/{lot}/21/{serial}",
    "product": "/01/{gtin}",
    "lot": "/01/{gtin}/10/{lot}",
}

every = pytest.mark.parametrize("lang", ["zh", "en"])
shows = pytest.mark.parametrize(
    "state",
    [
        pytest.param(one, marks=[pytest.mark.looks(ROUTES[one])] if one in ROUTES else [])
        for one in STATES
    ],
)


@every
@shows
def test_a_scan_shows_its_state_without_script_on_every_screen_and_in_the_dark(
    shown, chromium, pictures, state, lang
):
    verdict, _ = STATES[state]
    with opened(chromium, lang=lang, weighed=True) as (page, noted):
        answer = page.goto(shown.url(state))
        assert answer.status == (404 if verdict == "unknown" else 200)
        page.locator(f"section.verdict-{verdict} svg").first.wait_for()
        check_structure(page, lang=lang, also_dark=True)
        check_screens(page, pictures, f"{state}-{lang}")
        words = page.locator("body").inner_text()
        for said in SAID.get((state, lang), ()):
            assert said in words or said in words.lower()
        if state in MARKED:
            assert page.locator(MARKED[state]).first.is_visible()
        assert noted.hosts == {urlsplit(shown.trade.place.url).netloc}
        # The one complaint that is right: chromium notes a 404 of the page itself.
        assert [c for c in noted.complaints if verdict != "unknown" or "404" not in c] == []
        assert sum(noted.sent.values()) < HEAVIEST, noted.sent
        assert any(url.split("?")[0].endswith(".css") for url in noted.sent)


@pytest.mark.parametrize("state", STATES)
def test_a_scan_tells_nothing_personal_and_promises_nothing(shown, state):
    for lang in ("zh", "en"):
        answer = shown.trade.place.call("GET", f"/{shown.codes[state]}", params={"lang": lang})
        html = answer.text
        assert not FORBIDDEN.search(html)
        for n in range(6):
            assert ORDER.format(n=n) not in html
            assert WAYBILL.format(n=n) not in html
            assert f"buyer-{n}" not in html
        assert BUYER not in html
        assert re.sub(r'<script type="module" src="/static/verify-[0-9a-f]{12}/scan\.js" '
                      r'data-words="[0-9a-f]{12}"></script>', "", html).count("<script") == 0  # fmt: skip
        assert not re.search(r"\s(?:style|on\w+)=", html)


def test_the_tail_of_the_waybill_is_there_to_compare_with_the_parcel(shown, chromium):
    with opened(chromium) as (page, _):
        page.goto(shown.url("intact"))
        assert page.locator(".tail").inner_text().replace("\n", "").startswith("0000")


def test_the_broken_record_is_marked_and_not_repeated(shown, chromium):
    """What an altered record says now is not to be believed, so it is not shown."""
    with opened(chromium, lang="en") as (page, _):
        page.goto(shown.url("broken"))
        broken = page.locator(".chain .step-broken")
        assert broken.count() == 1
        assert "Guangzhou" not in broken.inner_text()
        assert page.locator(".chain .step-ok").count() >= 3


def test_language_follows_the_phone_until_the_reader_chooses(shown, chromium):
    with opened(chromium, lang="zh") as (page, noted):
        page.goto(shown.url("intact"))
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        page.get_by_role("link", name="English").click()
        page.wait_for_url("**lang=en")
        assert page.locator("html").get_attribute("lang") == "en"
        assert shown.codes["intact"] in page.url
        # The choice goes along to the front page, and back again.
        with page.expect_navigation():
            page.locator("a.brand").click()
        assert page.locator("html").get_attribute("lang") == "en"
        with page.expect_navigation():
            page.get_by_role("link", name="中文").click()
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        assert noted.complaints == []


@every
def test_front_page_leads_from_a_typed_code_to_its_page(shown, chromium, lang):
    with opened(chromium, lang=lang) as (page, noted):
        page.goto(shown.trade.place.url)
        page.locator("input[name=code]").fill(f"https://id.example/{shown.codes['intact']}")
        page.locator("input[name=code]").press("Enter")
        page.wait_for_url(f"**/{shown.codes['intact']}*")
        assert page.locator("section.verdict-intact").is_visible()
        assert noted.complaints == []


def test_keyboard_alone_reaches_the_forms(shown, chromium):
    with opened(chromium, lang="en") as (page, _):
        page.goto(shown.url("moving"))
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
        assert {"#review", "#complaint", "#report"} <= reached
