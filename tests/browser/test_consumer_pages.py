"""What a consumer does beside scanning: follow a complaint, see and erase one's own, look at the log.

No page runs a script. What a page says it did is looked up in the chain.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.i18n import text
from tests.browser import screens
from tests.browser.counter import phone
from tests.browser.form import Form
from tests.browser.measures import check_layout, check_structure
from tests.browser.screens import check_screens
from tests.browser.test_forms import check_untold, claim, every
from tests.drills.deployment import wait_until
from tests.drills.trade import SHOP, event, moment

pytestmark = pytest.mark.browser

WORDS = "瓶盖渗漏，染了书，独一无二的话。"


def complain(counter: Any, page: Any, unit: str, lang: str) -> tuple[str, str]:
    """Sends a complaint by the page and returns ticket number and query code."""
    page.goto(counter.url(unit, lang))
    form = Form(page, "complaint").open()
    form.fill(category="quality", text=WORDS, contact="张三 19900000000", **claim(counter, unit))
    assert form.send() == 201
    number, query = page.locator(".ticket code, .query code").all_inner_texts()
    return number, query


def look(page: Any, lang: str) -> None:
    check_layout(page)
    check_structure(page, lang=lang, also_dark=True)


@every
def test_a_complaint_is_followed_answered_and_settled(counter, chromium, pictures, lang):
    unit = counter.unit()
    with phone(chromium, lang=lang) as (page, noted):
        number, query = complain(counter, page, unit, lang)
        look(page, lang)
        with page.expect_navigation():
            page.get_by_role("button", name=text(lang, "page.ticket.follow")).click()
        page.locator(".state-waiting").wait_for()
        assert WORDS in page.locator(".said").inner_text()
        assert page.locator(".clock-open").count() == 2
        look(page, lang)

        (told,) = [one for one in counter.said(unit) if one["type"] == "complaint"]
        reply = event(unit, "reply", {"of": told["id"], "outcome": "accepted"}, moment())
        reply["sealed"] = {"text": {"content": {"text": "给您换一件，运费我们出。"}}}
        counter.trade.send(SHOP, [reply])

        page.goto(counter.url("ticket", lang))
        page.locator("#ticket").fill(f" {number.lower()}")
        page.locator("#query").fill(f"{query[:5]} {query[5:]}".lower())
        with page.expect_navigation():
            page.locator(".narrow button").click()
        page.locator(".state-answered").wait_for()
        assert "给您换一件" in page.locator(".said-them").inner_text()
        assert page.locator(".clock-met").count() == 2

        page.locator("#more-text").fill("换来的这件很好。")
        page.locator("label:has([name=rating][value='5'])").click()
        page.locator("label:has([name=settled])").click()
        page.locator("#more button").click()
        page.locator(".state-settled").wait_for()
        check_screens(page, pictures, f"ticket-{lang}")
        check_untold(noted, number, query)
        assert noted.complaints == []
    _, message = counter.said(unit)
    assert message["data"] == {"of": told["id"], "rating": 5, "settled": True, "proof": "ticket"}
    assert counter.trade.verdict(unit) == "intact"


@every
def test_a_wrong_query_code_shows_nothing(counter, chromium, lang):
    unit = counter.unit()
    with phone(chromium, lang=lang) as (page, _):
        number, query = complain(counter, page, unit, lang)
        page.goto(counter.url("ticket", lang))
        page.locator("#ticket").fill(number)
        page.locator("#query").fill("A" * len(query))
        with page.expect_navigation() as answer:
            page.locator(".narrow button").click()
        assert answer.value.status == 403
        assert page.locator(".told").inner_text() == text(lang, "fault.query_code")
        assert WORDS not in page.content()
        look(page, lang)


def test_an_empty_message_is_refused_and_a_double_touch_is_one(counter, chromium):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        complain(counter, page, unit, "en")
        page.get_by_role("button", name=text("en", "page.ticket.follow")).click()
        page.locator("#more button").click()
        page.locator("#more .refusal").wait_for()
        page.locator("#more-text").fill("and the box was torn")
        page.locator("#more button").dblclick(no_wait_after=True)
        page.locator(".told-good").wait_for()
        page.reload()
        assert page.locator(".said li").count() == 2
    assert [one["type"] for one in counter.said(unit)] == ["complaint", "message"]


@every
def test_what_one_wrote_is_seen_and_erased(counter, chromium, pictures, lang):
    unit = counter.unit()
    with phone(chromium, lang=lang) as (page, noted):
        page.goto(counter.url(unit, lang))
        Form(page, "review").open().fill(rating="2", text=WORDS, **claim(counter, unit)).send()
        wait_until(lambda: counter.looks_written(unit) > 0, "the look is written")
        page.goto(counter.url("privacy", lang))
        assert page.locator(".rows").first.is_visible()
        page.locator("#code").fill(counter.url(unit))
        page.locator("#proof").fill(counter.trade.claims[unit])
        page.get_by_role("button", name=text(lang, "page.privacy.mine.show")).click()
        page.locator(".said-text").wait_for()
        assert page.locator(".said-text").inner_text() == WORDS
        check_screens(page, pictures, f"privacy-{lang}")
        page.locator("summary", has_text=text(lang, "page.privacy.mine.erase")).click()
        assert text(lang, "page.privacy.mine.erase.means") in page.locator("#mine").inner_text()
        page.locator("#mine").get_by_role("button", name=text(lang, "page.ticket.erase.do")).click()
        page.locator(".told-good").wait_for()
        assert WORDS not in page.content()
        page.goto(counter.url(unit, lang))
        assert WORDS not in page.content()
        assert text(lang, "page.text_erased") in page.locator(".chain").inner_text()
        assert page.locator(".verdict-intact").is_visible()
        check_untold(noted, counter.trade.claims[unit])
        assert noted.complaints == []
    assert [one["type"] for one in counter.events(unit)][-2:] == ["review", "erasure"]
    counter.trade.place.wait_published()
    assert counter.trade.verdict(unit) == "intact"


def test_another_persons_proof_shows_and_erases_nothing(counter, chromium):
    unit, other = counter.unit(), counter.unit()
    with phone(chromium) as (page, _):
        page.goto(counter.url(unit))
        Form(page, "review").open().fill(rating="2", text=WORDS, **claim(counter, unit)).send()
        page.goto(counter.url("privacy"))
        page.locator("#code").fill(unit)
        page.locator("#proof").fill(counter.trade.claims[other])
        with page.expect_navigation() as answer:
            page.get_by_role("button", name=text("zh", "page.privacy.mine.show")).click()
        assert answer.value.status == 403
        assert page.locator("#mine .told").is_visible()
        assert WORDS not in page.content()
        assert counter.trade.claims[other] not in page.content()


def test_a_device_is_forgotten(counter, chromium):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(unit))
        wait_until(lambda: counter.looks_written(unit) > 0, "the look is written")
        page.goto(counter.url("privacy"))
        forget = page.get_by_role("button", name=text("en", "page.privacy.device.forget"))
        forget.click()
        page.locator(".told-good").wait_for()
        assert page.context.cookies() == []
        assert counter.looks_written(unit) == 0
        page.goto(counter.url("privacy"))
        assert text("en", "page.privacy.device.none") in page.content()
        assert forget.count() == 0


def test_a_report_is_followed_and_destroyed(counter, chromium):
    with phone(chromium) as (page, _):
        page.goto(counter.url(counter.unsold[1]))
        assert Form(page, "report").open().fill(text=WORDS, contact="19900000000").send() == 201
        number = page.locator(".ticket").inner_text()
        query = page.locator(".query").inner_text()
        page.goto(counter.url("ticket"))
        page.locator("#ticket").fill(number)
        page.locator(".narrow button").click()
        assert text("zh", "page.ticket.report.received") in page.locator(".state").inner_text()
        page.goto(counter.url("privacy"))
        page.locator("#ticket").fill(number)
        page.get_by_role("button", name=text("zh", "page.privacy.report.erase")).click()
        page.locator("#report-error").wait_for()
        page.locator("#query").fill(query)
        page.get_by_role("button", name=text("zh", "page.privacy.report.erase")).click()
        page.locator(".told-good").wait_for()
        page.goto(counter.url("ticket"))
        page.locator("#ticket").fill(number)
        page.locator(".narrow button").click()
        assert text("zh", "page.ticket.report.erased") in page.locator(".state").inner_text()
    (kept,) = counter._ask(f"SELECT sealed, wrapped_key FROM report WHERE ticket = '{number}'")
    assert {bytes(one) for one in kept} == {b""}


@every
def test_the_log_tells_what_the_checkpoint_says(counter, chromium, lang):
    with phone(chromium, lang=lang) as (page, noted):
        counter.trade.place.wait_published()
        page.goto(counter.url("log", lang))
        shown = page.locator("main").inner_text()
        ledger = counter.trade.place.get("/api/v1/ledger")
        assert ledger["origin"] in shown
        assert counter.trade.place.client.get("/log/key").text.strip() in shown
        assert re.search(r"[A-Za-z0-9+/]{43}=", shown)
        assert text(lang, "page.logs.who.none") in shown
        assert noted.complaints == []


PLACES = {
    "ticket": "ticket", "privacy": "privacy", "scan": "scan", "log": "log", "home": "",
    "unread": "code?code=hello",
}  # fmt: skip


@every
@pytest.mark.looks("/ticket", "/privacy", "/scan", "/log", "/", "/code")
def test_every_page_is_sound_and_leads_to_the_others(counter, chromium, pictures, lang):
    with phone(chromium, lang=lang) as (page, noted):
        for name, place in PLACES.items():
            answer = page.goto(counter.url(place))
            assert answer.status == (422 if name == "unread" else 200)
            screens.look(page, pictures, name, lang)
            led = page.locator("footer nav a").evaluate_all("all => all.map((a) => a.pathname)")
            assert led == ["/scan", "/ticket", "/privacy", "/log"]
        assert [one for one in noted.complaints if "status of 422" not in one] == []
