"""What consumers say, and how they prove that they may: claim tokens and hidden inner codes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, RIVAL, told

INVALID = (403, "proof-invalid", None)
FIRST = "0192f3a0-0000-7000-8000-000000000001"


def claim(token: str) -> dict[str, str]:
    return {"Suxin-Claim": token}


def inner(code: str) -> dict[str, str]:
    return {"Suxin-Inner": code}


def last(market, unit) -> dict:
    return market.ask("GET", f"{unit.path}/events")["items"][-1]["record"]


def test_a_claim_token_is_good_for_one_review_and_all_that_follows(market):
    unit = market.one()
    proof = claim(market.sell_by_platform(unit.code)["claim_token"])
    market.dispatch(unit.code)
    market.sign(unit.code)
    sealed = {"text": {"content": {"text": "很好"}}}
    more = {"headers": proof, "sealed": sealed, "id": FIRST}
    first = market.post(None, unit.code, "review", {"rating": 5}, **more)
    assert first.status_code == 201
    found = last(market, unit)
    assert (found["actor"], found["source"]) == ("consumer", "consumer")
    assert found["data"] == {"rating": 5, "proof": "platform"}
    assert "via" not in found
    again = market.post(None, unit.code, "review", {"rating": 5}, **more)
    assert (again.status_code, again.json()) == (200, first.json())
    assert market.refused(None, unit.code, "review", {"rating": 1}, headers=proof) == (
        409, "lifecycle-conflict", "already_reviewed",
    )  # fmt: skip
    market.send(None, unit.code, "follow_up", {"rating": 3}, headers=proof)
    tickets = {
        market.send(None, unit.code, "complaint", {"category": "quality"}, headers=proof)["ticket"]
        for _ in range(2)
    }
    assert len(tickets) == 2


def test_a_follow_up_needs_a_review(market):
    unit = market.one()
    proof = claim(market.sell_by_platform(unit.code)["claim_token"])
    assert market.refused(None, unit.code, "follow_up", {"rating": 3}, headers=proof) == (
        409, "lifecycle-conflict", "no_review",
    )  # fmt: skip


def test_a_token_ends_with_the_return_and_the_next_sale_has_another(market):
    unit = market.one()
    first = claim(market.sell_by_platform(unit.code, hours=-9)["claim_token"])
    market.send(SHOP, unit.code, "return", {"reason": "seven days"}, hours=-8)
    assert market.refused(None, unit.code, "review", {"rating": 1}, headers=first) == INVALID
    second = claim(market.sell_by_platform(unit.code, hours=-7)["claim_token"])
    assert market.refused(None, unit.code, "review", {"rating": 1}, headers=first) == INVALID
    market.send(None, unit.code, "review", {"rating": 5}, headers=second)


def test_a_token_of_another_unit_or_of_nobody_proves_nothing(market):
    one, two = market.issue(2)
    token = market.sell_by_platform(one.code)["claim_token"]
    market.sell_by_platform(two.code)
    before = market.count_rows()
    wrong = [
        token[:-1] + ("2" if token[-1] != "2" else "3"),
        token[1:],
        "C" + token[1:],
        "P",
        "x" * 64,
    ]
    assert market.refused(None, two.code, "review", {"rating": 1}, headers=claim(token)) == INVALID
    for given in wrong:
        assert market.refused(None, one.code, "review", {"rating": 1}, headers=claim(given)) == (
            INVALID
        ), given
    assert market.count_rows() == before


def test_the_token_never_goes_through_the_seller(market):
    one, two, three = market.issue(3)
    assert "claim_token" not in market.sell(one.code)
    assert "claim_token" in market.sell_by_platform(two.code)
    assert "claim_token" not in market.dispatch(two.code)
    market.sell(three.code)
    market.dispatch(three.code)
    by_shop = market.send(SHOP, three.code, "signature", {"kind": "in_person"})
    assert "claim_token" not in by_shop


def test_a_carriers_signature_brings_a_token_too(market):
    one, two = market.issue(2)
    for unit in (one, two):
        market.sell(unit.code)
        market.dispatch(unit.code)
    market.mandate(CARRIER, AGGREGATOR, "signature")
    data = {"kind": "in_person"}
    tokens = {
        one: market.sign(one.code)["claim_token"],
        two: market.send(AGGREGATOR, two.code, "signature", data, actor=CARRIER)["claim_token"],
    }
    for unit, token in tokens.items():
        market.send(None, unit.code, "review", {"rating": 4}, headers=claim(token))
        assert last(market, unit)["data"]["proof"] == "carrier"


def test_a_signature_sent_again_brings_its_first_answer_whatever_came_after(market):
    back, changed, late = market.issue(3)
    firsts = {}
    for unit in (back, changed):
        market.sell(unit.code)
        sent = market.dispatch(unit.code)
        more = {"id": str(uuid4()), "occurred_at": market.at(-1)}
        firsts[unit] = (market.sign(unit.code, hours=None, **more), more)
        if unit is back:
            market.send(SHOP, unit.code, "return", {"reason": "seven days"})
        else:
            changes = {"of": sent["id"], "changes": {"to": "440300"}}
            market.send(SHOP, unit.code, "correction", changes)
    for unit, (first, more) in firsts.items():
        assert first["claim_token"]
        again = market.post(CARRIER, unit.code, "signature", {"kind": "in_person"}, **more)
        assert (again.status_code, again.json()) == (200, first)
    # And the other way about: a dispatch that came later makes nobody a witness of before.
    more = {"id": str(uuid4()), "occurred_at": market.at(-1)}
    market.sell(late.code)
    first = market.sign(late.code, hours=None, **more)
    assert "claim_token" not in first
    market.dispatch(late.code)
    again = market.post(CARRIER, late.code, "signature", {"kind": "in_person"}, **more)
    assert (again.status_code, again.json()) == (200, first)


def test_a_signature_of_a_consignment_sent_again_brings_its_first_answer(market):
    lot = market.lot("REPEATED")
    one = {"consignment": "A"}
    market.send(SHOP, lot, "sale", one, hours=-3)
    market.send(SHOP, lot, "dispatch", {**one, "carrier": CARRIER}, hours=-2)
    data = {**one, "kind": "locker"}
    more = {"id": str(uuid4()), "occurred_at": market.at(-1)}
    first = market.send(CARRIER, lot, "signature", data, **more)
    assert first["claim_token"]
    market.send(SHOP, lot, "return", {**one, "reason": "seven days"})
    again = market.post(CARRIER, lot, "signature", data, **more)
    assert (again.status_code, again.json()) == (200, first)


def test_a_return_in_the_same_batch_takes_no_token_from_the_signature_before_it(market):
    unit = market.one()
    market.sell(unit.code)
    market.dispatch(unit.code)
    events = [
        {"code": unit.code, "type": "signature", "data": {"kind": "locker"}},
        {"code": unit.code, "type": "return", "data": {"reason": "at the door"}},
    ]
    answer = market.ask(
        "POST", "/api/v1/events/batch", {"events": events}, token=market.keys[CARRIER]
    )
    assert answer["accepted"] == 2
    assert "claim_token" in answer["results"][0]["event"]


def test_only_who_sent_a_sealed_section_reads_it_again(market):
    unit = market.one()
    buyer = {"order": {"content": {"number": "B-1"}}, "buyer": {"content": {"name": "李小明"}}}
    market.sell_by_platform(unit.code, sealed=buyer)
    market.dispatch(unit.code)

    def seen(by, **more):
        path = f"{unit.path}/sealed{more.pop('query', '')}"
        items = market.ask("GET", path, token=market.keys[by], **more)["items"]
        return [(item["type"], *sorted(item["sections"])) for item in items]

    sale, dispatch = ("sale", "buyer", "order"), ("dispatch", "waybill")
    assert seen(PLATFORM) == [sale]
    assert seen(SHOP) == [dispatch], "what its platform sealed is the platform's"
    assert seen(CARRIER) == []
    assert seen(AUTHORITY, query="?purpose=complaint") == [sale, dispatch]


def test_an_inner_code_may_speak_as_typed_by_people(market):
    unit, other = market.issue(2, inner=True)
    market.sell(unit.code)
    market.sell(other.code)
    typed = " ".join((unit.inner[:4], unit.inner[4:])).lower() + "-"
    market.send(None, unit.code, "review", {"rating": 5}, headers=inner(typed))
    assert last(market, unit)["data"]["proof"] == "inner"
    assert market.refused(None, other.code, "review", {"rating": 5}, headers=inner(unit.inner)) == (
        INVALID
    )
    plain = market.one()
    market.sell(plain.code)
    assert (
        market.refused(None, plain.code, "review", {"rating": 5}, headers=inner("ABC")) == INVALID
    )


def test_a_hidden_code_is_checked_counted_and_limited(market):
    unit = market.one(inner=True)
    path = f"{unit.path}/check"
    assert market.ask("POST", path, {"inner": unit.inner}) == {"ok": True, "tries": 1}
    for tries in range(2, 11):
        assert market.ask("POST", path, {"inner": "WRONG2345"}) == {"ok": False, "tries": tries}
    answer = market.call("POST", path, {"inner": unit.inner})
    assert told(answer)[:2] == (429, "too-many-requests")
    assert 3500 < int(answer.headers["Retry-After"]) <= 3601
    market.clock.advance(3601)
    assert market.ask("POST", path, {"inner": unit.inner}) == {"ok": True, "tries": 1}
    plain = market.one()
    assert told(market.call("POST", f"{plain.path}/check", {"inner": "X"}))[:2] == INVALID[:2]
    unknown = market.call("POST", "/api/v1/codes/06901234567892/NOBODY/check", {"inner": "X"})
    assert told(unknown)[:2] == (404, "code-unknown")


def test_an_inner_code_is_stored_as_a_hash_alone(market):
    unit = market.one(inner=True)
    stored = market.stored_bytes()
    assert unit.serial.encode() in stored
    assert unit.inner.encode() not in stored


def test_without_proof_a_consumer_is_nobody(market):
    unit = market.one()
    market.sell(unit.code)
    answer = market.post(None, unit.code, "review", {"rating": 5})
    assert told(answer)[:2] == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("sale", {}),
        ("return", {"reason": "x"}),
        ("recall", {"reason": "x"}),
        ("void", {"reason": "x"}),
    ],
)
def test_a_consumer_says_only_what_consumers_say(market, type_, data):
    unit = market.one()
    proof = claim(market.sell_by_platform(unit.code)["claim_token"])
    assert market.refused(None, unit.code, type_, data, headers=proof) == (403, "forbidden", None)


def test_a_consumer_signs_for_the_parcel_and_refuses_it(market):
    one, two = market.issue(2)
    for unit, type_, data, state in (
        (one, "signature", {"kind": "in_person"}, "signed"),
        (two, "refusal", {"reason": "wet"}, "returned"),
    ):
        proof = claim(market.sell_by_platform(unit.code)["claim_token"])
        market.dispatch(unit.code)
        market.send(None, unit.code, type_, data, headers=proof)
        assert market.ask("GET", unit.path)["state"] == state


def test_a_consumer_names_no_actor_and_no_proof_of_its_own(market):
    unit = market.one()
    proof = claim(market.sell_by_platform(unit.code)["claim_token"])
    data = {"rating": 5}
    assert market.refused(None, unit.code, "review", data, headers=proof, actor=SHOP)[:2] == (
        403, "forbidden",
    )  # fmt: skip
    answer = market.post(None, unit.code, "review", {**data, "proof": "platform"}, headers=proof)
    assert answer.json()["errors"][0]["kind"] == "reserved"


def test_a_key_beside_a_proof_speaks_as_the_key(market):
    unit = market.one()
    proof = claim(market.sell_by_platform(unit.code)["claim_token"])
    assert market.refused(SHOP, unit.code, "review", {"rating": 5}, headers=proof)[:2] == (
        403, "forbidden",
    )  # fmt: skip
    market.send(AUTHORITY, unit.code, "complaint", {"category": "other"}, headers=proof)
    assert last(market, unit)["source"] == "regulator"


def test_a_platform_that_sells_its_own_goods_is_the_seller(market):
    """A token to the key of the one who sells would be proof by the seller itself."""
    both = market.newcomer("merchant", "platform")
    unit = market.one(by=both)
    assert "claim_token" not in market.send(both, unit.code, "sale", {"platform": both})


# --- repeats ------------------------------------------------------------------------------------


def test_a_repeated_complaint_gives_its_ticket_to_who_complained_and_to_nobody_else(market):
    """The id stands in the public chain, and the content can be read: neither is a proof."""
    unit, other = market.issue(2, inner=True)
    mine = claim(market.sell_by_platform(unit.code)["claim_token"])
    strange = claim(market.sell_by_platform(other.code)["claim_token"])
    data = {"category": "counterfeit"}
    first = market.post(None, unit.code, "complaint", data, headers=mine, id=FIRST)
    assert last(market, unit)["id"] == FIRST
    for headers in (strange, claim("P" + "A" * 25), inner(other.inner), inner("WRONG2345")):
        answer = market.post(None, unit.code, "complaint", data, headers=headers, id=FIRST)
        assert told(answer) == INVALID, headers
        assert first.json()["ticket"] not in answer.text
    nobody = market.post(None, unit.code, "complaint", data, id=FIRST)
    assert told(nobody)[:2] == (401, "unauthenticated")
    again = market.post(None, unit.code, "complaint", data, headers=mine, id=FIRST)
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_former_buyer_gets_no_ticket_of_the_next_one(market):
    unit = market.one()
    former = claim(market.sell_by_platform(unit.code, hours=-9)["claim_token"])
    market.send(SHOP, unit.code, "return", {"reason": "seven days"}, hours=-8)
    present = claim(market.sell_by_platform(unit.code, hours=-7)["claim_token"])
    data = {"category": "quality"}
    market.send(None, unit.code, "complaint", data, headers=present, id=FIRST)
    again = market.post(None, unit.code, "complaint", data, headers=former, id=FIRST)
    assert told(again) == INVALID


def test_a_repeat_of_a_consignments_complaint_needs_its_own_token(market):
    lot = market.lot("REPEATS")
    tokens = {
        name: market.send(
            PLATFORM, lot, "sale", {"platform": PLATFORM, "consignment": name}, actor=SHOP
        )["claim_token"]
        for name in ("C-1", "C-2")
    }
    data = {"category": "quality", "consignment": "C-1"}
    more = {"id": FIRST}
    first = market.send(None, lot, "complaint", data, headers=claim(tokens["C-1"]), **more)
    again = market.post(None, lot, "complaint", data, headers=claim(tokens["C-2"]), **more)
    assert told(again) == INVALID
    again = market.post(None, lot, "complaint", data, headers=claim(tokens["C-1"]), **more)
    assert (again.status_code, again.json()["ticket"]) == (200, first["ticket"])


def test_a_repeated_sale_gives_its_claim_token_to_the_platform_that_sent_it_alone(market):
    unit = market.one()
    data = {"platform": PLATFORM, "region": "440100"}
    more = {"hours": -3, "id": FIRST, "actor": SHOP}
    first = market.send(PLATFORM, unit.code, "sale", data, **more)
    market.mandate(SHOP, RIVAL, "sale")
    for by in (SHOP, RIVAL, CARRIER, AUTHORITY):
        answer = market.post(by, unit.code, "sale", data, **more)
        assert told(answer)[:2] == (409, "id-conflict"), by
        assert first["claim_token"] not in answer.text
    assert market.send(PLATFORM, unit.code, "sale", data, status=200, **more) == first


def test_reports_from_one_address_are_limited(service):
    answers = [service.call("POST", "/api/v1/reports", {"text": "x"}) for _ in range(4)]
    assert answers[0].status_code == 201
    assert told(answers[-1])[:2] == (429, "too-many-requests")
    assert answers[-1].headers["Retry-After"] == "1"


def test_reports_take_anybody_and_change_nothing(market):
    unit = market.one()
    before = market.ask("GET", unit.path)
    body = {"code": unit.uri, "text": "贴在别的商品上", "contact": "19900000000"}
    made = market.ask("POST", "/api/v1/reports", body, status=201)
    assert len(made["ticket"]) >= 8
    market.ask("POST", "/api/v1/reports", {"text": "something"}, status=201)
    assert market.ask("GET", unit.path) == before
    assert b"19900000000" not in market.stored_bytes()


def test_a_report_sent_twice_under_one_id_is_one(market):
    ticket, is_new = market.rooms.reports.file_once(None, "盒盖有裂", None, id="once")
    assert is_new
    again = market.rooms.reports.file_once(None, "盒盖有裂", None, id="once")
    assert again == (ticket, False)
