"""What buyers say and shops answer, and a shop's own credit: on a phone and at a desk, from both sides."""

from __future__ import annotations

import io

import pytest

from app.i18n import text
from app.kit.clock import parse_time
from tests.browser.filming import symbol
from tests.credit.files import JPEG
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import PRODUCT
from tests.web.people import open_people_market
from tests.web.test_lists_api import black
from tests.web.test_texts_api import WORDS, bought
from tests.web.test_undecided_api import enter

pytestmark = pytest.mark.browser

WORK = "#main .form .button-first"
LATER = "用了一个月，有裂纹。"
ANSWER = "给您换一件，运费我们出。"
PHOTO = {"name": "waybill.jpg", "mimeType": "image/jpeg", "buffer": JPEG}
FORM = "/01/{gtin}/21/{serial}/{form}"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("walk-voices")) as running:
        running.publish()
        yield running


def records(market, it, type_: str) -> list[dict]:
    """Returns a unit's records of a type, oldest first."""
    found = market.ask("GET", f"{it.unit.path}/events?limit=100")["items"]
    return [one["record"] for one in found if one["record"]["type"] == type_]


def speak(buyer, form: str, **values: str) -> None:
    """Touches what leads to a form of a scan's page, fills it in and sends it."""
    buyer.touch(f"a[href='#{form}']").send(f"#{form} button", **values)


@pytest.mark.walks(
    "/scan", f"{FORM} review", f"{FORM} follow_up", "/desk/reviews", "/privacy", "/privacy erase",
    "/privacy looks",
)  # fmt: skip
def test_a_label_is_photographed_its_goods_reviewed_answered_and_the_words_erased(market, walk):
    it = bought(market)
    proof = it.proof["Suxin-Claim"]
    buyer, shop = walk(market), walk(market)
    seen = io.BytesIO()
    symbol(it.unit.uri).convert("L").save(seen, "PNG")
    photo = {"name": "label.png", "mimeType": "image/png", "buffer": seen.getvalue()}
    buyer.open("/scan")
    with buyer.page.expect_navigation():  # once it is read, the page goes on by itself
        buyer.page.locator("#photo").set_input_files(photo)
    assert buyer.path == f"/{it.unit.code}"

    speak(buyer, "review", rating="2", text=WORDS, proof_kind="claim", proof=proof)
    buyer.says(text(buyer.lang, "page.result.review"))
    buyer.follow(".result .button-first").says(WORDS, where=".chain")
    (review,) = records(market, it, "review")
    assert review["data"] == {"rating": 2, "proof": "platform"}

    shop.enter("owner", SHOP, path="/desk/reviews?unanswered=1")
    card = shop.page.locator(".card", has_text=it.unit.code)
    shop.send(card.locator(".button-first"), text=ANSWER).told("replied")
    (reply,) = records(market, it, "reply")
    assert (reply["actor"], reply["data"]["of"]) == (SHOP, review["id"])
    assert shop.page.locator(".card", has_text=it.unit.code).count() == 0, "it is answered"

    buyer.open(f"/{it.unit.code}").says(ANSWER, where=".chain")
    speak(buyer, "follow_up", rating="1", text=LATER, proof_kind="inner", proof=it.unit.inner)
    (later,) = records(market, it, "follow_up")
    assert later["data"] == {"rating": 1, "proof": "inner"}

    buyer.open("/privacy").send(
        "#mine .button-first", code=it.unit.uri, proof_kind="claim", proof=proof
    )
    buyer.says(WORDS, LATER, where="#mine")
    buyer.send(buyer.page.locator(".said-me", has_text=WORDS).locator("button"))
    assert WORDS not in buyer.page.content()
    buyer.open(f"/{it.unit.code}").says(text(buyer.lang, "page.text_erased"), where=".chain")
    assert WORDS not in buyer.page.content()
    assert LATER in buyer.page.content()
    assert [one["data"]["of"] for one in records(market, it, "erasure")] == [review["id"]]
    assert market.ask("GET", it.unit.path)["verdict"] == "intact"

    market.rooms.scans.flush()
    buyer.open("/privacy").send("form:has([value=looks]) button").says("", where=".told-good")
    assert buyer.page.context.cookies() == []


@pytest.mark.walks("/reports")
def test_who_has_no_proof_reports_in_as_many_touches_as_others_complain(market, walk):
    sale = {"code": market.one(inner=False).code, "type": "sale", "data": {}}
    market.ask("POST", "/api/v1/events", sale, token=market.keys[SHOP], status=201)
    buyer = walk(market).open(f"/{sale['code']}")
    buyer.touch("a[href='#complaint']").send(
        "#complaint [formaction]", category="quality", text=WORDS
    )
    buyer.says(text(buyer.lang, "page.result.report"))
    market.clock.advance(2)

    sent = {"code": sale["code"], "type": "dispatch", "data": {"carrier": "中通"}}
    market.ask("POST", "/api/v1/events", sent, token=market.keys[SHOP], status=201)
    buyer.open(f"/{sale['code']}").says(text(buyer.lang, "page.act.unproven"))
    assert buyer.page.locator("#complaint, #review").count() == 0, "nobody could prove it"
    speak(buyer, "report", text=WORDS)
    buyer.says(text(buyer.lang, "page.result.report"))


@pytest.mark.walks(
    "/01/{gtin}/21/{serial}", f"{FORM} complaint", "/ticket", "/ticket message",
    "/desk/complaints/{ticket} open", "/desk/complaints/{ticket} message",
    "/desk/complaints/{ticket} accepted", "/desk/complaints/{ticket} refused",
    "/desk/complaints/{ticket} regulator",
)  # fmt: skip
def test_a_complaint_is_answered_in_time_or_handed_to_the_authority(market, walk):
    it = bought(market)
    buyer, shop, office = walk(market), walk(market), walk(market)
    order_page = (
        f'<!doctype html><link rel="icon" href="data:,"><form method=post action="{market.url}/'
        f'{it.unit.code}"><input type=hidden name=proof value="{it.proof["Suxin-Claim"]}">'
        "<button>评价与投诉</button></form>"
    )
    buyer.page.route("http://shop.example/", lambda route: route.fulfill(
        body=order_page, content_type="text/html; charset=utf-8"))  # fmt: skip
    buyer.page.goto("http://shop.example/")
    buyer.send("button")
    speak(buyer, "complaint", category="quality", text=WORDS, contact="19900000000")
    number = buyer.read(".ticket")
    (complaint,) = records(market, it, "complaint")
    assert complaint["data"] == {"category": "quality", "proof": "platform"}
    buyer.send(buyer.page.get_by_role("button", name=text(buyer.lang, "page.ticket.follow")))
    assert buyer.page.locator(".clock-open").count() == 2

    shop.enter("owner", SHOP, path="/desk/complaints").follow(f'a[href*="{number}"]')
    assert WORDS not in shop.page.content()
    assert shop.page.locator("#clock-title ~ ul .state-wait").count() == 2
    shop.send("button[value=open]", refused=422, purpose="x").wrong("purpose")
    shop.send("button[value=open]", purpose="答复投诉").says(WORDS, "19900000000")
    shop.send("button[value=message]", message="请寄一张照片。").told("complaint_said")

    def follow() -> None:
        buyer.open("/ticket").send(".narrow button", ticket=f" {number.lower()}", query=query)

    query = buyer.page.locator("input[name=query]").first.input_value()
    follow()
    buyer.says("请寄一张照片。", where=".said-them")
    buyer.send("#more button", text="照片寄出了。", rating="2")
    assert [one["data"].get("rating") for one in records(market, it, "message")] == [None, 2]

    shop.open(f"/desk/complaints/{number}")
    shop.send("button[value=refused]", text="看不出破损。").told("complaint_refused")
    shop.send("button[value=regulator]", why="请主管部门判断").told("complaint_referred")
    market.work()
    (referral,) = records(market, it, "referral")
    assert referral["data"] == {"of": complaint["id"], "to": "regulator"}
    office.enter("owner", AUTHORITY, path="/desk/complaints").follow(f'a[href*="{number}"]')
    office.says(text(office.lang, "complaints.referred.regulator"))
    office.send("button[value=open]", purpose="调解 2026-18").says(WORDS, "请主管部门判断")

    shop.open(f"/desk/complaints/{number}")
    shop.send("button[value=accepted]", text=ANSWER).told("complaint_accepted")
    assert shop.page.locator("#clock-title ~ ul .state-good").count() == 2
    assert [one["data"]["outcome"] for one in records(market, it, "reply")] == [
        "refused",
        "accepted",
    ]
    follow()
    buyer.says(ANSWER, where=".said").send("#more button", settled="yes")
    buyer.page.locator(".state-settled").wait_for()
    shop.open("/desk/complaints?state=over").says(number)
    assert number not in shop.open("/desk/complaints").read()


@pytest.mark.walks(
    "/reports", "/ticket", "/privacy report", "/desk/reports/{ticket} open",
    "/desk/reports/{ticket} close",
)  # fmt: skip
def test_a_report_needs_no_proof_goes_to_a_person_and_is_destroyed(market, walk):
    unit = market.one()
    before = market.ask("GET", f"{unit.path}/events")
    buyer = walk(market).open(f"/{unit.code}")
    office = walk(market).enter("owner", AUTHORITY, path="/desk/reports")
    speak(buyer, "report", text=WORDS, contact="19900000000")
    number, query = buyer.read(".ticket"), buyer.read(".query")
    assert market.ask("GET", f"{unit.path}/events") == before, "it weighs nothing"

    def follow(status: str) -> None:
        buyer.open("/ticket").send(".narrow button", ticket=number)
        buyer.says(text(buyer.lang, f"page.ticket.report.{status}"), where=".state")

    follow("received")
    office.open("/desk/reports").follow(f'a[href*="{number}"]')
    office.send("button[value=open]", refused=422, purpose="x").wrong("purpose")
    office.send("button[value=open]", purpose="核查举报").says(WORDS, "19900000000")
    office.send("button[value=close]", reason="已现场核查").told("report_closed")
    follow("closed")
    buyer.open("/privacy").send("form:has([value=report]) button", ticket=number, query=query)
    follow("erased")
    office.open(f"/desk/reports/{number}").says(text(office.lang, "page.text_erased"))
    looks = market.ask("GET", "/api/v1/access-log", token=market.keys[AUTHORITY])["items"]
    assert "核查举报" in {one["purpose"] for one in looks}


@pytest.mark.walks("/desk/entry")
def test_a_gap_is_cured_from_the_page_on_ones_own_credit(market, walk):
    party = market.newcomer()
    market.send(party, PRODUCT, "listing", {"platform": "某平台"}, hours=-400)
    unit, other = market.issue(2, by=party)
    for one in (unit, other):
        market.send(party, one.code, "sale", {}, hours=-24 * 9)
    market.clock.advance(2 * 86_400)
    market.work()
    shop = walk(market).enter("owner", party, path="/desk/credit")
    cards = shop.page.locator("#findings-title ~ ul > li")
    assert cards.count() == 2
    for n, one in enumerate((unit, other), start=1):
        shop.open("/desk/credit").follow(cards.filter(has_text=one.code).locator(".button"))
        assert shop.page.locator("#f-code").input_value() == one.code
        shop.send(WORK, carrier=CARRIER, waybill=f"TEST750000000{n}")
        shop.says(one.code, where=".told")
    market.work()
    assert shop.open("/desk/credit").page.locator("#findings-title ~ ul > li").count() == 0
    found = market.ask("GET", f"/api/v1/findings?party={party}", token=market.keys[party])["items"]
    assert {one["status"] for one in found} == {"closed"}


@pytest.mark.walks(
    "/desk/credit/entries/{entry} object", "/desk/credit/entries/{entry} repair",
    "/desk/credit/lists/{listing} object", "/desk/credit/lists/{listing} removal",
    "/desk/decisions/{kind}/{party}/{case} dismissed", "/desk/decisions/{kind}/{party}/{case} granted",
    "/desk/credit/commitments sign", "/desk/credit/commitments withdraw",
)  # fmt: skip
def test_an_entry_and_a_listing_are_objected_to_decided_repaired_and_a_promise_is_public(
    market, walk
):
    party = market.newcomer()
    made, listing = enter(market, party), black(market, party)
    entry = made["id"]
    shop = walk(market).enter("owner", party, path="/desk/credit")
    office = walk(market).enter("owner", AUTHORITY, path="/desk/decisions")

    def decide(case: str, outcome: str, reason: str) -> None:
        office.open("/desk/decisions").follow(f'a[href*="{case}"]')
        office.send(f"button[value={outcome}]", reason=reason).told("decided")

    shop.follow(f'a[href*="{entry}"]').send(
        "button[value=object]", refused=422, text=" ", file=PHOTO
    )
    shop.wrong("text")
    shop.says(text(shop.lang, "own.files.again"))
    shop.send("button[value=object]", text="已按期发货", number="WB-1", file=PHOTO).told("objected")
    shop.open("/desk/credit").follow('#lists-title ~ ul a[href*="/lists/"]')
    shop.send("button[value=object]", text="已履行").told("objected")

    office.open("/desk/decisions").follow(f'a[href*="{entry}"]').says("已按期发货 [WB-1]")
    link = office.page.get_by_role("link", name="waybill.jpg")
    assert office.fetch(link).read_bytes() == JPEG
    office.send("button[value=dismissed]", reason="揽收凭证不符").told("decided")
    decide(listing["id"], "dismissed", "未见凭证")
    shop.open(f"/desk/credit/entries/{entry}").says("揽收凭证不符")

    def wait(*times: str) -> None:
        """Lets it become so late, and both sign in anew."""
        for time in times:
            market.clock.set(parse_time(time))
            market.work()
        shop.enter("owner", party, path="/desk/credit")
        office.enter("owner", AUTHORITY, path="/desk/decisions")

    wait(made["effective_at"], made["earliest_repair_at"])
    shop.open(f"/desk/credit/entries/{entry}")
    shop.send("button[value=repair]", repair_text="已整改，复检合格", repair_number="F-2")
    shop.told("repair_asked")
    decide(entry, "granted", "经核查属实")
    told = market.ask("GET", f"/api/v1/credit/{party}/entries", token=market.keys[party])["items"]
    assert [one["status"] for one in told if one["id"] == entry] == ["repaired"]

    wait(listing["removal_from"])
    shop.open(f"/desk/credit/lists/{listing['id']}")
    shop.send("button[value=removal]", removal_text="已履行完毕").told("removal_asked")
    decide(listing["id"], "granted", "准予移出")
    shop.open(f"/desk/credit/lists/{listing['id']}").says("准予移出")
    assert market.ask("GET", f"/api/v1/lists/black?party={party}")["items"] == []

    shop.open("/desk/credit/commitments").send("button[value=sign]").told("promise_signed")
    (made,) = market.ask("GET", f"/api/v1/parties/{party}/commitments")["items"]
    assert made["status"] == "active"
    buyer = walk(market).open(f"/credit/{party}")
    title = made["title"][buyer.lang] if isinstance(made.get("title"), dict) else ""
    buyer.says(title)
    shop.send("button[value=withdraw]").told("promise_withdrawn")
    (made,) = market.ask("GET", f"/api/v1/parties/{party}/commitments")["items"]
    assert made["status"] == "withdrawn"
