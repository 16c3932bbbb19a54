"""GET /shipments and /gaps: where goods are, what is missing, and that nobody sees another's."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from app import upkeep
from app.cli import cli
from app.kit.clock import parse_time
from app.ledger.record import stream_key
from app.parties.identity import uscc_check_digit
from app.trace import casestore, resoldstore
from app.trace.gtin import gtin_check_digit
from app.trace.store import DUE
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import PRODUCT
from tests.web.test_audits_api import audit, findings

S, G = "/api/v1/shipments", "/api/v1/gaps"
DAY = 86400
_FIRST_17 = "91440300MA4TE5T97"
STRANGER = _FIRST_17 + uscc_check_digit(_FIRST_17)
"""A valid USCC that nobody registered."""


@pytest.fixture
def shop(market) -> str:
    """A merchant without a past that lists the product."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-900)
    return party


def listed(market, by: str, path: str = S, query: str = "", **more) -> list[dict]:
    return market.ask("GET", f"{path}{query}", token=market.keys[by], **more)["items"]


def codes(items: list[dict]) -> list[str]:
    return [one["code"] for one in items]


def sell(market, by: str, hours: float = -3) -> str:
    unit = market.one(by=by)
    market.send(by, unit.code, "sale", {}, hours=hours)
    return unit.code


def send_off(market, by: str, code: str, carrier: str = CARRIER, hours: float = -2) -> str:
    waybill = f"TEST{abs(hash(code)) % 10**10:010d}"
    sealed = {"waybill": {"content": {"number": waybill}}}
    market.send(
        by, code, "dispatch", {"carrier": carrier, "to": "440100"}, hours=hours, sealed=sealed
    )
    return waybill


def test_goods_move_from_list_to_list_as_they_are_sold_sent_and_signed_for(market, shop):
    first, second = sell(market, shop, -5), sell(market, shop, -4)
    sold = listed(market, shop, query="?state=sold")
    assert codes(sold) == [first, second]
    assert sold[0]["overdue"] is False
    due, since = (parse_time(sold[0][name]) for name in ("due_at", "since"))
    assert (due - since).days == 7
    assert listed(market, shop) == []

    waybill = send_off(market, shop, first)
    assert codes(listed(market, shop, query="?state=sold")) == [second]
    (sent,) = listed(market, shop)
    assert (sent["code"], sent["carrier"], sent["waybill_tail"]) == (first, CARRIER, waybill[-4:])
    assert (sent["to"], sent["product"], "last" in sent) == ("440100", "端砚文房礼盒", False)

    market.clock.advance(1)
    push = {"waybill": waybill, "state": "5", "occurred_at": market.at(-1), "region": "440100"}
    body = {"feed": "kuaidi100", "items": [push]}
    market.ask("POST", "/api/v1/carriers/push", body, token=market.keys[CARRIER])
    (sent,) = listed(market, shop)
    assert sent["last"] == {
        "at": push["occurred_at"],
        "status": "out_for_delivery",
        "region": "440100",
    }
    latest = listed(market, shop, f"{S}/latest")
    assert [(one["code"], one["type"]) for one in latest] == [(first, "transit"), (second, "sale")]

    market.sign(first, hours=-0.5)
    assert listed(market, shop) == []


def test_what_comes_back_is_on_its_way_no_more_and_may_be_sold_again(market, shop):
    code = sell(market, shop)
    send_off(market, shop, code)
    market.send(CARRIER, code, "refusal", {"reason": "not ordered"}, hours=-1)
    assert listed(market, shop) == listed(market, shop, query="?state=sold") == []
    market.send(shop, code, "sale", {}, hours=-0.5)
    assert codes(listed(market, shop, query="?state=sold")) == [code]
    market.send(shop, code, "return", {"reason": "cancelled"})
    assert listed(market, shop, query="?state=sold") == []


def test_a_consignment_of_a_lot_is_listed_with_its_number(market, shop):
    lot = f"01/{PRODUCT[3:]}/10/UW-{shop[-5:-1]}"
    body = {"gtin": PRODUCT[3:], "lot": lot.rpartition("/")[2]}
    market.ask("POST", "/api/v1/lots", body, token=market.keys[shop], status=201)
    for n in "ab":
        market.send(shop, lot, "sale", {"consignment": n}, hours=-3)
    market.send(shop, lot, "dispatch", {"consignment": "b", "carrier": "示例快递"}, hours=-2)
    (sold,), (sent,) = listed(market, shop, query="?state=sold"), listed(market, shop)
    assert (sold["code"], sold["consignment"]) == (lot, "a")
    assert (sent["code"], sent["consignment"], sent["carrier"]) == (lot, "b", "示例快递")


def test_a_long_list_is_read_in_pages_and_each_of_its_goods_once(market, shop):
    made = [sell(market, shop, -9 + n / 10) for n in range(5)]
    seen, query = [], "?state=sold&limit=2"
    while query:
        page = market.ask("GET", S + query, token=market.keys[shop])
        seen += codes(page["items"])
        query = f"?state=sold&limit=2&cursor={page['next']}" if page["next"] else ""
    assert seen == made


def test_nobody_sees_anothers_goods_or_gaps(market, shop):
    code = sell(market, shop)
    for path in (f"{S}?state=sold", f"{S}/latest", G):
        assert code not in codes(listed(market, SHOP, path))
        assert market.call("GET", path).status_code == 401
        assert market.call("GET", path, token=market.admin).status_code == 403


# --- gaps ------------------------------------------------------------------------------------------


def test_a_gap_is_listed_from_its_grace_to_its_charge_until_it_is_closed(market, shop):
    unit = market.one(by=shop).code
    market.send(shop, unit, "dispatch", {"carrier": "示例快递"}, hours=-1)
    (gap,) = listed(market, shop, G)
    assert (gap["code"], gap["step"], gap["status"]) == (unit, "sale", "grace")
    assert gap["closed_by"] == {"type": "sale", "code": unit}
    assert "finding" not in gap

    market.clock.advance(DAY + 60)
    (gap,) = listed(market, shop, G)
    assert (gap["status"], "costs_from" in gap) == ("open", False)  # nobody has raised it yet
    market.work()
    (gap,) = listed(market, shop, G)
    assert gap["status"] == "open"
    assert parse_time(gap["costs_from"]) > market.clock.now()
    told = market.ask("GET", gap["links"]["finding"], token=market.keys[shop])
    assert told["kind"] == "continuity.missing_sale"

    market.clock.advance(14 * DAY)
    market.work()
    found = {one["step"]: one for one in listed(market, shop, G)}
    assert found["sale"]["status"] == "charged"

    market.send(shop, unit, "sale", {}, hours=-16 * 24)
    assert "sale" not in {one["step"] for one in listed(market, shop, G)}


def test_what_is_still_to_come_is_no_gap_until_its_term_is_over(market, shop):
    code = sell(market, shop, 0)
    assert listed(market, shop, G) == []
    market.clock.advance(7 * DAY + 60)
    assert [(g["code"], g["step"]) for g in listed(market, shop, G)] == [(code, "dispatch")]
    (sold,) = listed(market, shop, query="?state=sold")
    assert sold["overdue"] is True


@pytest.mark.parametrize("named", ["carrier", "stranger"])
def test_a_missing_signature_stands_with_who_answers_for_it(market, shop, named):
    """A carrier by a code that nobody registered answers for nothing: so it is the shop's to close."""
    carrier = CARRIER if named == "carrier" else STRANGER
    code = sell(market, shop, 0)
    market.send(shop, code, "dispatch", {"carrier": carrier})
    market.clock.advance(15 * DAY + 60)
    market.work()
    owes, other = (CARRIER, shop) if named == "carrier" else (shop, CARRIER)
    assert code in codes(listed(market, owes, G, "?limit=500"))
    assert code not in codes(listed(market, other, G, "?limit=500"))
    # What is told later of the parcel moves it to nobody else.
    market.send(shop, code, "notice", {"text": "on its way"})
    assert code in codes(listed(market, owes, G, "?limit=500"))


def test_a_listing_that_is_missing_is_closed_on_the_product(market):
    party = market.newcomer()
    code = sell(market, party, -1)
    (gap,) = listed(market, party, G)
    assert (gap["step"], gap["closed_by"]) == ("listing", {"type": "listing", "code": PRODUCT})
    market.send(party, PRODUCT, "listing", {"platform": "示例平台"}, hours=-2)
    market.work()
    assert code not in codes(listed(market, party, G))


def test_a_gap_that_was_dismissed_is_shown_as_settled(market, shop):
    code = sell(market, shop, 0)
    market.clock.advance(7 * DAY + 60)
    market.work()
    (gap,) = listed(market, shop, G)
    path, body = f"/api/v1/findings/{gap['finding']}/dismissal", {"reason": "a fire"}
    market.ask("POST", path, body, token=market.keys[AUTHORITY])
    assert [(g["code"], g["status"]) for g in listed(market, shop, G)] == [(code, "settled")]


# --- the index ------------------------------------------------------------------------------------


TAMPERED: dict[str, Callable[[str], tuple[str, tuple]]] = {
    "hidden": lambda key: (
        "UPDATE sold_unit SET underway = NULL, moved_at = NULL WHERE stream = ?",
        (key,),
    ),
    "moved": lambda key: ("UPDATE sold_unit SET underway = 'sold' WHERE stream = ?", (key,)),
    "later": lambda key: ("UPDATE sold_unit SET moved_at = 5 WHERE stream = ?", (key,)),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_changed_place_is_a_finding_and_tells_nothing_false(market, shop, how):
    from app.ledger.record import stream_key

    code = sell(market, shop)
    send_off(market, shop, code)
    market.work()
    audit(market, "all")
    assert f"sold_unit.{code}" not in _columns(market, code)
    statement, values = TAMPERED[how](stream_key(code))
    market.tamper(statement, *values)
    audit(market, "all")
    assert f"sold_unit.{code}" in _columns(market, code)
    for one in listed(market, shop, query="?state=sold"):
        assert "carrier" not in one
        assert "due_at" not in one


@pytest.mark.parametrize(
    "state", ["[]", "{}", "nothing", '{"state":"in_transit","dispatch":[5],"gaps":7,"cycle":1}']
)
def test_a_damaged_life_fails_no_list_and_is_named_at_its_own_stream_alone(market, shop, state):
    from app.ledger.record import stream_key

    market.work()
    audit(market, "all")
    before = _columns(market, f"party/{shop}")
    damaged, sound = sell(market, shop, -4), sell(market, shop, -3)
    for code in (damaged, sound):
        send_off(market, shop, code)
    statement = "UPDATE head SET state = ? WHERE stream = ?"
    market.tamper(statement, state.encode(), stream_key(damaged))
    seen = {one["code"]: one for one in listed(market, shop)}
    assert seen[sound]["carrier"] == CARRIER
    assert "carrier" not in seen.get(damaged, {})
    assert shop not in market.rooms.dispatching.carriers(_owner(shop))
    market.work()
    audit(market, "all")
    assert _columns(market, f"party/{shop}") == before
    assert _columns(market, sound) == ""


def _owner(party: str):
    from app.parties.principal import Principal

    return Principal("k", party, frozenset({"merchant"}), frozenset({"events"}))


def _columns(market, stream: str) -> str:
    return " ".join(
        found["evidence"]["column"]
        for found in findings(market, "&kind=index&status=open")
        if found["stream"] == stream
    )


def test_the_lists_are_read_by_their_index(market):
    """Of 10^5 parcels the first fifty are found without looking at the others."""
    from app.oversight import owedstore
    from app.trace import parcelstore

    told: list[str] = []
    database = market.rooms.database
    if database.dialect != "sqlite":
        pytest.skip("a small table is read whole by PostgreSQL")
    with database.read() as connection:

        class Explaining:
            def execute(self, query):
                from sqlalchemy.dialects import sqlite

                text = str(
                    query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
                )
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
                told.extend(row[3] for row in rows)
                return connection.execute(query)

            dialect = connection.dialect

        parcelstore.goods_underway(
            Explaining(), seller=SHOP, underway="sold", after=(1, 1, ""), limit=5
        )
        owedstore.missing_steps(Explaining(), SHOP, now_ms=5, after=None, limit=5)
    plan = "\n".join(told)
    assert "sold_unit USING INDEX sold_unit_underway (seller=? AND underway=?" in plan
    assert plan.count("due USING INDEX due_waiting (party=? AND kind=?") == 2
    assert "SCAN" not in plan


def batch(market, by: str, *told: tuple) -> None:
    """Sends (code, type, data, hours) in one request, all or none."""
    events = [
        {"code": code, "type": type_, "data": data, "occurred_at": market.at(hours)}
        for code, type_, data, hours in told
    ]
    body = {"events": events}
    answer = market.ask("POST", "/api/v1/events/batch?atomic=true", body, token=market.keys[by])
    assert [one["status"] for one in answer["results"]] == [201] * len(told), answer


def owed(market, code: str) -> list[str]:
    with market.rooms.database.read() as connection:
        rows = connection.execute(select(DUE.c.step).where(DUE.c.stream == stream_key(code)))
        return sorted(rows.scalars())


def test_what_is_owed_is_right_whatever_else_is_in_the_same_batch(market, shop):
    """A step met by another unit comes first; then one is owed and met, and one met and owed again."""
    earlier, new, back = sell(market, shop), market.one(by=shop).code, sell(market, shop)
    sent = {"carrier": CARRIER, "to": "440100"}
    batch(
        market, shop,
        (earlier, "dispatch", sent, -2),
        (new, "sale", {}, -2), (new, "dispatch", sent, -1),
        (back, "return", {"reason": "cancelled"}, -2), (back, "sale", {}, -1),
    )  # fmt: skip
    assert owed(market, new) == owed(market, earlier) == ["signature"]
    assert "dispatch" in owed(market, back)
    listed_codes = codes(listed(market, shop, query="?state=in_transit"))
    assert {new, earlier} <= set(listed_codes)
    assert back in codes(listed(market, shop, query="?state=sold"))


def test_a_unit_is_where_its_last_step_says_whatever_else_is_in_the_same_batch(market, shop):
    one, other = (unit.code for unit in market.issue(2, by=shop))
    sscc = "306912388000099997"
    sscc = sscc[:17] + gtin_check_digit(sscc[:17])
    case = {"case": sscc}
    batch(
        market, shop,
        (one, "pack", case, -3), (one, "unpack", case, -2), (one, "pack", case, -1),
        (other, "pack", case, -3), (other, "unpack", case, -2),
    )  # fmt: skip
    told = market.ask("GET", f"/api/v1/cases/{sscc}", token=market.keys[shop])
    assert [item["code"] for item in told["units"]] == [one], told


def test_reindex_may_compute_for_long_between_its_statements(market, monkeypatch):
    words = upkeep.rebuild_words
    seen = []

    def asked(connection):
        if connection.dialect.name == "postgresql":
            names = ("idle_in_transaction_session_timeout", "application_name")
            seen.extend(connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names)
        return words(connection)

    monkeypatch.setattr(upkeep, "rebuild_words", asked)
    for name in ("data_dir", "keys_dir", "database_url"):
        monkeypatch.setenv(f"SUXIN_{name.upper()}", str(getattr(market.settings, name)))
    done = CliRunner().invoke(cli, ["reindex", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["damaged"] == []
    assert seen in ([], ["0", "suxin reindex"])


def test_what_a_release_before_left_wrong_is_put_right_from_the_lives(market, shop):
    """It knows neither where goods are nor of cases: `suxin reindex` says it again."""
    from app.credit.graces import graces_in_force

    sold_one, sent_one = sell(market, shop), sell(market, shop)
    send_off(market, shop, sent_one)
    packed = market.one(by=shop).code
    sscc = "30691238800008888"
    sscc += gtin_check_digit(sscc)
    batch(market, shop, (packed, "pack", {"case": sscc}, -1))
    key = stream_key(packed)
    market.tamper("UPDATE sold_unit SET underway = NULL, moved_at = NULL WHERE seller = ?", shop)
    market.tamper("DELETE FROM case_unit WHERE stream = ?", key)
    assert listed(market, shop, query="?state=sold") == []
    with market.rooms.database.write() as connection:
        assert resoldstore.put_right(connection, graces_in_force()).made >= 2
        assert casestore.put_right(connection) >= 1
        assert resoldstore.put_right(connection, graces_in_force()).made == 0
    assert codes(listed(market, shop, query="?state=sold")) == [sold_one]
    assert codes(listed(market, shop, query="?state=in_transit")) == [sent_one]
    told = market.ask("GET", f"/api/v1/cases/{sscc}", token=market.keys[shop])
    assert [unit["code"] for unit in told["units"]] == [packed]
