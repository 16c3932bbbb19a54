"""Complaints for who must answer them; reviews for who replies: whose, when due, opened for what."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select

from app.db.tables import AccessLog, RecordRow, Voice
from app.trace.ratingstore import rebuild_ratings
from app.trace.voicestore import rebuild_voices
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL, told
from tests.web.test_texts_api import (
    WORDS,
    audit_is_clean,
    bought,
    complain,
    erase,
    follow,
    page,
    review,
    sealed,
    ticket,
)

C, R = "/api/v1/complaints", "/api/v1/reviews"
PURPOSE = {"purpose": "answer the ticket"}
LOOKS = AccessLog.__table__
VOICES = Voice.__table__
RECORDS = RecordRow.__table__


def lines(market, *, by=SHOP, query="?limit=500") -> dict[str, dict]:
    found = market.ask("GET", C + query, token=market.keys[by])["items"]
    return {one["ticket"]: one for one in found}


def opened(market, made, *, by=SHOP, status=200, **body):
    path = f"{C}/{made['ticket']}/opening"
    return market.ask("POST", path, body or PURPOSE, token=market.keys[by], status=status)


def looks(market) -> list:
    with market.rooms.database.read() as connection:
        return list(connection.execute(select(LOOKS).order_by(LOOKS.c.id)))


def answer(market, it, made, outcome=None, *, by=SHOP, **more):
    data = {"of": made["id"]} | ({"outcome": outcome} if outcome else {})
    return market.send(by, it.unit.code, "reply", data, sealed=sealed("我们处理"), **more)


def test_a_complaint_is_listed_by_what_is_due_and_leaves_the_list_with_its_outcome(market):
    it = bought(market)
    made = complain(market, it)
    one = lines(market)[made["ticket"]]
    assert (one["state"], one["due"], one["late"]) == ("waiting", "reply", False)
    assert (one["code"], one["seller"], one["platform"]) == (it.unit.code, SHOP, PLATFORM)
    assert one["due_at"] == follow(market, made)["dues"][0]["due_at"]
    market.clock.advance(25 * 3_600)
    assert lines(market)[made["ticket"]]["late"]
    answer(market, it, made)
    one = lines(market)[made["ticket"]]
    assert (one["state"], one["due"]) == ("answered", "proposal")
    assert one["due_at"] == follow(market, made)["dues"][1]["due_at"]
    answer(market, it, made, "accepted")
    assert made["ticket"] not in lines(market)
    assert lines(market, query="?state=over&limit=500")[made["ticket"]]["state"] == "proposed"
    audit_is_clean(market)


def test_open_complaints_come_the_most_urgent_first_and_in_pages(market):
    made = []
    for _ in range(3):
        made.append(complain(market, bought(market))["ticket"])
        market.clock.advance(60)
    found, cursor = [], ""
    while True:
        body = market.ask("GET", f"{C}?limit=2{cursor}", token=market.keys[SHOP])
        found += body["items"]
        if body["next"] is None:
            break
        cursor = f"&cursor={body['next']}"
    assert [one["due_at"] for one in found] == sorted(one["due_at"] for one in found)
    assert [one["ticket"] for one in found if one["ticket"] in made] == made


def test_the_words_open_for_a_purpose_and_each_look_is_logged(market):
    it = bought(market)
    made = complain(market, it)
    path = f"{C}/{made['ticket']}"
    closed = market.call("GET", path, token=market.keys[SHOP])
    assert WORDS not in closed.text
    assert closed.json()["said"][0]["closed"]
    before = len(looks(market))
    for wrong in ({"purpose": "x"}, {"purpose": "   "}, {}):
        answered = market.call("POST", f"{path}/opening", wrong, token=market.keys[SHOP])
        assert told(answered)[:2] == (422, "invalid")
    assert len(looks(market)) == before
    said = opened(market, made)["said"][0]
    assert (said["text"], said["closed"]) == (WORDS, False)
    (look,) = looks(market)[before:]
    assert (look.party, look.purpose, look.section) == (SHOP, PURPOSE["purpose"], "detail")
    market.send(None, it.unit.code, "message", {"of": made["id"]},
                headers=ticket(made), sealed=sealed("再说一句", "detail"))  # fmt: skip
    assert [one["text"] for one in opened(market, made, by=PLATFORM)["said"]] == [WORDS, "再说一句"]
    assert len(looks(market)) == before + 3


def test_nobody_else_finds_a_complaint_and_no_key_without_the_scope(market):
    made = complain(market, bought(market))
    path = f"{C}/{made['ticket']}"
    assert told(market.call("GET", path, token=market.keys[RIVAL]))[:2] == (404, "not-found")
    assert told(market.call("GET", f"{C}/7KQ2M9XW4T", token=market.keys[SHOP]))[:2] == (
        404, "not-found",
    )  # fmt: skip
    assert made["ticket"] not in lines(market, by=RIVAL)
    for token in (market.keys[CARRIER], market.key_of(SHOP, "products", "credit")):
        for method, where in (("GET", C), ("GET", path), ("POST", f"{path}/opening"), ("GET", R)):
            body = PURPOSE if method == "POST" else None
            refused = market.call(method, where, body, token=token)
            assert told(refused)[:2] == (403, "forbidden"), where
    market.ask("GET", path, token=market.keys[AUTHORITY])


def test_what_was_erased_opens_for_nobody_and_says_so(market):
    it = bought(market)
    made = complain(market, it)
    erased = erase(market, it, made["id"], ticket(made))
    assert erased.status_code == 201, erased.text
    before = len(looks(market))
    found = opened(market, made)
    assert (found["erased"], found["said"][0]["text"], found["said"][0]["closed"]) == (
        True, None, False,
    )  # fmt: skip
    assert len(looks(market)) == before, "there was nothing to look at"
    audit_is_clean(market)


def test_the_seller_writes_to_who_complained_and_nobody_else_reads_it(market):
    it = bought(market)
    made = complain(market, it)
    words = "请寄回照片，独一无二的留言八五二"
    about = {"of": made["id"]}
    market.send(SHOP, it.unit.code, "message", about, sealed=sealed(words, "detail"))
    case = follow(market, made)
    assert (case["status"], case["said"][-1]["text"]) == ("answered", words)
    assert case["dues"][0]["met_at"]
    assert lines(market)[made["ticket"]]["due"] == "proposal"
    assert words not in page(market, it)
    for wrong, kind in (({"settled": True}, "unknown_field"), ({"rating": 5}, "unknown_field")):
        refused = market.post(SHOP, it.unit.code, "message", about | wrong,
                              sealed=sealed(words, "detail"))  # fmt: skip
        assert refused.json()["errors"][0]["kind"] == kind
    assert market.refused(SHOP, it.unit.code, "message", about)[:2] == (422, "invalid")
    assert market.refused(RIVAL, it.unit.code, "message", about,
                          sealed=sealed(words, "detail"))[:2] == (403, "forbidden")  # fmt: skip
    # And who complained cannot erase the other side's words, only its own.
    of = case["said"][-1]
    stored = market.ask("GET", f"{it.unit.path}/events")["items"]
    (own,) = [x["record"]["id"] for x in stored if x["record"]["type"] == "message"]
    assert of["actor"] == SHOP
    assert told(erase(market, it, own, ticket(made)))[:2] == (403, "proof-invalid")
    audit_is_clean(market)


def test_it_is_handed_to_the_platform_and_by_it_to_the_authority(market):
    it = bought(market)
    made = complain(market, it)
    about = {"of": made["id"]}
    assert made["ticket"] not in lines(market, by=AUTHORITY)
    market.send(SHOP, it.unit.code, "referral", about | {"to": "platform"},
                sealed=sealed("买家要求平台介入", "detail"))  # fmt: skip
    assert lines(market, by=PLATFORM)[made["ticket"]]["referred_to"] == "platform"
    assert "买家要求平台介入" not in page(market, it)
    market.send(PLATFORM, it.unit.code, "referral", about | {"to": "regulator"})
    assert lines(market, by=AUTHORITY)[made["ticket"]]["referred_to"] == "regulator"
    before = len(looks(market))
    for by in (SHOP, PLATFORM, AUTHORITY):
        told_ = market.ask("GET", f"{C}/{made['ticket']}", token=market.keys[by])
        assert told_["said"][1]["text"] == "买家要求平台介入", "addressed to who works on it"
    assert [(one.party, one.purpose) for one in looks(market)[before:]] == [
        (by, f"work on complaint {made['ticket']}") for by in (PLATFORM, AUTHORITY)
    ], "its own words are no look"
    case = follow(market, made)
    assert [one["outcome"] for one in case["said"]] == ["", "platform", "regulator"]
    assert case["status"] == "waiting", "nobody has answered yet"
    about["outcome"] = "refused"
    refused = market.post(PLATFORM, it.unit.code, "reply", about, actor=SHOP)
    assert told(refused)[:2] == (403, "no-mandate")
    market.mandate(SHOP, PLATFORM, "reply")
    reply = answer(market, it, made, "refused", by=PLATFORM, actor=SHOP)
    record = market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]
    assert (record["id"], record["actor"], record["via"]) == (reply["id"], SHOP, PLATFORM)
    assert follow(market, made)["status"] == "answered"
    audit_is_clean(market)


def test_what_was_refused_and_then_handed_on_is_open_for_the_authority_alone(market):
    it = bought(market)
    made = complain(market, it)
    reply = {"of": made["id"], "outcome": "refused"}
    market.send(SHOP, it.unit.code, "reply", reply, sealed=sealed("看不出破损"))

    def listed(by: str, state: str) -> list[dict]:
        found = market.ask("GET", f"{C}?state={state}&limit=500", token=market.keys[by])["items"]
        return [one for one in found if one["ticket"] == made["ticket"]]

    assert listed(AUTHORITY, "open") == []
    market.clock.advance(60)
    market.send(SHOP, it.unit.code, "referral", {"of": made["id"], "to": "regulator"})
    (told,) = listed(AUTHORITY, "open")
    assert (told["state"], "due" in told) == ("proposed", False), "nothing is owed to it"
    assert listed(AUTHORITY, "over") == []
    assert (listed(SHOP, "open"), len(listed(SHOP, "over"))) == ([], 1)
    settled = {"of": made["id"], "settled": True}
    market.send(None, it.unit.code, "message", settled, headers=ticket(made))
    assert (listed(AUTHORITY, "open"), len(listed(AUTHORITY, "over"))) == ([], 1)


def test_a_referral_names_a_complaint_and_somebody_who_is_there(market):
    it = bought(market)
    made, said = complain(market, it), review(market, it)
    unit = market.one(inner=True)
    sale = market.sell(unit.code)
    assert sale["type"] == "sale"
    from tests.web.test_consumers_api import inner

    own = market.send(
        None, unit.code, "complaint", {"category": "price"}, headers=inner(unit.inner)
    )
    for code, of, to, status in (
        (it.unit.code, said["id"], "regulator", 404),
        (it.unit.code, made["id"], "court", 422),
        (unit.code, own["id"], "platform", 422),
    ):
        answered = market.post(SHOP, code, "referral", {"of": of, "to": to})
        assert answered.status_code == status, answered.text
    assert market.refused(CARRIER, it.unit.code, "referral",
                          {"of": made["id"], "to": "regulator"})[:2] == (403, "forbidden")  # fmt: skip


def test_complaints_about_a_lots_consignment_are_answered_too(market):
    lot = market.lot("VOICE-1")
    data = {"platform": PLATFORM, "consignment": "7"}
    token = market.send(PLATFORM, lot, "sale", data, hours=-3, actor=SHOP)["claim_token"]
    made = market.send(None, lot, "complaint", {"category": "quality", "consignment": "7"},
                       headers={"Suxin-Claim": token}, sealed=sealed(WORDS, "detail"))  # fmt: skip
    assert lines(market)[made["ticket"]]["due"] == "reply"
    assert opened(market, made)["consignment"] == "7"
    market.send(SHOP, lot, "reply", {"of": made["id"], "outcome": "accepted"}, sealed=sealed("好"))
    assert follow(market, made)["status"] == "answered"
    assert lines(market, query="?state=over&limit=500")[made["ticket"]]["state"] == "proposed"
    audit_is_clean(market)


def test_a_batch_of_a_message_and_the_reply_to_it_answers_the_complaint(market):
    """All or none: the reply names what has no row yet, as a later reply to that message would."""
    it = bought(market)
    made = complain(market, it)
    code, id_ = it.unit.code, str(uuid4())
    body = {"events": [
        {"code": code, "type": "message", "data": {"of": made["id"]}, "id": id_,
         "sealed": sealed("请看答复", "detail")},
        {"code": code, "type": "reply", "data": {"of": id_, "outcome": "accepted"},
         "sealed": sealed("换新")},
    ]}  # fmt: skip
    path = "/api/v1/events/batch?atomic=true"
    market.ask("POST", path, body, token=market.keys[SHOP])
    assert made["ticket"] not in lines(market)
    assert lines(market, query="?state=over&limit=500")[made["ticket"]]["state"] == "proposed"
    audit_is_clean(market)


# --- reviews ------------------------------------------------------------------------------------


def reviews(market, query="", *, by=SHOP) -> dict[str, dict]:
    found = market.ask("GET", f"{R}?limit=500{query}", token=market.keys[by])["items"]
    return {one["first"]["id"]: one for one in found}


def test_reviews_come_with_follow_up_and_reply_by_rating_and_what_waits(market):
    it = bought(market)
    made = review(market, it)
    later = market.send(None, it.unit.code, "follow_up", {"rating": 4}, headers=it.proof,
                        sealed=sealed("用了一周，不错"))  # fmt: skip
    one = reviews(market)[made["id"]]
    assert (one["code"], one["first"]["rating"]) == (it.unit.code, 2)
    assert one["first"]["said"]["text"] == WORDS
    assert [x["id"] for x in one["later"]] == [later["id"]]
    assert made["id"] in reviews(market, "&rating=2")
    assert made["id"] not in reviews(market, "&rating=5")
    assert made["id"] in reviews(market, "&unanswered=true")
    for of in (made["id"], later["id"]):
        assert made["id"] in reviews(market, "&unanswered=true")
        market.send(SHOP, it.unit.code, "reply", {"of": of}, sealed=sealed("谢谢您的评价"))
    assert made["id"] not in reviews(market, "&unanswered=true")
    one = reviews(market)[made["id"]]
    assert one["first"]["replies"][0]["text"] == "谢谢您的评价"
    assert one["later"][0]["replies"]
    assert "谢谢您的评价" in page(market, it)
    assert made["id"] not in reviews(market, by=RIVAL)
    audit_is_clean(market)


def test_a_hidden_text_stays_hidden_and_an_erased_one_erased(market):
    it, other = bought(market), bought(market)
    made, gone = review(market, it), review(market, other)
    body = {"code": it.unit.code, "of": made["id"], "reason": "insult"}
    market.ask("POST", "/api/v1/hidings", body, token=market.keys[AUTHORITY], status=201)
    assert erase(market, other, gone["id"], other.proof).status_code == 201
    found = reviews(market)
    assert found[made["id"]]["first"]["said"]["hidden"] == "insult"
    assert found[made["id"]]["first"]["said"]["text"] == ""
    assert "text" not in found[gone["id"]]["first"]["said"]
    assert WORDS not in str([found[made["id"]], found[gone["id"]]])


# --- rows follow from records -------------------------------------------------------------------


def test_rows_made_again_are_the_rows_that_were_written(market):
    it = bought(market)
    made = complain(market, it)
    answer(market, it, made)
    review(market, it)

    def rows() -> set:
        with market.rooms.database.read() as connection:
            return {tuple(row) for row in connection.execute(select(VOICES))}

    before = rows()
    with market.rooms.database.write() as connection:
        assert rebuild_voices(connection) == (len(before), ())
    assert rows() == before


def test_a_damaged_record_does_not_stop_the_others_from_being_told_again(market):
    spoilt, sound = bought(market), bought(market)
    made = review(market, spoilt)
    after = complain(market, spoilt)
    kept = review(market, sound)
    change = "UPDATE record SET body = ? WHERE hash = ?"
    hash_ = bytes.fromhex(made["hash"])
    with market.rooms.database.read() as connection:
        body = connection.execute(select(RECORDS.c.body).where(RECORDS.c.hash == hash_)).scalar()
    for broken in (b"\xff", bytes(body).replace(b'"rating":2', b'"rating":5')):
        market.tamper(change, broken, hash_)
        with market.rooms.database.write() as connection:
            told_again = rebuild_voices(connection)
            ids = set(connection.execute(select(VOICES.c.id)).scalars())
            ratings = rebuild_ratings(connection)
        assert told_again.damaged == (f"{spoilt.unit.code}#4",) == ratings.damaged
        assert made["id"] not in ids
        assert {after["id"], kept["id"]} <= ids
    market.tamper(change, bytes(body), hash_)
    with market.rooms.database.write() as connection:
        assert rebuild_voices(connection).damaged == ()
        rebuild_ratings(connection)


@pytest.mark.parametrize(
    "change", ["seller = '92441202MA4TE5T01M'", "answered_at = 1", "rating = 5", "platform = NULL"]
)
def test_a_row_that_says_something_else_is_found(market, change):
    it = bought(market)
    made = complain(market, it)
    market.tamper(f"UPDATE voice SET {change} WHERE id = '{made['id']}'")
    market.publish()
    key = market.keys[AUTHORITY]
    job = market.ask(
        "POST", "/api/v1/audits", {"scope": {"code": it.unit.code}}, token=key, status=202
    )
    market.work()
    done = market.ask("GET", f"/api/v1/audits/{job['id']}", token=key)
    assert done["findings"] == 1
    market.tamper(f"DELETE FROM voice WHERE id = '{made['id']}'")
    with market.rooms.database.write() as connection:
        rebuild_voices(connection)
    market.ask("POST", "/api/v1/audits", {"scope": {"code": it.unit.code}}, token=key, status=202)
    market.work()


def test_who_sells_and_has_a_platform_too_is_told_of_what_it_sold_elsewhere(market):
    both = market.newcomer("merchant", "platform")
    market.mandate(both, PLATFORM, "sale", "listing")
    unit = market.one(by=both)
    sale = market.send(PLATFORM, unit.code, "sale", {"platform": PLATFORM}, actor=both)
    claim = {"Suxin-Claim": sale["claim_token"]}
    made = market.send(None, unit.code, "complaint", {"category": "quality"}, headers=claim)
    assert made["ticket"] in lines(market, by=both)
    assert made["ticket"] in lines(market, by=PLATFORM)
    assert made["ticket"] not in lines(market, by=SHOP)
