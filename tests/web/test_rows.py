"""Rows that pages and scores read beside the records: changed ones are found, and believed by nobody."""

from __future__ import annotations

import pytest

from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import GTIN, PRODUCT
from tests.web.test_audits_api import audit, findings

NAME = "端砚文房礼盒"


def open_rows(market) -> dict[str, str]:
    return {
        found["stream"]: found["evidence"]["column"]
        for found in findings(market, "&kind=index&status=open")
    }


@pytest.fixture(scope="module")
def lot(market):
    return market.lot("ROWS", produced_on="2026-09-05")


@pytest.fixture
def traded(market, lot):
    unit = market.one()
    market.complete(unit.code)
    market.publish()
    market.work()
    assert audit(market, "all")["findings"] == 0
    return unit


CHANGES = {
    "a product's name": (
        "UPDATE product SET name = ? WHERE gtin = ?", ("假货", GTIN), (NAME, GTIN),
        PRODUCT, "product.name",
    ),
    "a product's owner": (
        "UPDATE product SET brand_owner = ? WHERE gtin = ?", (SHOP, GTIN), (None, GTIN),
        PRODUCT, "product.brand_owner",
    ),
    "a lot's dates": (
        "UPDATE lot SET facts = ? WHERE lot = ?", ("{}", "ROWS"),
        ('{"produced_on":"2026-09-05"}', "ROWS"), f"{PRODUCT}/10/ROWS", "lot.facts",
    ),
    "a party's roles": (
        "UPDATE party SET roles = ? WHERE id = ?", ("merchant,regulator", SHOP), ("merchant", SHOP),
        f"party/{SHOP}", "party.roles",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_row_is_a_finding_that_charges_nobody(market, traded, name):
    statement, false, true, stream, column = CHANGES[name]
    before = market.ask("GET", f"/api/v1/credit/{SHOP}")
    market.tamper(statement, *false)
    try:
        audit(market, "all")
        assert open_rows(market) == {stream: column}
        after = market.ask("GET", f"/api/v1/credit/{SHOP}")
        assert (after["score"], after["holds"]) == (before["score"], before["holds"])
        # No record was touched: what is proven stays proven.
        assert market.ask("GET", traded.path)["verdict"] == "intact"
    finally:
        market.tamper(statement, *true)
    audit(market, "all")
    assert open_rows(market) == {}


def test_points_that_no_record_gives_are_a_finding(market, traded):
    statement = "UPDATE credit_entry SET points = ? WHERE party = ? AND rule = 'chain_completed'"
    (points,) = {
        entry["points"]
        for entry in market.ask("GET", f"/api/v1/credit/{SHOP}/entries", token=market.keys[SHOP])[
            "items"
        ]
        if entry["rule"] == "chain_completed"
    }
    market.tamper(statement, 99, SHOP)
    try:
        audit(market, "all")
        assert open_rows(market)[f"party/{SHOP}"].startswith("credit_entry.")
    finally:
        market.tamper(statement, points, SHOP)
    audit(market, "all")
    assert open_rows(market) == {}


def test_a_page_shows_the_names_that_were_recorded(market, traded):
    product = "UPDATE product SET name = ? WHERE gtin = ?"
    party = "UPDATE party SET name = ? WHERE id = ?"
    shown = market.ask("GET", f"/api/v1/parties/{SHOP}", token=market.keys[AUTHORITY])["name"]
    market.tamper(product, "FAKENAME", GTIN)
    market.tamper(party, "FAKEPARTY", SHOP)
    try:
        page = market.call("GET", f"/{traded.code}").text
        assert NAME in page
        assert shown in page
        assert "FAKE" not in page
        assert market.ask("GET", f"/api/v1/parties/{SHOP}")["name"] == shown
    finally:
        market.tamper(product, NAME, GTIN)
        market.tamper(party, shown, SHOP)
