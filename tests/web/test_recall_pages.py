"""Recalls through pages, without a script: made, counted, taken along as a file, lifted."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import PRODUCT, RIVAL
from tests.web.people import open_people_market, signed_in

D = "/desk/recalls"
_names = itertools.count(1)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("recalls")) as running:
        yield running


def new_lot(market, by: str = SHOP, *, units: int = 2):
    number = f"P{next(_names)}"
    code = market.lot(number, token=market.keys[by])
    return code, [one.code for one in market.issue(units, by=by, lot=number)]


def told_of(page: str) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_lot_whose_number_has_signs_of_addresses_is_recalled_and_shown(market):
    code = market.lot(f"P%{next(_names)}/A&B")
    someone = signed_in(market, "owner", SHOP)
    someone.get(f"{D}/new?lang=en")
    told = {"lang": "en", "type": "recall", "codes": code, "reason": "wrong label"}
    someone.get(someone.post(f"{D}/new", **told).headers["location"])
    assert "The recall is on record" in someone.page
    assert "wrong label" in someone.page


def test_an_authority_orders_a_recall_looks_how_far_it_came_and_lifts_it(market):
    lot, (unit, _) = new_lot(market)
    market.sell(unit)
    someone = signed_in(market, "owner", AUTHORITY)
    someone.get(f"/desk/chains/{lot}?lang=en")
    assert (
        f'href="{D}?code={lot.replace("/", "%2F")}' in someone.page
        or f"{D}?code={lot}" in someone.page
    )
    someone.get(f"{D}/new?code={lot}&lang=en")
    assert lot in someone.page
    told = {
        "lang": "en", "type": "recall", "codes": lot, "reason": "glass in the jars", "level": "1",
        "basis": "食品安全法第六十三条",
    }  # fmt: skip
    market.clock.advance(60)
    answer = someone.post(f"{D}/new", **told)
    someone.get(answer.headers["location"])
    assert "The recall is on record" in someone.page
    assert "glass in the jars" in someone.page
    assert "食品安全法第六十三条" in someone.page
    record = market.ask("GET", f"/api/v1/lots/{lot[3:17]}/{lot[21:]}/events")["items"][-1]["record"]
    assert (record["type"], record["source"]) == ("recall", "regulator")
    assert record["data"] == {"reason": told["reason"], "level": 1, "basis": told["basis"]}
    assert "Reason: glass in the jars Recall level: 1" in told_of(
        someone.get(f"/{lot}?lang=en").text
    )

    asked = {"lang": "en", "code": lot}
    someone.get(f"{D}?lang=en")
    someone.post(f"{D}/reach", 422, **asked)
    assert "f-purpose-error" in someone.page
    assert "glass in the jars" in someone.page  # the list still stands below
    someone.post(f"{D}/reach", 200, **asked, purpose="checking the recall")
    said = told_of(someone.page)
    assert "0.0 % 0 reached of 1 concerned" in said
    assert "Sold, not sent" in said
    assert "Confirmed (returned or voided) 0" in said
    answer = someone.post(f"{D}/reach.csv", 200, **asked, purpose="checking the recall")
    assert answer.headers["content-type"].startswith("text/csv")
    assert unit in answer.text
    someone.get("/desk/looks?lang=en")
    assert told_of(someone.page).count("Reach of a recall") == 2

    someone.get(f"{D}/new?type=recall_lifted&code={lot}&lang=en")
    assert "what is the danger" not in someone.page
    lifted = {"lang": "en", "type": "recall_lifted", "codes": lot, "reason": "all were found"}
    someone.get(someone.post(f"{D}/new", **lifted).headers["location"])
    assert "The recall is lifted" in someone.page
    someone.get(f"{D}?open=yes&code={lot}&lang=en")
    assert lot not in set(re.findall(r"<code>([^<]+)</code>", someone.page))


def test_a_merchant_recalls_several_units_at_once_or_none(market):
    lot, units = new_lot(market, units=3)
    _, (foreign, _) = new_lot(market, RIVAL)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"/desk/products/{lot[3:17]}?lang=en")
    assert f"{D}?code=01/" in owner.page
    owner.get(f"{D}/new?lang=en")
    assert "Legal basis" not in owner.page
    form = {"lang": "en", "type": "recall", "reason": "loose lids"}
    entry = re.search(r'name="entry" value="([^"]+)"', owner.page)[1]
    owner.post(f"{D}/new", 403, **form, codes="\n".join([*units, foreign]), entry=entry)
    assert f"Line 4, “{foreign}”: " in owner.page
    warned = lambda code: "recalled" in market.ask("GET", f"/api/v1/code?code={code}")["warnings"]  # noqa: E731
    assert not any(map(warned, units))
    market.clock.advance(1)
    for _ in range(2):  # sent twice it is recorded once
        owner.post(f"{D}/new", **form, codes="\n".join(units[:2]), entry=entry)
    assert [warned(code) for code in units] == [True, True, False]
    chain = market.ask("GET", f"/api/v1/codes/{units[0][3:17]}/{units[0][21:]}/events")["items"]
    assert [one["record"]["type"] for one in chain].count("recall") == 1
    owner.post(f"{D}/new", 422, **form, codes="")
    assert "f-codes-error" in owner.page
    owner.post(f"{D}/new", 422, **form, codes="01/06901234567890")
    assert "f-codes-error" in owner.page
    owner.post(f"{D}/reach", 200, lang="en", code=lot)
    assert "2 reached" not in told_of(owner.page)
    owner.post(f"{D}/reach", 403, lang="en", code=foreign)
    assert 'role="alert"' in owner.page


def test_every_bad_line_is_named_with_its_number_and_what_else_is_wrong(market):
    _, units = new_lot(market)
    owner = signed_in(market, "owner", SHOP)
    owner.get(f"{D}/new?lang=en")
    codes = f"{units[0]}\n\n01/06901234567890\n{units[1]} nonsense"
    owner.post(f"{D}/new", 422, lang="en", type="recall", codes=codes, reason="")
    said = re.search(r'id="f-codes-error">([^<]+)<', owner.page)[1].splitlines()
    assert [one.split("”")[0] for one in said] == [
        "Line 3, “01/06901234567890",
        "Line 4, “nonsense",
    ]
    assert "Wrong check digit" in said[0]
    assert 'id="f-reason-error"' in owner.page
    owner.post(f"{D}/new", 422, lang="en", type="recall", codes="x\n" * 30, reason="lids")
    assert "10 more are wrong too" in owner.page


def test_a_recall_that_stands_is_led_to_and_not_made_twice(market):
    lot, (unit, _) = new_lot(market)
    owner = signed_in(market, "owner", SHOP)
    form = {"lang": "en", "type": "recall", "reason": "loose lids"}
    owner.get(f"{D}/new?lang=en")
    owner.post(f"{D}/new", **form, codes=lot)
    owner.post(f"{D}/new", 409, **form, codes=lot)
    assert "Your recall of these goods holds already" in owner.page
    assert f"{D}?code={lot.replace('/', '%2F')}" in owner.page or f"{D}?code={lot}" in owner.page
    owner.post(f"{D}/new", 409, **form, codes=f"{unit}\n{lot}")
    assert f"Line 2, “{lot}”: Your recall" in owner.page
    # Named twice in two spellings, it is one thing.
    digital = f"https://example.org/{unit}"
    owner.post(f"{D}/new", **form, codes=f"{unit}\n{digital}")
    (record,) = [
        one["record"]
        for one in market.ask("GET", f"/api/v1/lots/{lot[3:17]}/{lot[21:]}/events")["items"]
        if one["record"]["type"] == "recall"
    ]
    # What was wrong with it is set right by a form of its own.
    owner.get(f"/desk/records?code={lot}&lang=en")
    path = f"/desk/records/correct?code={lot}&of={record['id']}"
    owner.get(f"{path}&lang=en")
    fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', owner.page))
    del fields["csrf"]
    owner.post("/desk/records/correct", **{**fields, "level": "1"})
    owner.get(f"{D}?code={lot}&lang=en")
    assert "Recall level: 1" in told_of(owner.page)


def test_who_lifts_a_recall_is_told_where_another_holds(market):
    lot, (unit, _) = new_lot(market)
    market.send(AUTHORITY, lot, "recall", {"reason": "glass"}, hours=0)
    owner = signed_in(market, "owner", SHOP)
    for code in (lot, unit):
        market.send(SHOP, code, "recall", {"reason": "lids"}, hours=0)
        owner.get(f"{D}/new?lang=en")
        lifted = {"lang": "en", "type": "recall_lifted", "codes": code, "reason": "checked"}
        owner.get(owner.post(f"{D}/new", **lifted).headers["location"])
        assert "the goods are still recalled" in owner.page
        assert "The recall is lifted" not in owner.page


def test_the_file_is_headed_in_the_readers_language_in_chinas_time(market):
    lot, (unit, _) = new_lot(market)
    market.sell(unit)
    market.send(SHOP, lot, "recall", {"reason": "lids"}, hours=0)
    owner = signed_in(market, "owner", SHOP)
    files = {}
    for lang in ("zh", "en"):
        owner.get(f"{D}?lang={lang}")
        answer = owner.post(f"{D}/reach.csv", 200, lang=lang, code=lot)
        files[lang] = answer.content.decode("utf-8-sig").splitlines()
    assert files["zh"][0].startswith("追溯码,批号,状态,")
    assert files["en"][0].startswith("Code,Lot,State,")
    (line,) = [one for one in files["zh"] if one.startswith(unit)]
    assert ",已售未发," in line
    assert "+08:00" in line
    assert "Z," not in line


def test_who_neither_oversees_nor_sells_has_no_page_of_recalls(market):
    carrier = signed_in(market, "owner", CARRIER)
    carrier.get(D, 403)
    carrier.get("/desk")
    assert D not in carrier.page
    seller = signed_in(market, "owner", RIVAL)
    seller.get("/desk")
    assert D in seller.page
    seller.get(f"{D}?code=nonsense&lang=en", 422)
    assert "f-code-error" in seller.page
    seller.get(f"{D}?code={PRODUCT}&lang=en")


def test_a_level_in_a_laws_own_word_is_shown_as_it_is(market):
    code = market.lot("LEVEL-WORD")
    market.send(SHOP, code, "recall", {"reason": "loose lids", "level": "Class I"}, hours=0)
    assert "Recall level: Class I" in market.call("GET", f"/{code}?lang=en").text
    reader = signed_in(market, "owner", AUTHORITY)
    reader.get("/desk/recalls?lang=en")
    assert "Recall level: Class I" in reader.page
