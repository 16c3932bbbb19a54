"""Ratings by the other sides: who may say what of whom, what counts, and who sees it."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from app.trace.ratingstore import HEAD, RATING, RECORD, list_ratings, rebuild_ratings
from tests.databases import opened
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, GTIN, RIVAL

NOBODY = "0192f3a0-0000-7000-8000-00000000dead"
FORBIDDEN = (403, "forbidden", None)
BAD = (422, "invalid", None)


class Parcel:
    """A unit sold by the platform's word and sent; `proof` is its buyer's."""

    def __init__(self, market, *, waybill: str | None = None, buyer: str | None = None, **more):
        (self.unit,) = market.issue(**more)
        self.code = self.unit.code
        sealed = {} if buyer is None else {"buyer": {"content": {"name": buyer}}}
        sold = market.sell_by_platform(self.code, sealed=sealed)
        self.sale, self.proof = sold["id"], {"Suxin-Claim": sold["claim_token"]}
        given = {} if waybill is None else {"sealed": {"waybill": {"content": {"number": waybill}}}}
        self.dispatch = market.dispatch(self.code, **given)["id"]

    def rate(self, stars: int, **more) -> dict:
        return {"of": self.dispatch, "carrier": CARRIER, "rating": stars, **more}


def lines(market, party: str, query: str = "") -> dict:
    found = market.ask("GET", f"/api/v1/credit/{party}/ratings{query}")
    return {(one["rated_as"], one["by"]): one for one in found["ratings"]}


def records(market, party: str, by: str | None = None) -> list[dict]:
    token = None if by is None else market.keys[by]
    path = f"/api/v1/credit/{party}/ratings/records"
    return market.ask("GET", path, token=token)["items"]


def fleet(market) -> str:
    """A carrier of its own, whom nobody has rated yet."""
    return market.newcomer("carrier")


def send_with(market, carrier: str, *, waybill: str | None = None, **more) -> Parcel:
    """A parcel that another carrier than the usual one took."""
    parcel = object.__new__(Parcel)
    (parcel.unit,) = market.issue(**more)
    parcel.code = parcel.unit.code
    sold = market.sell_by_platform(parcel.code)
    parcel.sale, parcel.proof = sold["id"], {"Suxin-Claim": sold["claim_token"]}
    sealed = {} if waybill is None else {"waybill": {"content": {"number": waybill}}}
    data = {"carrier": carrier, "from": "441200", "to": "440100"}
    sent = market.send(SHOP, parcel.code, "dispatch", data, hours=-2, sealed=sealed)
    parcel.dispatch = sent["id"]
    parcel.rate = lambda stars: {"of": parcel.dispatch, "carrier": carrier, "rating": stars}
    return parcel


# --- counting ------------------------------------------------------------------------------------


def test_a_seller_is_rated_by_reviews_and_the_inner_code_counts_apart(market):
    seller = market.newcomer()
    market.mandate(seller, PLATFORM, "sale")
    market.send(seller, f"01/{GTIN}", "listing", {"platform": PLATFORM}, hours=-400)
    for stars in (5, 4, 4):
        (unit,) = market.issue(by=seller)
        sold = market.send(PLATFORM, unit.code, "sale", {"platform": PLATFORM}, hours=-3,
                           actor=seller)  # fmt: skip
        proof = {"Suxin-Claim": sold["claim_token"]}
        market.send(None, unit.code, "review", {"rating": stars}, headers=proof)
        market.send(None, unit.code, "follow_up", {"rating": 1}, headers=proof)
    (unit,) = market.issue(by=seller, inner=True)
    market.send(seller, unit.code, "sale", {}, hours=-3)
    inner = {"Suxin-Inner": unit.inner}
    market.send(None, unit.code, "review", {"rating": 5}, headers=inner)

    told = lines(market, seller)["seller", "consumer"]
    assert (told["count"], told["mean"], told["inner_only"]) == (3, 4.33, 1)
    assert told["stars"] == {"1": 0, "2": 0, "3": 0, "4": 2, "5": 1}
    assert 2.5 < told["at_least"] < told["mean"]
    counted = {(one["proof"], one["counts"]) for one in records(market, seller)}
    assert counted == {("platform", True), ("inner", False)}


def test_a_carrier_is_rated_by_consumers_and_by_shops_each_for_itself(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    market.send(None, parcel.code, "carrier_rating", parcel.rate(2), headers=parcel.proof)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(5))
    told = lines(market, carrier)
    assert told["carrier", "consumer"]["stars"]["2"] == 1
    assert told["carrier", "merchant"]["stars"]["5"] == 1
    assert told["seller", "consumer"]["count"] == 0
    assert told["seller", "consumer"]["mean"] is None


def test_the_newest_word_of_a_side_counts_and_the_older_one_stays_on_record(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(1))
    market.clock.advance(60)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(4))
    told = lines(market, carrier)["carrier", "merchant"]
    assert (told["count"], told["mean"]) == (1, 4)
    shown = [(one["rating"], one["counts"]) for one in records(market, carrier)]
    assert shown == [(4, True), (1, False)]


def test_several_units_of_one_parcel_are_one_shipment(market):
    carrier = fleet(market)
    for stars in (1, 1, 5):
        parcel = send_with(market, carrier, waybill="TEST7700000001")
        market.clock.advance(1)
        market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(stars))
    other = send_with(market, carrier, waybill="TEST7700000002")
    market.send(SHOP, other.code, "carrier_rating", other.rate(3))
    assert lines(market, carrier)["carrier", "merchant"]["stars"] == {
        "1": 0, "2": 0, "3": 1, "4": 0, "5": 1,
    }  # fmt: skip


def test_the_inner_code_displaces_no_better_proof(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier, inner=True)
    market.send(None, parcel.code, "carrier_rating", parcel.rate(1), headers=parcel.proof)
    market.clock.advance(1)
    inner = {"Suxin-Inner": parcel.unit.inner}
    market.send(None, parcel.code, "carrier_rating", parcel.rate(5), headers=inner)
    told = lines(market, carrier)["carrier", "consumer"]
    assert (told["stars"]["1"], told["stars"]["5"], told["inner_only"]) == (1, 0, 0)


def test_what_is_older_than_the_period_is_not_counted(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(3))
    market.clock.advance(3 * 86_400)
    assert lines(market, carrier, "?days=2")["carrier", "merchant"]["count"] == 0
    assert lines(market, carrier, "?days=4")["carrier", "merchant"]["count"] == 1


def test_no_rating_moves_a_score(market):
    parcel = Parcel(market)
    before = [market.ask("GET", f"/api/v1/credit/{one}") for one in (SHOP, CARRIER)]
    market.send(None, parcel.code, "carrier_rating", parcel.rate(1), headers=parcel.proof)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(1))
    opinion = {"rating": {"content": {"rating": 1}}}
    market.send(SHOP, parcel.code, "buyer_rating", {"of": parcel.sale}, sealed=opinion)
    market.work()
    after = [market.ask("GET", f"/api/v1/credit/{one}") for one in (SHOP, CARRIER)]
    assert [one["breakdown"] for one in after] == [one["breakdown"] for one in before]
    assert [one["score"] for one in after] == [one["score"] for one in before]


# --- who may -------------------------------------------------------------------------------------


def test_only_who_was_party_to_the_shipment_rates_its_carrier(market):
    parcel, other = Parcel(market), Parcel(market)
    said = parcel.rate(5)
    assert market.refused(RIVAL, parcel.code, "carrier_rating", said) == FORBIDDEN
    assert market.refused(CARRIER, parcel.code, "carrier_rating", said) == FORBIDDEN
    assert market.refused(AUTHORITY, parcel.code, "carrier_rating", said) == FORBIDDEN
    assert market.refused(None, parcel.code, "carrier_rating", said, headers=other.proof) == (
        403, "proof-invalid", None,
    )  # fmt: skip


def test_a_rating_names_the_dispatch_and_the_carrier_that_it_names(market):
    parcel = Parcel(market)
    of_sale = {**parcel.rate(5), "of": parcel.sale}
    assert market.refused(SHOP, parcel.code, "carrier_rating", of_sale) == BAD
    of_nothing = {**parcel.rate(5), "of": NOBODY}
    assert market.refused(SHOP, parcel.code, "carrier_rating", of_nothing) == (
        404, "not-found", None,
    )  # fmt: skip
    other_carrier = {**parcel.rate(5), "carrier": AGGREGATOR}
    assert market.refused(SHOP, parcel.code, "carrier_rating", other_carrier) == BAD


def test_a_carrier_that_is_a_mere_name_or_no_carrier_is_not_rated(market):
    for named in ("顺风快递", RIVAL):
        (unit,) = market.issue()
        market.sell(unit.code)
        sent = market.send(SHOP, unit.code, "dispatch", {"carrier": named}, hours=-2)
        said = {"of": sent["id"], "carrier": named, "rating": 5}
        assert market.refused(SHOP, unit.code, "carrier_rating", said) == BAD


def test_who_carries_its_own_goods_does_not_rate_itself(market):
    both = market.newcomer("merchant", "carrier")
    market.send(both, f"01/{GTIN}", "listing", {"platform": "x"}, hours=-9)
    (unit,) = market.issue(by=both)
    market.send(both, unit.code, "sale", {}, hours=-3)
    sent = market.send(both, unit.code, "dispatch", {"carrier": both}, hours=-2)
    said = {"of": sent["id"], "carrier": both, "rating": 5}
    assert market.refused(both, unit.code, "carrier_rating", said) == FORBIDDEN


def test_after_the_return_the_shop_still_rates_and_the_ended_token_does_not(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    market.send(SHOP, parcel.code, "return", {"reason": "crushed"}, hours=-1)
    assert market.refused(
        None, parcel.code, "carrier_rating", parcel.rate(1), headers=parcel.proof
    ) == (403, "proof-invalid", None)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(1))
    # The next buyer's token is of the next parcel, and says nothing of the one before.
    sold = market.sell_by_platform(parcel.code, hours=-0.5)
    proof = {"Suxin-Claim": sold["claim_token"]}
    assert (
        market.refused(None, parcel.code, "carrier_rating", parcel.rate(1), headers=proof)
        == FORBIDDEN
    )
    assert lines(market, carrier)["carrier", "merchant"]["count"] == 1


def test_a_corrected_carrier_is_the_one_that_is_rated(market):
    first, second = fleet(market), fleet(market)
    parcel = send_with(market, first)
    changes = {"of": parcel.dispatch, "changes": {"carrier": second}}
    market.send(SHOP, parcel.code, "correction", changes)
    assert market.refused(SHOP, parcel.code, "carrier_rating", parcel.rate(5)) == BAD
    market.send(SHOP, parcel.code, "carrier_rating", {**parcel.rate(5), "carrier": second})
    assert lines(market, second)["carrier", "merchant"]["count"] == 1


def test_a_consignment_of_a_lot_is_rated_like_a_unit(market):
    carrier = fleet(market)
    lot = market.lot("RATED", quantity=100)
    named = {"consignment": "C-1"}
    market.send(SHOP, lot, "sale", {**named}, hours=-3)
    sent = market.send(SHOP, lot, "dispatch", {"carrier": carrier, **named}, hours=-2)
    said = {"of": sent["id"], "carrier": carrier, "rating": 4}
    assert market.refused(SHOP, lot, "carrier_rating", {**said, "consignment": "C-2"}) == (
        404, "not-found", None,
    )  # fmt: skip
    market.send(SHOP, lot, "carrier_rating", {**said, **named})
    assert lines(market, carrier)["carrier", "merchant"]["stars"]["4"] == 1


# --- buyers --------------------------------------------------------------------------------------


def buyers(market, merchant: str) -> list[dict]:
    path = f"/api/v1/credit/{merchant}/ratings/buyers"
    return market.ask("GET", path, token=market.keys[merchant])["items"]


def test_what_is_said_of_a_buyer_is_sealed_and_shown_to_the_merchant_alone(market):
    first = Parcel(market, buyer="李四")
    second = Parcel(market, buyer="李四")
    third = Parcel(market, buyer="王五")
    told = {"rating": {"content": {"rating": 2, "text": "三次拒收"}}}
    market.clock.advance(1)
    market.send(SHOP, first.code, "buyer_rating", {"of": first.sale}, sealed=told)
    market.clock.advance(1)
    by_carrier = {"rating": {"content": {"rating": 1}}}
    market.send(CARRIER, second.code, "buyer_rating", {"of": second.dispatch}, sealed=by_carrier)
    market.clock.advance(1)
    market.send(SHOP, third.code, "buyer_rating", {"of": third.sale}, sealed=told)

    shown = buyers(market, SHOP)[:3]
    assert [one["code"] for one in shown] == [third.code, second.code, first.code]
    assert [one["by"] for one in shown] == ["merchant", "carrier", "merchant"]
    assert shown[2]["said"] == {"rating": 2, "text": "三次拒收"}
    assert shown[1]["buyer"] == shown[2]["buyer"] != shown[0]["buyer"]
    path = f"/api/v1/credit/{SHOP}/ratings/buyers"
    for other in (RIVAL, CARRIER, AUTHORITY, PLATFORM):
        assert market.call("GET", path, token=market.keys[other]).status_code == 403
    assert market.call("GET", path).status_code == 401
    chain = market.call("GET", f"{first.unit.path}/events").text
    assert '"buyer_rating"' in chain
    assert "三次拒收" not in chain
    assert "三次拒收".encode() not in market.stored_bytes()
    assert all(one["count"] == 0 for one in lines(market, RIVAL).values())


def test_one_buyer_has_another_pseudonym_at_each_merchant(market):
    told, name = {"rating": {"content": {"rating": 2}}}, {"buyer": {"content": {"name": "赵六"}}}
    names = []
    for seller in (market.newcomer(), market.newcomer()):
        market.send(seller, f"01/{GTIN}", "listing", {"platform": "x"}, hours=-9)
        for unit in market.issue(2, by=seller):
            sold = market.send(seller, unit.code, "sale", {}, hours=-3, sealed=name)
            market.send(seller, unit.code, "buyer_rating", {"of": sold["id"]}, sealed=told)
        first, second = buyers(market, seller)
        assert first["buyer"] == second["buyer"]
        names.append(first["buyer"])
    assert names[0] != names[1]


def test_a_buyer_is_rated_by_the_shop_of_the_sale_or_the_carrier_of_the_dispatch(market):
    parcel = Parcel(market)
    told = {"rating": {"content": {"rating": 2}}}
    for by, of in ((RIVAL, parcel.sale), (CARRIER, parcel.sale), (RIVAL, parcel.dispatch)):
        assert market.refused(by, parcel.code, "buyer_rating", {"of": of}, sealed=told) == FORBIDDEN
    assert (
        market.refused(
            None, parcel.code, "buyer_rating", {"of": parcel.sale}, sealed=told,
            headers=parcel.proof,
        )
        == FORBIDDEN
    )  # fmt: skip


@pytest.mark.parametrize("content", [None, {}, {"rating": 6}, {"rating": "5"}, {"rating": True}])
def test_a_buyers_rating_is_a_number_and_stands_in_the_sealed_section(market, content):
    parcel = Parcel(market)
    sealed = {} if content is None else {"rating": {"content": content}}
    assert market.refused(
        SHOP, parcel.code, "buyer_rating", {"of": parcel.sale}, sealed=sealed
    ) == (BAD)
    open_ = {"of": parcel.sale, "rating": 2}
    assert market.refused(SHOP, parcel.code, "buyer_rating", open_, sealed=sealed) == BAD


# --- records -------------------------------------------------------------------------------------


def test_each_rating_leads_to_its_record_and_its_code_only_for_who_had_a_part(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    said = market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(5))
    (shown,) = records(market, carrier)
    assert shown["record"] == said["hash"]
    assert "code" not in shown
    assert "code" not in records(market, carrier, by=RIVAL)[0]
    for by in (carrier, SHOP, AUTHORITY):
        assert records(market, carrier, by=by)[0]["code"] == parcel.code


def test_the_list_of_ratings_goes_on_where_the_page_ends(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    for stars in (1, 2, 3):
        market.clock.advance(1)
        market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(stars))
    path = f"/api/v1/credit/{carrier}/ratings/records?limit=2"
    first = market.ask("GET", path)
    rest = market.ask("GET", f"{path}&cursor={first['next']}")
    assert [one["rating"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next"] is None


def test_every_row_follows_from_its_record_and_the_audit_tells_which_does_not(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier, waybill="TEST7700000003")
    said = market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(5))
    market.send(None, parcel.code, "review", {"rating": 4}, headers=parcel.proof)
    opinion = {"rating": {"content": {"rating": 1}}}
    market.send(SHOP, parcel.code, "buyer_rating", {"of": parcel.sale}, sealed=opinion)
    market.publish()

    def wrong(code: str) -> list[str]:
        party = code.removeprefix("party/")
        body = {"scope": {"code": code} if party == code else {"party": party}}
        job = market.ask("POST", "/api/v1/audits", body, token=market.admin, status=202)
        market.work()
        assert market.ask("GET", f"/api/v1/audits/{job['id']}", token=market.admin)["status"] == (
            "done"
        )
        query = "/api/v1/findings?kind=index.row_mismatch&status=open"
        found = market.ask("GET", query, token=market.admin)["items"]
        return [one["evidence"]["column"] for one in found if one["stream"] == code]

    assert wrong(parcel.code) == []
    assert wrong(f"party/{carrier}") == []
    with opened(market.rooms.database.url, guarded=False) as run:
        run("UPDATE rating SET rating = 1 WHERE party = ?", carrier)
    assert wrong(parcel.code) == [f"rating.{said['seq']}"]
    with opened(market.rooms.database.url, guarded=False) as run:
        run("UPDATE rating SET rating = 5 WHERE party = ?", carrier)
    assert wrong(parcel.code) == []
    with opened(market.rooms.database.url, guarded=False) as run:
        run("UPDATE rating SET seq = 999 WHERE party = ?", carrier)
    assert wrong(f"party/{carrier}") == ["rating.999"]
    with opened(market.rooms.database.url, guarded=False) as run:
        run("DELETE FROM rating WHERE party = ?", carrier)
    assert wrong(parcel.code) == [f"rating.{said['seq']}"]
    with market.rooms.database.write() as connection:
        rebuild_ratings(connection)
    assert wrong(parcel.code) == []


def test_which_word_counts_is_the_same_on_every_page(market):
    carrier = fleet(market)
    for stars in (1, 2, 5):
        parcel = send_with(market, carrier, waybill="TEST7700000021")
        market.clock.advance(1)
        market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(stars))
        market.clock.advance(1)
        market.send(None, parcel.code, "carrier_rating", parcel.rate(stars), headers=parcel.proof)
    path = f"/api/v1/credit/{carrier}/ratings/records?limit=1"
    found, cursor = [], ""
    while True:
        page = market.ask("GET", path + cursor)
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == records(market, carrier)
    assert [(one["rating"], one["counts"]) for one in found] == [
        (5, True), (5, True), (2, False), (2, False), (1, False), (1, False),
    ]  # fmt: skip
    told = lines(market, carrier)
    assert [told["carrier", by]["stars"]["5"] for by in ("consumer", "merchant")] == [1, 1]


def test_a_page_of_ratings_does_not_cost_more_where_there_are_very_many(market):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(3))
    with pytest.raises(Undone), market.rooms.database.write() as connection:
        row = connection.execute(select(RATING).where(RATING.c.party == carrier)).one()
        for table in (HEAD, RECORD, RATING):
            like = connection.execute(select(table).where(table.c.stream == row.stream)).first()
            connection.execute(insert(table), [varied(like._mapping, n) for n in range(3_000)])
        asked = {"since_ms": 0, "until_ms": row.at + 1, "after": None, "limit": 10}
        steps = Steps(connection)
        found = list_ratings(connection, carrier, **asked)
        assert steps.count() < 20_000
        assert len(found) == 10
        raise Undone


def varied(row, n: int) -> dict:
    """A row like this one on a stream of its own."""
    changed = {"stream": 1_000_000 + n, "seq": 0, "name": f"made/{n}", "parcel": n.to_bytes(16)}
    told = {name: changed.get(name, value) for name, value in row.items()}
    return told | ({"at": row["at"] - n} if "at" in row else {})


class Undone(Exception):
    """What was written in a test is not to stay."""


class Steps:
    """Counts the steps of SQLite's machine on one connection; of PostgreSQL none."""

    def __init__(self, connection) -> None:
        self._hundreds = 0
        if connection.dialect.name == "sqlite":
            raw = connection.connection.driver_connection
            raw.set_progress_handler(self._step, 100)
            self._end = lambda: raw.set_progress_handler(None, 0)
        else:
            self._end = lambda: None

    def _step(self) -> int:
        self._hundreds += 1
        return 0

    def count(self) -> int:
        self._end()
        return 100 * self._hundreds


def test_all_rows_can_be_made_again_from_the_records(market):
    carrier = fleet(market)
    for stars in (2, 4):
        parcel = send_with(market, carrier, waybill="TEST7700000009")
        market.clock.advance(1)
        market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(stars))
    market.send(None, parcel.code, "review", {"rating": 4}, headers=parcel.proof)
    opinion = {"rating": {"content": {"rating": 1}}}
    market.send(SHOP, parcel.code, "buyer_rating", {"of": parcel.sale}, sealed=opinion)
    lot = market.lot("RATED-AGAIN", quantity=100)
    named = {"consignment": "C-1"}
    market.send(SHOP, lot, "sale", {**named}, hours=-3)
    sent = market.send(SHOP, lot, "dispatch", {"carrier": carrier, **named}, hours=-2)
    said = {"of": sent["id"], "carrier": carrier, "rating": 4, **named}
    market.send(SHOP, lot, "carrier_rating", said)

    def kept(connection) -> list:
        found = connection.execute(select(RATING).order_by(RATING.c.stream, RATING.c.seq))
        return [tuple(row) for row in found]

    with market.rooms.database.write() as connection:
        before = kept(connection)
        assert len(before) >= 5
        assert rebuild_ratings(connection) == (len(before), ())
        assert kept(connection) == before


def test_very_many_ratings_are_counted_once_a_minute_and_few_at_once(market, monkeypatch):
    carrier = fleet(market)
    parcel = send_with(market, carrier)
    monkeypatch.setattr("app.credit.ratings._MANY", 2)

    def count() -> int:
        return sum(one["count"] for one in lines(market, carrier).values())

    market.send(SHOP, parcel.code, "carrier_rating", parcel.rate(3))
    assert count() == 1
    market.send(None, parcel.code, "carrier_rating", parcel.rate(3), headers=parcel.proof)
    assert count() == 2
    other = send_with(market, carrier)
    market.send(SHOP, other.code, "carrier_rating", other.rate(3))
    assert count() == 2
    market.clock.advance(60)
    assert count() == 3
