"""What a party says that its file's words stand for: nonsense is not kept, and all of it is told."""

from __future__ import annotations

import json
import re

import pytest

from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import GTIN, RIVAL, told
from tests.web.people import signed_in
from tests.web.test_imports_api import HEAD, send

PAGE = "/desk/imports/mapping"
MISTYPED = CARRIER[:-1] + "0"
WRONG = gtin(31)[:-1] + str((int(gtin(31)[-1]) + 1) % 10)
NONSENSE = {
    "goods": {"甲": GTIN, "乙": WRONG, "丙": f"{GTIN}/{'L' * 21}"},
    "carriers": {
        "快一": MISTYPED,
        "快二": AUTHORITY,
        "快三": RIVAL,
        "快四": CARRIER,
        "快五": "某某速运",
    },
    "defaults": {"carrier": MISTYPED},
}
FAULTS = [
    (["mapping", "goods", "乙"], "check_digit"),
    (["mapping", "goods", "丙"], "length"),
    (["mapping", "carriers", "快一"], "check_digit"),
    (["mapping", "defaults", "carrier"], "check_digit"),
    (["mapping", "carriers", "快二"], "no_carrier"),
    (["mapping", "carriers", "快三"], "no_carrier"),
]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_line_that_is_nonsense_is_told_at_once_and_nothing_is_kept(market, lang):
    owner = signed_in(market)
    form = {
        part: "\n".join(f"{theirs} = {ours}" for theirs, ours in NONSENSE[part].items())
        for part in ("goods", "carriers")
    }
    form["goods"] = f"\n{form['goods']}\nno sign"
    owner.get(PAGE)
    answer = owner.post(
        PAGE, 422, kind="shipments", name="", lang=lang, mapping_defaults_carrier=MISTYPED, **form
    )
    errors = dict(
        re.findall(r'<p class="field-error" id="f-(\w+)-error">(.*?)</p>', answer.text, re.DOTALL)
    )
    assert set(errors) == {"name", "goods", "carriers", "mapping_defaults_carrier"}
    line = "第 {} 行" if lang == "zh" else "Line {},"
    for part, numbers in (("goods", (3, 4, 5)), ("carriers", (1, 2, 3))):
        told = errors[part].splitlines()
        assert len(told) == 3
        for one, n in zip(told, numbers, strict=True):
            assert one.startswith(line.format(n)), told
    for part in ("goods", "carriers"):
        assert all(f"{theirs} = {ours}" in answer.text for theirs, ours in NONSENSE[part].items())
    assert f'value="{MISTYPED}"' in answer.text
    assert not market.ask("GET", "/api/v1/import-mappings", token=market.keys[SHOP])["items"]


def test_a_shop_that_brings_its_goods_itself_may_say_so(market):
    path, told = "/api/v1/import-mappings/shipments/own", {"carriers": {"自送": SHOP}}
    kept = market.ask("PUT", path, told, token=market.keys[SHOP])
    assert kept["mapping"]["carriers"] == told["carriers"]
    assert market.call("DELETE", path, token=market.keys[SHOP]).status_code == 204


def test_the_api_and_a_file_refuse_the_same_nonsense(market):
    path = "/api/v1/import-mappings/shipments/odd"
    key = market.keys[SHOP]
    answers = [
        market.call("PUT", path, NONSENSE, token=key),
        *(
            send(market, "shipments", as_csv([HEAD]), query=query, mapping=json.dumps(NONSENSE), **more)
            for query in ("?dry_run=true", "")
            for more in ({}, {"mapping_name": "odd"})
        ),
    ]  # fmt: skip
    for answer in answers:
        assert told(answer)[:2] == (422, "invalid"), answer.text
        assert [(one["loc"], one["kind"]) for one in answer.json()["errors"]] == FAULTS
    right = {"goods": {"甲": f"{GTIN}/L1"}, "carriers": {"快四": CARRIER, "快五": "某某速运"}}
    assert market.ask("PUT", path, right, token=key)["mapping"]["carriers"] == right["carriers"]
    market.ask("DELETE", path, token=key, status=204)


@pytest.mark.parametrize(("lang", "line"), [("zh", "第 {} 行"), ("en", "ine {}")])
def test_a_word_on_two_lines_is_told_with_both_where_they_differ(market, lang, line):
    owner = signed_in(market)
    owner.get(PAGE)
    goods = f"甲 = {GTIN}\n乙 = {GTIN}\n甲 ＝ {GTIN}/L1\n乙 = {GTIN}"
    form = {"kind": "shipments", "name": "twice", "lang": lang}
    answer = owner.post(PAGE, 422, **form, goods=goods)
    (said,) = re.findall(r'id="f-goods-error">(.*?)</p>', answer.text, re.DOTALL)
    assert line.format(1) in said
    assert line.format(3) in said
    assert len(said.splitlines()) == 1
    assert not market.ask("GET", "/api/v1/import-mappings", token=market.keys[SHOP])["items"]
    owner.post(PAGE, **form, goods=goods.replace("/L1", ""))
    (kept,) = market.ask("GET", "/api/v1/import-mappings", token=market.keys[SHOP])["items"]
    assert kept["mapping"]["goods"] == {"甲": GTIN, "乙": GTIN}
    owner.post(PAGE, kind="shipments", name="twice", do="forget")


@pytest.mark.parametrize(("lang", "line"), [("zh", "第 2 行"), ("en", "Line 2")])
def test_a_carrier_that_is_none_here_is_told_of_a_mapping_that_is_kept(market, lang, line):
    owner = signed_in(market)
    owner.get(PAGE)
    told = {
        "carriers": f"快一 = {CARRIER}\n快二 = 某某速运",
        "mapping_defaults_carrier": "顺路快运",
    }
    answer = owner.post(PAGE, kind="shipments", name="疑", lang=lang, **told)
    page = owner.get(answer.headers["Location"]).text
    notices = re.findall(r'<p class="notice">(.*?)</p>', page, re.DOTALL)
    assert [line in one for one in notices] == [True, False]
    assert "某某速运" in notices[0]
    assert "顺路快运" in notices[1]
    assert 'value="顺路快运"' in page
    told = {"carriers": f"快一 = {CARRIER}", "mapping_defaults_carrier": "快一"}
    answer = owner.post(PAGE, kind="shipments", name="疑", lang=lang, **told)
    assert "name=" not in answer.headers["Location"]
    assert 'class="notice"' not in owner.get(f"{PAGE}?kind=shipments&name=疑").text
    owner.post(PAGE, kind="shipments", name="疑", do="forget")


def test_the_api_warns_of_a_carrier_that_is_none_here_and_refuses_who_carries_nothing(market):
    path, key = "/api/v1/import-mappings/shipments/doubts", market.keys[SHOP]
    body = {"carriers": {"快一": CARRIER, "快二": "某某速运"}, "defaults": {"carrier": "顺路快运"}}
    kept = market.ask("PUT", path, body, token=key)
    assert [(one["loc"], one["kind"]) for one in kept["warnings"]] == [
        (["mapping", "carriers", "快二"], "no_carrier"),
        (["mapping", "defaults", "carrier"], "no_carrier"),
    ]
    assert "某某速运" in kept["warnings"][0]["msg"]
    for default in (CARRIER, SHOP, "快一"):
        body = {"carriers": {"快一": CARRIER}, "defaults": {"carrier": default}}
        assert market.ask("PUT", path, body, token=key)["warnings"] == []
    refused = market.call("PUT", path, {"defaults": {"carrier": RIVAL}}, token=key)
    assert [(one["loc"], one["kind"]) for one in refused.json()["errors"]] == [
        (["mapping", "defaults", "carrier"], "no_carrier")
    ]
    market.ask("DELETE", path, token=key, status=204)


def test_a_word_that_stands_twice_in_json_is_refused(market):
    twice = f'{{"carriers": {{"快一": "{CARRIER}", "快一": "某某速运"}}}}'
    answer = send(market, "shipments", as_csv([HEAD]), mapping=twice)
    assert told(answer)[:2] == (422, "invalid"), answer.text
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["mapping"], "duplicate")
    assert "快一" in error["msg"]


@pytest.mark.parametrize(
    ("lang", "told"),
    [("zh", ("“昨天”", "签收、拒收", "本人")), ("en", ("“昨天”", "Signed for, Refused", "person"))],
)
def test_a_fixed_value_that_its_column_would_refuse_is_not_kept(market, lang, told):
    owner = signed_in(market)
    fields = (
        ("shipments", "shipped_at", "2026-11-21 09:00"),
        ("events", "type", "签收"),
        ("events", "kind", "本人"),
    )
    for why, (kind, field, right) in zip(told, fields, strict=True):
        owner.get(f"{PAGE}?kind={kind}")
        form = {"kind": kind, "name": "昨", "lang": lang}
        answer = owner.post(PAGE, 422, **form, **{f"mapping_defaults_{field}": "昨天"})
        (said,) = re.findall(rf'id="f-mapping_defaults_{field}-error">(.*?)</p>', answer.text)
        assert why in said
        assert "_" not in said, "told in words"
        owner.post(PAGE, **form, **{f"mapping_defaults_{field}": right})
        owner.post(PAGE, kind=kind, name="昨", do="forget")


@pytest.mark.parametrize(
    ("kind", "defaults", "fault"),
    [
        ("shipments", {"ordered_at": "5/9/2026"}, "day_order"),
        ("shipments", {"quantity": "两"}, "whole_number"),
        ("shipments", {"region": "990000"}, "region"),
        ("lots", {"expires_on": "明年"}, "day_form"),
        ("lots", {"mode": "走私"}, "enum"),
        ("products", {"category": "好东西"}, "enum"),
        ("products", {"brand": "=A1"}, "excel_formula"),
    ],
)
def test_the_api_checks_fixed_values_by_the_rule_of_their_column(market, kind, defaults, fault):
    path = f"/api/v1/import-mappings/{kind}/fixed"
    answer = market.call("PUT", path, {"defaults": defaults}, token=market.keys[SHOP])
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["mapping", "defaults", *defaults], fault)


def test_the_length_that_is_told_is_that_of_what_is_wrong(market):
    path, key = "/api/v1/import-mappings/shipments/long", market.keys[SHOP]
    for part, got in (({"order": ""}, 0), ({"order": "x" * 301}, 301)):
        (error,) = market.call("PUT", path, {"columns": part}, token=key).json()["errors"]
        assert error["kind"] == "length"
        assert f"got {got}." in error["msg"]
    (error,) = market.call("PUT", path, {"goods": {"y" * 302: GTIN}}, token=key).json()["errors"]
    assert "got 302." in error["msg"]
