"""Corrections: by the actor of the record alone, in the stream where it stands."""

from __future__ import annotations

import pytest

from app.i18n import text
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, CUSTOMS, PRODUCT, RIVAL, SUPPLIER

FORBIDDEN, UNKNOWN = (403, "forbidden"), (404, "not-found")
NOBODYS = "0192f3a0-0000-7000-8000-00000000dead"
PARTIES = (SHOP, RIVAL, SUPPLIER, PLATFORM, CARRIER, AGGREGATOR, AUTHORITY, CUSTOMS)


def correct(market, by: str | None, code: str, of: str, **more) -> tuple[int, str]:
    return market.refused(by, code, "correction", {"of": of, "changes": {"region": "440300"}},
                          **more)[:2]  # fmt: skip


def test_a_record_is_corrected_by_its_actor_and_by_nobody_else(market):
    unit = market.one()
    sale = market.sell(unit.code)
    market.dispatch(unit.code)
    signature = market.sign(unit.code)
    before = market.ask("GET", f"{unit.path}/events")
    for record, actor in ((sale, SHOP), (signature, CARRIER)):
        for by in PARTIES:
            if by != actor:
                assert correct(market, by, unit.code, record["id"]) == FORBIDDEN, by
    token = {"Suxin-Claim": signature["claim_token"]}
    assert correct(market, None, unit.code, sale["id"], headers=token) == FORBIDDEN
    assert market.ask("GET", f"{unit.path}/events") == before
    changes = {"of": sale["id"], "changes": {"region": "440300"}}
    market.send(SHOP, unit.code, "correction", changes)


def test_a_carriers_code_that_was_mistyped_is_refused_in_the_readers_language(market):
    unit = market.one()
    market.sell(unit.code)
    wrong = {"carrier": CARRIER[:-1] + "0"}
    zh = {"Accept-Language": "zh"}
    at_dispatch = market.post(SHOP, unit.code, "dispatch", wrong, headers=zh)
    sent = market.dispatch(unit.code)
    data = {"of": sent["id"], "changes": wrong}
    corrected = market.post(SHOP, unit.code, "correction", data, headers=zh)
    for answer, loc in ((at_dispatch, ["carrier"]), (corrected, ["changes", "carrier"])):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["kind"], error["loc"]) == ("check_digit", ["data", *loc])
        assert error["msg"] == text("zh", "field.check_digit", expected=CARRIER[-1], got="0")


def test_who_sent_for_another_corrects_in_its_name_or_not_at_all(market):
    unit = market.one()
    sale = market.sell_by_platform(unit.code)
    assert correct(market, PLATFORM, unit.code, sale["id"]) == FORBIDDEN
    assert correct(market, PLATFORM, unit.code, sale["id"], actor=SHOP) == (403, "no-mandate")
    market.mandate(SHOP, PLATFORM, "correction")
    data = {"of": sale["id"], "changes": {"region": "440300"}}
    market.send(PLATFORM, unit.code, "correction", data, actor=SHOP)


@pytest.mark.parametrize("place", ["unit", "lot", "product", "party"])
def test_a_record_of_another_stream_is_not_there_to_be_corrected(market, place):
    """Also the sender's own: a correction stands beside what it corrects, or nowhere."""
    unit, other = market.issue(2)
    lot = market.lot(f"CORRECTED-{place}")
    own = market.sell(other.code)
    code = {"unit": unit.code, "lot": lot, "product": PRODUCT, "party": f"party/{SHOP}"}[place]
    before = market.count_rows()
    for of in (own["id"], NOBODYS):
        assert correct(market, SHOP, code, of) == UNKNOWN
    assert market.count_rows() == before


def test_what_the_service_recorded_is_nobodys_to_correct(market):
    unit = market.one()
    story = market.ask("GET", f"{unit.path}/events")["items"]
    (registered,) = [i["record"]["id"] for i in story if i["record"]["stream"] == unit.code]
    for by in PARTIES:
        assert correct(market, by, unit.code, registered) == FORBIDDEN, by


def test_another_sellers_listing_is_the_other_sellers_to_correct(market):
    listed = market.send(RIVAL, PRODUCT, "listing", {"platform": "示例平台"})
    for by in (SHOP, PLATFORM, AUTHORITY):
        assert correct(market, by, PRODUCT, listed["id"]) == FORBIDDEN, by
    data = {"of": listed["id"], "changes": {"title": "新的标题"}}
    market.send(RIVAL, PRODUCT, "correction", data)


def test_a_measure_is_corrected_by_the_regulator_that_took_it(market):
    party = market.newcomer()
    code = f"party/{party}"
    measure = market.send(AUTHORITY, code, "measure", {"kind": "warn", "basis": "art. 80"})
    before = market.count_rows()
    colleague = market.newcomer("regulator")
    for by in (party, SHOP, PLATFORM, CUSTOMS, colleague):
        assert correct(market, by, code, measure["id"]) == FORBIDDEN, by
    assert correct(market, None, code, measure["id"], headers={"Suxin-Claim": "P"})[0] == 403
    shown = market.ask("GET", f"/api/v1/parties/{party}")["measures"]
    assert [m["id"] for m in shown] == [measure["id"]]
    market.send(AUTHORITY, code, "correction", {"of": measure["id"]})
    after = market.count_rows()
    assert after["record"] == before["record"] + 3, (
        "a colleague (registered, verified), a correction"
    )
    assert market.ask("GET", f"/api/v1/parties/{party}")["measures"] == shown


@pytest.mark.parametrize("type_", ["registration", "verification", "mandate", "credit_entry"])
def test_what_others_decided_about_a_party_it_does_not_correct(market, type_):
    from app.ledger.store import load_stream

    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    (unit,) = market.issue(by=party)
    market.send(party, PRODUCT, "listing", {"platform": "x"}, hours=-500)
    market.send(party, unit.code, "sale", {}, hours=-3)
    market.send(party, unit.code, "dispatch", {"carrier": CARRIER}, hours=-2)
    market.sign(unit.code)
    market.work()
    with market.rooms.database.read() as connection:
        records = [r.fields for r in load_stream(connection, f"party/{party}")]
    of = next(r["id"] for r in records if r["type"] == type_)
    deciders = [by for by in (party, *PARTIES) if type_ != "mandate" or by != party]
    for by in deciders:
        assert correct(market, by, f"party/{party}", of) == FORBIDDEN, by
