"""On /privacy nobody erases a text before it is said what that means, above all of an open complaint."""

from __future__ import annotations

import re
from html import unescape

import pytest

from app.i18n import text
from tests.web.people import open_people_market
from tests.web.shown_forms import Shown
from tests.web.test_texts_api import bought, complain, review, sealed, ticket

LANGS = ("zh", "en")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("asked")) as running:
        yield running


def mine(market, it, lang: str) -> str:
    form = {"code": it.unit.code, "proof_kind": "claim", "proof": it.proof["Suxin-Claim"]}
    answer = market.call("POST", "/privacy", data=form | {"lang": lang})
    assert answer.status_code == 200
    return answer.text


def asked(page: str) -> list[str]:
    """What is folded away with each text: the question and its form."""
    (listed,) = re.findall(r'<ol class="said">.*?</ol>', page, re.DOTALL)
    folded = re.findall(r"<details>.*?</details>", listed, re.DOTALL)
    assert listed.count('value="erase"') == "".join(folded).count('value="erase"')
    return [unescape(one) for one in folded]


@pytest.mark.parametrize("lang", LANGS)
def test_before_a_text_is_erased_it_is_said_what_that_means(market, lang):
    it = bought(market)
    review(market, it)
    (question,) = asked(mine(market, it, lang))
    assert f"<summary>{text(lang, 'page.privacy.mine.erase')}</summary>" in question
    assert text(lang, "page.privacy.mine.erase.means") in question
    assert text(lang, "page.ticket.erase.means") not in question
    (form,) = Shown(question).forms
    market.call("POST", "/privacy", data={one.name: one.chosen[0] for one in form.controls})
    assert asked(mine(market, it, lang)) == []


@pytest.mark.parametrize("lang", LANGS)
def test_an_open_complaint_is_told_what_becomes_of_its_ticket(market, lang):
    it = bought(market)
    made = complain(market, it)
    matter = {"ticket": made["ticket"], "query": made["query_code"], "lang": lang}
    own, is_open = text(lang, "page.ticket.erase.means"), text(lang, "page.ticket.erase.open")
    for shown in (
        asked(mine(market, it, lang))[0],
        market.call("POST", "/ticket", data=matter).text,
    ):
        assert own in unescape(shown)
        assert is_open in unescape(shown)
    settled = {"of": made["id"], "settled": True}
    more = {"headers": ticket(made), "sealed": sealed("谢谢", "detail")}
    market.send(None, it.unit.code, "message", settled, **more)
    for shown in (
        asked(mine(market, it, lang))[0],
        market.call("POST", "/ticket", data=matter).text,
    ):
        assert own in unescape(shown)
        assert is_open not in unescape(shown)
