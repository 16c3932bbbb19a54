"""/account/push: a party's last pushes, and a count of those that nobody known signed."""

from __future__ import annotations

import html
import json
import re
import threading
from urllib.parse import urlsplit

import pytest
from sqlalchemy.exc import OperationalError

from app.db.engine import Database
from app.kit.clock import SHANGHAI, format_time
from app.kit.errors import FieldFault, Invalid
from app.trace import pushlog, pushlogstore
from app.trace.kuaidi100 import sign_of
from app.trace.pushes import Pushed
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_kuaidi100_push import param, parcel, step

AT = "/api/v1/carriers/push-address"
PUSH = "/api/v1/carriers/push"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("glance")) as running:
        yield running


def send(market, *items, by: str = SHOP) -> None:
    market.ask("POST", PUSH, {"feed": "kuaidi100", "items": list(items)}, token=market.keys[by])


def forge(market, by: str, sign: str) -> int:
    path = urlsplit(market.ask("POST", AT, token=market.keys[by])["callback_url"]).path
    return market.client.post(path, data={"param": "{}", "sign": sign}, headers=FORM).status_code


def push(market, waybill: str, *steps: dict, state: str = "0", text: str | None = None) -> dict:
    """Pushes to the address of the shop, signed."""
    address = market.ask("POST", AT, token=market.keys[SHOP])
    told = param(waybill, *steps, state=state) if text is None else text
    data = {"param": told, "sign": sign_of(told, address["salt"])}
    answer = market.client.post(urlsplit(address["callback_url"]).path, data=data, headers=FORM)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sent(market) -> str:
    """Returns the waybill of a parcel of one unit that is on its way."""
    return parcel(market, units=1)[0]


def outcomes(shown: str) -> list[str]:
    """What came of pushes: in the box, then line by line."""
    return re.findall(r'<span class="state state-\w+">([^<]+)</span>', shown)


def page(market, by: str = SHOP, lang: str = "zh") -> str:
    return html.unescape(signed_in(market, "owner", by).get(f"/account/push?lang={lang}").text)


def test_the_last_pushes_are_listed_with_what_came_of_them_and_why(market):
    future = {"waybill": "TEST0000000001", "state": "3", "occurred_at": market.at(-1)}
    send(market, future, {"state": 3}, {**future, "state": "999", "reason": "张三 19900000000"})
    line = market.rooms.push_log.last(SHOP)[0]
    assert (line.recorded, line.repeated, line.refused) == (0, 0, 3)
    assert line.reasons == {"unknown": 1, "missing": 1, "enum": 1}
    shown = page(market)
    assert '<td data-name="拒绝">3</td>' in shown
    for why in ("运单号不在您的发货记录里", "缺少必填的一项", "状态不在对照表里"):
        assert f"1 条：{why}" in shown
    assert "the waybill is in none of your dispatches" in page(market, lang="en")
    local = market.clock.now().astimezone(SHANGHAI)
    assert f"{local:%H:%M}" in shown
    with market.rooms.database.read() as connection:
        rows = pushlogstore.taken_of(connection, SHOP)
    assert not any(word in str(rows) for word in ("TEST0000", "张三", "19900000000"))


def test_what_is_signed_at_the_address_stands_beside_it(market):
    address = market.ask("POST", AT, token=market.keys[SHOP])
    path = urlsplit(address["callback_url"]).path
    told = {"param": "[]", "sign": sign_of("[]", address["salt"])}
    assert market.client.post(path, data=told, headers=FORM).status_code == 200
    line = market.rooms.push_log.last(SHOP)[0]
    assert (line.feed, line.refused, line.reasons) == ("kuaidi100", 1, {"unreadable": 1})
    assert "1 条：内容看不懂" in page(market)


def test_the_newest_fifty_of_a_party_are_kept(market, monkeypatch):
    send(market, {}, by=RIVAL)
    monkeypatch.setattr(pushlog, "MOST_KEPT", 3)
    monkeypatch.setattr(pushlog, "MOST_REFUSED_KEPT", 3)
    for n in range(5):
        send(market, *[{}] * (n + 1))
    assert [line.refused for line in market.rooms.push_log.last(SHOP)] == [5, 4, 3]
    with market.rooms.database.read() as connection:
        assert len(pushlogstore.taken_of(connection, SHOP)) == 3
        assert len(pushlogstore.taken_of(connection, RIVAL)) == 1


def test_a_refused_push_stays_beside_the_newest_however_many_good_ones_come(market, monkeypatch):
    monkeypatch.setattr(pushlog, "MOST_KEPT", 3)
    monkeypatch.setattr(pushlog, "MOST_REFUSED_KEPT", 2)
    party, log = "91441200MA4W000020", market.rooms.push_log

    def keep(*, refused: int) -> None:
        fault = Invalid("invalid", errors=(FieldFault(("at",), "future_time"),))
        items = [Pushed("refused", fault=fault)] * refused
        log.keep(party, "kuaidi100", [Pushed("recorded"), *items])

    for refused in (1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0):
        keep(refused=refused)
    assert [line.refused for line in log.last(party)] == [0, 0, 0, 3, 2]
    # A refused one among the newest is kept once, and the oldest of the refused goes.
    keep(refused=4)
    assert [line.refused for line in log.last(party)] == [4, 0, 0, 3]
    for _ in range(3):
        keep(refused=0)
    assert [line.refused for line in log.last(party)] == [0, 0, 0, 4, 3]


def test_a_step_that_cannot_be_read_is_named_in_the_box_and_in_the_list(market):
    waybill = sent(market)
    steps = [
        step(market, -1, "3"),
        step(market, -2, "778"),
        step(market, -3) | {"ftime": "昨天", "time": ""},
    ]
    assert push(market, waybill, *steps, state="3")["recorded"] == 1
    line = market.rooms.push_log.last(SHOP)[0]
    assert (line.outcome, line.recorded, line.unread) == ("recorded", 1, ("昨天", "778"))
    shown = page(market)
    assert shown.count("看不懂的：昨天、778") == 2
    assert outcomes(shown)[:2] == ["部分记下", "部分记下"]
    assert "一切正常" not in shown
    assert "Not understood: 昨天, 778" in page(market, lang="en")
    # Where the newest has no time it is said which state was not recorded.
    push(
        market,
        waybill,
        step(market, -1, "3") | {"ftime": "0001-01-01 00:00:00", "time": ""},
        state="3",
    )
    line = market.rooms.push_log.last(SHOP)[0]
    assert (line.outcome, line.refused, line.reasons) == ("untimed", 1, {"untimed": 1})
    shown = page(market)
    assert shown.count("最新一步的时间看不懂，包裹的状态 3 没有记录。") == 2
    assert shown.count("看不懂的：0001-01-01 00:00:00") == 2
    # Of what is no push at all, the place in it.
    push(market, waybill, text='{"status": "polling"}')
    assert "看不懂的：param.lastResult" in page(market)


def test_a_state_that_nobody_knows_stands_as_far_as_it_tells(market):
    waybill = sent(market)
    whole = "快件已由 Zhaoqing 端州区驿站代收，等待收件人前来领取，请凭取件码到柜台领取"
    push(market, waybill, step(market, -1, "778"), step(market, -2, whole), state="778")
    (line, *_) = market.rooms.push_log.last(SHOP)
    assert (set(line.unread), line.is_cut) == ({whole, "778"}, False)
    shown = page(market)
    assert shown.count(whole) == 2
    told = "“…”处有省略：每处最多留 64 个字符，长号码不留。"
    others = shown.count(told)  # of pushes before these, in the list alone
    # What goes beyond is left out, and that is said.
    long = "x" * 64
    push(market, waybill, step(market, -1, long), step(market, -2, f"{long}yz"), state=long)
    (line, *_) = market.rooms.push_log.last(SHOP)
    assert (set(line.unread), line.is_cut) == ({f"{long}…", long}, True)
    assert page(market).count(told) == others + 2
    assert "left out" in page(market, lang="en")


def test_a_number_that_stands_where_a_state_should_is_cut_short(market):
    waybill = sent(market)
    push(market, waybill, step(market, -1), state="19900000000")
    (line, *_) = market.rooms.push_log.last(SHOP)
    assert (line.unread, line.is_cut) == (("1990…",), True)
    push(
        market,
        waybill,
        step(market, -1, "3") | {"ftime": "1", "time": ""},
        state="y" * 99,
    )
    (line, *_) = market.rooms.push_log.last(SHOP)
    assert (line.untimed, line.is_cut) == ("y" * 64 + "…", True)


def test_the_box_is_the_newest_line_of_the_list_and_never_an_older_graver_one(databases, tmp_path):
    with open_people_market(tmp_path) as market:
        check_the_box(market)


def check_the_box(market) -> None:
    waybill = sent(market)
    push(market, waybill, text="[]")
    push(market, waybill, step(market, -1, "3"), state="3")  # within the same minute
    line = market.rooms.push_log.last(SHOP)[0]
    told = market.ask("GET", AT, token=market.keys[SHOP])
    assert (line.outcome, told["outcome"], told["pushed_at"]) == (
        "recorded", "recorded", format_time(line.at),
    )  # fmt: skip
    assert outcomes(page(market))[:3] == ["已记录", "已记录", "内容看不懂"]
    # By a key, too.
    market.clock.advance(5)
    send(market, {"waybill": "TEST0000000001", "state": "3", "occurred_at": market.at(-1)})
    assert outcomes(page(market))[:3] == ["没有这个运单", "没有这个运单", "已记录"]
    # What nobody signed is in no list: it takes the place of nothing that was signed just before.
    forge(market, SHOP, "0" * 32)
    assert outcomes(page(market))[0] == "没有这个运单"
    market.clock.advance(60)
    forge(market, SHOP, "0" * 32)
    assert outcomes(page(market))[:2] == ["签名不对", "没有这个运单"]
    market.clock.advance(1)
    push(market, waybill, step(market, -1, "3"), state="3")
    assert outcomes(page(market))[:2] == ["没有新内容", "没有新内容"]


def test_the_pushes_that_were_not_recorded_as_a_whole_are_shown_alone(market):
    send(market, {})
    push(market, sent(market), text="[]")
    push(market, sent(market), step(market, -1, "3"), state="3")
    count = sum(line.refused > 0 for line in market.rooms.push_log.last(SHOP))
    assert 1 < count < len(market.rooms.push_log.last(SHOP))
    assert f"其中 {count} 次没有全部记下" in page(market)
    owner = signed_in(market, "owner", SHOP)
    shown = html.unescape(owner.get("/account/push?only=refused&lang=zh").text)
    assert f"没有全部记下的 {count} 次。" in shown
    assert shown.count('<td data-name="拒绝">') == count
    assert '<td data-name="拒绝">0</td>' not in shown
    # The box above says what the newest of all was, filtered or not.
    assert outcomes(shown)[0] == outcomes(page(market))[0]


def test_a_line_of_the_release_before_is_shown_with_what_it_says(market):
    row = {
        "party": CARRIER, "id": "ffff", "at": 1, "feed": "suxin", "recorded": 2, "repeated": 0,
        "refused": 1, "reasons": '{"enum": 1}',
    }  # fmt: skip
    with market.rooms.database.write() as connection:
        pushlogstore.add_taken(connection, row, most=50, most_refused=50)
    line = market.rooms.push_log.last(CARRIER)[0]
    assert (line.outcome, line.reasons, line.unread) == ("refused", {"enum": 1}, ())
    assert "状态不在对照表里" in page(market, CARRIER)


def test_forged_pushes_are_counted_by_day_and_a_flood_writes_no_more(market, monkeypatch):
    assert forge(market, SHOP, "") == 403
    assert {forge(market, SHOP, "0" * 32) for _ in range(2)} == {403}
    (day,) = market.rooms.push_log.forged(SHOP)
    assert (day.missing, day.wrong, day.unformed, day.is_more) == (1, 2, 0, False)
    shown = page(market)
    assert day.day in shown
    for name, count in (("没有签名", 1), ("签名不对", 2), ("不是表单", 0)):
        assert f'<td data-name="{name}">{count}</td>' in shown
    before = market.count_rows()
    monkeypatch.setattr(pushlog, "MOST_FORGED", 4)
    written = []
    count = pushlogstore.count_forged
    monkeypatch.setattr(
        pushlogstore, "count_forged", lambda *a, **k: written.append(k) or count(*a, **k)
    )
    for _ in range(6):
        forge(market, SHOP, "0" * 32)
    assert len(written) == 1
    assert market.count_rows() == before
    assert market.rooms.push_log.forged(SHOP)[0].is_more
    for _ in range(pushlog.DAYS_KEPT + 1):
        market.clock.advance(86_400)
        forge(market, SHOP, "0" * 32)
    with market.rooms.database.read() as connection:
        assert len(pushlogstore.forged_of(connection, SHOP, since="")) == pushlog.DAYS_KEPT
    assert json.dumps(market.rooms.push_log.forged(RIVAL)) == "[]"


def test_a_push_is_answered_also_where_the_list_cannot_keep_it(market, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OperationalError("insert", {}, Exception("disk full"))

    monkeypatch.setattr(pushlogstore, "add_taken", full)
    monkeypatch.setattr(pushlogstore, "count_forged", full)
    before = market.rooms.push_log.last(SHOP)
    send(market, {"waybill": "TEST0000000001", "state": "3", "occurred_at": market.at(-1)})
    assert forge(market, SHOP, "0" * 32) == 403
    assert market.rooms.push_log.last(SHOP) == before


def test_what_came_of_a_push_is_kept_in_one_transaction(market, monkeypatch):
    """At its address and in the counts: of two each would wait for the disk, and one could stand alone."""
    address = market.ask("POST", AT, token=market.keys[CARRIER])
    path = urlsplit(address["callback_url"]).path
    begun = []
    write = Database.write

    def counted(database):
        if threading.current_thread().name != "recorder":
            begun.append(database)
        return write(database)

    monkeypatch.setattr(Database, "write", counted)

    def pushed(**form) -> int:
        market.clock.advance(120)
        begun.clear()
        status = market.client.post(path, headers=FORM, **form).status_code
        assert len(begun) == 1
        return status

    assert pushed(data={"param": "[]", "sign": sign_of("[]", address["salt"])}) == 200
    assert pushed(data={"param": "[]", "sign": "0" * 32}) == 403
    assert market.ask("GET", AT, token=market.keys[CARRIER])["outcome"] == "sign_wrong"
    assert pushed(content=b"x") == 422
