"""A shop's push address: kuaidi100's own form becomes records, in the shop's name and with its rights."""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
import re
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from app.i18n import text as words
from app.kit.clock import SHANGHAI
from app.kit.errors import Denied, Unavailable
from app.trace import pushaddressstore, pushes
from app.trace.kuaidi100 import sign_of
from app.web import aggregators
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import AGGREGATOR, GTIN, RIVAL
from tests.web.people import open_people_market, signed_in

AT = "/api/v1/carriers/push-address"
FORM = {"content-type": "application/x-www-form-urlencoded"}
_numbers = itertools.count(40_000)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("pushes")) as running:
        yield running


@pytest.fixture(autouse=True)
def _a_while(market):
    later(market)


def address_of(market, by: str = SHOP) -> dict:
    return market.ask("POST", AT, token=market.keys[by])


def outcome(market, by: str = SHOP) -> str:
    """What the party is told of its last push."""
    return market.ask("GET", AT, token=market.keys[by])["outcome"]


def kinds_of(market, browser) -> list[str]:
    """What stands in somebody's access log."""
    accounts = market.rooms.people.accounts
    return [one.kind for one in accounts.events(accounts.find(browser.name).person.id)]


def records(market) -> dict[str, int]:
    """How many rows every table has, but for what is kept for a look at pushes."""
    kept = ("push_taken", "push_forged")
    return {name: n for name, n in market.count_rows().items() if name not in kept}


def later(market) -> None:
    """Waits until the next push is noted whatever came of it."""
    market.clock.advance(60)


def parcel(market, carrier: str = "中通", units: int = 2) -> tuple[str, list[str]]:
    codes = [unit.code for unit in market.issue(units)]
    waybill = f"TEST{next(_numbers):010d}"
    body = {"order": f"K-{waybill}", "ordered_at": market.at(-30), "carrier": carrier,
            "waybill": waybill, "shipped_at": market.at(-20), "codes": codes}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    return waybill, codes


def step(market, hours: float, code: str | None = None, **more) -> dict:
    at = (market.clock.now() + timedelta(hours=hours)).astimezone(SHANGHAI)
    told = f"{at:%Y-%m-%d %H:%M:%S}"
    return {"time": told, "ftime": told, "context": "快递员张三 19900000000", **more,
            **({"statusCode": code} if code else {})}  # fmt: skip


def param(waybill: str, *steps, state: str = "0", status: str = "polling") -> str:
    return json.dumps({
        "status": status, "billstatus": "got", "message": "",
        "lastResult": {"message": "ok", "state": state, "status": "200", "ischeck": "0",
                       "com": "zhongtong", "nu": waybill, "data": list(steps)},
    }, ensure_ascii=False)  # fmt: skip


def push(market, address: dict, text: str, *, status: int = 200, sign: str | None = None, **more):
    data = {"param": text, "sign": sign_of(text, address["salt"]) if sign is None else sign}
    path = urlsplit(address["callback_url"]).path
    answer = market.client.post(path, data=data, headers=FORM, **more)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert (told["result"], told["returnCode"]) == (status == 200, str(status))
    return told


def story(market, code: str) -> list[dict]:
    path = f"/api/v1/codes/{GTIN}/{code.rsplit('/', maxsplit=1)[-1]}/events"
    return [one["record"] for one in market.ask("GET", path)["items"]]


def state_of(market, code: str) -> str:
    return market.ask("GET", f"/api/v1/code?code={code}")["state"]


def test_a_signature_is_recorded_as_the_sellers_word_and_a_push_that_is_repeated_once(market):
    waybill, codes = parcel(market)
    address = address_of(market)
    text = param(waybill, step(market, -1, "303"), step(market, -2, "5"), step(market, -19, "1"),
                 state="303", status="shutdown")  # fmt: skip
    told = push(market, address, text)
    assert (told["message"], told["recorded"], told["repeated"]) == ("成功", 1, 0)
    assert told["notes"] == ["2 条运输途中的状态没有记录：只由承运方或有其相应授权的一方来说。"]
    assert "claim" not in json.dumps(told)
    for code in codes:
        last = story(market, code)[-1]
        assert (last["type"], last["data"]) == ("signature", {"kind": "proxy"})
        assert (last["actor"], last["source"], "via" in last) == (SHOP, "merchant", False)
        assert state_of(market, code) == "signed"
    shown = market.ask("GET", AT, token=market.keys[SHOP])
    assert (shown["outcome"], shown["callback_url"]) == ("recorded", address["callback_url"])
    assert "salt" not in shown
    before = records(market)
    again = push(market, address, text.replace('"shutdown"', '"updateall"'))
    assert (again["recorded"], again["repeated"]) == (0, 1)
    assert records(market) == before
    assert b"19900000000" not in market.stored_bytes()


def test_a_carriers_own_address_tells_of_the_way_too(market):
    waybill, codes = parcel(market, CARRIER)
    address = address_of(market, CARRIER)
    steps = [step(market, -2, "1001", areaCode="CN440106000000"), step(market, -19, "103")]
    assert push(market, address, param(waybill, *steps, state="1001"))["recorded"] == 2
    steps.insert(0, step(market, -1, "304"))
    told = push(market, address, param(waybill, *steps, state="304", status="shutdown"))
    assert (told["recorded"], told["repeated"], "notes" in told) == (1, 2, False)
    assert [(one["type"], one["source"], one["data"]) for one in story(market, codes[0])[-3:]] == [
        ("transit", "carrier", {"status": "collected"}),
        ("transit", "carrier", {"status": "in_transit", "region": "440100"}),
        ("signature", "carrier", {"kind": "locker"}),
    ]


def test_an_aggregators_address_speaks_under_the_carriers_mandate(market):
    waybill, codes = parcel(market, CARRIER)
    address = address_of(market, AGGREGATOR)
    text = param(waybill, step(market, -2, "5"), state="5")
    push(market, address, text, status=404)
    market.mandate(CARRIER, AGGREGATOR, "transit", "signature")
    assert push(market, address, text)["recorded"] == 1
    last = story(market, codes[0])[-1]
    assert (last["actor"], last["via"], last["source"]) == (CARRIER, AGGREGATOR, "aggregator")


def test_a_signature_counts_where_the_mandate_is_for_nothing_else(market):
    carrier, aggregator = market.newcomer("carrier"), market.newcomer("aggregator")
    waybill, codes = parcel(market, carrier)
    market.mandate(carrier, aggregator, "signature")
    address = address_of(market, aggregator)
    on_the_way = param(waybill, step(market, -9, "5"), state="5")
    assert push(market, address, on_the_way)["recorded"] == 0
    text = param(waybill, step(market, -1, "3"), step(market, -9, "5"), state="3")
    for counts in ((1, 0), (0, 1)):
        told = push(market, address, text)
        assert (told["recorded"], told["repeated"]) == counts
        assert told["notes"] == ["1 条运输途中的状态没有记录：只由承运方或有其相应授权的一方来说。"]
    assert state_of(market, codes[0]) == "signed"


def test_a_mandate_that_lacks_the_signature_is_asked_for_again(market):
    carrier, aggregator = market.newcomer("carrier"), market.newcomer("aggregator")
    waybill, codes = parcel(market, carrier)
    market.mandate(carrier, aggregator, "transit")
    address = address_of(market, aggregator)
    text = param(waybill, step(market, -1, "3"), step(market, -9, "5"), state="3")
    push(market, address, text, status=403)
    market.mandate(carrier, aggregator, "signature")
    assert push(market, address, text)["recorded"] == 1
    assert state_of(market, codes[0]) == "signed"


def test_of_a_big_parcel_nothing_falls_off(market, monkeypatch):
    monkeypatch.setattr(pushes, "MAX_EVENTS", 5)
    waybill, codes = parcel(market, CARRIER, units=4)
    steps = [
        step(market, -1, "3"),
        step(market, -2, "5"),
        step(market, -3, "0"),
        step(market, -4, "1"),
    ]
    text = param(waybill, *steps, state="3", status="shutdown")
    assert push(market, address_of(market, CARRIER), text)["recorded"] == 4
    assert {state_of(market, code) for code in codes} == {"signed"}
    assert [one["type"] for one in story(market, codes[3])[-4:]] == ["transit"] * 3 + ["signature"]
    assert push(market, address_of(market, CARRIER), text)["repeated"] == 4


def test_a_state_without_its_time_is_not_recorded_at_another(market):
    waybill, codes = parcel(market)
    newest = step(market, -1, "3") | {"ftime": "0001-01-01 00:00:00", "time": ""}
    told = push(market, address_of(market), param(waybill, newest, step(market, -5), state="3"))
    assert told["recorded"] == 0
    assert outcome(market) == "untimed"
    assert told["notes"] == [
        "最新一步的时间看不懂，包裹的状态 3 没有记录。",
        "看不懂的状态或时间，没有记录事件：0001-01-01 00:00:00",
    ]
    assert state_of(market, codes[0]) == "in_transit"


def test_a_feed_that_ended_and_states_that_nobody_knows_record_nothing_and_say_so(market):
    waybill, codes = parcel(market)
    address = address_of(market)
    before = records(market)
    ended = push(market, address, param(waybill, step(market, -9), state="2", status="abort"))
    assert (ended["message"], ended["recorded"], len(ended["notes"])) == ("成功", 0, 1)
    odd = push(market, address, param(waybill, step(market, -9, "777"), state="778"))
    assert (odd["recorded"], odd["notes"]) == (0, ["看不懂的状态或时间，没有记录事件：778"])
    assert records(market) == before
    assert state_of(market, codes[0]) == "in_transit"
    told = push(market, address, param(waybill, step(market, -1), state="14", status="shutdown"))
    assert told["recorded"] == 1
    assert state_of(market, codes[0]) == "returned"


def test_a_parcel_that_is_not_known_yet_is_asked_for_again_and_anothers_stays_unknown(market):
    address = address_of(market, RIVAL)
    waybill, codes = parcel(market)
    for number in (waybill, "TEST9999999999"):
        told = push(market, address, param(number, step(market, -1), state="3"), status=404)
        assert told["message"] == "这个运单号不在您的发货记录里；登记发货后再推即可。"
        # Whose it is makes no difference where no further push would say more.
        ended = push(market, address, param(number, status="abort"))
        assert ended["notes"] == ["订阅中止，不代表商品有任何变化，没有记录事件。"]
    assert state_of(market, codes[0]) == "in_transit"
    assert market.ask("GET", AT, token=market.keys[RIVAL])["outcome"] == "unknown"


def test_what_is_refused_is_pushed_again(market):
    waybill, codes = parcel(market)
    told = push(market, address_of(market), param(waybill, step(market, 5), state="3"), status=422)
    assert told["message"]
    assert state_of(market, codes[0]) == "in_transit"


def test_a_wrong_signature_is_refused_and_seen_by_the_shop(market):
    waybill, codes = parcel(market)
    address = address_of(market)
    text = param(waybill, step(market, -1), state="3")
    before = records(market)
    for sign, said in (("", "没有 sign"), ("0" * 32, "不符"), (sign_of(text, "other"), "不符")):
        assert said in push(market, address, text, status=403, sign=sign)["message"]
    assert records(market) == before
    assert market.ask("GET", AT, token=market.keys[SHOP])["outcome"] == "sign_wrong"
    assert state_of(market, codes[0]) == "in_transit"


def test_a_salt_is_renewed_and_an_address_ended_at_once(market):
    address = address_of(market)
    assert address_of(market) == address
    waybill, _ = parcel(market)
    text = param(waybill, step(market, -1), state="3")
    renewed = market.ask("POST", f"{AT}/renewal", token=market.keys[SHOP])
    assert renewed["callback_url"] == address["callback_url"]
    assert renewed["salt"] != address["salt"]
    push(market, address, text, status=403)
    push(market, renewed, text)
    market.call("DELETE", AT, token=market.keys[SHOP])
    assert market.call("GET", AT, token=market.keys[SHOP]).status_code == 404
    assert market.call("POST", f"{AT}/renewal", token=market.keys[SHOP]).status_code == 404
    push(market, renewed, text, status=404)
    other = address_of(market)
    assert other["callback_url"] != address["callback_url"]
    assert other["salt"] not in (address["salt"], renewed["salt"])
    assert push(market, other, text)["repeated"] == 1
    assert other["salt"].encode() not in market.stored_bytes()


def test_the_salt_is_for_who_may_make_a_key(market):
    address_of(market)
    for scopes in (("events",), ("parties",)):
        token = market.key_of(SHOP, *scopes)
        for method, path in (("GET", AT), ("POST", AT), ("POST", f"{AT}/renewal"), ("DELETE", AT)):
            assert market.call(method, path, token=token).status_code == 403
    token = market.key_of(SHOP, "events", "parties")
    assert market.ask("GET", AT, token=token) == market.ask("GET", AT, token=market.keys[SHOP])


def test_whose_key_may_not_send_events_has_no_address(market):
    assert market.call("POST", AT, token=market.keys[AUTHORITY]).status_code == 403
    assert market.call("GET", AT).status_code == 401


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b'{"a": 1}', {"content-type": "application/json"}, 415, "application/x-www-form-urlencoded"),
        (b"sign=x", FORM, 422, "param=<JSON>&sign=<MD5(param+salt)"),
        (b"", FORM, 422, "param=<JSON>&sign=<MD5(param+salt)"),
        (b"param=%ff&sign=x", FORM, 400, "param=<JSON>&sign=<MD5(param+salt)"),
        (b"&".join(b"a=1" for _ in range(20)), FORM, 400, "param=<JSON>"),
        (b"param=" + b"x" * 600_000, FORM, 413, ""),
    ],
)  # fmt: skip
def test_a_form_that_is_none_is_told_what_was_expected(market, content, headers, status, said):
    path = urlsplit(address_of(market)["callback_url"]).path
    answer = market.client.post(path, content=content, headers=headers)
    told = answer.json()
    assert (answer.status_code, told["result"], told["returnCode"]) == (status, False, str(status))
    assert said in told["message"]


def fail(fault: Exception):
    def take(*_: object, **__: object) -> None:
        raise fault

    return take


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (Denied("role_missing", action="event.send"), 403, "refused"),
        (Unavailable("commit_failed", retry_after_s=7), 503, "unavailable"),
        (RuntimeError("ours"), 500, "unavailable"),
    ],
)
def test_whatever_keeps_a_push_out_is_answered_in_its_form_and_seen_by_the_shop(
    market, monkeypatch, fault, status, outcome
):
    address = address_of(market)
    waybill, _ = parcel(market)
    text = param(waybill, step(market, -1), state="3")
    taker = market.rooms.push_addresses
    with monkeypatch.context() as broken:
        broken.setattr(taker._pushes, "take", fail(fault))
        assert "ours" not in push(market, address, text, status=status)["message"]
    assert market.ask("GET", AT, token=market.keys[SHOP])["outcome"] == outcome
    later(market)
    push(market, address, text)
    assert market.ask("GET", AT, token=market.keys[SHOP])["outcome"] == "recorded"


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("GET", "/push/kuaidi100/x", 0, 405),
        ("POST", "/push/other/x", 0, 404),
        ("POST", "/push/kuaidi100/x?a=%00", 0, 422),
        ("POST", "/push/kuaidi100/x", 9 * 1024 * 1024, 413),
    ],
)
def test_whatever_is_refused_at_the_door_is_answered_in_its_form(
    market, method, path, size, status
):
    headers = FORM | {"accept": "text/html"}
    answer = market.client.request(method, path, content=b"x" * size, headers=headers)
    told = answer.json()
    assert (answer.status_code, told["result"], told["returnCode"]) == (status, False, str(status))
    assert told["message"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_address_that_is_none_is_told_before_its_form_is_read(market, monkeypatch):
    monkeypatch.setattr(aggregators, "_parse_form", fail(RuntimeError("read")))
    answer = market.client.post("/push/kuaidi100/NONE", content=b"%", headers=FORM)
    assert (answer.status_code, answer.json()["returnCode"]) == (404, "404")


def test_a_form_is_read_beside_the_event_loop(market, monkeypatch):
    threads = []
    parse = aggregators.parse_qsl

    def seen(*given: object, **more: object) -> object:
        threads.append(threading.current_thread().name)
        return parse(*given, **more)

    monkeypatch.setattr(aggregators, "parse_qsl", seen)
    push(market, address_of(market), "not json")
    assert len(threads) == 1
    assert threads[0].startswith("AnyIO worker thread")


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"status": "polling"}', "param.lastResult: 缺少这一项。"), ("not json", "不是")],
)
def test_a_signed_text_that_is_no_push_is_not_asked_for_again(market, text, said):
    told = push(market, address_of(market), text)
    assert told["message"] == "签名正确，已收到，但内容看不懂，没有记录事件"
    assert said in told["notes"][0]
    assert outcome(market) == "unreadable"


def no_data(market, waybill: str) -> str:
    return param(waybill, state="3")


def no_time(market, waybill: str) -> str:
    return param(waybill, step(market, -1, "3") | {"ftime": "昨天", "time": ""}, state="3")


def null_date(market, waybill: str) -> str:
    epoch = "1970-01-01 08:00:00"
    return param(waybill, step(market, -1, "3") | {"ftime": epoch, "time": epoch}, state="3")


def odd_state(market, waybill: str) -> str:
    return param(waybill, step(market, -1), state="778")


def on_the_way(market, waybill: str) -> str:
    return param(waybill, step(market, -1), state="5")


def aborted(market, waybill: str) -> str:
    return param(waybill, step(market, -1), state="3", status="abort")


@pytest.mark.parametrize(
    ("text", "expected", "notes"),
    [
        (no_data, "empty", ["推送里没有任何一步动态（data 为空），没有记录事件。"]),
        (no_time, "untimed", ["最新一步的时间看不懂，包裹的状态 3 没有记录。",
                              "看不懂的状态或时间，没有记录事件：昨天"]),
        (null_date, "untimed", ["最新一步的时间看不懂，包裹的状态 3 没有记录。",
                                "看不懂的状态或时间，没有记录事件：1970-01-01 08:00:00"]),
        (odd_state, "unread", ["看不懂的状态或时间，没有记录事件：778"]),
        (on_the_way, "untold", ["1 条运输途中的状态没有记录：只由承运方或有其相应授权的一方来说。"]),
        (aborted, "ended", ["订阅中止，不代表商品有任何变化，没有记录事件。"]),
    ],
)  # fmt: skip
def test_a_push_that_becomes_no_event_says_why_and_is_not_asked_for_again(
    market, text, expected, notes
):
    waybill, codes = parcel(market)
    owner = signed_in(market)
    owner.get("/account/push")
    owner.post("/account/push", 200, do="make")
    told = push(market, address_of(market), text(market, waybill))
    assert (told["recorded"], told["notes"]) == (0, notes)
    assert outcome(market) == expected
    for lang in ("zh", "en"):
        page = html.unescape(owner.get(f"/account/push?lang={lang}").text)
        assert words(lang, f"push.outcome.{expected}.means") in page
    assert state_of(market, codes[0]) == "in_transit"


def test_why_a_push_was_refused_stands_on_the_page(market):
    waybill, _ = parcel(market)
    address = address_of(market)
    push(market, address, param(waybill, step(market, 5), state="3"), status=422)
    shown = market.ask("GET", AT, token=market.keys[SHOP])
    assert (shown["outcome"], shown["reason"]) == ("refused", "future_time")
    page = signed_in(market).get("/account/push?lang=zh").text
    assert "有时间在未来。 推送里有内容被拒绝。" in page


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"sign=x", FORM, 422),
        (b"param=%ff&sign=x", FORM, 400),
    ],
)
def test_what_is_no_form_is_noted_in_the_one_row_and_writes_no_more(
    market, content, headers, status
):
    address = address_of(market)
    path = urlsplit(address["callback_url"]).path
    before = records(market)
    market.client.post(path, content=content, headers=headers)
    assert outcome(market) == "unformed"
    assert records(market) == before


def test_a_stranger_hides_nothing_of_the_last_minute_and_writes_once_in_it(market, monkeypatch):
    waybill, _ = parcel(market)
    address = address_of(market)
    path = urlsplit(address["callback_url"]).path
    written = []
    note = pushaddressstore.note

    def counted(*given: object, **more: object) -> None:
        written.append(more["outcome"])
        note(*given, **more)

    monkeypatch.setattr(pushaddressstore, "note", counted)
    push(market, address, "{}")
    for _ in range(3):
        push(market, address, "{}", status=403, sign="0" * 32)
        assert market.client.post(path, content=b"x", headers=FORM).status_code == 422
    assert (outcome(market), written) == ("unreadable", ["unreadable"])
    later(market)
    for _ in range(3):
        push(market, address, "{}", status=403, sign="0" * 32)
        market.client.post(path, content=b"x", headers=FORM)
    assert written[1:] == ["sign_wrong"]
    push(market, address, param(waybill, step(market, -1), state="3"))
    assert (outcome(market), written[2:]) == ("recorded", ["recorded"])


def test_of_many_pushes_at_once_the_graver_ones_are_written(market, monkeypatch):
    address = address_of(market)
    written = []
    monkeypatch.setattr(
        pushaddressstore, "note", lambda *_, outcome, at_ms: written.append(outcome)
    )
    row = market.rooms.push_addresses.find(address["callback_url"].rsplit("/", 1)[1])
    for kind in ("recorded", "nothing", "unknown", "recorded", "refused", "unknown"):
        noted = dataclasses.replace(
            row, pushed_at=market.clock.now(), outcome=written[-1] if written else None
        )
        note_it = market.rooms.push_addresses._noting(noted, kind, None)
        if note_it is not None:
            note_it(None)
    assert written == ["recorded", "unknown", "refused"]


def test_the_salt_is_shown_when_it_is_made_and_when_somebody_asks(market):
    market.call("DELETE", AT, token=market.keys[RIVAL])
    other = signed_in(market, "owner", RIVAL)
    other.get("/account/push")
    other.post("/account/push", 200, do="make")
    salt = address_of(market, RIVAL)["salt"]
    assert salt in other.page
    assert salt not in other.get("/account/push").text
    other.http.post("/account/push", data={"do": "show"})
    assert "push_shown" not in kinds_of(market, other)
    other.post("/account/push", 200, do="show")
    assert salt in other.page
    assert "push_shown" in kinds_of(market, other)
    since = re.search(r'name="since" value="([^"]+)"', other.page)[1]
    other.post("/account/push", 200, do="renew", since=since)
    assert salt not in other.page
    assert address_of(market, RIVAL)["salt"] in other.page
