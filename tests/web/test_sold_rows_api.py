"""What was sold, row by row: an altered one is named by the audit, and told again by `suxin reindex`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from app.credit.graces import graces_in_force
from app.ledger.keyring import load_keys
from app.ledger.record import stream_key
from app.oversight.whole_audit import AuditPlan, WholeAudit
from app.trace import resoldstore, soldstore
from app.trace.resoldstore import RowsInOrder, put_right
from tests.ledger.ledgers import runner
from tests.web.conftest import CARRIER, PLATFORM
from tests.web.market import PRODUCT
from tests.web.test_audits_api import audit, findings

HOURS = -300
_lots = itertools.count()


@pytest.fixture
def shop(market) -> str:
    """A merchant without a past that lists the product, and for whom the platform may sell."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    listing(market, party)
    return party


def listing(market, party: str, hours: float = HOURS) -> None:
    market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=hours)


def sell(market, party: str, code: str = "", hours: float = -30, **data) -> str:
    code = code or market.one(by=party).code
    market.send(party, code, "sale", data, hours=hours)
    return code


def finish(market, party: str, code: str, hours: float = -20, **data) -> str:
    market.send(party, code, "dispatch", {"carrier": CARRIER, **data}, hours=hours)
    market.send(CARRIER, code, "signature", {"kind": "in_person", **data}, hours=hours + 1)
    return code


def give_back(market, party: str, code: str, hours: float = -10) -> str:
    market.send(party, code, "return", {"reason": "no_reason_7_days"}, hours=hours)
    return code


def consignment(market, party: str) -> str:
    lot = market.lot(f"SOLD{next(_lots)}", token=market.keys[party])
    sell(market, party, lot, consignment="K")
    return finish(market, party, lot, consignment="K")


LIVES: dict[str, Callable] = {
    "sold": sell,
    "whole": lambda market, party: finish(market, party, sell(market, party)),
    "given back": lambda market, party: give_back(
        market, party, finish(market, party, sell(market, party))
    ),
    "sold again": lambda market, party: sell(
        market, party, give_back(market, party, sell(market, party)), hours=-5
    ),
    "consignment": consignment,
}
ALTERED = {
    "steps": "steps = steps - 1",
    "vouched": "independent = independent + 1",
    "sold at": "sold_at = sold_at - 1",
    "gap": "gap_due_at = CASE WHEN gap_due_at IS NULL THEN 5 END",
    "whole": "completed_at = CASE WHEN completed_at IS NULL THEN 5 END",
    "whole later": "completed_at = COALESCE(completed_at, 7) + 1",
    "goods": "gtin = '06936983800013'",
    "seller": "seller = 'nobody'",
    "cycle": "cycle = cycle + 7",
}


def rows(market, code: str) -> list:
    with market.rooms.database.read() as connection:
        query = "SELECT * FROM sold_unit WHERE stream = ? ORDER BY subject, cycle"
        return [tuple(row) for row in runner(connection)(query, stream_key(code))]


def count_days_again(market) -> None:
    """As somebody does who alters a row and hides it from the counts."""
    with market.rooms.database.write() as connection:
        soldstore.put_right(connection)


def named(market) -> set[str]:
    """Returns the rows of sales that open findings name."""
    market.work()
    audit(market, "all")
    columns = [found["evidence"]["column"] for found in findings(market, "&kind=index&status=open")]
    return {name for told in columns for name in told.split() if name.startswith("sold_")}


def by_command(market) -> list:
    """Returns what `suxin audit` finds."""
    keys = load_keys(market.settings.keys_dir)
    url = str(market.rooms.database.url)
    plan = AuditPlan(url, keys.vault_key, keys.logs, [], graces_in_force())
    return WholeAudit(plan).run().problems


def reindex(market) -> int:
    with market.rooms.database.write() as connection:
        told = put_right(connection, graces_in_force())
        soldstore.put_right(connection)
    assert told.damaged == ()
    return told.made


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_wrong_before(market):
    assert reindex(market) == 0


@pytest.mark.parametrize("life", LIVES)
def test_an_altered_sale_is_named_and_told_again(market, shop, life):
    """Whatever is altered of it, and though the counts of its day were altered with it."""
    sold = {how: LIVES[life](market, shop) for how in ALTERED}
    untouched = LIVES["whole"](market, shop)
    market.work()
    true = {code: rows(market, code) for code in (*sold.values(), untouched)}
    for how, code in sold.items():
        first = min(row[2] for row in true[code])
        statement = f"UPDATE sold_unit SET {ALTERED[how]} WHERE stream = ? AND cycle = ?"
        market.tamper(statement, stream_key(code), first)
        assert rows(market, code) != true[code], how
    count_days_again(market)
    expected = {how: f"sold_unit.{code}" for how, code in sold.items()}
    if life == "consignment":
        expected = {how: f"{name}#consignment/K" for how, name in expected.items()}
    assert named(market) == set(expected.values())
    assert reindex(market) >= len(sold)
    assert {code: rows(market, code) for code in true} == true
    assert named(market) == set()
    assert reindex(market) == 0


def test_a_sale_that_is_taken_away_is_told_again(market, shop):
    sold = {life: LIVES[life](market, shop) for life in LIVES}
    market.work()
    true = {code: rows(market, code) for code in sold.values()}
    for code in sold.values():
        market.tamper("DELETE FROM sold_unit WHERE stream = ?", stream_key(code))
    goods = {name.partition("#")[0].removeprefix("sold_unit.") for name in named(market)}
    assert goods >= set(sold.values())
    assert reindex(market) == sum(map(len, true.values()))
    assert {code: rows(market, code) for code in true} == true
    assert named(market) == set()


def test_rows_are_read_on_in_the_order_of_their_streams(market, shop, monkeypatch):
    """Every unit's rows, wherever a page of them ends and in whatever order they are asked for."""
    units = [LIVES["sold again"](market, shop), *(sell(market, shop) for _ in range(4))]
    keys = [stream_key(code) for code in (*units, market.one(by=shop).code)]
    with market.rooms.database.read() as connection:
        whole = {stream_key(code): [row[1:] for row in rows(market, code)] for code in units}
        for page in (2, 3, 1_000):
            monkeypatch.setattr(resoldstore, "_PAGE", page)
            for order in (sorted(keys), keys, sorted(keys, reverse=True)):
                read = RowsInOrder(connection)
                assert {key: list(read.of(key)) for key in order} == {keys[-1]: [], **whole}


def test_a_sale_that_never_was_is_named_and_goes(market, shop):
    sold, never = LIVES["whole"](market, shop), market.one(by=shop).code
    market.work()
    ghost, product = 7, stream_key(PRODUCT)
    for key in (stream_key(never), ghost, product):
        market.tamper(
            "INSERT INTO sold_unit SELECT ?, subject, cycle, gtin, seller, sold_at, gap_due_at, steps,"
            " independent, completed_at, underway, moved_at FROM sold_unit WHERE stream = ?",
            key, stream_key(sold),
        )  # fmt: skip
    count_days_again(market)
    assert named(market) == {
        f"sold_unit.{never}", f"sold_unit.#{ghost}", f"sold_unit.#{product}",
    }  # fmt: skip
    assert reindex(market) == 3
    assert rows(market, never) == []
    assert named(market) == set()


def test_a_sale_by_a_seller_that_is_no_party_is_named_and_goes(market, shop):
    """On a key without goods: no stream leads to it, neither that of goods nor that of a party."""
    sold = LIVES["whole"](market, shop)
    market.work()
    market.tamper(
        "INSERT INTO sold_unit SELECT 11, subject, cycle, gtin, 'nobody', sold_at, gap_due_at, steps,"
        " independent, completed_at, underway, moved_at FROM sold_unit WHERE stream = ?",
        stream_key(sold),
    )  # fmt: skip
    count_days_again(market)
    assert named(market) == {"sold_unit.#11"}
    found = findings(market, "&kind=index&status=open")
    assert [(one["stream"], one.get("party")) for one in found] == [("log", None)]
    assert {"column": "sold_unit.#11"} in [problem.evidence for problem in by_command(market)]
    assert reindex(market) == 1
    assert named(market) == set()
    # A count by day without any row, which reindex takes away.
    market.tamper("UPDATE sold_day SET seller = 'nobody else' WHERE seller = ?", shop)
    assert {name.partition(".")[0] for name in named(market)} == {"sold_day"}
    assert reindex(market) == 0
    assert named(market) == set()


def test_a_listing_that_comes_late_makes_no_true_row_a_wrong_one(market):
    """Neither before the worker has taken it in, nor after, nor where the goods went on in between."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    sold = {life: LIVES[life](market, party) for life in LIVES}
    between = sell(market, party)
    assert reindex(market) == 0
    market.work()
    listing(market, party)
    before = {code: rows(market, code) for code in sold.values()}
    finish(market, party, between)
    assert named(market) == set()  # which lets the worker take it in first
    assert rows(market, sold["whole"]) != before[sold["whole"]]
    assert reindex(market) == 0
    for code, told in before.items():
        market.tamper(
            "UPDATE sold_unit SET steps = 4, gap_due_at = NULL WHERE stream = ?", stream_key(code)
        )
        assert len(rows(market, code)) == len(told)
    assert reindex(market) >= 1
    assert named(market) == set()
