"""Commitments: signed in public, withdrawn, kept at term, judged; and what they earn and cost."""

from __future__ import annotations

from datetime import timedelta

from app.kit.clock import parse_time
from tests.ledger.ledgers import runner
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL, Market, told
from tests.web.test_audits_api import audit
from tests.web.test_ranking_api import trader

T = "/api/v1/commitments/templates"
REASON = "经核查"
DAY = 86_400


def signed(market: Market, party: str, template: str = "lawful_trade", **more) -> dict:
    (text,) = [one for one in market.ask("GET", T) if one["template"] == template]
    body = {"template": template, "text_digest": text["digest"], **more}
    path = f"/api/v1/parties/{party}/commitments"
    return market.ask("POST", path, body, token=market.keys[party], status=201)


def seen(market: Market, party: str, *, by: str | None = None) -> list[dict]:
    token = None if by is None else market.keys[by]
    return market.ask("GET", f"/api/v1/parties/{party}/commitments", token=token)["items"]


def score(market: Market, party: str) -> int:
    return market.ask("GET", f"/api/v1/credit/{party}")["score"]


def judge(market: Market, made: dict, outcome: str, *, by: str = AUTHORITY, status: int = 201):
    path = f"/api/v1/parties/{made['party']}/commitments/{made['id']}/decision"
    body = {"outcome": outcome, "reason": REASON}
    return market.ask("POST", path, body, token=market.keys[by], status=status)


def test_what_a_judgement_rests_on_can_be_looked_up(market):
    made = signed(market, market.newcomer())
    path = f"/api/v1/parties/{made['party']}/commitments/{made['id']}/decision"
    body = {"outcome": "broken", "reason": REASON, "evidence": {"title": "x"}}
    answer = market.ask("POST", path, body, token=market.keys[AUTHORITY], status=422)
    assert [(one["loc"], one["kind"]) for one in answer["errors"]] == [(["evidence"], "missing")]


def test_five_categories_can_be_signed_in_both_languages(market):
    texts = market.ask("GET", T)
    assert {one["category"] for one in texts} == {
        "law",
        "information",
        "quality",
        "service",
        "duty",
    }
    assert all(one["text"]["zh"] and one["text"]["en"] for one in texts)


def test_a_commitment_earns_while_it_is_in_force_and_once_more_when_kept(market):
    shop = market.newcomer()
    made = signed(market, shop)
    market.work()
    assert (made["status"], score(market, shop)) == ("active", 720)
    assert [one["status"] for one in seen(market, shop)] == ["active"]
    market.work()
    assert score(market, shop) == 720, "once, however often the worker comes by"

    market.clock.set(parse_time(made["until"]))
    assert seen(market, shop)[0]["status"] == "kept", "time keeps it, not the worker"
    market.work()
    (kept,) = seen(market, shop)
    assert (kept["status"], kept["ended_at"] >= made["until"]) == ("kept", True)
    assert score(market, shop) == 705
    assert signed(market, shop)["status"] == "active", "and it can be signed anew"


def test_one_template_at_a_time_and_repeats_are_safe(market):
    shop = market.newcomer()
    id_ = "0192f3a0-0000-7000-8000-00000000aa01"
    made = signed(market, shop, id=id_)
    market.clock.advance(5)
    path, key = f"/api/v1/parties/{shop}/commitments", market.keys[shop]
    body = {"id": id_, "template": "lawful_trade", "text_digest": made["text_digest"]}
    assert market.ask("POST", path, body, token=key)["signed_at"] == made["signed_at"]
    twice = market.call("POST", path, {**body, "id": None}, token=key)
    assert told(twice) == (409, "already-exists", None)
    other = {**body, "template": "sound_goods"}
    assert told(market.call("POST", path, other, token=key))[:2] == (422, "invalid")
    assert told(market.call("POST", path, body, token=market.keys[SHOP]))[:2] == (403, "forbidden")


def test_withdrawn_it_earns_nothing_more(market):
    shop = market.newcomer()
    made = signed(market, shop)
    market.work()
    path = f"/api/v1/parties/{shop}/commitments/{made['id']}/withdrawal"
    done = market.ask("POST", path, {}, token=market.keys[shop], status=201)
    market.work()
    assert (done["status"], score(market, shop)) == ("withdrawn", 700)
    again = market.call(
        "POST", path, {}, token=market.keys[shop], headers={"Accept-Language": "zh"}
    )
    assert told(again) == (409, "lifecycle-conflict", "wrong_state")
    assert "现在的状态是“已撤回”" in again.json()["detail"]


def test_a_broken_one_costs_after_notice_and_is_public_only_then(market):
    shop = market.newcomer()
    made = signed(market, shop)
    market.work()
    assert told(market.call(
        "POST", f"/api/v1/parties/{shop}/commitments/{made['id']}/decision",
        {"outcome": "broken", "reason": REASON}, token=market.keys[shop],
    ))[:2] == (403, "forbidden")  # fmt: skip
    broken = judge(market, made, "broken")
    market.work()
    assert broken["status"] == "broken"
    assert seen(market, shop)[0]["status"] == "active", "told to the party first"
    assert score(market, shop) == 720
    market.clock.set(parse_time(broken["steps"][-1]["public_from"]) + timedelta(milliseconds=2))
    market.work()
    assert seen(market, shop)[0]["status"] == "broken"
    assert score(market, shop) == 670, "the charge, and what it earned is over"
    assert audit(market, {"party": shop})["findings"] == 0


def test_an_upheld_objection_undoes_the_judgement(market):
    shop = market.newcomer()
    made = signed(market, shop)
    judge(market, made, "broken")
    market.work()
    path = f"/api/v1/credit/{shop}/entries"
    entries = market.ask("GET", path, token=market.keys[shop])["items"]
    (entry,) = [one for one in entries if one["rule"] == "commitment_broken"]
    at = f"/api/v1/credit/entries/{entry['id']}"
    text = {"text": "已按承诺办理"}
    market.ask("POST", f"{at}/objection", text, token=market.keys[shop], status=201)
    upheld = {"outcome": "upheld", "reason": REASON}
    market.ask("POST", f"{at}/decision", upheld, token=market.keys[AUTHORITY], status=201)
    market.clock.advance(30 * 86_400)
    market.work()
    assert (seen(market, shop)[0]["status"], score(market, shop)) == ("overturned", 720)


def asked_back(market: Market, *, days: float) -> tuple[str, dict, str, dict]:
    """A promise, a unit signed for, and a return asked so many days later.

    Returns shop, promise, code and the complaint's answer.
    """
    shop = trader(market)
    made = signed(market, shop, "seven_day_return")
    (unit,) = market.issue(by=shop)
    told_token = complete_unit(market, shop, unit.code)
    market.work()
    market.clock.advance(days * DAY)
    sent = market.send(
        None, unit.code, "complaint", {"category": "after_sales", "wish": "return"},
        headers={"Suxin-Claim": told_token},
    )  # fmt: skip
    market.work()
    return shop, made, unit.code, sent


def complete_unit(market: Market, shop: str, code: str) -> str:
    data = {"platform": PLATFORM, "region": "440100"}
    sale = market.send(PLATFORM, code, "sale", data, hours=-3, actor=shop)
    data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    market.send(shop, code, "dispatch", data, hours=-2)
    market.sign(code)
    return sale["claim_token"]


def status_for(market: Market, made: dict, by: str | None) -> str:
    return seen(market, made["party"], by=by)[-1]["status"]


def test_a_return_asked_in_time_and_never_answered_puts_the_promise_in_question(market):
    shop, made, _, _ = asked_back(market, days=6)
    market.clock.advance(6 * DAY)
    market.work()
    assert status_for(market, made, shop) == "active", "seven days to answer"
    market.clock.advance(2.5 * DAY)
    market.work()
    market.work()
    assert [status_for(market, made, by) for by in (None, shop, AUTHORITY)] == [
        "active", "questioned", "questioned",
    ]  # fmt: skip
    (step,) = seen(market, shop, by=AUTHORITY)[0]["steps"]
    assert (step["step"], step["evidence"]["outcome"], step["by"]) == (
        "question", "unanswered", "system",
    )  # fmt: skip
    path = f"/api/v1/parties/{shop}/commitments/{made['id']}/withdrawal"
    answer = market.call("POST", path, {}, token=market.keys[shop])
    assert told(answer)[2] == "wrong_state", "it is judged first"
    assert judge(market, made, "cleared")["status"] == "active"
    assert score(market, shop) == 721
    judge(market, made, "broken")
    market.work()
    market.clock.advance(30 * DAY)
    market.work()
    assert score(market, shop) == 671


def test_of_an_answer_that_was_altered_nobody_is_charged_and_the_work_goes_on(market):
    shop, made, code, complaint = asked_back(market, days=6)
    other = market.send(shop, code, "reply", {"of": complaint["id"], "outcome": "accepted"})
    market.publish()
    place = bytes.fromhex(other["hash"])
    with market.rooms.database.read() as connection:
        (before,) = runner(connection)("SELECT body FROM record WHERE hash = ?", place)
    market.tamper("UPDATE record SET body = ? WHERE hash = ?", b"{}", place)
    try:
        market.clock.advance(8.5 * DAY)
        market.work()
        market.work()
        assert status_for(market, made, AUTHORITY) == "active"
        with market.rooms.database.read() as connection:
            waiting = runner(connection)("SELECT topic, attempts FROM outbox WHERE attempts > 0")
        assert waiting == []
    finally:
        market.tamper("UPDATE record SET body = ? WHERE hash = ?", before[0], place)


def test_a_refusal_is_in_question_at_once_and_names_the_exception(market):
    shop, _, code, complaint = asked_back(market, days=2)
    market.send(
        shop,
        code,
        "reply",
        {"of": complaint["id"], "outcome": "refused", "exception": "perishable"},
    )
    market.work()
    (step,) = seen(market, shop, by=AUTHORITY)[0]["steps"]
    assert step["evidence"].items() >= {"outcome": "refused", "exception": "perishable"}.items()
    market.clock.advance(30 * DAY)
    market.work()
    assert len(seen(market, shop, by=AUTHORITY)[0]["steps"]) == 1, "one question a request"


def test_answered_or_asked_too_late_nothing_is_in_question(market):
    for days, answer in ((8.5, None), (3, "reply"), (3, "return")):
        shop, made, code, complaint = asked_back(market, days=days)
        if answer == "reply":
            market.send(shop, code, "reply", {"of": complaint["id"], "outcome": "accepted"})
        if answer == "return":
            market.send(shop, code, "return", {"reason": "other"})
        market.clock.advance(30 * DAY)
        market.work()
        assert status_for(market, made, AUTHORITY) == "active", (days, answer)


def asked_back_of_a_lot(market: Market, name: str) -> tuple[dict, str, dict]:
    """The shop's promise, a lot, and the answer to who asked to give a consignment of it back."""
    made = signed(market, SHOP, "seven_day_return")
    lot = market.lot(name)
    data = {"platform": PLATFORM, "region": "440100", "consignment": "7"}
    sale = market.send(PLATFORM, lot, "sale", data, hours=-3, actor=SHOP)
    market.send(SHOP, lot, "dispatch", {"carrier": CARRIER, "consignment": "7"}, hours=-2)
    market.send(CARRIER, lot, "signature", {"kind": "in_person", "consignment": "7"}, hours=-1)
    market.clock.advance(3 * DAY)
    sent = market.send(
        None, lot, "complaint", {"category": "after_sales", "wish": "return", "consignment": "7"},
        headers={"Suxin-Claim": sale["claim_token"]},
    )  # fmt: skip
    market.work()
    return made, lot, sent


def found_of(market: Market, made: dict) -> tuple[str, list[str]]:
    """How a promise stands once the time to answer is over, and what was found."""
    market.work()
    market.clock.advance(9 * DAY)
    market.work()
    (found,) = [x for x in seen(market, made["party"], by=AUTHORITY) if x["id"] == made["id"]]
    told = [one["evidence"]["outcome"] for one in found["steps"] if one["step"] == "question"]
    if found["status"] == "questioned":
        judge(market, made, "cleared")
    path = f"/api/v1/parties/{made['party']}/commitments/{made['id']}/withdrawal"
    market.ask("POST", path, {}, token=market.keys[made["party"]], status=201)
    return found["status"], told


def test_a_return_of_a_lot_is_answered_refused_and_left_unanswered_as_a_units(market):
    made, _, _ = asked_back_of_a_lot(market, "BACK-1")
    assert found_of(market, made) == ("questioned", ["unanswered"])
    made, lot, sent = asked_back_of_a_lot(market, "BACK-2")
    market.send(SHOP, lot, "reply", {"of": sent["id"], "outcome": "accepted"})
    assert found_of(market, made) == ("active", [])
    made, lot, sent = asked_back_of_a_lot(market, "BACK-3")
    market.send(SHOP, lot, "reply", {"of": sent["id"], "outcome": "refused"})
    assert found_of(market, made) == ("questioned", ["refused"])
    made, lot, sent = asked_back_of_a_lot(market, "BACK-5")
    market.send(SHOP, lot, "return", {"reason": "other", "consignment": "7"})
    assert found_of(market, made) == ("active", [])


def test_what_another_party_of_the_lot_refuses_is_no_refusal_of_the_sellers(market):
    lot = market.lot("BACK-4")
    market.send(SHOP, lot, "transfer", {"to": RIVAL})
    market.send(RIVAL, lot, "acceptance", {"from": SHOP})
    market.mandate(RIVAL, PLATFORM, "sale")
    made = [signed(market, party, "seven_day_return") for party in (SHOP, RIVAL)]
    data = {"platform": PLATFORM, "consignment": "7"}
    sale = market.send(PLATFORM, lot, "sale", data, actor=RIVAL)
    sent = market.send(
        None, lot, "complaint", {"category": "after_sales", "wish": "return", "consignment": "7"},
        headers={"Suxin-Claim": sale["claim_token"]},
    )  # fmt: skip
    market.send(SHOP, lot, "reply", {"of": sent["id"], "outcome": "refused"})
    # It is no answer of the seller's either, who said nothing.
    found = [found_of(market, one) for one in made]
    assert found == [("active", []), ("questioned", ["unanswered"])]


def test_a_reply_to_a_message_of_the_matter_is_an_answer_and_a_refusal(market):
    for outcome, status in (("accepted", "active"), ("refused", "questioned")):
        shop, made, code, sent = asked_back(market, days=2)
        data = {"of": sent["id"]}
        headers = {"Suxin-Ticket": sent["query_code"]}
        sealed = {"detail": {"content": {"text": "什么时候来取"}}}
        said = market.send(None, code, "message", data, headers=headers, sealed=sealed)
        market.send(shop, code, "reply", {"of": said["id"], "outcome": outcome})
        market.work()
        market.clock.advance(30 * DAY)
        market.work()
        assert status_for(market, made, AUTHORITY) == status, outcome


def test_a_refusal_after_an_acceptance_puts_the_promise_in_question(market):
    shop, made, code, sent = asked_back(market, days=2)
    market.send(shop, code, "reply", {"of": sent["id"], "outcome": "accepted"})
    market.send(shop, code, "reply", {"of": sent["id"], "outcome": "refused"})
    market.work()
    assert status_for(market, made, AUTHORITY) == "questioned"
