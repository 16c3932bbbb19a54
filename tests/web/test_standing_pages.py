"""The pages on credit, policy and zone: what they say is what the API says, in both languages, to anybody."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest

from app.credit.loader import packaged
from app.credit.policy import score
from app.i18n import LANGUAGES, text
from app.kit.clock import parse_time, to_ms
from app.web.pages.dossier import fill_dossier
from app.web.pages.policy import work_example
from app.web.pages.standing import SCRIPT, SCRIPT_PATH
from app.web.pages.views import Frame
from tests.scripts.test_recompute_score import script
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.operations import listing, signed
from tests.web.standing import enter, live
from tests.web.test_render import ATTACK, Page
from tests.web.test_search_api import gtin_like

POLICY = packaged().get(1)
FORBIDDEN = re.compile(r"正品|保真|\b(?:genuine|authentic\w*|guarantee\w*)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def told(market):
    return live(market)


@pytest.fixture(scope="module")
def goods(market, told):
    """A product of the zone, with as many whole chains as data needs."""
    gtin, shop = gtin_like("692000000001"), market.keys[SHOP]
    body = {"gtin": gtin, "name": "鼎湖山红茶", "category": "edible_agricultural", "brand": "鼎湖"}
    market.ask("POST", "/api/v1/products", body, token=shop, status=201)
    market.send(SHOP, f"01/{gtin}", "listing", {"platform": PLATFORM}, hours=-400)
    made = market.ask("POST", "/api/v1/codes", {"gtin": gtin, "count": 10}, token=shop, status=202)
    while market.rooms.issuing.issue_some():
        pass
    for unit in market.codes_of(made["batch_id"]):
        market.complete(unit.code)
    market.work()
    market.rooms.features.refresh_all()
    return gtin


def show(market, path: str, lang: str = "zh", *, status: int = 200) -> tuple[Page, str]:
    joint = "&" if "?" in path else "?"
    answer = market.call("GET", f"{path}{joint}lang={lang}")
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["Content-Language"] == lang
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    return Page(answer.text), answer.text


# --- every page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_whole_html_without_script_or_style_of_its_own(market, told, goods, lang):
    for path in (f"/credit/{SHOP}", f"/credit/{PLATFORM}", "/policy", "/policy/1", "/zone",
                 "/zone?category=food", "/zone?category=edible_agricultural", "/search?q=茶"):  # fmt: skip
        page, html = show(market, path, lang)
        assert len(page.named("h1")) == 1, path
        assert page.named("script") == page.named("style") == []
        assert not [a for _, attrs in page.elements for a in attrs if a == "style" or a[:2] == "on"]
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), path
        referred = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
        assert referred <= set(ids)
        (switch,) = [a for a in page.named("a") if "hreflang" in a]
        assert switch["href"].endswith("lang=en" if lang == "zh" else "lang=zh")
        assert not re.search(r"\b(?:page|credit|finding)\.[a-z]", page.text), path
        assert not FORBIDDEN.search(html)
        assert len(html.encode()) < 60_000
        if lang == "en" and path.startswith("/policy"):
            assert not re.findall(
                r"[\u4e00-\u9fff]", page.text.replace("中文", "").replace("溯信", "")
            )


def test_links_within_keep_the_chosen_language(market, told, goods):
    for path in (f"/credit/{SHOP}", "/policy", "/zone"):
        page, _ = show(market, path, "en")
        for link in page.named("a"):
            href = link["href"]
            if href.startswith("/") and not href.startswith(("/api/", SCRIPT_PATH)):
                assert "lang=" in href, (path, href)


# --- /credit/{party} ------------------------------------------------------------------------------


def test_a_dossier_says_what_the_api_says(market, told):
    credit = market.ask("GET", f"/api/v1/credit/{SHOP}")
    entries = market.ask("GET", f"/api/v1/credit/{SHOP}/entries")["items"]
    page, html = show(market, f"/credit/{SHOP}")
    assert f">{credit['score']}<small>/1000</small>" in html
    assert f'class="grade grade-{credit["grade"]}"' in html
    losses = [one for one in entries if one["points"] < 0]
    assert len(losses) == 2
    for one in losses:
        assert POLICY.rules[one["rule"]].title["zh"] in page.text
        assert f"<b>−{-one['weight']}</b>" in html
        assert one["evidence"]["number"] in page.text
        assert f'href="{one["evidence"]["url"]}"' in html
    assert html.count('<article class="entry') == len(losses)
    # What each rule makes of the score, and together the score.
    sums = dict(re.findall(r'scope="row">([^<]+?) <small>× \d+</small></th><td>([+−]\d+)', html))
    points = [int(told.replace("−", "-")) for told in sums.values()]
    assert points == [one["points"] for one in credit["breakdown"]]
    assert 700 + sum(points) == credit["score"]


def test_without_an_entry_the_score_would_be_what_the_function_says(market, told):
    filed, card = market.rooms.credit_ledger.file_of(SHOP, None)
    others = [one.entry for one in filed if one.entry.id != told["old"]["id"]]
    expected = score(others, card.holds, market.clock.now(), POLICY).score
    assert expected > card.score
    page, _ = show(market, f"/credit/{SHOP}")
    assert text("zh", "page.dossier.without.score", score=expected) in page.text


def test_an_objection_is_flagged_and_a_repaired_entry_leaves_no_trace(market, told):
    for lang in LANGUAGES:
        page, html = show(market, f"/credit/{SHOP}", lang)
        assert f'<span class="tag">{text(lang, "credit.status.objected")}</span>' in html
        assert POLICY.rules["complaint_upheld"].title[lang] not in page.text
        assert "T-1" not in page.text
    _, html = show(market, f"/credit/{SHOP}")
    assert "投诉处理决定" not in html


def test_what_is_only_announced_is_not_public(market, told):
    party = market.newcomer()
    body = {"rule": "spot_check_failed", "evidence": {"title": "告知书", "number": "N-7"}}
    path = f"/api/v1/credit/{party}/entries"
    entry = market.ask("POST", path, body, token=market.keys["11441200007000001C"], status=201)
    page, _ = show(market, f"/credit/{party}")
    assert "N-7" not in page.text
    assert "没有公开的扣分条目" in page.text
    assert entry["status"] == "notice"


def test_thin_data_is_said_plainly(market):
    page, html = show(market, f"/credit/{market.newcomer()}", "en")
    assert "Data not enough: 0 whole chains; 10 are needed" in page.text
    assert "credit-new" in html
    assert "There is no public entry that costs points" in page.text


def test_the_picture_and_its_table_tell_the_same(market, told):
    page, html = show(market, f"/credit/{SHOP}")
    assert len(re.findall(r'<svg class="course ', html)) == 2
    labels = [a["aria-label"] for t, a in page.elements if t == "svg" and "course" in a["class"]]
    assert labels == [text("zh", "page.dossier.chart.label")] * 2
    rows = re.findall(r'<td class="day">([\d-]+)</td>.*?<td class="figure">(\d+)', html, re.DOTALL)
    card = market.rooms.credit.card(SHOP)
    today = (market.clock.now() + timedelta(hours=8)).date().isoformat()
    assert (today, str(card.score)) in rows
    assert "抽检不合格 生效，−80" in page.text
    assert "图物不符 起可申请修复" in page.text


def test_a_point_names_its_rule_in_the_version_that_made_it(market, told):
    _, html = show(market, f"/credit/{SHOP}")
    assert 'href="/policy/1?lang=zh#rule-spot_check_failed"' in html
    _, policy = show(market, "/policy/1")
    assert 'id="rule-spot_check_failed"' in policy


def test_a_name_is_text_whatever_it_holds(market):
    party = market.newcomer(name=f"店{ATTACK}")
    enter(market, party, "counterfeit", title=f"决定{ATTACK}", number=ATTACK, issuer=ATTACK)
    for lang in LANGUAGES:
        page, html = show(market, f"/credit/{party}", lang)
        assert "<script" not in html
        assert f"店{ATTACK}" in page.text
        assert f"决定{ATTACK}" in page.text
        # Serious: the grade is forced, and said to be.
        assert 'class="grade grade-D"' in html


@pytest.mark.parametrize("path", [
    "/credit/91441200MA4W000020", "/credit/nobody", "/credit/%3Cscript%3E", "/policy/9",
    "/policy/x", "/policy/0", f"/credit/{'9' * 70}",
])  # fmt: skip
def test_what_is_not_there_has_a_page_that_says_so(market, path):
    answer = market.call("GET", path, headers={"Accept": "text/html"})
    assert answer.status_code in (404, 422)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert text("en", "page.error.not_found") in answer.text
    assert "<script" not in answer.text


def test_the_program_that_recomputes_is_served_as_it_is_and_agrees(market, told):
    answer = market.call("GET", SCRIPT_PATH)
    assert answer.content == SCRIPT.read_bytes()
    _, html = show(market, f"/credit/{SHOP}")
    assert f'href="{SCRIPT_PATH}"' in html
    paths = re.findall(r"/api/v1/credit/\S+?(?=[\s\"<])", html.split("recompute_score.py \\")[1])[
        :3
    ]
    entries, policy, credit = (market.ask("GET", path) for path in paths)
    at = script.to_ms(credit["as_of"])
    assert (
        script.recompute(entries["items"], policy, at, credit["holds"])["score"] == credit["score"]
    )
    # And so is every moment of the picture, past and to come.
    frame = Frame(lang="zh", path=f"/credit/{SHOP}")
    course = fill_dossier(market.rooms, frame, SHOP, script="").course
    assert len(course.moments) > 20
    for one in course.moments:
        again = script.recompute(entries["items"], policy, to_ms(one.at), credit["holds"])
        assert (one.score, one.grade) == (again["score"], again["grade"])


# --- /policy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rule_of_the_policy_is_told_with_its_numbers(market, lang):
    page, html = show(market, "/policy", lang)
    for rule in POLICY.rules.values():
        assert f'id="rule-{rule.id}"' in html
        assert rule.title[lang] in page.text
        assert rule.text[lang] in page.text
    for said in (POLICY.summary, POLICY.objection.text, POLICY.repair.text, POLICY.hold.text,
                 POLICY.ranking.text, *(terms.text for terms in POLICY.classes.values())):  # fmt: skip
        assert said[lang] in page.text
    assert POLICY.digest[:8] in page.text
    assert html.count('<th scope="row">') == 9, "every step of the life of an entry"


def test_the_worked_example_is_the_score_function_of_this_policy():
    for lang in LANGUAGES:
        scenes = list(work_example(POLICY, lang))
        assert [one.at for one in scenes] == sorted(one.at for one in scenes)
        assert (scenes[0].score, scenes[0].grade) == (700, "B")
        for one in scenes:
            assert one.score == POLICY.base + one.earned - one.lost
            assert one.grade == POLICY.grade_of(one.score)
        assert {30, 15, 0} <= {one.lost for one in scenes}
    dearer = MappingProxyType({
        **POLICY.rules,
        "continuity_uncured": replace(POLICY.rules["continuity_uncured"], points=-60),
    })  # fmt: skip
    changed = list(work_example(replace(POLICY, base=500, rules=dearer), "zh"))
    assert changed[0].score == 500
    assert {60, 30} <= {one.lost for one in changed}


# --- /zone and the way there ------------------------------------------------------------------------


def test_the_zone_shows_its_goods_by_kind_with_their_numbers(market, goods):
    page, html = show(market, "/zone?category=edible_agricultural")
    (item,) = market.ask("GET", "/api/v1/zone", params={"category": "edible_agricultural"})["items"]
    offer = item["offers"][0]
    assert f'href="/01/{goods}?lang=zh"' in html
    assert f'href="/credit/{SHOP}?lang=zh"' in html
    assert f"售出 {offer['sold']} 件，{offer['sold_without_open_gap']} 件没有缺口" in page.text
    assert f"<b>{offer['score']}</b>" in html
    page, html = show(market, "/zone?category=food")
    assert text("zh", "page.zone.empty") in page.text
    assert goods not in html
    assert "10 条完整的追溯链" in page.text


def test_a_search_finds_by_a_character_and_says_what_was_asked(market, goods):
    page, html = show(market, "/search?q=茶")
    assert f'href="/01/{goods}?lang=zh"' in html
    assert "查找“茶”" in page.text
    page, html = show(market, "/search?q=%3Cscript%3E%22&sort=credit", "en")
    assert "<script" not in html
    assert text("en", "page.search.none") in page.text
    assert 'value="credit" checked' in html
    page, _ = show(market, "/search")
    assert len(page.named("h1")) == 1
    page, html = show(market, f"/search?q={goods}&sort=newest")
    assert page.named("input")[0]["value"] == goods


def test_a_category_that_is_none_is_no_page_of_the_zone(market):
    answer = market.call("GET", "/zone?category=consumer_goods", headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_front_page_and_the_seller_lead_to_these_pages(market, goods):
    page, html = show(market, "/")
    targets = {link["href"].split("?")[0] for link in page.named("a")}
    assert {"/zone", "/policy", f"/01/{goods}"} <= targets
    assert "鼎湖山红茶" in html
    page, _ = show(market, f"/01/{goods}")
    assert f"/credit/{SHOP}" in {link["href"].split("?")[0] for link in page.named("a")}


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/zone?category=food", "category=food"),
        ("/search?q=%E8%8C%B6%26&sort=newest", "q=%E8%8C%B6%26&sort=newest"),
        ("/credit/" + SHOP + "?ignored=1", ""),
    ],
)
def test_the_other_language_is_asked_the_same_question(market, told, goods, path, kept):
    page, _ = show(market, path, "zh")
    (switch,) = [a["href"] for a in page.named("a") if "hreflang" in a]
    joint = "&" if kept else ""
    assert switch == f"{path.split('?')[0]}?{kept}{joint}lang=en"
    other, _ = show(market, switch.removesuffix("&lang=en").removesuffix("?lang=en"), "en")
    (back,) = [a["href"] for a in other.named("a") if "hreflang" in a]
    assert back == switch.replace("lang=en", "lang=zh")


def test_a_dossier_says_ratings_promises_lists_and_grades(market, told):
    carrier = market.newcomer("carrier")
    empty, _ = show(market, f"/credit/{carrier}", "en")
    assert "Nobody has rated this party" in empty.text
    assert "No commitment has been signed." in empty.text
    assert "Grade at the end of each month" not in empty.text
    for stars in (4, 5):
        (unit,) = market.issue()
        sold = market.sell_by_platform(unit.code)
        sent = market.send(SHOP, unit.code, "dispatch", {"carrier": carrier}, hours=-2)
        said = {"of": sent["id"], "carrier": carrier, "rating": stars}
        market.send(SHOP, unit.code, "carrier_rating", said)
        proof = {"Suxin-Claim": sold["claim_token"]}
        market.send(None, unit.code, "carrier_rating", {**said, "rating": 2}, headers=proof)
    body = signed("lawful_trade")
    path = f"/api/v1/parties/{carrier}/commitments"
    market.ask("POST", path, body, token=market.keys[carrier], status=201)
    body = listing(carrier)
    made = market.ask("POST", "/api/v1/lists/black", body, token=market.keys[AUTHORITY], status=201)
    hidden, _ = show(market, f"/credit/{carrier}", "en")
    assert "Black list" not in hidden.text, "announced, and no more"
    market.clock.set(max(market.clock.now(), parse_time(made["listed_at"])))
    market.clock.advance(32 * 86_400)
    market.work()
    for lang in LANGUAGES:
        page, html = show(market, f"/credit/{carrier}", lang)
        api = market.ask("GET", f"/api/v1/credit/{carrier}/ratings")["ratings"]
        for one in api:
            words = text(lang, f"page.dossier.rated.{one['rated_as']}.{one['by']}")
            assert (words in page.text) == (one["count"] > 0)
            if one["count"]:
                line = text(
                    lang, "page.dossier.rated.line", mean=one["mean"], least=one["at_least"],
                    count=one["count"],
                )  # fmt: skip
                assert line in page.text
        assert POLICY.lists["black"].title[lang] in page.text
        assert text(lang, "commitment.active") in page.text
        (grade,) = market.ask("GET", f"/api/v1/credit/{carrier}/history")["items"][-1:]
        assert grade["month"] in page.text
        assert html.count("aside-hold") == 1
