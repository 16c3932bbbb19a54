"""Reviews, follow-ups, complaints and reports from the page that a scan opens, in real Chromium.

No page runs a script. Whatever a form says it did is looked up in the chain or among the reports.
"""

from __future__ import annotations

import pytest

from app.i18n import in_words, text
from app.trace.proof import SYMBOLS
from tests.browser.counter import phone
from tests.browser.form import Form
from tests.browser.measures import check_layout, check_structure
from tests.drills.trade import SHOP, event, moment

pytestmark = pytest.mark.browser

WORDS = "石质细润，<b>包装</b> & 用心。"
TOO_LONG = "长" * 2001
UNKNOWN = "01/06901234567892/21/N0SUCHC0DE00"

every = pytest.mark.parametrize("lang", ["zh", "en"])


def claim(counter, code: str) -> dict[str, str]:
    return {"proof_kind": "claim", "proof": counter.trade.claims[code]}


def inner(counter, code: str) -> dict[str, str]:
    return {"proof_kind": "inner", "proof": counter.trade.inner[code]}


def headline(page) -> str:
    return page.locator("h1").inner_text()


def check_untold(noted, *proofs: str) -> None:
    """No address that was asked holds a proof: addresses stay in histories and logs."""
    asked = " ".join(noted.addresses)
    assert "/01/" in asked
    assert [proof for proof in proofs if proof in asked] == []


# ---------------------------------------------------------------- what is sent well


@every
def test_a_review_by_token_stands_in_the_chain_and_on_the_page(counter, chromium, lang):
    unit = counter.unit()
    with phone(chromium, lang=lang) as (page, noted):
        page.goto(counter.url(unit))
        form = Form(page, "review").open().fill(rating="4", text=WORDS, **claim(counter, unit))
        assert form.send() == 201
        assert headline(page) == text(lang, "page.result.review")
        check_layout(page)
        check_structure(page, lang=lang)
        told = page.locator(".hash-long").inner_text()
        page.get_by_role("link", name=text(lang, "page.result.back")).click()
        page.locator("a[href='#follow_up']").wait_for()
        assert WORDS in page.locator(".chain").inner_text()
        assert page.locator("a[href='#review']").count() == 0
        check_untold(noted, counter.trade.claims[unit])
        assert noted.complaints == []
    (review,) = counter.said(unit)
    assert review["type"] == "review"
    assert review["data"] == {"rating": 4, "proof": "platform"}
    last = counter.trade.place.get(f"/api/v1/codes/{unit[3:].replace('/21/', '/')}/events")
    assert last["items"][-1]["hash"] == told
    assert counter.trade.verdict(unit) == "intact"


def test_a_review_by_the_code_inside_the_pack_as_people_type_it(counter, chromium):
    unit = counter.unit()
    code = counter.trade.inner[unit]
    with phone(chromium) as (page, noted):
        page.goto(counter.url(unit))
        typed = f" {code[:4]} {code[4:]}-".lower()
        form = Form(page, "review").open().fill(rating="5", proof_kind="inner", proof=typed)
        assert form.send() == 201
        check_untold(noted, code, code.lower())
    (review,) = counter.said(unit)
    assert review["data"] == {"rating": 5, "proof": "inner"}
    assert "sealed" not in review  # a rating alone says enough


def test_a_follow_up_comes_after_the_review(counter, chromium):
    unit = counter.unit()
    with phone(chromium) as (page, noted):
        page.goto(counter.url(unit))
        Form(page, "review").open().fill(rating="5", **claim(counter, unit)).send()
        page.goto(counter.url(unit))
        later = Form(page, "follow_up").open()
        assert (
            later.fill(rating="2", text="用了一个月，有裂纹。", **inner(counter, unit)).send()
            == 201
        )
        assert headline(page) == text("zh", "page.result.follow_up")
        check_untold(noted, counter.trade.claims[unit], counter.trade.inner[unit])
    review, follow_up = counter.said(unit)
    assert (review["type"], follow_up["type"]) == ("review", "follow_up")
    assert follow_up["data"] == {"rating": 2, "proof": "inner"}


def test_a_complaint_is_on_the_chain_and_its_words_are_not(counter, chromium):
    unit = counter.unit()
    words, contact = "瓶盖渗漏，染了书。", "李四 19900000000"
    with phone(chromium) as (page, noted):
        page.goto(counter.url(unit, "en"))
        form = Form(page, "complaint").open()
        form.fill(category="quality", text=words, contact=contact, **claim(counter, unit))
        assert form.send() == 201
        assert headline(page) == text("en", "page.result.complaint")
        assert len(page.locator(".ticket").inner_text()) == 10
        assert page.locator("a[href='tel:12315']").is_visible()
        page.get_by_role("link", name=text("en", "page.result.back")).click()
        page.locator(".verdict").wait_for()
        assert "lang=en" in page.url
        shown = page.locator("body").inner_text()
        check_untold(noted, counter.trade.claims[unit])
    (complaint,) = counter.said(unit)
    assert complaint["data"] == {"category": "quality", "proof": "platform"}
    assert set(complaint["sealed"]) == {"detail"}
    for secret in (words, contact, counter.trade.claims[unit]):
        assert secret not in shown
        assert secret not in str(complaint)


@every
def test_a_report_needs_no_proof_and_weighs_nothing(counter, chromium, lang):
    unit = counter.unsold[0]
    before = counter.events(unit)
    with phone(chromium, lang=lang) as (page, _):
        page.goto(counter.url(unit, lang))
        form = Form(page, "report").open().fill(text=WORDS, contact="19900000000")
        assert form.send() == 201
        assert headline(page) == text(lang, "page.result.report")
        ticket = page.locator(".ticket").inner_text()
        page.get_by_role("link", name=text(lang, "page.result.back")).click()
        page.locator(".verdict").wait_for()
        assert page.url == counter.url(unit, lang)
    assert counter.reports()[ticket] == (unit, {"text": WORDS, "contact": "19900000000"})
    assert counter.events(unit) == before


def test_a_code_that_is_not_on_record_can_be_reported(counter, chromium):
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(UNKNOWN))
        form = Form(page, "report").open().fill(text="seen at a market stall")
        assert form.send() == 201
        ticket = page.locator(".ticket").inner_text()
    assert counter.reports()[ticket] == (UNKNOWN, {"text": "seen at a market stall"})


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["review", "complaint", "report"])
def test_the_browser_itself_keeps_back_a_form_with_holes(counter, chromium, name):
    with phone(chromium) as (page, noted):
        page.goto(counter.url(counter.shared[0]))
        form = Form(page, name).open()
        asked = len(noted.addresses)
        form.panel.locator(".button-first").click()
        assert form.panel.locator(":invalid").count() > 0
        assert len(noted.addresses) == asked


MISSING = ("field.missing", {})
LENGTH = ("field.length", {"expected": "≤ 2000", "got": 2001})
CONTACT = ("field.length", {"expected": "≤ 100", "got": 101})
CONTROL = ("field.control", {})
GOOD = {
    "review": {"rating": "4", "text": WORDS},
    "complaint": {"category": "quality", "text": WORDS, "contact": "19900000000"},
    "report": {"text": WORDS, "contact": "19900000000"},
}
TOKEN, INNER = ("fault.claim_token", {}), ("fault.inner_code", {})
# What is chosen stays chosen: what is not, comes first.
WRONG = {
    "review": (
        ("rating", "", MISSING),
        ("proof", "", MISSING),
        ("proof", "P" + SYMBOLS[:26], TOKEN),
        ("proof", "好评", TOKEN),
        ("proof", "the stranger's token", TOKEN),
        ("proof", "the stranger's inner code", INNER),
        ("text", TOO_LONG, LENGTH),
        ("text", "bell\x07", CONTROL),
    ),
    "complaint": (
        ("category", "", MISSING),
        ("text", " \n ", MISSING),
        ("text", TOO_LONG, LENGTH),
        ("contact", "1" * 101, CONTACT),
        ("contact", "\x1b[2J", CONTROL),
        ("proof", "the stranger's token", TOKEN),
    ),
    "report": (
        ("text", " ", MISSING),
        ("text", TOO_LONG, LENGTH),
        ("text", "\x1b[2J", CONTROL),
        ("contact", "1" * 101, CONTACT),
    ),
}


@pytest.mark.parametrize(
    ("name", "lang"), [("review", "zh"), ("review", "en"), ("complaint", "en"), ("report", "zh")]
)
def test_each_mistake_is_told_beside_its_field_and_the_rest_is_kept(counter, chromium, name, lang):
    unit, stranger = counter.shared[0], counter.shared[1]
    others = {
        "the stranger's token": claim(counter, stranger),
        "the stranger's inner code": inner(counter, stranger),
    }
    proof = {} if name == "report" else claim(counter, unit)
    (first, *_), before = WRONG[name][0], counter.written()
    with phone(chromium, lang=lang) as (page, noted):
        page.goto(counter.url(unit))
        form = Form(page, name).open()
        form.fill(**{told: value for told, value in GOOD[name].items() if told != first})
        for field, mistake, (key, params) in WRONG[name]:
            said = others.get(mistake, {field: mistake})
            form.unguard().fill(**proof | {told: value for told, value in said.items() if value})
            written = GOOD[name] | proof | said
            if not said.get("proof", True):
                form.fill(proof="")
            assert form.send() in (403, 422), (field, mistake)
            assert form.panel.locator(".refusal[role=alert]").is_visible()
            assert form.error(field) == text(lang, key, **in_words(lang, params)), (field, mistake)
            kept = form.values()
            for told, value in written.items():
                assert kept.get(told, "") == ("" if told == "proof" else value), told
            assert (written.get("proof") or "-" * 9) not in page.content()
            # What was wrong is mended before the next mistake.
            form.fill(**{field: GOOD[name][field]} if field in GOOD[name] else {})
        check_untold(noted, counter.trade.claims[unit], counter.trade.claims[stranger])
        check_layout(page)
        check_structure(page, lang=lang)
        assert page.url.endswith(f"#{name}")
    assert counter.written() == before


def test_what_was_refused_is_mended_and_sent(counter, chromium):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(unit))
        form = Form(page, "review").open().fill(rating="3", text=WORDS, proof="P" + SYMBOLS[:26])
        assert form.send() == 403
        assert form.fill(**claim(counter, unit)).send() == 201
    (review,) = counter.said(unit)
    assert review["data"]["rating"] == 3


@every
def test_a_second_review_is_refused_and_its_words_are_offered_as_a_follow_up(
    counter, chromium, lang
):
    unit = counter.unit()
    with phone(chromium, lang=lang) as (page, _):
        page.goto(counter.url(unit))
        with phone(chromium, lang=lang) as (other, _):
            other.goto(counter.url(unit))
            Form(other, "review").open().fill(rating="5", **claim(counter, unit)).send()
        form = Form(page, "review").open()
        assert form.fill(rating="1", text=WORDS, **inner(counter, unit)).send() == 409
        assert page.locator(".refusal[role=alert]").inner_text() == text(
            lang, "fault.lifecycle.already_reviewed"
        )
        assert len(counter.said(unit)) == 1
        later = Form(page, "follow_up")
        assert later.values()["text"] == WORDS
        assert later.values()["rating"] == "1"
        assert page.locator(".refusal").evaluate(
            "said => said.getBoundingClientRect().top >= 0"
            " && said.getBoundingClientRect().bottom <= innerHeight"
        )
        assert later.fill(**inner(counter, unit)).send() == 201
    assert [one["type"] for one in counter.said(unit)] == ["review", "follow_up"]


@pytest.mark.parametrize(
    ("prove", "key"), [(claim, "fault.claim_token"), (inner, "fault.lifecycle.not_sold")]
)
def test_a_review_of_what_was_returned_meanwhile_is_refused_in_words(counter, chromium, prove, key):
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(unit))
        gone = event(unit, "return", {"reason": "no_reason_7_days"}, moment(minutes=1))
        counter.trade.send(SHOP, [gone])
        form = Form(page, "review").open().fill(rating="1", text=WORDS, **prove(counter, unit))
        assert form.send() in (403, 409)
        assert page.locator(".refusal[role=alert]").inner_text() == text("en", key)
        assert WORDS in page.locator("#review").inner_text()
        check_structure(page, lang="en")
    assert counter.said(unit) == []


# ---------------------------------------------------------------- what comes twice


@pytest.mark.parametrize("name", ["review", "complaint", "report"])
def test_a_double_touch_and_a_reload_are_one(counter, chromium, name):
    unit = counter.unit()
    proof = {} if name == "report" else claim(counter, unit)
    records, reports = counter.written()
    with phone(chromium, lang="en") as (page, noted):
        page.goto(counter.url(unit))
        form = Form(page, name).open().fill(**GOOD[name], **proof)
        form.send_twice()
        assert headline(page) == text("en", f"page.result.{name}")
        number = page.locator(".ticket, .hash-long").first.inner_text()
        page.wait_for_timeout(1100 if name == "report" else 0)  # one report a second is taken
        assert page.reload().status == 200
        assert page.locator(".ticket, .hash-long").first.inner_text() == number
        check_untold(noted, *([proof["proof"]] if proof else []))
    more = (0, 1) if name == "report" else (1, 0)
    assert counter.written() == (records + more[0], reports + more[1])


@pytest.mark.parametrize("name", ["complaint", "report"])
def test_another_matter_from_the_same_page_is_another_ticket(counter, chromium, name):
    unit = counter.unit()
    proof = {} if name == "report" else claim(counter, unit)
    tickets = set()
    with phone(chromium) as (page, _):
        page.goto(counter.url(unit))
        for words in ("第一件事", "第二件事"):
            form = Form(page, name).open().fill(**{**GOOD[name], "text": words}, **proof)
            assert form.send() == 201
            tickets.add(page.locator(".ticket").inner_text())
            page.go_back()
    assert len(tickets) == 2


def test_words_changed_after_they_were_taken_are_sent_as_new(counter, chromium):
    """A browser that keeps the page shows the form as it was sent; its second sending says more."""
    unit = counter.unit()
    with phone(chromium, lang="en") as (page, _):
        page.goto(counter.url(unit))
        form = Form(page, "complaint").open().fill(**GOOD["complaint"], **claim(counter, unit))
        sent = form.values()["id"]
        form.send()
        page.goto(counter.url(unit))
        page.locator("#complaint [name=id]").evaluate("(field, id) => field.value = id", sent)
        form.open().fill(**{**GOOD["complaint"], "text": "more"}, **claim(counter, unit))
        assert form.send() == 409
        refused = page.locator(".refusal[role=alert]").inner_text()
        assert refused == text("en", "page.form.sent_before")
        assert form.values()["text"] == "more"
        assert form.fill(**claim(counter, unit)).send() == 201
    assert len(counter.said(unit)) == 2


def test_the_address_of_an_answer_opened_again_leads_to_the_code(counter, chromium):
    """A browser that restores its tabs asks for the address that was posted to."""
    unit = counter.unit()
    with phone(chromium) as (page, _):
        assert page.goto(counter.url(f"{unit}/review")).status == 200
        assert page.url == counter.url(unit) + "#review"
        assert Form(page, "review").panel.is_visible()
        assert page.goto(counter.url("reports")).status == 200
        assert page.url == counter.url("")


# ---------------------------------------------------------------- with a proof that was brought along


ORDER = """<form method="post" action="{url}"><input type="hidden" name="proof" value="{proof}">
<button>{unit}</button></form>"""


@every
@pytest.mark.parametrize("screen", [(390, 844), (1280, 900)])
def test_a_complaint_is_two_touches_and_a_text(counter, chromium, pictures, lang, screen):
    """From an order page of a platform: touch "complain", touch what it is about, write, send."""
    unit, touches = counter.unit(), []
    token = counter.trade.claims[unit]
    order = ORDER.format(url=counter.url(unit, lang), proof=token, unit=unit)
    width, height = screen
    with phone(chromium, lang=lang) as (page, noted):
        page.set_viewport_size({"width": width, "height": height})
        page.set_content(order)
        page.get_by_role("button").click()
        page.locator("#act").wait_for()

        def touch(place) -> None:
            place.click()
            touches.append(place)

        touch(page.locator("a[href='#complaint']").first)
        panel = page.locator("#complaint")
        assert panel.locator("[name=category]:checked").count() == 0, "nobody chose for the buyer"
        assert not panel.locator("[name=proof]").is_visible()
        touch(panel.locator("label:has([value=quality])"))
        send, words = panel.locator(".button-first"), panel.locator("[name=text]")
        for place in (panel.locator("label:has([value=quality])"), words, send):
            box = place.bounding_box()
            assert box["height"] >= 44
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= height, "what comes next is in view"
        assert len(touches) == 2
        pictures(page, f"complaint-{lang}-{width}.png", full_page=False)
        check_layout(page)
        check_structure(page, lang=lang)
        words.fill("瓶盖渗漏")
        with page.expect_navigation() as answer:
            send.click()
        assert answer.value.status == 201
        assert token not in page.content()
        check_untold(noted, token)
    (told,) = [one for one in counter.said(unit) if one["type"] == "complaint"]
    assert told["data"] == {"category": "quality", "proof": "platform"}
