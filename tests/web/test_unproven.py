"""Who has no proof of purchase is led to what the contract allows: a report, in the same touches."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from app.parties.identity import uscc_check_digit
from tests.web.conftest import AUTHORITY, CARRIER, SHOP, STALL
from tests.web.people import signed_in

HTML = {"Accept": "text/html", "Accept-Language": "zh"}
NO_PROOF = "这一件不是经平台卖出的"
OTHER = 'formaction="/reports#report" formnovalidate>没有凭证，改作举报提交</button>'


def page_of(market, code: str) -> str:
    answer = market.client.get(f"/{code}", headers=HTML)
    assert answer.status_code == 200
    return answer.text


def sold(market, carrier: str | None, *, inner: bool = False, by: str = ""):
    (unit,) = market.issue(inner=inner)
    market.send(SHOP, unit.code, "sale", {}, hours=-9)
    if carrier is not None:
        market.send(SHOP, unit.code, "dispatch", {"carrier": carrier}, hours=-8)
    if by:
        market.send(by, unit.code, "signature", {"kind": "in_person"}, hours=-1)
    return unit


@pytest.mark.parametrize(
    ("carrier", "by"), [("中通", ""), ("中通", SHOP), (SHOP, ""), (SHOP, SHOP)]
)
def test_what_nobody_can_prove_is_not_asked_for(market, carrier, by):
    unit = sold(market, carrier, by=by)
    page = page_of(market, unit.code)
    assert NO_PROOF in page
    assert 'id="complaint"' not in page
    assert 'id="review"' not in page
    assert 'name="proof"' not in page
    assert 'action="/reports#report"' in page


@pytest.mark.parametrize("by", ["", SHOP])
def test_a_carrier_that_is_registered_nowhere_or_as_none_hands_over_no_proof(market, by):
    first_17 = "91440000MA4TE5T9X"
    for named in (first_17 + uscc_check_digit(first_17), STALL):
        unit = sold(market, named, by=by)
        assert NO_PROOF in page_of(market, unit.code), named


@pytest.mark.parametrize("by", ["", SHOP])
def test_a_carrier_whose_identity_nobody_verified_hands_over_no_proof(market, by):
    first_17 = f"91440000MA4TE5T9{'AB'[bool(by)]}"
    carrier = first_17 + uscc_check_digit(first_17)
    market.register(carrier, "carrier")
    unit = sold(market, carrier, by=by)
    assert NO_PROOF in page_of(market, unit.code)
    seen = {"status": "verified", "evidence": "seen"}
    market.ask("POST", f"/api/v1/parties/{carrier}/verification", seen, token=market.admin,
               status=201)  # fmt: skip
    assert NO_PROOF not in page_of(market, unit.code)


@pytest.mark.parametrize("by", ["", SHOP])
def test_a_shops_software_that_sells_by_mandate_is_no_platform(market, by):
    software = market.newcomer()
    market.mandate(SHOP, software, "sale")
    (unit,) = market.issue(inner=False)
    told = market.send(software, unit.code, "sale", {}, hours=-9, actor=SHOP)
    assert "claim_token" not in told
    market.send(SHOP, unit.code, "dispatch", {"carrier": "中通"}, hours=-8)
    if by:
        market.send(by, unit.code, "signature", {"kind": "in_person"}, hours=-1)
    assert NO_PROOF in page_of(market, unit.code)


def test_what_a_platform_sold_is_proven_whoever_carried_it(market):
    (unit,) = market.issue(inner=False)
    assert "claim_token" in market.sell_by_platform(unit.code, hours=-9)
    market.send(SHOP, unit.code, "dispatch", {"carrier": "中通"}, hours=-8)
    page = page_of(market, unit.code)
    assert NO_PROOF not in page
    assert 'name="proof_kind" value="claim"' in page


@pytest.mark.parametrize(
    ("carrier", "by"), [(None, ""), (CARRIER, ""), (CARRIER, CARRIER), (CARRIER, SHOP)]
)
def test_where_a_token_may_be_the_complaint_can_go_as_a_report(market, carrier, by):
    unit = sold(market, carrier, by=by)
    page = page_of(market, unit.code)
    assert NO_PROOF not in page
    assert 'name="proof_kind" value="claim"' in page
    assert 'value="inner"' not in page, "the pack holds no code"
    assert OTHER in page
    said = {"id": "0192f3a0-0000-7000-8000-00000000aaaa", "category": "quality", "text": "开裂了",
            "contact": "", "code": unit.code, "proof_kind": "claim", "proof": "", "lang": "zh"}  # fmt: skip
    answer = market.client.post("/reports", data=said, headers=HTML)
    assert answer.status_code == 201
    assert text("zh", "page.result.report") in answer.text
    refused = market.client.post("/reports", data=said | {"text": "", "id": ""}, headers=HTML)
    assert refused.status_code == 422
    assert 'id="report-text-error"' in refused.text


@pytest.mark.parametrize(("lang", "word"), [("zh", "质量"), ("en", "Quality")])
def test_what_a_complaint_is_about_goes_into_the_report(market, lang, word):
    unit = sold(market, CARRIER)
    said = {"category": "quality", "text": "开裂了", "code": unit.code, "lang": lang}
    refused = market.client.post("/reports", data=said | {"text": ""}, headers=HTML).text
    report = refused[refused.index('id="report"') :]
    assert '<input type="hidden" name="category" value="quality">' in report
    officer = signed_in(market, "staff", AUTHORITY, scopes=["audit"])
    for category, words in (
        ("quality", f"[{word}] 开裂了"),
        ("nonsense", "开裂了"),
        ("", "开裂了"),
    ):
        answer = market.client.post("/reports", data=said | {"category": category}, headers=HTML)
        assert answer.status_code == 201
        page = answer.text[answer.text.index("<main") :]
        ticket = re.search(r"R-[0-9A-Z]+|[0-9A-Z]{10,}", page)[0]
        officer.get(f"/desk/reports/{ticket}")
        shown = officer.post(f"/desk/reports/{ticket}", 200, do="open", purpose="核实线索").text
        assert f">{words}<" in shown


def test_the_code_inside_the_pack_proves_it_without_a_platform(market):
    unit = sold(market, "中通", inner=True)
    page = page_of(market, unit.code)
    assert NO_PROOF not in page
    assert 'name="proof_kind" value="inner"' in page
    assert 'name="proof_kind" value="claim"' not in page
    market.send(SHOP, unit.code, "return", {"reason": "returned"}, hours=-1)
    assert 'name="proof_kind" value="inner"' in page_of(market, unit.code)


@pytest.mark.parametrize(("lang", "words"), [("zh", "有问题，投诉"), ("en", "A problem: complain")])
def test_whose_goods_are_his_own_and_bad_finds_the_way_to_complain_too(market, lang, words):
    """It said "not right" beside "it is mine: review": he pressed neither."""
    page = page_of(market, f"{sold(market, CARRIER).code}?lang={lang}")
    assert re.findall(r'href="#complaint">([^<]+)</a>', page) == [words]
