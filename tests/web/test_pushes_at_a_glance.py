"""/account/push: a party's last pushes, and a count of those that nobody known signed."""

from __future__ import annotations

import html
import json
import threading
from urllib.parse import urlsplit

import pytest
from sqlalchemy.exc import OperationalError

from app.db.engine import Database
from app.kit.clock import SHANGHAI
from app.trace import pushaddressstore, pushlog, pushlogstore
from app.trace.kuaidi100 import sign_of
from tests.web.conftest import SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in

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
        rows = pushlogstore.taken_of(connection, SHOP, most=9)
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
    for n in range(5):
        send(market, *[{}] * (n + 1))
    assert [line.refused for line in market.rooms.push_log.last(SHOP)] == [5, 4, 3]
    with market.rooms.database.read() as connection:
        assert len(pushlogstore.taken_of(connection, SHOP, most=99)) == 3
        assert len(pushlogstore.taken_of(connection, RIVAL, most=99)) == 1


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
    """At its address and in the list: of two each would wait for the disk, and one could stand alone."""
    party = market.newcomer("carrier")
    address = market.ask("POST", AT, token=market.keys[party])
    path = urlsplit(address["callback_url"]).path
    begun = []
    write = Database.write

    def counted(database):
        if threading.current_thread().name != "recorder":
            begun.append(database)
        return write(database)

    monkeypatch.setattr(Database, "write", counted)
    for sign, status in ((sign_of("[]", address["salt"]), 200), ("0" * 32, 403)):
        market.clock.advance(120)
        begun.clear()
        told = {"param": "[]", "sign": sign}
        assert market.client.post(path, data=told, headers=FORM).status_code == status
        assert len(begun) == 1
    shown = market.ask("GET", AT, token=market.keys[party])
    assert shown["outcome"] == "sign_wrong"
    market.clock.advance(120)
    begun.clear()
    assert market.client.post(path, content=b"x", headers=FORM).status_code == 422
    assert len(begun) == 1


def test_a_signed_push_is_answered_also_where_its_address_cannot_keep_it(market, monkeypatch):
    party = market.newcomer("carrier")
    address = market.ask("POST", AT, token=market.keys[party])
    path = urlsplit(address["callback_url"]).path

    def full(*_: object, **__: object) -> None:
        raise OperationalError("update", {}, Exception("disk full"))

    market.clock.advance(120)
    monkeypatch.setattr(pushaddressstore, "note", full)
    told = {"param": "[]", "sign": sign_of("[]", address["salt"])}
    assert market.client.post(path, data=told, headers=FORM).status_code == 200
