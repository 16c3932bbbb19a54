"""The way to the other language on a page that answers a form: what was shown once is not lost by it."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from tests.web.people import open_people_market, signed_in
from tests.web.shown_forms import Shown, ShownForm
from tests.web.test_texts_api import bought, review

LANGS = ("zh", "en")
OTHER = {"zh": "en", "en": "zh"}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("switch")) as running:
        yield running


def switch_of(html: str) -> ShownForm:
    """The form that stands in the page's choice of languages, where no link stands."""
    choice = re.search(r'<nav class="languages".*?</nav>', html, re.DOTALL)[0]
    assert "href" not in choice
    (form,) = Shown(choice).forms
    return form


def switched(market, html: str) -> str:
    """The page in the other language, as a browser without a script asks for it."""
    form = switch_of(html)
    assert form.method == "post"
    assert "?" not in form.action
    data = {one.name: one.chosen[0] for one in form.controls} | dict(form.buttons)
    answer = market.call("POST", form.action.partition("#")[0], data=data)
    assert answer.status_code == 200
    return answer.text


def codes_of(html: str) -> tuple[str, str]:
    return tuple(
        re.search(f'class="{name}"><code>([^<]+)<', html)[1] for name in ("ticket", "query")
    )


@pytest.mark.parametrize("lang", LANGS)
def test_the_receipt_of_a_complaint_leads_to_the_matter_in_the_other_language(market, lang):
    it = bought(market)
    form = {"category": "quality", "text": "坏了", "proof": it.proof["Suxin-Claim"], "lang": lang}
    receipt = market.call("POST", f"/{it.unit.code}/complaint", data=form)
    assert receipt.status_code == 201
    number, query = codes_of(receipt.text)
    matter = switched(market, receipt.text)
    for _ in range(2):
        lang = OTHER[lang]
        assert text(lang, "page.ticket.title.complaint") in matter
        assert f"<dd>{number}</dd>" in matter
        assert f"<dd>{query}</dd>" in matter
        matter = switched(market, matter)


@pytest.mark.parametrize("lang", LANGS)
def test_the_receipt_of_a_report_does_so_too(market, lang):
    receipt = market.call("POST", "/reports", data={"text": "像是假的", "lang": lang})
    assert receipt.status_code == 201
    number, query = codes_of(receipt.text)
    matter = switched(market, receipt.text)
    assert text(OTHER[lang], "page.ticket.title.report") in matter
    assert f"<dd>{number}</dd>" in matter
    assert f"<dd>{query}</dd>" in switched(market, matter)


@pytest.mark.parametrize("lang", LANGS)
def test_what_one_wrote_is_shown_in_the_other_language_and_nothing_is_erased(market, lang):
    it = bought(market)
    review(market, it, "看得见的字")
    form = {"code": it.unit.code, "proof_kind": "claim", "proof": it.proof["Suxin-Claim"]}
    shown = market.call("POST", "/privacy", data=form | {"lang": lang}).text
    other = switched(market, shown)
    assert text(OTHER[lang], "page.privacy.title") in other
    assert "看得见的字" in other


def test_a_page_that_an_address_brings_back_has_a_link(market):
    for path in ("/ticket", "/privacy", f"/{market.one().code}"):
        page = market.call("GET", path, headers={"User-Agent": "curl"}).text
        assert len(re.findall(r'<a href="[^"]*lang=[a-z]+" hreflang', page)) == 1
        assert not [one for one in Shown(page).forms if ("lang", "en") in one.buttons]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/keys", {"label": "ERP", "scopes": ["products"]}),
        ("/account/people", {"label": "early shift", "role": "staff", "scopes": ["products"]}),
        ("/account/webhooks", {"url": "https://shop.example/suxin", "events": ["recall"]}),
    ],
)
def test_a_page_that_shows_a_secret_once_has_no_way_that_loses_it(market, path, fields):
    """A key, a link, the key of a webhook: no form brings them back, and nobody else may be told."""
    owner = signed_in(market)
    assert '<nav class="languages"' in owner.get(path).text
    owner.post(path, 200, **fields)
    assert '<nav class="languages"' not in owner.page
    assert "</header>" in owner.page
