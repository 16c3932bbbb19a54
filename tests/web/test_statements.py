"""How much a page asks of its database: every statement goes to another process and back."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from unittest import mock

import pytest
from sqlalchemy import event

from app.db import hot
from app.db.planned import PLANS, Plans
from app.oversight.answering import find_answering
from app.trace.identifiers import parse_code
from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import GTIN

PHONE = {"Accept": "text/html", "User-Agent": "Mozilla/5.0 (iPhone)"}
MOST = {
    "issued": 14, "sold": 14, "on its way": 15, "signed": 14, "corrected": 15, "of a lot": 17,
}  # fmt: skip


@pytest.fixture
def steady(market, monkeypatch):
    """A market whose keys are looked up once: they are anew every half a second, however little is asked."""
    monkeypatch.setattr(market.rooms.keys, "_monotonic_s", lambda: 0.0)
    return market


@contextmanager
def counted(database):
    """Notes what reads the database meanwhile, statement and values, and every snapshot that begins."""
    found: list[str] = []
    begun: list[object] = []
    fetch = hot._fetch

    def note(_connection, _cursor, statement, values, *_):
        found.append(f"{statement} {values}")

    def note_hot(connection, statement, bound):
        plans = connection.info.get(PLANS)
        if plans is None or not plans.is_ahead:
            found.append(f"{statement} {bound}")
        return fetch(connection, statement, bound)

    listeners = (("before_cursor_execute", note), ("begin", begun.append))
    for name, listener in listeners:
        event.listen(database._reader, name, listener)
    with mock.patch.object(hot, "_fetch", note_hot):
        yield found, begun
    for name, listener in listeners:
        event.remove(database._reader, name, listener)


def live(market, how: str) -> str:
    """Returns a unit's code that has come so far."""
    lot = market.lot("STATEMENTS") if how == "of a lot" else None
    code = market.one(**({} if lot is None else {"lot": "STATEMENTS"})).code
    if how == "issued":
        return code
    market.sell_by_platform(code, sealed={"order": {"content": {"number": code[-12:]}}})
    if how == "sold":
        return code
    sent = market.dispatch(code)
    if how == "corrected":
        change = {"of": sent["id"], "changes": {"carrier": "a mere name"}}
        market.send(SHOP, code, "correction", change)
    if how == "signed":
        market.sign(code)
    return code


@pytest.mark.parametrize("how", MOST)
def test_a_units_page_is_of_one_snapshot_and_few_statements(market, how):
    code = live(market, how)
    market.work()
    page = market.client.get(f"/{code}", headers=PHONE)  # whatever a process learns but once
    assert page.status_code == 200
    with counted(market.rooms.database) as (found, begun):
        assert market.client.get(f"/{code}", headers=PHONE).text
    assert len(begun) == 1
    assert len(found) <= MOST[how], "\n".join(found)
    assert len({*found}) == len(found), "the same is asked twice"


def test_a_units_page_goes_to_postgresql_and_back_less_often_than_it_asks(market):
    """Each message is a wait, for the server and then for a core."""
    if market.rooms.database.dialect == "sqlite":
        pytest.skip("nothing goes anywhere")
    code = live(market, "on its way")
    market.work()
    assert market.client.get(f"/{code}", headers=PHONE).status_code == 200
    counted = mock.Mock()
    waits = {name: getattr(Plans, name) for name in ("_fetch_one", "_fetch_all")}

    def noting(name):
        def note(plans, *asked):
            counted()
            return waits[name](plans, *asked)

        return note

    with mock.patch.multiple(Plans, **{name: noting(name) for name in waits}):
        assert market.client.get(f"/{code}", headers=PHONE).text
    assert 1 <= counted.call_count <= 7


def test_a_look_leaves_nothing_to_the_collector(market):
    """What stands in a circle waits for it, and it stops every page that is being made.

    The least of some rounds: what else the process has made meanwhile is not of the looks.
    """
    looks, code = market.rooms.looks, parse_code(live(market, "signed"))

    def left(count: int) -> int:
        gc.collect()
        for _ in range(count):
            looks.glance(code)
        return gc.collect()

    gc.disable()
    try:
        assert min(left(20) for _ in range(5)) < 20
    finally:
        gc.enable()


def test_who_answers_is_the_same_told_by_records_that_were_read(market):
    for how in ("sold", "on its way", "signed", "corrected"):
        code = live(market, how)
        with market.rooms.database.read() as connection:
            stories = market.rooms.stories
            story = stories.read(connection, parse_code(code))
            state = stories.verify(connection, story, market.clock.now()).state
            for step in ("dispatch", "signature"):
                asked = find_answering(connection, code, state, step)
                assert find_answering(connection, code, state, step, read=story.own) == asked
            if how == "on its way":
                assert asked.party == CARRIER


def test_a_ranking_asks_no_more_for_many_offers_than_for_one(steady):
    def ask(count: int) -> int:
        one = {"gtin": GTIN, "seller": SHOP, "base": 1}
        body = {"candidates": [{"id": str(n), **one} for n in range(count)]}
        with counted(steady.rooms.database) as (found, _):
            steady.ask("POST", "/api/v1/ranking", body, token=steady.keys[PLATFORM])
        return len(found)

    ask(1)
    assert ask(1) == ask(300) <= 12


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_scan_of_a_case_asks_no_more_for_more_units(steady, is_signed):
    """Each unit's life and records were asked for one after the other, a snapshot each."""
    asked = []
    for case, count in zip(("306912345000000018", "306912345000000025"), (3, 40), strict=True):
        path, own = f"/api/v1/cases/{case}", {"token": steady.keys[SHOP], "status": 201}
        codes = [one.code for one in steady.issue(count)]
        steady.ask("POST", f"{path}/pack", {"codes": codes}, **own)
        waybill = {"waybill": {"content": {"number": case}}}
        sending = {"type": "dispatch", "data": {"carrier": CARRIER}, "sealed": waybill}
        steady.ask("POST", f"{path}/events", sending, **own)
        scan = {"type": "signature", "data": {"kind": "in_person"}}
        if is_signed:
            steady.ask("POST", f"{path}/events", scan, **own)
        with counted(steady.rooms.database) as (found, begun):
            by = {"token": steady.keys[CARRIER], "status": 201}
            told = steady.ask("POST", f"{path}/events", scan, **by)
        assert len(told["events"]) == count
        assert all(one["claim_token"] for one in told["events"])
        asked.append((len(found), len(begun)))
    assert asked[1] <= asked[0]
    assert asked[1][0] <= 20
