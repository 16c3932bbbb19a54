"""What an authority does about a party and about texts, by pages alone: each a record, each refusal kept."""

from __future__ import annotations

import hashlib
import re
from html import unescape

import pytest

from app.i18n import text
from app.kit.clock import parse_time
from app.parties.principal import OPERATOR
from app.trace import texts
from app.trace.identifiers import parse_code
from tests.credit.files import pdf
from tests.web.authority import HERE, THERE
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import GTIN
from tests.web.people import open_people_market, signed_in
from tests.web.test_own_credit_pages import hidden
from tests.web.test_texts_api import WORDS, bought, page, review, sealed

REPORT = pdf("report")
PARTIES = "/desk/parties"
TEXTS = "/desk/texts"
LAW = {"title": "行政处罚决定书", "number": "肇市监罚〔2026〕1号"}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("dealing")) as running:
        yield running


@pytest.fixture
def shop(market):
    return market.newcomer(region=HERE)


@pytest.fixture
def office(market):
    return signed_in(market, "owner", AUTHORITY)


def measures(market, party: str) -> list[str]:
    return [one["kind"] for one in market.ask("GET", f"/api/v1/parties/{party}")["measures"]]


def listings(market, party: str) -> list[dict]:
    path = f"/api/v1/credit/{party}/lists"
    return market.ask("GET", path, token=market.keys[AUTHORITY])["items"]


def entries(market, party: str) -> list[dict]:
    path = f"/api/v1/credit/{party}/entries"
    return market.ask("GET", path, token=market.keys[AUTHORITY])["items"]


def test_a_measure_is_taken_and_lifted_on_pages(market, office, shop):
    place = f"{PARTIES}/{shop}"
    assert "No measure is in force" in office.get(place).text
    assert f'href="{place}/measure"' in office.page
    office.get(f"{place}/measure")
    id_ = hidden(office.page)
    told = {"id": id_, "kind": "suspend", "basis": "E-commerce Law art. 80"}
    office.post(f"{place}/measure", 422, **told)  # not agreed to
    assert "f-sure-error" in office.page
    assert 'value="E-commerce Law art. 80"' in office.page
    assert re.search(r'value="suspend" selected', office.page)
    assert measures(market, shop) == []
    office.post(f"{place}/measure", sure="yes", **told)
    office.post(f"{place}/measure", sure="yes", **told)  # sent twice: one measure
    assert measures(market, shop) == ["suspend"]
    assert "The measure is on record" in office.get(f"{place}?told=measure_recorded").text

    lift = f"{place}/lift?kind=suspend"
    assert f'href="{lift}"' in office.page
    office.get(lift)
    assert "delist" not in re.search(r'<select id="f-kind".*?</select>', office.page, re.DOTALL)[0]
    told = {"id": hidden(office.page), "kind": "suspend", "basis": "rectified, no. 7"}
    office.post(f"{place}/lift", 422, id=told["id"], kind="suspend", basis="", sure="yes")
    assert "f-basis-error" in office.page
    office.post(f"{place}/lift", sure="yes", **told)
    assert measures(market, shop) == []
    office.get(lift)
    office.post(f"{place}/lift", 409, sure="yes", **{**told, "id": hidden(page_of(office))})


def page_of(browser) -> str:
    """The last page, with an id of a form where it had none to fill in."""
    return browser.page + '<input name="id" value="0192f3a0-0000-7000-8000-00000000abcd">'


def test_a_measure_with_an_end_ends_by_itself(market, office, shop):
    until = market.at(48)[:16]
    office.get(f"{PARTIES}/{shop}/measure")
    office.post(f"{PARTIES}/{shop}/measure", kind="delist", basis="art. 80", until=until, sure="yes",
                id=hidden(office.page))  # fmt: skip
    (one,) = market.ask("GET", f"/api/v1/parties/{shop}")["measures"]
    # Typed in Beijing's time.
    assert one["until"] == f"{market.at(40)[:16]}:00.000Z"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_measure_ends_with_the_day_that_was_typed_and_the_form_says_so(market, office, lang):
    shop, day = market.newcomer(region=HERE), market.at(48)[:10]
    form = office.get(f"{PARTIES}/{shop}/measure?lang={lang}").text
    assert re.search(r'<input id="f-until" name="until" type="date"', form)
    assert text(lang, "dealing.until.hint") in form
    office.post(f"{PARTIES}/{shop}/measure", kind="warn", basis="art. 80", until=day, sure="yes",
                id=hidden(office.page))  # fmt: skip
    (one,) = market.ask("GET", f"/api/v1/parties/{shop}")["measures"]
    assert one["until"] == f"{day}T15:59:59.999Z", (
        "in Beijing that is a millisecond before midnight"
    )
    yesterday = market.at(-48)[:10]
    for wrong in (yesterday, "soon", "2026-02-30"):
        office.get(f"{PARTIES}/{shop}/measure")
        office.post(f"{PARTIES}/{shop}/measure", 422, kind="suspend", basis="art. 80", sure="yes",
                    until=wrong, id=hidden(office.page))  # fmt: skip
        assert "f-until-error" in office.page


def test_a_fact_is_entered_by_a_rule_of_the_policy_with_its_evidence(market, office, shop):
    place = f"{PARTIES}/{shop}/entry"
    form = office.get(place).text
    assert "Spot check failed −80" in re.sub(r"\s+", " ", form)
    assert "A spot check by an authority failed" in form or "spot check" in form.lower()
    for own_rule in ("chain_completed", "continuity_uncured"):
        assert f'value="{own_rule}"' not in form, "only the service enters it"
    id_ = hidden(form)
    told = {"id": id_, "rule": "spot_check_failed", "title": "Spot check report"}
    office.post(place, 422, sure="yes", url="http://example.cn", **told)
    assert "f-url-error" in office.page
    office.post(place, 422, sure="yes", **told)
    assert "f-number-error" in office.page
    assert 'value="Spot check report"' in office.page
    assert re.search(r'value="spot_check_failed" required checked', office.page)
    office.post(place, 422, sure="yes", number="2026-9", occurred_on="2999-01-01", **told)
    assert "f-occurred_on-error" in office.page
    assert entries(market, shop) == []
    more = {"number": "2026-9", "issuer": "Zhaoqing", "sure": "yes", **told}
    office.post(place, file=("report.pdf", REPORT), **more)
    office.post(place, file=("report.pdf", REPORT), **more)  # sent twice: one entry
    (made,) = entries(market, shop)
    assert (made["rule"], made["points"], made["status"]) == ("spot_check_failed", -80, "notice")
    assert made["evidence"] == {
        "title": "Spot check report", "number": "2026-9", "issuer": "Zhaoqing",
        "attachments": [hashlib.sha256(REPORT).hexdigest()],
    }  # fmt: skip
    # From the party's page to where it can be withdrawn.
    case = f"/desk/decisions/entries/{shop}/{made['id']}"
    assert f'href="{case}"' in office.get(f"{PARTIES}/{shop}").text
    office.get(case)
    office.post(case, do="withdrawn", id=hidden(office.page), reason="entered in error")
    assert entries(market, shop)[0]["status"] == "cancelled"


def test_a_party_is_put_on_the_black_list_after_a_notice(market, office, shop):
    place = f"{PARTIES}/{shop}/lists/black"
    office.get(place)
    told = {"id": hidden(office.page), "sure": "yes", **LAW}
    office.post(place, 422, **told)
    assert "f-criterion-error" in office.page
    # Serious dishonesty names an entry that weighs, and there is none.
    office.post(place, 422, criterion="serious_dishonesty", entry="", **told)
    assert "f-entry-error" in office.page
    office.post(place, criterion="decision_evaded", **told)
    office.post(place, criterion="decision_evaded", **told)
    (made,) = listings(market, shop)
    assert (made["list"], made["status"], made["evidence"]) == ("black", "notice", LAW)
    assert f"/desk/decisions/lists/{shop}/{made['id']}" in office.get(f"{PARTIES}/{shop}").text
    market.clock.set(parse_time(made["listed_at"]))
    assert shop in [one["party"] for one in market.ask("GET", "/api/v1/lists/black")["items"]]
    # A session does not last as long as a notice.
    office = signed_in(market, "owner", AUTHORITY)
    office.get(place)
    office.post(place, 409, criterion="decision_evaded", **LAW, sure="yes", id=hidden(office.page))
    assert LAW["title"] in office.page


def test_a_serious_entry_is_chosen_for_the_black_list_and_red_stands_too(market, office, shop):
    body = {"rule": "counterfeit", "evidence": LAW}
    path = f"/api/v1/credit/{shop}/entries"
    made = market.ask("POST", path, body, token=market.keys[AUTHORITY], status=201)
    market.clock.set(parse_time(made["effective_at"]))
    office = signed_in(market, "owner", AUTHORITY)
    place = f"{PARTIES}/{shop}/lists/black"
    assert made["id"] in office.get(place).text
    office.post(place, criterion="serious_dishonesty", entry=made["id"], title="Decision",
                sure="yes", id=hidden(office.page))  # fmt: skip
    assert listings(market, shop)[0]["evidence"]["entry"] == made["id"]
    red = f"{PARTIES}/{shop}/lists/red"
    assert "grade_a_kept" not in office.get(red).text, "that one the service finds by itself"
    office.post(red, criterion="commended", sure="yes", id=hidden(office.page), **LAW)
    assert {one["list"] for one in listings(market, shop)} == {"black", "red"}
    office.get(f"{PARTIES}/{shop}/lists/green", 404)


def test_only_who_may_and_only_in_office_deals_with_a_party(market, shop):
    places = ["", "/measure", "/lift", "/entry", "/lists/black"]
    seller = signed_in(market, "owner", SHOP)
    elsewhere = signed_in(market, "owner", AUTHORITY, region=THERE)
    for place in places:
        seller.get(f"{PARTIES}/{shop}{place}", 403)
        elsewhere.get(f"{PARTIES}/{shop}{place}", 403)
    for place in places[1:]:
        elsewhere.get("/desk")
        elsewhere.post(f"{PARTIES}/{shop}{place}", 403, kind="warn", basis="x", sure="yes",
                       rule="counterfeit", criterion="decision_evaded", **LAW)  # fmt: skip
    assert measures(market, shop) == listings(market, shop) == entries(market, shop) == []
    own = signed_in(market, "owner", AUTHORITY)
    assert "another authority" in own.get(f"{PARTIES}/{AUTHORITY}").text
    for place in ("/measure", "/lift"):
        own.post(f"{PARTIES}/{AUTHORITY}{place}", 403, kind="warn", basis="x", sure="yes")
    assert measures(market, AUTHORITY) == []
    own.get(f"{PARTIES}/91441200MA4TE5ZZZ9", 404)


def test_the_operator_enters_what_the_policy_leaves_to_it_and_nothing_more(market, shop):
    operator = signed_in(market, "operator", None)
    assert f"{PARTIES}/{shop}" in operator.get(f"/account/people?party={shop}").text
    form = operator.get(f"{PARTIES}/{shop}/entry").text
    assert 'value="licence_verified"' in form
    assert 'value="counterfeit"' not in form
    assert 'type="file"' not in form, "no party keeps the operator's documents"
    operator.post(f"{PARTIES}/{shop}/entry", rule="licence_verified", sure="yes", id=hidden(form),
                  title="Licences seen", number="1")  # fmt: skip
    assert [one["rule"] for one in entries(market, shop)] == ["licence_verified"]
    operator.get(f"{PARTIES}/{shop}/measure", 403)
    operator.get(f"{PARTIES}/{shop}/lists/red", 403)


def test_a_text_is_hidden_with_a_reason_and_shown_again(market, office):
    it = bought(market)
    of = review(market, it)["id"]
    code = it.unit.code
    assert f"{TEXTS}?code={code}" in office.get(f"/desk/chains/{code}").text
    assert WORDS in office.get(f"{TEXTS}?code={code}").text
    id_ = hidden(office.page)
    office.post(TEXTS, 422, code=code, of=of, id=id_, do="hide")
    assert f"r-{of}-error" in office.page
    office.post(TEXTS, code=code, of=of, id=id_, do="hide", reason="insult")
    assert WORDS not in page(market, it)
    # What is hidden is read for a stated purpose alone.
    assert WORDS not in office.get(f"{TEXTS}?code={code}").text
    assert "Show again" in office.page
    (told,) = market.rooms.texts.public(OPERATOR, parse_code(code)).texts
    assert (told.hidden, told.text) == ("insult", None)
    shown = {"code": code, "of": of, "id": hidden(office.page), "do": "show", "reason": "insult"}
    office.post(TEXTS, **shown)
    assert WORDS in page(market, it)
    types = [one["record"]["type"] for one in market.ask("GET", f"{it.unit.path}/events")["items"]]
    assert types[-2:] == ["hiding", "hiding"]
    office.get(f"{TEXTS}?code=nonsense", 422)
    assert 'value="nonsense"' in office.page
    office.get(f"{TEXTS}?code=01/{GTIN}/21/N0NE000000000", 404)
    signed_in(market, "owner", SHOP).get(f"{TEXTS}?code={code}", 403)


def test_texts_that_are_older_than_a_page_are_reached_from_it_and_hidden_there(
    market, office, monkeypatch
):
    monkeypatch.setattr(texts, "MOST_TEXTS", 1)
    it = bought(market)
    first = review(market, it, "最早的一句")["id"]
    more = {"headers": it.proof, "sealed": sealed("后来的一句")}
    market.send(None, it.unit.code, "follow_up", {"rating": 3}, **more)
    shown = office.get(f"{TEXTS}?code={it.unit.code}").text
    assert ("后来的一句" in shown, "最早的一句" in shown) == (True, False)
    (older,) = re.findall(r'href="(/desk/texts[^"]*cursor=[^"]*)"', shown)
    shown = office.get(unescape(older)).text
    assert ("后来的一句" in shown, "最早的一句" in shown) == (False, True)
    assert "Older texts" not in shown
    (cursor,) = re.findall(r'name="cursor" value="([^"]+)"', shown)
    form = {"code": it.unit.code, "of": first, "id": hidden(shown), "cursor": cursor}
    gone_on = office.post(TEXTS, **form, do="hide", reason="insult").headers["Location"]
    assert first in office.get(gone_on).text
    assert "Show again" in office.page


def test_the_operator_hides_by_the_page_in_its_own_name(market):
    it = bought(market)
    of = review(market, it)["id"]
    operator = signed_in(market, "operator", None)
    assert WORDS in operator.get(f"{TEXTS}?code={it.unit.code}").text
    operator.post(TEXTS, code=it.unit.code, of=of, do="hide", reason="illegal")
    record = market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]
    assert (record["type"], record["actor"], record["source"]) == ("hiding", "system", "system")


def test_a_spot_check_is_recorded_by_the_form_and_stands_on_the_page(market, office):
    lot = market.lot("SPOT-1")
    link = f"/desk/entry?type=inspection&amp;code={lot}"
    assert link in office.get(f"/desk/chains/{lot}").text
    office.get(link.replace("&amp;", "&"))
    told = {"type": "inspection", "code": lot, "body": "Inspection institute"}
    office.post("/desk/entry", 422, **told)
    assert "f-result-error" in office.page
    assert 'value="Inspection institute"' in office.page
    office.post("/desk/entry", result="qualified", **told)
    record = market.ask("GET", f"/api/v1/lots/{GTIN}/SPOT-1/events")["items"][-1]["record"]
    assert (record["type"], record["source"]) == ("inspection", "regulator")
    assert record["data"] == {"result": "qualified", "body": "Inspection institute"}
    assert "qualified" in market.call("GET", f"/{lot}").text
    shop = signed_in(market, "owner", SHOP)
    assert "type=inspection" not in shop.get("/desk/entry").text


def test_the_report_of_a_spot_check_is_recorded_by_its_fingerprint(market, office):
    lot = market.lot("SPOT-2")
    office.get("/desk/entry?type=inspection")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', office.page)[1]
    answer = office.http.post(
        "/desk/entry",
        data={"csrf": token, "type": "inspection", "code": lot, "result": "qualified"},
        files={"report_digest": ("report.pdf", REPORT)},
        headers={"Origin": market.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 303, answer.text
    record = market.ask("GET", f"/api/v1/lots/{GTIN}/SPOT-2/events")["items"][-1]["record"]
    assert record["data"]["report_digest"] == hashlib.sha256(REPORT).hexdigest()
