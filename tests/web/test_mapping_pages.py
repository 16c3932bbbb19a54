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
    goods, carriers = (errors[part].splitlines() for part in ("goods", "carriers"))
    assert [one.startswith(line.format(n)) for one, n in zip(goods, (5, 3, 4), strict=True)] == [
        True
    ] * 3
    assert [one.startswith(line.format(n)) for one, n in zip(carriers, (1, 2, 3), strict=True)] == [
        True
    ] * 3
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
