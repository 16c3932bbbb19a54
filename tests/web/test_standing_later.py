"""The dossier while time passes: holds that lift, gaps that are charged. Moves its market's clock far."""

from __future__ import annotations

from app.i18n import text
from tests.web.conftest import SHOP
from tests.web.market import GTIN
from tests.web.test_standing_pages import show


def test_a_hold_stands_apart_with_both_scores(market):
    party = market.newcomer()
    market.rooms.credit.hold(party, f"finding of {party}")
    page, html = show(market, f"/credit/{party}")
    assert "计暂扣 650 分（C），不计暂扣 700 分（B）" in page.text
    assert 'fill="url(#hatch-narrow)"' in html
    # Nobody lost a point that could fade; the day that ends the picture is told as what it is.
    assert text("zh", "page.dossier.event.fade") not in page.text
    assert text("zh", "page.dossier.event.same") in page.text
    market.clock.advance(30 * 86_400)
    page, html = show(market, f"/credit/{party}")
    assert "不计暂扣" not in page.text
    assert 'fill="url(#hatch' not in html


def test_a_finding_leads_to_the_product_never_to_the_unit(market):
    unit = market.one()
    market.sell(unit.code)
    market.work()
    market.clock.advance(40 * 86_400)
    market.work()
    market.clock.advance(30 * 86_400)
    market.work()
    page, html = show(market, f"/credit/{SHOP}")
    assert "追溯链断档未补" in page.text
    assert text("zh", "finding.continuity.missing_dispatch") in page.text
    assert f'href="/01/{GTIN}?lang=zh"' in html
    assert unit.serial not in html
