"""A label that names another lot than the one on record: its page says so, above the story."""

from __future__ import annotations

from html import escape

import pytest

from app.i18n import text
from tests.web.market import GTIN, PRODUCT
from tests.web.people import open_people_market


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("label-lots")) as running:
        running.lot("GZ-01")
        yield running


@pytest.fixture(scope="module")
def serial(market):
    return market.one(lot="GZ-01").code.rpartition("/")[2]


def page(market, place: str, lang: str = "en") -> str:
    answer = market.call("GET", place, params={"lang": lang}, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def said(lang: str, label: str) -> str:
    return escape(text(lang, "page.warning.label_lot", label=label, recorded="GZ-01"))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_label_that_names_another_lot_is_told_above_the_story(market, serial, lang):
    shown = page(market, f"/{PRODUCT}/10/WRONGLOT/21/{serial}", lang)
    assert said(lang, "WRONGLOT") in shown.split('id="chain-title"')[0]
    assert 'class="button button-first" href="#report"' in shown, "the way to say so comes forward"


def test_a_lot_with_marks_of_html_stays_text(market, serial):
    shown = page(market, f"/{PRODUCT}/10/%3Cb%3E%22&x/21/{serial}")
    assert "lot &lt;b&gt;&#34;&amp;x, the" in shown
    assert "<b>&" not in shown


@pytest.mark.parametrize("lot", ["/10/GZ-01", "/10/gz-01", ""])
def test_the_lot_on_record_in_any_letters_or_none_is_no_caution(market, serial, lot):
    assert "warning-label_lot" not in page(market, f"/{PRODUCT}{lot}/21/{serial}")


def test_a_unit_of_no_lot_on_record_contradicts_no_label(market):
    serial = market.one().code.rpartition("/")[2]
    assert "warning-label_lot" not in page(market, f"/{PRODUCT}/10/ANY/21/{serial}")


def test_what_can_be_no_lot_is_told_too_and_cut(market, serial):
    place = f"/{PRODUCT}/10/%E6%89%B9%E5%8F%B7%E4%B8%80/21/{serial}"
    assert said("zh", "批号一") in page(market, place, "zh")
    shown = page(market, f"/{PRODUCT}/10/{'x' * 500}/21/{serial}", "en")
    assert said("en", f"{'x' * 40}…") in shown


def test_a_typed_or_scanned_code_brings_its_lot_along(market, serial):
    typed = f"(01){GTIN}(10)WRONG/1(21){serial}"
    place = f"/{PRODUCT}/10/WRONG%2F1/21/{serial}"
    html = {"Accept": "text/html", "Accept-Language": "en"}
    for answer in (
        market.call("GET", "/code", params={"code": typed}, headers=html),
        market.call("POST", "/scan", data={"text": typed}, headers=html),
    ):
        assert (answer.status_code, answer.headers["Location"]) == (303, place)
    assert said("en", "WRONG/1") in page(market, place)
