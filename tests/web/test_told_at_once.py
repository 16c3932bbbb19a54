"""An event is told all that is wrong with it at once: control characters and times ahead beside the rest."""

from __future__ import annotations

import json

import pytest

from app.kit.errors import MOST_BESIDE
from app.web import problems
from app.web.api import events
from app.web.problems import MOST_TOLD
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import PLATFORM

S, BATCH, PUSH = "/api/v1/events", "/api/v1/events/batch", "/api/v1/carriers/push"
Found = set[tuple[str, str]]


def found(errors: list[dict], *, skip: int = 0) -> Found:
    places = [(".".join(map(str, one["loc"][skip:])), one["kind"]) for one in errors]
    assert len(set(places)) == len(places), "nothing is said twice"
    return set(places)


def by_single(market, event: dict) -> Found:
    answer = market.call("POST", S, event, token=market.keys[SHOP])
    assert answer.status_code == 422, answer.text
    return found(answer.json()["errors"])


def by_query(market, event: dict) -> Found:
    answer = market.call("POST", f"{S}?wait=for-ever", event, token=market.keys[SHOP])
    told = found(answer.json()["errors"])
    assert ("query.wait", "enum") in told
    return told - {("query.wait", "enum")}


def by_batch(market, event: dict) -> Found:
    (one,) = market.ask("POST", BATCH, {"events": [event]}, token=market.keys[SHOP])["results"]
    assert one["status"] == 422, one
    return found(one["problem"]["errors"])


CASES = [
    (
        {"data": {"region": "990000", "platform": "a\u0007b"}, "id": "x"},
        {("data.region", "region"), ("data.platform", "control"), ("id", "record_id")},
    ),
    (
        {"data": {"platform": PLATFORM[:-1] + "0"}, "hours": 1, "more": 1},
        {("data.platform", "check_digit"), ("occurred_at", "future_time"), ("more", "unknown_field")},
    ),
    (
        {"hours": 1, "actor": 5, "sealed": {"order": {"content": {"n": "a\nb", "m": 1.5}}}},
        {("occurred_at", "future_time"), ("actor", "type"), ("sealed.order.content.n", "control")},
    ),
    (
        {"actor": "a\u0085b", "data": {"region": "a\tb", "x\u0001y": 1}, "occurred_at": "soon"},
        {
            ("actor", "control"), ("data.region", "control"), ("data.x?y", "control"),
            ("occurred_at", "time"),
        },
    ),
    (
        {"more": 1, "sealed": {"order": {"content": {"x\u0001y": "1"}}}},
        {("more", "unknown_field"), ("sealed.order.content.x?y", "control")},
    ),
]  # fmt: skip


@pytest.mark.parametrize("sent_by", [by_single, by_query, by_batch])
@pytest.mark.parametrize(("change", "told"), CASES)
def test_everything_is_told_at_once_by_whatever_way_it_comes(market, sent_by, change, told):
    change = dict(change)
    event = {"code": market.one().code, "type": "sale", "data": {}}
    event["occurred_at"] = market.at(change.pop("hours", -1))
    before = market.count_rows()
    assert sent_by(market, {**event, **change}) == told
    assert market.count_rows() == before


def test_what_is_wrong_a_thousand_times_is_not_looked_into_further(market):
    data = {f"f{n}": "a\u0001" for n in range(1000)}
    event = {"code": market.one().code, "type": "sale", "data": data, "occurred_at": market.at(1)}
    told = by_single(market, event)
    assert (len(told), {kind for _, kind in told}) == (MOST_BESIDE, {"control"})


def test_a_body_that_is_wrong_in_a_thousand_fields_is_judged_once(market, monkeypatch):
    def again(*_):
        raise AssertionError("judged once more")

    monkeypatch.setattr(events, "_told_in_full", again)
    event = {"code": market.one().code, "type": "sale", **{f"f{n}": 1 for n in range(1000)}}
    assert len(by_single(market, event)) == MOST_TOLD


def test_of_very_many_wrong_fields_a_hundred_are_told_and_the_others_counted(market):
    event = {"code": market.one().code, "type": "sale", **{f"f{n}": 1 for n in range(30_000)}}
    answer = market.call("POST", S, event, token=market.keys[SHOP])
    problem = answer.json()
    assert (answer.status_code, len(problem["errors"])) == (422, MOST_TOLD)
    assert problem["left_out"] == 30_000 - MOST_TOLD
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("way", ["single", "query", "batch", "push"])
def test_what_is_not_told_is_not_read_but_counted(market, monkeypatch, way, control):
    read: list[int] = []
    read_error = problems._read_error
    monkeypatch.setattr(problems, "_read_error", lambda one: read.append(1) or read_error(one))
    more = {f"f{n}": 1 for n in range(3_000)} | ({"f1": "a\u0001"} if control else {})
    event = {"code": market.one().code, "type": "sale", **more}
    if way == "push":
        more.pop("f1")
        item = {"waybill": "短", "state": "a\u0001" if control else "3", **more}
        body = {"feed": "kuaidi100", "items": [item]}
        (one,) = market.ask("POST", PUSH, body, token=market.keys[CARRIER])["results"]
        problem, count = one["problem"], 2_999 + 1 + control
    elif way == "batch":
        body = {"events": [event]}
        (one,) = market.ask("POST", BATCH, body, token=market.keys[SHOP])["results"]
        problem, count = one["problem"], 3_000 + control
    else:
        path = f"{S}?wait=for-ever" if way == "query" else S
        problem = market.call("POST", path, event, token=market.keys[SHOP]).json()
        count = 3_000 + control + (way == "query")
    assert len(problem["errors"]) == MOST_TOLD
    assert problem["left_out"] == count - MOST_TOLD
    assert len(read) <= 2 * MOST_TOLD


def test_a_text_with_escapes_and_no_control_character_is_taken(market):
    told = {"code": market.one().code, "type": "sale", "data": {"platform": "示例\\n商城"}}
    raw = json.dumps(told).encode("ascii")
    assert b"\\u" in raw
    headers = {"Content-Type": "application/json"}
    answer = market.call("POST", S, token=market.keys[SHOP], content=raw, headers=headers)
    assert answer.status_code == 201, answer.text


def test_an_item_of_a_feed_is_told_its_control_characters_beside_the_rest(market):
    item = {"waybill": "短", "state": "3", "occurred_at": 5, "reason": "a\u0007b"}
    body = {"feed": "kuaidi100", "items": [item]}
    (one,) = market.ask("POST", PUSH, body, token=market.keys[CARRIER])["results"]
    assert found(one["problem"]["errors"], skip=2) == {
        ("waybill", "charset"), ("occurred_at", "type"), ("reason", "control"),
    }  # fmt: skip
