"""POST /events/batch: each for itself or all together, in the order given; and `?wait=`."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import PRODUCT, RIVAL, told

BATCH = "/api/v1/events/batch"
FIRST = "0192f3a0-0000-7000-8000-000000000001"


def send(market, events, *, query: str = "", by: str = SHOP, **more):
    return market.call("POST", BATCH + query, {"events": events}, token=market.keys[by], **more)


def sale(code: str, **more) -> dict:
    return {"code": code, "type": "sale", "data": {"region": "440100"}, **more}


def dispatch(code: str, **more) -> dict:
    return {"code": code, "type": "dispatch", "data": {"carrier": CARRIER}, **more}


def slugs(answer) -> list[str]:
    return [
        one["problem"]["type"].removeprefix("/problems/") if "problem" in one else "recorded"
        for one in answer.json()["results"]
    ]


def test_each_stands_for_itself_and_sees_those_before_it(market):
    one, two = (issued.code for issued in market.issue(2))
    answer = send(market, [sale(one), dispatch(one), sale(one), sale(two), sale("01/x")])
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (3, 2)
    assert [result["index"] for result in body["results"]] == [0, 1, 2, 3, 4]
    assert [result["status"] for result in body["results"]] == [201, 201, 409, 201, 422]
    assert slugs(answer) == ["recorded", "recorded", "lifecycle-conflict", "recorded", "invalid"]
    assert body["results"][2]["problem"]["reason"] == "already_sold"
    events = [result["event"] for result in body["results"] if "event" in result]
    assert [(event["code"], event["seq"]) for event in events] == [(one, 1), (one, 2), (two, 1)]
    assert all(event["receipt"] and event["status"] == "durable" for event in events)
    assert market.ask("GET", f"/api/v1/code?code={one}")["state"] == "in_transit"


def about(code: str, of: str, type_: str = "correction", **more) -> dict:
    data = {"of": of} | ({} if type_ == "reply" else {"changes": {"region": "440300"}})
    return {"code": code, "type": type_, "data": data, **more}


@pytest.mark.parametrize("query", ["", "?atomic=true"])
def test_a_correction_or_reply_may_name_an_event_before_it(market, query):
    one, two = (issued.code for issued in market.issue(2))
    ids = [str(uuid4()) for _ in range(4)]
    events = [
        sale(one, id=ids[0]), about(one, ids[0].upper(), id=ids[1]), dispatch(one),
        about(one, ids[0], "reply"), sale(two, id=ids[2]), about(two, ids[2]),
        about(one, ids[1], "reply"),
    ]  # fmt: skip
    wrong = [{**events[1], "data": {"of": ids[0], "changes": {"carrier": "x"}}, "id": ids[3]}]
    answer = send(market, [events[0], *wrong], query="?atomic=true")
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["loc"] == ["events", 1, "data", "changes", "carrier"]
    answer = send(market, events, query=query)
    assert [result["status"] for result in answer.json()["results"]] == [201] * 7
    assert [result["event"]["seq"] for result in answer.json()["results"]] == [1, 2, 3, 4, 1, 2, 5]
    again = send(market, [events[0], events[1]], query=query)
    assert [result["status"] for result in again.json()["results"]] == [200, 200]


def test_a_correction_of_an_event_that_was_refused_names_nothing(market):
    unit = market.one()
    code, sold, refused = unit.code, str(uuid4()), str(uuid4())
    market.sell(code)
    answer = send(market, [sale(code, id=sold), about(code, sold), about(code, refused)])
    assert slugs(answer) == ["lifecycle-conflict", "not-found", "not-found"]
    before = market.count_rows()
    answer = send(market, [about(code, sold), sale(code, id=sold)], query="?atomic=true")
    assert told(answer)[:2] == (404, "not-found"), "what comes later is not seen"
    foreign = [
        {"code": code, "type": "complaint", "data": {"category": "price"}, "id": sold},
        about(code, sold, actor=SHOP),
    ]
    answer = send(market, foreign, by=AUTHORITY, query="?atomic=true")
    assert told(answer)[:2] == (403, "forbidden")
    assert market.count_rows() == before


WRONG_SHAPES = [
    None, 7, "sale", [], {}, {"code": 1}, {"type": "sale"}, {"code": "x", "type": "sale", "more": 1},
    {"code": "x", "type": "sale", "data": []}, {"code": "x", "type": "sale", "data": {"region": "\x00"}},
    {"code": "x\x00", "type": "sale"}, {"code": "x", "type": "sale", "sealed": {"order": 5}},
    {"code": "x", "type": "sale", "sealed": {"order": {"content": {"\x07": "x"}}}},
    {"code": "x", "type": "sale", "signed": {"key": "k"}}, {"code": "x", "type": "sale", "id": 5},
    {"code": "x", "type": "sale", "occurred_at": "noon"}, {"code": "x", "type": "sale", "actor": ""},
]  # fmt: skip


def test_an_item_of_wrong_shape_fails_alone(market):
    unit = market.one()
    for wrong in WRONG_SHAPES:
        before = market.count_rows()
        answer = send(market, [wrong, {"code": unit.code, "type": "notice", "data": {"text": "x"}}])
        assert answer.status_code == 200, (wrong, answer.text)
        assert [r["status"] for r in answer.json()["results"]] == [422, 201], (wrong, answer.text)
        problem = answer.json()["results"][0]["problem"]
        assert problem["errors"], wrong
        assert market.count_rows()["record"] == before["record"] + 1


def test_all_or_none_writes_nothing_when_one_is_refused(market):
    one, two = (issued.code for issued in market.issue(2))
    before = market.count_rows()
    answer = send(market, [sale(one), dispatch(one), sale(one)], query="?atomic=true")
    assert told(answer) == (409, "lifecycle-conflict", "already_sold")
    assert [(e["loc"], e["kind"]) for e in answer.json()["errors"]] == [(["events", 2], "refused")]
    answer = send(
        market, [sale(one), {"code": two, "type": "sale", "more": 1}], query="?atomic=true"
    )
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["loc"] == ["events", 1, "more"]
    answer = send(market, [sale(one), sale(two, data={"region": "1"})], query="?atomic=true")
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["loc"] == ["events", 1, "data", "region"]
    assert market.count_rows() == before
    answer = send(market, [sale(one), dispatch(one), sale(two)], query="?atomic=true")
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (3, 0)


def test_a_batch_sent_again_is_a_repeat_item_by_item(market):
    one, two = (issued.code for issued in market.issue(2))
    events = [sale(one, id=FIRST), sale(two, id=FIRST)]
    first = send(market, events[:1])
    again = send(market, events)
    assert [result["status"] for result in again.json()["results"]] == [200, 201]
    assert again.json()["results"][0]["event"] == first.json()["results"][0]["event"]
    twice = send(market, [sale(two, id=FIRST), sale(two, id=FIRST, data={})])
    assert slugs(twice) == ["recorded", "id-conflict"]


def test_the_same_id_twice_in_one_batch_is_recorded_once(market):
    unit = market.one()
    answer = send(market, [sale(unit.code, id=FIRST), sale(unit.code, id=FIRST)])
    first, second = answer.json()["results"]
    assert (first["status"], second["status"]) == (201, 200)
    assert first["event"] == second["event"]


def test_measures_go_in_a_batch_like_other_events(market):
    code = f"party/{RIVAL}"
    events = [
        {"code": code, "type": "measure", "data": {"kind": "warn", "basis": "art. 80"}},
        {"code": PRODUCT, "type": "notice", "data": {"text": "read this"}},
        {"code": code, "type": "measure_lifted", "data": {"kind": "warn", "basis": "done"}},
        {"code": code, "type": "measure_lifted", "data": {"kind": "warn", "basis": "done"}},
    ]
    answer = send(market, events, by=AUTHORITY)
    assert [result["status"] for result in answer.json()["results"]] == [201, 201, 201, 409]


def test_a_batch_holds_one_to_a_thousand_events(market):
    for events in ([], [sale("x")] * 1001):
        answer = send(market, events)
        assert told(answer)[:2] == (422, "invalid")
        assert answer.json()["errors"][0]["kind"] == "length"
    units = [issued.code for issued in market.issue(1000)]
    answer = send(market, [sale(code) for code in units])
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1000, 0)


def test_a_problem_in_a_batch_speaks_the_readers_language(market):
    said = {
        lang: send(market, [sale("01/x")], headers={"Accept-Language": lang}).json()
        for lang in ("zh", "en")
    }
    details = {lang: body["results"][0]["problem"] for lang, body in said.items()}
    assert details["zh"]["title"] != details["en"]["title"]
    assert details["zh"]["errors"][0]["msg"] != details["en"]["errors"][0]["msg"]


def test_a_batch_needs_a_key(market):
    answer = market.call("POST", BATCH, {"events": [sale("x")]})
    assert told(answer)[:2] == (401, "unauthenticated")


# --- waiting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["durable", "sequenced", "published"])
def test_an_answer_says_how_far_the_record_has_come(live, wait):
    one, two, three = (issued.code for issued in live.issue(3))
    sent = live.sell(one, query=f"?wait={wait}")
    reached = ["durable", "sequenced", "published"]
    assert reached.index(sent["status"]) >= reached.index(wait)
    batch = send(live, [sale(two), sale(three)], query=f"?wait={wait}").json()
    for result in batch["results"]:
        assert reached.index(result["event"]["status"]) >= reached.index(wait)
    if wait == "published":
        shown = live.ask("GET", f"/api/v1/code?code={three}")["links"]["events"]
        item = next(i for i in live.ask("GET", shown)["items"] if i["record"]["type"] == "sale")
        assert item["leaf_index"] < live.ask("GET", "/api/v1/ledger")["size"]


def test_waiting_ends_after_five_seconds_with_what_is_true(market):
    unit = market.one()
    sent = market.sell(unit.code, query="?wait=published")
    assert sent["status"] == "durable"
    market.publish()
    again = market.post(SHOP, unit.code, "sale", {"region": "440100"}, hours=-3, id=sent["id"],
                        query="?wait=published")  # fmt: skip
    assert (again.status_code, again.json()["status"]) == (200, "published")


def test_an_unknown_wait_is_refused(market):
    unit = market.one()
    answer = market.post(SHOP, unit.code, "sale", query="?wait=forever")
    assert answer.json()["errors"][0]["loc"] == ["query", "wait"]


def places_in(problem) -> set[tuple[str, str]]:
    return {(".".join(map(str, error["loc"])), error["kind"]) for error in problem["errors"]}


def test_an_item_is_told_everything_that_is_wrong_with_it_at_once(market):
    (unit,) = (issued.code for issued in market.issue(1))
    bad_text = {"text": {"content": {"text": 0.5}}}
    review = {"code": unit, "type": "review", "data": {"rating": 9}, "sealed": bad_text}
    rating, text = ("data.rating", "range"), ("sealed.text.content.text", "float")
    events = [
        review,
        {**review, "more": 1},
        {**review, "id": "no-uuid", "occurred_at": "2999-01-01T00:00:00Z"},
        {**review, "id": 5, "actor": "nobody", "more": 1},
        {"code": "01/x", "type": "none", "more": 1, "id": "no-uuid"},
        {**review, "sealed": {"text": {"content": {}, "salt": "short"}, "other": {"content": 5}}},
    ]
    results = send(market, events).json()["results"]
    assert [one["status"] for one in results] == [422] * len(events)
    found = [places_in(one["problem"]) for one in results]
    more = ("more", "unknown_field")
    assert found[0] == {rating, text}
    assert found[1] == {rating, text, more}
    assert found[2] == {rating, text, ("id", "record_id"), ("occurred_at", "future_time")}
    assert found[3] == {rating, text, more, ("id", "type"), ("actor", "unknown_party")}
    assert {kind for place, kind in found[4]} >= {"unknown_field", "record_id", "unknown_type"}
    assert "code" in {place for place, _ in found[4]}
    assert found[5] >= {rating, ("sealed.text.salt", "form"), ("sealed.other.content", "type")}
    alone = market.call("POST", "/api/v1/events", events[1], token=market.keys[SHOP])
    assert places_in(alone.json()) == found[1]


@pytest.mark.parametrize("name", ["a" * 81, "PushIn", "x"])
@pytest.mark.parametrize("section", [{}, 5, {"content": {}, "y": 1}])
def test_a_section_of_any_name_and_shape_fails_its_item_alone(market, name, section):
    code, other = (issued.code for issued in market.issue(2))
    bad = {"code": code, "type": "review", "data": {"rating": 1}, "sealed": {name: section}}
    good = {"code": other, "type": "sale", "data": {}}
    results = send(market, [bad, good]).json()["results"]
    assert [one["status"] for one in results] == [422, 201]
    assert market.call("POST", "/api/v1/events", bad, token=market.keys[SHOP]).status_code == 422


def test_what_is_wrong_a_thousand_times_is_not_looked_into_further(market):
    """Wording it all, and looking on, would take a server more time than its sender."""
    (code,) = (issued.code for issued in market.issue(1))
    many = {f"n{n}": n for n in range(1_000)}
    event = {"code": code, "type": "sale", "data": many, "more": 1}
    (told,) = send(market, [event]).json()["results"]
    assert 1 < len(told["problem"]["errors"]) <= 21
    sections = {"code": code, "type": "sale", "data": many, "sealed": dict.fromkeys(many, 1)}
    (told,) = send(market, [sections]).json()["results"]
    assert {error["loc"][-2] for error in told["problem"]["errors"]} == {"sealed"}
